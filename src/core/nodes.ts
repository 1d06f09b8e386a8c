/**
 * Which nodes may be targets at all: the stable set of KEP-3458.
 *
 * Stable means that a passing weakness of a node (not ready, cordoned) does not take it out: the balancer's
 * own health check judges that, quickly and per node, while a hiccup of the control plane that marks every
 * node NotReady would otherwise empty every balancer of the cluster (kubernetes issue 45126).
 */
import { parseBool } from './annotations.ts';
import type { NodeObject } from './objects.ts';
import type { Exclusion } from './provider.ts';

export const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';
export const autoscalerTaint = 'ToBeDeletedByClusterAutoscaler';

/** Why this node cannot be a target, or undefined when it can. */
export function eligibility(node: NodeObject): Exclusion | undefined {
  if (node.deleting) {
    return { node: node.name, reason: 'NodeDeleting', message: `node ${node.name} is being deleted` };
  }
  const label = node.labels[excludeLabel];
  // Like the service controller: only a plain "false" includes; an empty or odd value excludes.
  if (label !== undefined && parseBool(label) !== false) {
    return {
      node: node.name,
      reason: 'NodeExcluded',
      message: `node ${node.name} carries the label ${excludeLabel}=${label}`,
    };
  }
  if (node.taints.some((taint) => taint.key === autoscalerTaint)) {
    return {
      node: node.name,
      reason: 'NodeToBeDeleted',
      message: `node ${node.name} carries the taint ${autoscalerTaint}`,
    };
  }
  return undefined;
}

export interface EligibleNodes {
  /** Sorted by name, so that equal clusters give equal plans. */
  readonly nodes: readonly NodeObject[];
  readonly excluded: readonly Exclusion[];
}

const known = new WeakMap<readonly NodeObject[], EligibleNodes>();

/**
 * The nodes that may be targets and, for each other one, why not.
 *
 * One list serves every Service of a pass, so the answer is kept for as long as the very same array lives.
 */
export function eligibleNodes(nodes: readonly NodeObject[]): EligibleNodes {
  const before = known.get(nodes);
  if (before !== undefined) return before;
  const included: NodeObject[] = [];
  const excluded: Exclusion[] = [];
  for (const node of nodes.toSorted(byName)) {
    const exclusion = eligibility(node);
    if (exclusion === undefined) included.push(node);
    else excluded.push(exclusion);
  }
  const answer = { nodes: included, excluded };
  known.set(nodes, answer);
  return answer;
}

function byName(a: NodeObject, b: NodeObject): number {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
