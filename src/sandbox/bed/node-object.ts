/** The nodes of a bed as objects of the API, for clusters whose nodes they are. */
import { nodeReady, type Manifest } from '../objects.ts';
import type { NodePlace } from './topology.ts';

/** A bed's node as its kubelet would have registered it; every node is a zone of its own. */
export function bedNode(node: NodePlace): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.name,
      labels: { 'kubernetes.io/hostname': node.name, 'topology.kubernetes.io/zone': `zone-${node.name}` },
    },
    spec: { podCIDR: node.podRange.IPv4, podCIDRs: [node.podRange.IPv4, node.podRange.IPv6] },
    status: {
      addresses: [
        { type: 'InternalIP', address: node.address.IPv4 },
        { type: 'InternalIP', address: node.address.IPv6 },
      ],
      conditions: [nodeReady],
    },
  };
}
