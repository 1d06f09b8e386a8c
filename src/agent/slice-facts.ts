/**
 * What the slices of a Service say beyond its decisions: who may go on answering tracked flows, and how many ready
 * endpoints the node holds. Traffic policy, topology and fallback play no part here.
 */
import { formatAddress, parseAddress } from '../core/cidr.ts';
import type { EndpointSliceObject, IpFamily, NodeName } from '../core/objects.ts';
import { socketKey, type Served } from './conntrack/stale.ts';
import type { Decision } from './decision.ts';

/** The form in which the kernel and the decisions write an address; undefined for what is none. */
export function canonical(text: string): string | undefined {
  const address = parseAddress(text);
  return address && formatAddress(address);
}

/** The destinations of a decision with all who may answer there. */
export function servedBy(decision: Decision, slices: readonly EndpointSliceObject[]): Served {
  const { family, protocol, portName, port, nodePort } = decision;
  const udp = protocol === 'UDP';
  const answering = new Set<string>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    for (const { name, protocol: spoken, port: number } of slice.ports) {
      if (name !== portName || spoken !== protocol || number === undefined || number === 0) continue;
      for (const { addresses, serving } of slice.endpoints) {
        // A UDP flow moves on when its endpoint no longer serves; a TCP flow is cut only when it is no more.
        const address = udp && !serving ? undefined : canonical(addresses[0] ?? '');
        if (address !== undefined) answering.add(socketKey(address, number));
      }
    }
  }
  return { addresses: addressesOf(decision), port, nodePort, answering, untranslated: udp };
}

/** Cluster, external and balancer IPs. */
export function addressesOf({ clusterIP, externalIPs, balancerIPs }: Decision): readonly string[] {
  return [...(clusterIP === undefined ? [] : [clusterIP]), ...externalIPs, ...balancerIPs];
}

/** What a decision no longer serves after a change; undefined when that is nothing. */
export function retiredBy(
  before: Decision,
  after: Decision | undefined,
): { readonly addresses: readonly string[]; readonly port: number; readonly nodePort: number } | undefined {
  const kept = after?.port === before.port ? new Set(addressesOf(after)) : new Set<string>();
  const addresses = addressesOf(before).filter((address) => !kept.has(address));
  const nodePort = after?.nodePort === before.nodePort ? 0 : before.nodePort;
  return addresses.length === 0 && nodePort === 0 ? undefined : { addresses, port: before.port, nodePort };
}

/**
 * Ready endpoints on a node, each pod once whatever the number of its ports: what a health-check node port counts.
 * Terminating ones that still serve do not count, so that a balancer drains the node while stragglers are served.
 */
export function readyOnNode(
  slices: readonly EndpointSliceObject[],
  node: NodeName,
  family: IpFamily,
): number {
  const pods = new Set<string>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    for (const { addresses, ready, nodeName } of slice.endpoints) {
      const [address] = addresses;
      if (ready && nodeName === node && address !== undefined) pods.add(address);
    }
  }
  return pods.size;
}
