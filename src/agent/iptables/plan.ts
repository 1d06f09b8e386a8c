/**
 * From what the kernel holds to what it should hold: the restore texts of a first load or a repair.
 *
 * Only chains that differ are sent. Service chains go first, a few at a time on the nft variant, the dispatch that leads
 * to them after all of them, chains that nothing refers to any more last: no packet meets a half.
 */
import { jumps } from './layout.ts';
import type { ChainId } from './delta.ts';
import type { Model } from './model.ts';
import type { Variant } from './programs.ts';
import type { SavedTables } from './saved.ts';
import { RestoreText } from './text.ts';

/** Services for each COMMIT of the first load: the tool's own cost grows with the square of it. */
const servicesInCommit = 50;

export interface RestorePlan {
  readonly operations: number;
  /** May be read more than once. */
  texts(): Iterable<string>;
}

/** Everything to send for the kernel to hold what the model says. */
export function planRestore(model: Model, saved: SavedTables, variant: Variant): RestorePlan {
  const texts: string[] = [];
  let operations = 0;
  let text = new RestoreText();
  let services = 0;
  const flush = (): void => {
    if (text.operations > 0) {
      texts.push(text.toString());
      operations += text.operations;
      text = new RestoreText();
    }
    services = 0;
  };
  const stale = new Set(saved.chains.keys());
  for (const [, chains] of model.serviceChains()) {
    let sent = false;
    for (const [id, rules] of chains) {
      stale.delete(id);
      if (isSaved(saved, id, rules)) continue;
      text.chain(id, rules);
      sent = true;
    }
    if (sent) services += 1;
    // The legacy tool copies the whole table at every COMMIT.
    if (variant === 'nft' && services === servicesInCommit) flush();
  }
  if (variant === 'nft') flush();
  for (const [id, rules] of model.sharedChains()) {
    stale.delete(id);
    if (!isSaved(saved, id, rules)) text.chain(id, rules);
  }
  for (const { table, from, rule } of jumps) {
    const held = saved.jumps.filter(
      (jump) => jump.table === table && jump.from === from && jump.rule === rule,
    );
    if (held.length === 0) text.line(table, `-I ${from} 1 ${rule}`);
    for (const again of held.slice(1)) text.line(table, `-D ${again.from} ${again.rule}`);
  }
  for (const { table, from, rule } of saved.jumps) {
    if (!jumps.some((jump) => jump.table === table && jump.from === from && jump.rule === rule)) {
      text.line(table, `-D ${from} ${rule}`);
    }
  }
  if (variant === 'nft') flush();
  // All are emptied before the first goes: stale chains refer to each other.
  for (const id of stale) text.chain(id, []);
  if (variant === 'nft') flush();
  for (const id of stale) {
    text.chain(id, undefined);
    services += 1;
    if (variant === 'nft' && services === servicesInCommit * 4) flush();
  }
  flush();
  return { operations, texts: () => texts };
}

export function isSaved(saved: SavedTables, id: ChainId, rules: readonly string[]): boolean {
  return saved.chains.get(id)?.holds(rules) === true;
}

export function lineAt(texts: Iterable<string>, number: number): string | undefined {
  let left = number;
  for (const text of texts) {
    const lines = text.split('\n');
    // Each text ends its last line, so the last piece is no line.
    if (left <= lines.length - 1) return lines[left - 1];
    left -= lines.length - 1;
  }
  return undefined;
}
