/** Random worlds as they change, for the tests of the iptables backend that follow them on a real kernel. */
import type { Decision, NodeDecision } from '../../src/agent/decision.ts';
import type { IpFamily } from '../../src/core/objects.ts';
import { changed, decided, type AgentWorld, type WorldChange } from '../support/agent-worlds.ts';
import type { Change } from './iptables-bench.ts';

interface Moment {
  readonly node: NodeDecision;
  readonly decisions: readonly Decision[];
  /** What leads there from the moment before; empty at first. */
  readonly writes: readonly Change[];
}

/** What is decided for one family at first and after each change; nothing where the world does not have the family. */
export function* history(
  start: AgentWorld,
  changes: readonly WorldChange[],
  family: IpFamily,
): Generator<Moment> {
  const at = decided(start, family);
  if (at === undefined) return;
  yield { node: at.node, decisions: at.decisions, writes: [] };
  let world = start;
  let before = at.decisions;
  for (const step of changes) {
    world = changed(world, step);
    const after = decided(world, family)?.decisions ?? [];
    const keys = new Set([...before, ...after].map(({ key }) => key));
    const writes = [...keys].map((key) => ({
      key,
      before: before.find((decision) => decision.key === key),
      after: after.find((decision) => decision.key === key),
    }));
    before = after;
    yield { node: at.node, decisions: after, writes };
  }
}
