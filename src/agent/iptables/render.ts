/** The whole of the rules as text: for `--dry-run`, for the tracer, and for a bare restore to measure against. */
import type { Decision, NodeDecision } from '../decision.ts';
import { jumps, type Abilities } from './layout.ts';
import { Model } from './model.ts';
import { setNames } from './names.ts';
import { createSet, editSet, RestoreText } from './text.ts';

export interface Rendered {
  /** For `ipset restore`. */
  readonly sets: string;
  /** For `iptables-restore --noflush`, to be given after the sets. */
  readonly rules: string;
}

/**
 * What a first load writes, in text.
 *
 * @throws SluiceError invalid where a decision cannot be written.
 */
export function render(
  node: NodeDecision,
  decisions: Iterable<Decision>,
  abilities: Abilities = { bpf: true, randomFully: true },
): Rendered {
  const model = new Model({ family: node.family, node, abilities });
  for (const decision of decisions) model.put(decision.key, decision, undefined);
  return renderModel(model);
}

export function renderModel(model: Model): Rendered {
  const { family } = model.layout;
  const text = new RestoreText();
  for (const [, chains] of model.serviceChains()) for (const [id, rules] of chains) text.chain(id, rules);
  for (const [id, rules] of model.sharedChains()) text.chain(id, rules);
  for (const { table, from, rule } of jumps) text.line(table, `-I ${from} 1 ${rule}`);
  const sets = setNames.flatMap((name) => [
    createSet(family, name),
    ...editSet(family, 'add', name, [...model.entriesOf(name)].toSorted()),
  ]);
  return { sets: `${sets.join('\n')}\n`, rules: text.toString() };
}
