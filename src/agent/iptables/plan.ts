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
import { noRules, RestoreText, sumOf, type RulesByTable } from './text.ts';

/** Services for each COMMIT of the first load: the tool's own cost grows with the square of it. */
export const servicesInCommit = 50;

type Chain = readonly [id: ChainId, rules: readonly string[]];

/** The texts of one restore, made in the order in which they are to be sent; each is whole commits. */
export class Planner {
  readonly #saved: SavedTables;
  readonly #variant: Variant;
  /** Chains that nobody has asked for so far. */
  readonly #stale: Set<ChainId>;
  /** Service chains that the kernel holds otherwise. */
  readonly #changed: (readonly Chain[])[] = [];
  #text = new RestoreText();
  #services = 0;
  #operations = 0;
  #rules = noRules;

  constructor(saved: SavedTables, variant: Variant) {
    this.#saved = saved;
    this.#variant = variant;
    this.#stale = new Set(saved.chains.keys());
  }

  /** Chains and rules in what has been given. */
  get operations(): number {
    return this.#operations;
  }

  /** Rules in what has been given. */
  get rules(): RulesByTable {
    return this.#rules;
  }

  /**
   * Chains of one Service. Those that the kernel does not have at all can be sent at once, for nothing leads to them yet;
   * all others wait for `rest`.
   */
  *service(chains: readonly Chain[]): Generator<string> {
    const changed: Chain[] = [];
    let sent = false;
    for (const [id, rules] of chains) {
      this.#stale.delete(id);
      const held = this.#saved.chains.get(id);
      if (held === undefined) {
        this.#text.chain(id, rules);
        sent = true;
      } else if (!held.holds(rules)) changed.push([id, rules]);
    }
    if (changed.length > 0) this.#changed.push(changed);
    if (sent) yield* this.#count(servicesInCommit);
  }

  /** Everything else, once all Services have been given. */
  *rest(model: Model): Generator<string> {
    for (const chains of this.#changed) {
      for (const [id, rules] of chains) this.#text.chain(id, rules);
      yield* this.#count(servicesInCommit);
    }
    yield* this.#cut();
    for (const [id, rules] of model.sharedChains()) {
      this.#stale.delete(id);
      if (!isSaved(this.#saved, id, rules)) this.#text.chain(id, rules);
    }
    this.#jumps();
    yield* this.#cut();
    // All are emptied before the first goes: stale chains refer to each other.
    for (const id of this.#stale) this.#text.chain(id, []);
    yield* this.#cut();
    for (const id of this.#stale) {
      this.#text.chain(id, undefined);
      yield* this.#count(servicesInCommit * 4);
    }
    yield* this.#flush();
  }

  #jumps(): void {
    const saved = this.#saved.jumps;
    for (const { table, from, rule } of jumps) {
      const held = saved.filter((jump) => jump.table === table && jump.from === from && jump.rule === rule);
      if (held.length === 0) this.#text.line(table, `-I ${from} 1 ${rule}`);
      for (const again of held.slice(1)) this.#text.line(table, `-D ${again.from} ${again.rule}`);
    }
    for (const { table, from, rule } of saved) {
      if (!jumps.some((jump) => jump.table === table && jump.from === from && jump.rule === rule)) {
        this.#text.line(table, `-D ${from} ${rule}`);
      }
    }
  }

  *#count(most: number): Generator<string> {
    this.#services += 1;
    if (this.#services >= most) yield* this.#cut();
  }

  /** Ends a commit, but not where the tool copies the whole table at every COMMIT: the legacy one. */
  *#cut(): Generator<string> {
    if (this.#variant === 'nft') yield* this.#flush();
  }

  *#flush(): Generator<string> {
    this.#services = 0;
    if (this.#text.operations === 0) return;
    const text = this.#text;
    this.#text = new RestoreText();
    this.#operations += text.operations;
    this.#rules = sumOf(this.#rules, text.rules);
    yield text.toString();
  }
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
