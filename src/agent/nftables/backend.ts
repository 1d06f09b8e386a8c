/**
 * The nftables backend of one family: one table of ours, written by one queue.
 *
 * A first load comes in parts (draft.ts), or as one transaction; changes go through a long-lived child, or a file where
 * they are many. What the kernel holds is read at the start and by `verify`, never on the way of a change. A failed
 * transaction has changed nothing: it is taken apart until the decision that the kernel will not have stands alone.
 */
import { systemClock, type Clock } from '../../core/clock.ts';
import { SluiceError, asSluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import type { Backend, Difference, ForeignChange, Quarantined, Written } from '../backend.ts';
import type { Decision, DecisionChange, DecisionKey, NodeDecision } from '../decision.ts';
import { shapeMap, type Chain } from './chains.ts';
import { mend, sameFrame } from './compare.ts';
import { diagnose } from './diagnose.ts';
import { Draft } from './draft.ts';
import { layoutOf, unwritable } from './layout.ts';
import { leftBehind } from './left.ts';
import { Ledger, type Transaction, type Wish } from './ledger.ts';
import { TableKernel } from './kernel.ts';
import type { Listed } from './listing.ts';
import { Looks, type Held } from './looks.ts';
import { Monitor } from './monitor.ts';
import { first, refused } from './probes.ts';
import { spawnPiped, type SpawnPiped } from './process.ts';
import { allFeatures, tableShape, type Features } from './table.ts';
import { chainCommands, commands, elementCommands, tableText, wholeTable } from './text.ts';
import { wordsOf } from './words.ts';

export interface NftablesOptions {
  readonly family: IpFamily;
  /** Starts nft with pipes; a namespace's in tests. */
  readonly start?: SpawnPiped;
  readonly clock?: Clock;
  /** One for all families; default: one of its own. */
  readonly monitor?: Monitor;
}

/** Chains that no decision leads to any more go when nothing was written for so long. */
const reapAfterMs = 5_000;

/** So many decisions are loaded sooner by three children than by one. */
const worthParts = 500;

/** What was read ahead is used for so long. Whatever came between is found by the first look of the writer. */
const freshMs = 10_000;

export class NftablesBackend implements Backend {
  readonly name = 'nftables';
  readonly verifiesBesideWrites = true;
  readonly family: IpFamily;
  readonly #start: SpawnPiped;
  readonly #clock: Clock;
  readonly #kernel: TableKernel;
  readonly #monitor: Monitor;
  #features: Features = allFeatures;
  #held: Held | undefined;
  #ahead: { readonly at: number; readonly listed: Promise<Listed | undefined> } | undefined;
  /** The first load as it is foretold; only before the first write. */
  #draft: Draft | undefined;
  #mayDraft = false;
  #queue: Promise<unknown> = Promise.resolve();
  #cancelReap: (() => void) | undefined;
  readonly #looks: Looks;

  constructor({
    family,
    start = spawnPiped,
    clock = systemClock,
    monitor = new Monitor(start, clock),
  }: NftablesOptions) {
    this.#monitor = monitor;
    this.family = family;
    this.#clock = clock;
    this.#start = start;
    this.#kernel = new TableKernel(family, start);
    this.#looks = new Looks({
      clock,
      kernel: this.#kernel,
      held: () => this.#held,
    });
  }

  prepare(): void {
    const listed = this.#inTurn(() => this.#kernel.list());
    this.#ahead = { at: this.#clock.now(), listed };
    listed.then(
      (found) => {
        this.#mayDraft = found === undefined;
      },
      // Whoever needs it asks again, and tells.
      () => undefined,
    );
  }

  /** Only where there is no table yet: one that is there is mended, and what it needs is not known before all is. */
  foretell(node: NodeDecision, decisions: readonly Decision[]): void {
    if (!this.#mayDraft || decisions.length === 0) return;
    this.#draft ??= new Draft({ start: this.#start, node, features: this.#features });
    this.#draft.foretell(decisions);
  }

  replace(node: NodeDecision, decisions: Iterable<Decision>): Promise<Written> {
    // One of a key: the last, as it would be had they come one after the other.
    const unique = new Map(Array.from(decisions, (decision) => [decision.key, decision] as const));
    return this.#inTurn(async () => {
      const written = await this.#replace(node, [...unique.values()]);
      await this.#looks.learn();
      return written;
    });
  }

  apply(changes: readonly DecisionChange[]): Promise<Written> {
    return this.#inTurn(() => this.#apply(changes));
  }

  /**
   * No write waits for it. It says nothing about what is written meanwhile.
   *
   * @throws SluiceError transient (`Crossed`) where meanwhile everything is written anew, or something all the time.
   */
  async verify(): Promise<readonly Difference[]> {
    // What has been asked for meanwhile is waited for as well.
    for (let queue; queue !== this.#queue; await queue) queue = this.#queue;
    return this.#looks.differences(this.#mustHold('verify'));
  }

  describe(key: DecisionKey): readonly string[] {
    const held = this.#held;
    const entry = held?.ledger.entries.get(key);
    if (held === undefined || entry === undefined) return [];
    const table = tableText(held.shape);
    const chains: Chain[] = [];
    const lines = held.ledger.elementsOf(entry).map(({ set, key: at, value }) => {
      const chain = held.ledger.chainOf(set, value);
      if (chain !== undefined) chains.push(chain);
      return `element ${table} ${set} { ${value === '' ? at : `${at} : ${value}`} }`;
    });
    const told = new Set<string>();
    for (const { number, name } of chains)
      lines.push(`element ${table} ${shapeMap} { ${number} : goto ${name} }`);
    for (const { name, rules, leadsTo } of chains) {
      if (told.has(name)) continue;
      told.add(name);
      for (const rule of rules) lines.push(`rule ${table} ${name} ${rule}`);
      chains.push(...leadsTo);
    }
    return lines;
  }

  watch(onChange: (change: ForeignChange) => void, signal: AbortSignal): void {
    const { header } = wordsOf(this.family);
    const isOurs = (mark: string): boolean => this.#kernel.isOurs(mark);
    this.#monitor.listen({ header, isOurs, onChange }, signal);
  }

  /** Removes our table, whole, and nothing else. */
  async cleanup(): Promise<void> {
    await this.#inTurn(async () => {
      this.#cancelReap?.();
      this.#held = undefined;
      await this.#kernel.remove();
    });
  }

  /** Removes chains that nothing leads to now, instead of after a while. */
  settle(): Promise<void> {
    return this.#inTurn(() => this.#reap());
  }

  async close(): Promise<void> {
    this.#cancelReap?.();
    this.#endDrafting()?.abandon();
    await this.#queue;
    await this.#kernel.close();
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(run);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  #mustHold(action: string): Held {
    if (this.#held === undefined) {
      throw new SluiceError('conflict', `${action}: nothing is known of the kernel; replace comes first`, {
        code: 'NothingWritten',
      });
    }
    return this.#held;
  }

  async #replace(node: NodeDecision, decisions: readonly Decision[], again = true): Promise<Written> {
    const shape = tableShape(node, this.#features);
    this.#held = undefined;
    const drafted = await this.#finishDraft(node, decisions);
    if (drafted !== undefined) return drafted;
    const listed = await this.#list();
    if (listed === undefined)
      return (await this.#loadInParts(node, decisions)) ?? this.#load(node, decisions);
    const left = leftBehind(listed, decisions);
    if (!sameFrame(listed, shape)) return { ...(await this.#load(node, decisions)), left };
    const ledger = new Ledger(layoutOf(node));
    const quarantined: Quarantined[] = [];
    const mending = mend(listed, shape, ledger, decisions, (one) => quarantined.push(one));
    if (mending.operations > 0) {
      const table = tableText(shape);
      const lines = commands(table, mending.transaction);
      for (const chain of mending.rewrite) lines.push(...chainCommands(table, chain));
      if (lines.length > 0) {
        const error = await this.#kernel.write(lines);
        if (error !== '') {
          // Somebody wrote between the listing and now, or a decision is refused: see once more, then load whole.
          const written = again ? this.#replace(node, decisions, false) : this.#load(node, decisions);
          return { ...(await written), left };
        }
      }
      await this.#deleteChains(table, mending.surplus);
    }
    this.#held = { shape, ledger };
    return { operations: mending.operations, quarantined, left };
  }

  /** Undefined where there is no draft, or nothing came of it. */
  async #finishDraft(node: NodeDecision, decisions: readonly Decision[]): Promise<Written | undefined> {
    const draft = this.#endDrafting();
    if (draft === undefined) return undefined;
    const fresh = this.#ahead !== undefined && this.#clock.now() - this.#ahead.at < freshMs;
    if (!fresh || JSON.stringify(draft.node) !== JSON.stringify(node)) {
      draft.abandon();
      return undefined;
    }
    const written = await this.#finish(draft, decisions);
    if (written === undefined) return undefined;
    this.#ahead = undefined;
    // Corrections may have left chains without use.
    this.#reapLater();
    return written;
  }

  /** Where there is no table yet, nothing is interrupted by one that comes in parts. Undefined where nothing came of it. */
  async #loadInParts(node: NodeDecision, decisions: readonly Decision[]): Promise<Written | undefined> {
    if (decisions.length < worthParts) return undefined;
    return this.#finish(new Draft({ start: this.#start, node, features: this.#features }), decisions);
  }

  async #finish(draft: Draft, decisions: readonly Decision[]): Promise<Written | undefined> {
    const { taken } = await this.#kernel.finish(draft, decisions);
    // What was wrong with it is found out by the ordinary way.
    if (!taken) return undefined;
    const { shape, ledger, operations, quarantined } = draft;
    this.#held = { shape, ledger };
    return { operations, quarantined };
  }

  #endDrafting(): Draft | undefined {
    const draft = this.#draft;
    this.#draft = undefined;
    this.#mayDraft = false;
    return draft;
  }

  async #list(): Promise<Listed | undefined> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined && this.#clock.now() - ahead.at < freshMs) {
      try {
        return await ahead.listed;
      } catch {
        // Asked again below, which tells the error.
      }
    }
    return this.#kernel.list();
  }

  /** The whole table in place of whatever is there, in one transaction. */
  async #load(node: NodeDecision, decisions: readonly Decision[]): Promise<Written> {
    const layout = layoutOf(node);
    const bad = new Map<DecisionKey, Quarantined>();
    for (let tries = 0; ; tries += 1) {
      const shape = tableShape(node, this.#features);
      const ledger = new Ledger(layout);
      const good = decisions.filter(({ key }) => !bad.has(key));
      const refusedNow = new Map<DecisionKey, Quarantined>();
      let operations = 0;
      const pieces = (function* (): Generator<string> {
        operations = yield* wholeTable(shape, ledger, good, (one) => refusedNow.set(one.key, one));
      })();
      const { taken, error } = await this.#kernel.load(pieces);
      if (taken) {
        this.#held = { shape, ledger };
        return { operations, quarantined: [...bad.values(), ...refusedNow.values()] };
      }
      if (tries >= 2) throw refused(error);
      this.#features = await diagnose({
        node,
        layout,
        decisions: good,
        bad,
        error,
        features: this.#features,
        check: (text) => this.#kernel.check(text),
      });
    }
  }

  async #apply(changes: readonly DecisionChange[]): Promise<Written> {
    const held = this.#mustHold('apply');
    const quarantined: Quarantined[] = [];
    const wishes: Wish[] = [];
    for (const { key, after } of changes) {
      const against = after === undefined ? undefined : unwritable(held.ledger.layout, after);
      if (against === undefined) wishes.push({ key, after });
      else quarantined.push(against);
    }
    const operations = wishes.length === 0 ? 0 : await this.#carryOut(held, wishes, quarantined);
    this.#reapLater();
    return { operations, quarantined };
  }

  async #carryOut(held: Held, wishes: readonly Wish[], quarantined: Quarantined[]): Promise<number> {
    const plan = held.ledger.plan(wishes);
    if (plan.transaction.operations === 0) {
      plan.commit();
      return 0;
    }
    this.#looks.touch(plan.transaction);
    const error = await this.#writeTransaction(held, plan.transaction);
    if (error === '') {
      plan.commit();
      if (plan.transaction.chains.length > 0) await this.#looks.learn();
      return plan.transaction.operations;
    }
    if (/no such file or directory/i.test(error)) {
      this.#held = undefined;
      throw new SluiceError('conflict', `somebody else has changed our table: ${first(error)}`, {
        code: 'KernelChanged',
        cause: error,
      });
    }
    const [only] = wishes;
    if (wishes.length === 1 && only !== undefined) {
      quarantined.push({ key: only.key, message: error });
      return 0;
    }
    const middle = Math.ceil(wishes.length / 2);
    const before = await this.#carryOut(held, wishes.slice(0, middle), quarantined);
    return before + (await this.#carryOut(held, wishes.slice(middle), quarantined));
  }

  async #writeTransaction(held: Held, transaction: Transaction): Promise<string> {
    try {
      return await this.#kernel.change(held.shape, transaction);
    } catch (error) {
      this.#held = undefined;
      throw asSluiceError(error);
    }
  }

  #reapLater(): void {
    this.#cancelReap?.();
    this.#cancelReap = this.#clock.schedule(reapAfterMs, () => {
      void this.#inTurn(() => this.#reap()).catch(() => undefined);
    });
  }

  async #reap(): Promise<void> {
    const held = this.#held;
    if (held === undefined) return;
    const unused = held.ledger.unusedChains();
    if (unused.length === 0) return;
    const numbers = unused.flatMap((name) => held.ledger.layout.chains.get(name)?.number ?? []);
    this.#looks.touchChains(unused, numbers);
    const table = tableText(held.shape);
    if ((await this.#kernel.write(elementCommands('delete', table, shapeMap, numbers))) !== '') return;
    held.ledger.forgetChains(unused);
    await this.#deleteChains(table, unused);
    await this.#looks.learn();
  }

  /** In a transaction of its own: older kernels hold a chain in use until the one that freed it is over. */
  async #deleteChains(table: string, names: readonly string[]): Promise<boolean> {
    if (names.length === 0) return true;
    const lines = [
      ...names.map((name) => `flush chain ${table} ${name}`),
      ...names.map((name) => `delete chain ${table} ${name}`),
    ];
    return (await this.#kernel.write(lines)) === '';
  }
}
