/**
 * Which changes of objects need a look (items 6, 7, 11 and 12 of the service controller's habits).
 *
 * Objects change all the time for reasons that do not concern us: heartbeats of nodes, labels, other
 * people's annotations, our own status writes. Each of these would cost a pass over a Service, or over all
 * of them. What is compared here is only what a wanted state can depend on.
 */
import { ownMarks, ownPrefix } from './annotations.ts';
import { finalizer } from './claim.ts';
import { eligibility } from './nodes.ts';
import type { NodeName, NodeObject, ServiceObject } from './objects.ts';

/** What we write ourselves. */
const written: ReadonlySet<string> = new Set(ownMarks);

/** Annotations that begin so may change what is wanted: ours and the dialects that providers read. */
export const annotationPrefixes: readonly string[] = [
  ownPrefix,
  'service.beta.kubernetes.io/',
  'service.kubernetes.io/',
  'metallb.io/',
  'metallb.universe.tf/',
];

/**
 * Whether a Service that changed from `before` to `after` needs a pass.
 *
 * Not for: labels, selector, status, managed fields, annotations of others, and what we write ourselves.
 */
export function serviceMatters(
  before: ServiceObject,
  after: ServiceObject,
  prefixes: readonly string[] = annotationPrefixes,
): boolean {
  // Our finalizer coming is our own write, unless it came too late: then there may be something to clean up.
  // Its going may be somebody's mistake.
  const had = before.finalizers.includes(finalizer);
  const has = after.finalizers.includes(finalizer);
  const late = has && (after.type !== 'LoadBalancer' || after.deleting);
  if (had ? !has : late) return true;
  return serviceProjection(before, prefixes) !== serviceProjection(after, prefixes);
}

function serviceProjection(service: ServiceObject, prefixes: readonly string[]): string {
  return JSON.stringify([
    service.uid,
    service.type,
    service.loadBalancerClass ?? null,
    service.deleting,
    service.ports.map(({ name, protocol, port, nodePort, targetPort, appProtocol }) => [
      name,
      protocol,
      port,
      nodePort,
      targetPort,
      appProtocol ?? null,
    ]),
    service.sessionAffinity,
    service.sessionAffinityTimeout,
    service.sourceRanges,
    service.loadBalancerIP ?? null,
    service.externalIPs,
    service.externalTrafficPolicy,
    service.healthCheckNodePort,
    service.ipFamilies,
    Object.entries(service.annotations)
      .filter(([key]) => !written.has(key) && prefixes.some((prefix) => key.startsWith(prefix)))
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ]);
}

/**
 * Whether a node that changed may change anybody's targets.
 *
 * Not for: heartbeats, readiness, cordon, annotations, taints other than the autoscaler's.
 */
export function nodeMatters(before: NodeObject, after: NodeObject): boolean {
  return nodeProjection(before) !== nodeProjection(after);
}

function nodeProjection(node: NodeObject): string {
  return JSON.stringify([
    node.uid,
    node.providerID,
    node.internalIPs,
    node.externalIPs,
    node.zone,
    eligibility(node)?.reason ?? null,
    // A Service may select its nodes by any label.
    Object.entries(node.labels).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ]);
}

/** Whether the set of nodes with endpoints changed; how many a node holds makes no difference to targets. */
export function endpointsMatter(
  before: ReadonlyMap<NodeName, number>,
  after: ReadonlyMap<NodeName, number>,
): boolean {
  return before.size !== after.size || [...before.keys()].some((node) => !after.has(node));
}
