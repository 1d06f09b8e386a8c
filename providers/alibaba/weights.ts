/** Weights of nodes: an even one under policy Cluster, by ready endpoints under policy Local. Pure. */
import type { EndpointSliceObject, NodeName } from '../../src/core/objects.ts';

/** The API's most. */
const most = 100;

/** Node → endpoints on it that are ready and not terminating; a pod with two families is one. */
export function readyEndpoints(slices: readonly EndpointSliceObject[]): ReadonlyMap<NodeName, number> {
  const seen = new Map<NodeName, { readonly IPv4: Set<string>; readonly IPv6: Set<string> }>();
  for (const { addressType, endpoints } of slices) {
    if (addressType === 'FQDN') continue;
    for (const { nodeName, ready, terminating, addresses } of endpoints) {
      const [address] = addresses;
      if (nodeName === undefined || !ready || terminating || address === undefined) continue;
      const families = seen.get(nodeName) ?? { IPv4: new Set<string>(), IPv6: new Set<string>() };
      families[addressType].add(address);
      seen.set(nodeName, families);
    }
  }
  return new Map([...seen].map(([node, { IPv4, IPv6 }]) => [node, Math.max(IPv4.size, IPv6.size)]));
}

/**
 * Counts as weights of at most 100 and at least 1, in proportion. Zero stays zero beside others; where all are zero
 * nobody is preferred, and the health check decides.
 */
export function scaled(counts: readonly number[]): readonly number[] {
  const largest = Math.max(0, ...counts);
  if (largest === 0) return counts.map(() => 1);
  const factor = largest > most ? most / largest : 1;
  return counts.map((count) => (count === 0 ? 0 : Math.max(1, Math.floor(count * factor))));
}

/** `weight` shared out over the nodes by their counts, each at least 1; 0 is 0 for all. */
export function shared(counts: readonly number[], weight: number): readonly number[] {
  if (weight === 0) return counts.map(() => 0);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (total === 0 ? 1 : Math.max(1, Math.floor((weight * count) / total))));
}
