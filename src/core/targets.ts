/**
 * Which nodes should be targets of a Service: the eligible ones, narrowed by the user's selector and,
 * under policy Local, to those that hold an endpoint. Every node left out has its reason.
 */
import { ownAnnotations } from './annotations.ts';
import { nodesWithEndpoints } from './endpoints.ts';
import { eligibleNodes } from './nodes.ts';
import type { NodeObject } from './objects.ts';
import type { Exclusion, World } from './provider.ts';

export interface NodeChoice {
  /** Labels that a node must have. */
  readonly selector?: Readonly<Record<string, string>> | undefined;
  /**
   * Under `externalTrafficPolicy: Local`: only nodes with an endpoint (`local-nodes`, the default of
   * Sluice), or all, left to the health check (`all-nodes`). Annotation `sluice.dev/targets` of the Service
   * goes before it. Without effect under policy Cluster.
   */
  readonly mode: 'all-nodes' | 'local-nodes';
}

export interface ChosenNodes {
  /** Sorted by name. */
  readonly nodes: readonly NodeObject[];
  readonly excluded: readonly Exclusion[];
}

export function chooseNodes(world: World, { selector, mode }: NodeChoice): ChosenNodes {
  const eligible = eligibleNodes(world.nodes);
  const labels = Object.entries(selector ?? {});
  const local =
    world.service.externalTrafficPolicy === 'Local' &&
    (ownAnnotations(world.service.annotations).settings.targets ?? mode) === 'local-nodes';
  if (labels.length === 0 && !local) return eligible;

  const holders = local ? nodesWithEndpoints(world.slices) : undefined;
  const nodes: NodeObject[] = [];
  const excluded: Exclusion[] = [...eligible.excluded];
  for (const node of eligible.nodes) {
    const missing = labels.find(([key, value]) => node.labels[key] !== value);
    if (missing !== undefined) {
      excluded.push({
        node: node.name,
        reason: 'NodeNotSelected',
        message: `node ${node.name} does not carry the label ${missing.join('=')}`,
      });
    } else if (holders !== undefined && !holders.has(node.name)) {
      excluded.push({
        node: node.name,
        reason: 'NodeWithoutEndpoint',
        message: `node ${node.name} holds no endpoint of ${world.service.key}`,
      });
    } else {
      nodes.push(node);
    }
  }
  return { nodes, excluded };
}
