/**
 * Nodes as EC2 instances: the id is in `spec.providerID`, so EC2 is never asked.
 *
 * Known forms are `aws:///<zone>/i-…`, `aws://<anything>/<zone>/i-…` and the bare `i-…`. A node without one
 * (not filled in yet, Fargate, hybrid, another cloud) is left out by itself and never holds up the others.
 */
import type { NodeObject } from '../../src/core/objects.ts';
import type { Exclusion } from '../../src/core/provider.ts';

export function instanceOf(node: NodeObject): string | undefined {
  return /^(?:aws:\/\/[^/]*\/[^/]*\/)?(i-[A-Za-z0-9-]+)$/.exec(node.providerID)?.[1];
}

/** Why a node cannot be an instance target. */
export function notAnInstance(node: NodeObject): Exclusion {
  return node.providerID === ''
    ? {
        node: node.name,
        reason: 'NodeWithoutProviderID',
        message: `node ${node.name} has no spec.providerID yet`,
      }
    : {
        node: node.name,
        reason: 'NodeForeignProviderID',
        message: `node ${node.name} is no EC2 instance: spec.providerID is "${node.providerID}"`,
      };
}
