/**
 * Writes everything, whatever the kernel held before: the first load, and the way back after a failure.
 *
 * One restore takes it all, and begins while the rest is still being made: chains that the kernel does not have at all
 * are sent as they come, for nothing leads to them before the dispatch, which goes last. Invariants: every set is there
 * before a rule names it; refusals are in the sets before a rule that stands already is changed; a destination enters
 * the dispatch after its rules. A decision that is refused is left out of the next try.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asSluiceError } from '../../core/errors.ts';
import type { Left, Quarantined } from '../backend.ts';
import type { Decision, DecisionKey } from '../decision.ts';
import { ownerOf, rulesRefused, wrongType } from './blame.ts';
import type { Held } from './held.ts';
import { leftBehind } from './left.ts';
import type { Model, OwnChains } from './model.ts';
import { beforeRules, setNames } from './names.ts';
import { isSaved, lineAt, Planner, servicesInCommit } from './plan.ts';
import type { Refusal, Tools } from './programs.ts';
import { rightType, type SavedTables } from './saved.ts';
import { createSet, editSet, noRules, RestoreText, type RulesByTable } from './text.ts';

export interface WholeOptions {
  /** Empty so far. */
  readonly model: Model;
  readonly decisions: Iterable<Decision>;
  readonly tools: Tools;
  /** What the kernel holds: asked for again after each refusal. */
  readonly read: () => Promise<Held>;
}

type Own = readonly [DecisionKey, OwnChains];

/** What begins as soon as it is known what the kernel holds. */
interface Opening {
  /** No rule is sent before every set is there. */
  readonly created: Promise<Quarantined | undefined>;
  readonly planner: Planner;
}

/** One try: what it has given to the tools, and why it ended early. */
interface Try {
  readonly sent: string[];
  /** Set entries that stand before the rules that they are for. */
  before: readonly string[];
  after: readonly string[];
  operations: number;
  rules: RulesByTable;
  refused: Quarantined | undefined;
  failed: unknown;
}

export class WholeWrite {
  readonly #model: Model;
  readonly #tools: Tools;
  readonly #read: () => Promise<Held>;
  readonly #decisions: Iterator<Decision>;
  readonly #quarantined: Quarantined[] = [];
  #left: readonly Left[] | undefined;
  #rules = noRules;

  constructor({ model, decisions, tools, read }: WholeOptions) {
    this.#model = model;
    this.#tools = tools;
    this.#read = read;
    this.#decisions = decisions[Symbol.iterator]();
  }

  /** Rules that the last try has sent. */
  get rules(): RulesByTable {
    return this.#rules;
  }

  /** @throws SluiceError where nobody's decision is at fault; what the kernel holds then is not known. */
  async run(): Promise<{
    readonly operations: number;
    readonly quarantined: readonly Quarantined[];
    readonly left: readonly Left[];
  }> {
    for (;;) {
      const made: Try = {
        sent: [],
        before: [],
        after: [],
        operations: 0,
        rules: noRules,
        refused: undefined,
        failed: undefined,
      };
      const refused = await this.#try(made);
      this.#rules = made.rules;
      if (refused === undefined)
        return { operations: made.operations, quarantined: this.#quarantined, left: this.#left ?? [] };
      this.#model.put(refused.key, undefined, undefined);
      this.#quarantined.push(refused);
    }
  }

  /** @returns the decision to leave out in the next try. */
  async #try(made: Try): Promise<Quarantined | undefined> {
    // The kernel lists while the model is made.
    const reading = this.#read();
    reading.catch(() => undefined);
    const texts = this.#texts(made, reading);
    // No tool is started where there is nothing to write.
    const first = await texts.next();
    if (first.done !== true) {
      const refusal = await this.#restore(made, first.value, texts);
      if (made.failed !== undefined) throw asSluiceError(made.failed);
      if (refusal !== undefined) {
        const line = refusal.line === undefined ? undefined : lineAt(made.sent, refusal.line);
        return await this.#culprit(refusal, line, (await reading).saved);
      }
    }
    return made.refused ?? (await this.#sets(made.after));
  }

  async #restore(made: Try, first: string, rest: AsyncGenerator<string, void>): Promise<Refusal | undefined> {
    async function* all(): AsyncGenerator<string> {
      yield first;
      try {
        yield* rest;
      } catch (error) {
        // The tool must not take it for the end of a text that can be read: every text ends with its COMMIT.
        made.failed = error;
      }
    }
    try {
      return await this.#tools.restore(all());
    } catch (error) {
      // The rules could not be tried at all (the lock is held): the entries that they were for go.
      await rest.return();
      const added = made.before.filter((line) => line.startsWith('add '));
      await this.#tools.sets(added.map((line) => line.replace('add', 'del')));
      throw error;
    } finally {
      await rest.return();
    }
  }

