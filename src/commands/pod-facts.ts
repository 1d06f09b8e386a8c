/** From the API's JSON of a Pod to what a question about a packet needs of it. */
import type { PodFacts } from '../agent/answers/resolve.ts';
import type { RawObject } from '../kube/raw.ts';

interface RawPod {
  readonly spec?: { readonly nodeName?: string; readonly hostNetwork?: boolean };
  readonly status?: { readonly podIP?: string; readonly podIPs?: readonly { readonly ip?: string }[] };
}

export function podFacts(raw: RawObject): PodFacts {
  const { spec = {}, status = {} } = raw as RawPod;
  const single = status.podIP === undefined ? [] : [{ ip: status.podIP }];
  return {
    namespace: raw.metadata?.namespace ?? 'default',
    name: raw.metadata?.name ?? '',
    addresses: (status.podIPs ?? single).flatMap(({ ip }) => ip ?? []),
    node: spec.nodeName,
    hostNetwork: spec.hostNetwork ?? false,
  };
}
