/**
 * Where a Service's endpoints live: what a balancer needs to know under `externalTrafficPolicy: Local`.
 *
 * A Service's endpoints are spread over slices, one kind of slice for each address family, and while the
 * control plane moves an endpoint between slices it may be listed twice. All of that is merged here.
 */
import type { EndpointSliceObject, NodeName } from './objects.ts';

/**
 * Node → how many endpoints it holds that will serve, now or soon.
 *
 * - An endpoint that is not ready counts: its node is registered early, and the health check keeps traffic
 *   away until it is ready.
 * - A terminating endpoint does not count: kube-proxy's health check of a node with none but terminating
 *   endpoints fails (KEP-1669), so as a target it would be down already.
 * - An endpoint without a node (external addresses) and slices of names (FQDN) say nothing about nodes.
 * - A pod with two address families is one endpoint.
 *
 * @param slices the slices of one Service.
 */
export function nodesWithEndpoints(slices: readonly EndpointSliceObject[]): ReadonlyMap<NodeName, number> {
  /** Node → family → addresses. */
  const seen = new Map<NodeName, { readonly IPv4: Set<string>; readonly IPv6: Set<string> }>();
  for (const { addressType, endpoints } of slices) {
    if (addressType === 'FQDN') continue;
    for (const { nodeName, terminating, addresses } of endpoints) {
      const address = addresses[0];
      if (nodeName === undefined || terminating || address === undefined) continue;
      let families = seen.get(nodeName);
      if (families === undefined) {
        families = { IPv4: new Set(), IPv6: new Set() };
        seen.set(nodeName, families);
      }
      families[addressType].add(address);
    }
  }
  return new Map(
    [...seen].map(([node, { IPv4, IPv6 }]): [NodeName, number] => [node, Math.max(IPv4.size, IPv6.size)]),
  );
}
