/**
 * Nodes as ECS instances: the id is in `spec.providerID`, so ECS is never asked.
 *
 * Known forms are `<region>.<id>` and `alicloud://<region>.<id>`. A node without one, of another region or
 * outside the cloud (`ack-hybrid://`) is left out by itself and never holds up the others.
 */
import { parseBool } from '../../src/core/annotations.ts';
import type { NodeObject } from '../../src/core/objects.ts';
import type { Exclusion } from '../../src/core/provider.ts';

const form = /^(?:alicloud:\/\/)?([a-z]{2}(?:-[a-z0-9]+)+)\.(i-[A-Za-z0-9-]+)$/;

/** Undefined for what is no instance of the region. */
export function instanceOf(node: NodeObject, region: string): string | undefined {
  const found = form.exec(node.providerID);
  return found?.[1] === region ? found[2] : undefined;
}

/** Why a node cannot be a member of a group. */
export function notAnInstance(node: NodeObject, region: string): Exclusion {
  if (node.providerID === '') {
    return {
      node: node.name,
      reason: 'NodeWithoutProviderID',
      message: `node ${node.name} has no spec.providerID yet`,
    };
  }
  return {
    node: node.name,
    reason: 'NodeForeignProviderID',
    message: `node ${node.name} is no ECS instance of ${region}: spec.providerID is "${node.providerID}"`,
  };
}

/** Labels by which people keep nodes out of balancers on this cloud, beside the one of Kubernetes (core/nodes.ts). */
const excludeLabels: readonly string[] = [
  'alpha.service-controller.kubernetes.io/exclude-balancer',
  'service.beta.kubernetes.io/exclude-node',
  'service.alibabacloud.com/exclude-node',
];

/** That a node is labelled to be no member, or stands for no instance at all. */
export function keptOut({ name, labels }: NodeObject): Exclusion | undefined {
  const key =
    excludeLabels.find((one) => labels[one] !== undefined && parseBool(labels[one]) !== false) ??
    (labels['type'] === 'virtual-kubelet' ? 'type' : undefined);
  if (key === undefined) return undefined;
  const message = `node ${name} carries the label ${key}=${labels[key] ?? ''}`;
  return { node: name, reason: 'NodeExcluded', message };
}
