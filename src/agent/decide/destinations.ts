/**
 * From a packet's destination to the decision that serves it: what the kernel's look-up tables hold, as plain maps.
 *
 * Decisions given here hold no destination twice (the tracker and `decideWorld` see to that, see `claims.ts`); should
 * one be there twice all the same, the first decision in order of keys has it.
 */
import type { IpFamily, TransportProtocol } from '../../core/objects.ts';
import type { Decision } from '../decision.ts';
import { byText } from './addresses.ts';

/** What an address of a decision is. */
export type AddressKind = 'cluster' | 'external' | 'balancer';

export interface ServiceDestination {
  readonly kind: AddressKind;
  readonly decision: Decision;
}

export interface DestinationIndex {
  readonly family: IpFamily;
  /** By `addressKey`. */
  readonly services: ReadonlyMap<string, ServiceDestination>;
  /** By `portKey`. */
  readonly nodePorts: ReadonlyMap<string, Decision>;
  /** Every cluster IP in use, whatever its ports. */
  readonly clusterIPs: ReadonlySet<string>;
}

export function addressKey(address: string, protocol: TransportProtocol, port: number): string {
  return `${address} ${protocol} ${port}`;
}

export function portKey(protocol: TransportProtocol, port: number): string {
  return `${protocol} ${port}`;
}

/** @param decisions of any family; those of `family` count. */
export function indexDestinations(decisions: Iterable<Decision>, family: IpFamily): DestinationIndex {
  const services = new Map<string, ServiceDestination>();
  const nodePorts = new Map<string, Decision>();
  const clusterIPs = new Set<string>();
  const mine = [...decisions]
    .filter((decision) => decision.family === family)
    .toSorted((a, b) => byText(a.key, b.key));
  for (const decision of mine) {
    const { protocol, port } = decision;
    const add = (kind: AddressKind, address: string): void => {
      const key = addressKey(address, protocol, port);
      if (!services.has(key)) services.set(key, { kind, decision });
    };
    if (decision.clusterIP !== undefined) {
      clusterIPs.add(decision.clusterIP);
      add('cluster', decision.clusterIP);
    }
    for (const address of decision.balancerIPs) add('balancer', address);
    for (const address of decision.externalIPs) add('external', address);
    const key = portKey(protocol, decision.nodePort);
    if (decision.nodePort !== 0 && !nodePorts.has(key)) nodePorts.set(key, decision);
  }
  return { family, services, nodePorts, clusterIPs };
}
