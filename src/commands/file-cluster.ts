/** The cluster as local mode needs it, from files: pools, Services, namespaces and nodes as they stand there. It is only looked at. */
import type { LocalCluster } from '../../providers/local/cluster.ts';
import { noCluster } from '../../providers/local/no-cluster.ts';
import type { ObjectKey, ServiceObject } from '../core/objects.ts';
import type { Manifests } from './manifest-files.ts';

export function fileCluster({ pools, services, nodes, namespaces }: Manifests): LocalCluster {
  const byKey = new Map<ObjectKey, ServiceObject>(services.map((service) => [service.key, service]));
  // What the API server puts on every Namespace, so that a selector by name works without the object.
  const labels = (name: string): Readonly<Record<string, string>> => ({
    'kubernetes.io/metadata.name': name,
    ...namespaces.find((one) => one.name === name)?.labels,
  });
  return {
    ...noCluster,
    complete: () => true,
    pools: () => pools,
    services: () => byKey.values(),
    service: (key) => byKey.get(key),
    namespaceLabels: labels,
    nodes: () => nodes,
    readAddress: () => Promise.resolve(undefined),
    listAddresses: () => Promise.resolve([]),
  };
}
