/** From decisions and slices to what the connection tracking table is compared with. */
import { formatAddress, parseAddress } from '../core/cidr.ts';
import type { EndpointSliceObject } from '../core/objects.ts';
import { socketKey, type Served } from './conntrack/stale.ts';
import type { Decision } from './decision.ts';

/** Where a Service port is reached. */
export type Destinations = Pick<Served, 'addresses' | 'port' | 'nodePort'>;

/** The form in which the kernel and the decisions write an address; undefined for what is none. */
export function canonical(text: string): string | undefined {
  const address = parseAddress(text);
  return address && formatAddress(address);
}

/**
 * The destinations of a TCP port with all who may go on answering there: every endpoint that is in a slice at all, ready
 * or not. A connection is cut only when its endpoint is no more.
 */
export function servedByTcp(decision: Decision, slices: readonly EndpointSliceObject[]): Served {
  const { family, protocol, portName } = decision;
  const answering = new Set<string>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    for (const { name, protocol: spoken, port } of slice.ports) {
      if (name !== portName || spoken !== protocol || port === undefined) continue;
      for (const { addresses } of slice.endpoints) {
        const address = canonical(addresses[0] ?? '');
        if (address !== undefined) answering.add(socketKey(address, port));
      }
    }
  }
  return { ...destinations(decision), answering, untranslated: false };
}

/** Cluster, external and balancer IPs with their port, and the node port. */
export function destinations({
  clusterIP,
  externalIPs,
  balancerIPs,
  port,
  nodePort,
}: Decision): Destinations {
  const addresses = [...(clusterIP === undefined ? [] : [clusterIP]), ...externalIPs, ...balancerIPs];
  return { addresses, port, nodePort };
}

/** What is served no more after a change; undefined when that is nothing. */
export function retiredBy(before: Destinations, after: Destinations | undefined): Destinations | undefined {
  const kept = new Set(after?.port === before.port ? after.addresses : []);
  const addresses = before.addresses.filter((address) => !kept.has(address));
  const nodePort = after?.nodePort === before.nodePort ? 0 : before.nodePort;
  return addresses.length === 0 && nodePort === 0 ? undefined : { addresses, port: before.port, nodePort };
}