  /** The restore's input, made as it is taken; nothing where the kernel is right already. */
  async *#texts(made: Try, reading: Promise<Held>): AsyncGenerator<string, void> {
    const waiting: Own[] = [...this.#model.serviceChains()];
    let known: Held | undefined;
    reading.then(
      (held) => {
        known = held;
      },
      () => undefined,
    );
    let opening: Opening | undefined;
    for (let count = 1; ; count += 1) {
      const { done, value: decision } = this.#decisions.next();
      if (done === true) break;
      this.#put(decision, waiting);
      if (count % servicesInCommit !== 0) continue;
      await nextTurn();
      if (known === undefined) continue;
      opening ??= this.#open(known, made);
      yield* this.#services(waiting.splice(0), opening, made);
      if (made.refused !== undefined) return;
    }
    const held = await reading;
    opening ??= this.#open(held, made);
    yield* this.#services(waiting, opening, made);
    made.refused ??= await opening.created;
    if (made.refused !== undefined) return;
    yield* this.#rest(held, opening, made);
  }

  #open(held: Held, made: Try): Opening {
    const { family, variant } = this.#tools;
    const create: string[] = [];
    for (const name of setNames) {
      const set = held.sets.get(name);
      if (set === undefined) create.push(createSet(family, name));
      else if (!rightType(name, set)) throw wrongType(family, name, set);
    }
    made.operations += create.length;
    const created = this.#sets(create);
    // Awaited before the first rule; what ends everything earlier need not hear of it.
    created.catch(() => undefined);
    return { created, planner: new Planner(held.saved, variant) };
  }

  async *#services(
    own: readonly Own[],
    { created, planner }: Opening,
    made: Try,
  ): AsyncGenerator<string, void> {
    for (const [, chains] of own) {
      for (const text of planner.service(chains)) {
        made.refused = await created;
        if (made.refused !== undefined) return;
        made.sent.push(text);
        yield text;
      }
    }
  }

  async *#rest(held: Held, { planner }: Opening, made: Try): AsyncGenerator<string, void> {
    this.#left ??= leftBehind(this.#model, held.sets);
    const { before, after } = this.#entries(held);
    made.before = before;
    made.after = after;
    made.refused = await this.#sets(before);
    if (made.refused !== undefined) return;
    for (const text of planner.rest(this.#model)) {
      made.sent.push(text);
      yield text;
    }
    made.rules = planner.rules;
    made.operations += before.length + after.length + planner.operations;
  }

  #put(decision: Decision, waiting: Own[]): void {
    const { key } = decision;
    try {
      waiting.push([key, this.#model.put(key, decision, undefined)]);
    } catch (error) {
      this.#quarantined.push({ key, message: asSluiceError(error).message });
    }
  }

  #entries({ saved, sets }: Held): Pick<Try, 'before' | 'after'> {
    const { family } = this.#tools;
    const before: string[] = [];
    const after: string[] = [];
    // Before the first jump into our chains no packet meets what the sets lead to.
    const unreached = saved.jumps.length === 0;
    for (const name of setNames) {
      const held = sets.get(name)?.entries ?? new Set<string>();
      const wanted = this.#model.entriesOf(name);
      const missing = [...wanted].filter((entry) => !held.has(entry));
      const extra = [...held].filter((entry) => !wanted.has(entry));
      (unreached || beforeRules.has(name) ? before : after).push(...editSet(family, 'add', name, missing));
      after.push(...editSet(family, 'del', name, extra));
    }
    return { before, after };
  }

  async #sets(lines: readonly string[]): Promise<Quarantined | undefined> {
    const refusal = await this.#tools.sets(lines);
    return refusal === undefined ? undefined : this.#blame(refusal, lines[(refusal.line ?? 0) - 1]);
  }

  /** The decision that a refused line belongs to. */
  #blame(refusal: Refusal, line: string | undefined): Quarantined {
    const key = line === undefined ? undefined : ownerOf(this.#model, line);
    if (key === undefined) throw rulesRefused(refusal, line);
    return { key, message: refusal.message };
  }

  /** Where the tool named no line, the service chains are tried in halves until one decision is left. */
  async #culprit(refusal: Refusal, line: string | undefined, saved: SavedTables): Promise<Quarantined> {
    if (line !== undefined && line !== 'COMMIT') return this.#blame(refusal, line);
    let suspects = [...this.#model.serviceChains()].map(([key, chains]) => ({ key, chains }));
    let last = refusal;
    while (suspects.length > 1) {
      const half = suspects.slice(0, Math.ceil(suspects.length / 2));
      const text = new RestoreText();
      for (const { chains } of half) {
        for (const [id, rules] of chains) if (!isSaved(saved, id, rules)) text.chain(id, rules);
      }
      const said = text.operations === 0 ? undefined : await this.#tools.restore(text.toString());
      if (said === undefined) suspects = suspects.slice(half.length);
      else {
        suspects = half;
        last = said;
      }
    }
    const [suspect] = suspects;
    if (suspect === undefined) throw rulesRefused(last, line);
    return { key: suspect.key, message: last.message };
  }
}
