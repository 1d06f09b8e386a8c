/**
 * Keeps the counting table of one family in step with the decisions, and reads it.
 *
 * Invariants: it stands in nobody's way: no change of rules waits for it, and where it cannot be written nothing is
 * counted while everything is served. Changes are gathered for a moment; one of endpoints alone writes nothing. The
 * table is adopted as it is found after a restart, counts included. A total never falls while its decision stays.
 */
import type { Clock } from '../../core/clock.ts';
import { asSluiceError, SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import type { Difference } from '../backend.ts';
import type { DecisionChange, DecisionKey } from '../decision.ts';
import { ListingReader, type Listed } from '../nftables/listing.ts';
import { Session, runNft, type SpawnPiped } from '../nftables/process.ts';
import { chainCommands, chunks, oneLine } from '../nftables/text.ts';
import { wordsOf } from '../nftables/words.ts';
import { PendingChanges } from '../pending.ts';
import type { DecisionSource } from '../sync.ts';
import { counterShape, countingSet, countingSets, type CounterMode } from './layout.ts';
import { countsOf, noCounts, plus, rowOf, type CounterRow, type Counts } from './rows.ts';
import {
  changesOf,
  compare,
  sameSets,
  tableName,
  wantedOf,
  wholeCounterTable,
  type Leaving,
} from './table.ts';

export type CounterReport =
  | { readonly kind: 'differs'; readonly family: IpFamily; readonly differences: readonly Difference[] }
  | { readonly kind: 'written'; readonly family: IpFamily; readonly operations: number; readonly ms: number }
  | {
      readonly kind: 'failed';
      readonly family: IpFamily;
      readonly error: SluiceError;
      readonly retryInMs: number;
    };

export interface CounterOptions {
  readonly family: IpFamily;
  readonly mode: CounterMode;
  readonly start: SpawnPiped;
  readonly source: DecisionSource;
  readonly clock: Clock;
  readonly report: (event: CounterReport) => void;
}

/**
 * Rules are written first; then, where nothing was written lately, at once. Until then a connection counts as it would
 * have before the change.
 */
const behindRulesMs = 5;
/** How long a busy one gathers changes. */
const windowMs = 50;
/** Who asks more often is given the last answer. */
const freshMs = 500;
const retryMs = [1_000, 60_000] as const;
/** A longer line goes through a file: the line reader of `nft -i` is slow with long lines. */
const longestLine = 40_000;

export class ServiceCounters {
  readonly family: IpFamily;
  readonly #options: CounterOptions;
  readonly #session: Session;
  readonly #pending = new PendingChanges();
  /** What elements had counted that are there no more, of decisions that are. */
  readonly #carried = new Map<DecisionKey, Counts>();
  /** Up to the last look: what is lost where somebody takes the table away. */
  #seen = new Map<DecisionKey, Counts>();
  #rows: readonly CounterRow[] = [];
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<readonly CounterRow[]> | undefined;
  #whole = true;
  #started = false;
  #stopped = false;
  #wroteAt = Number.NEGATIVE_INFINITY;
  #retry: number = retryMs[0];
  #cancel: (() => void) | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: CounterOptions) {
    this.family = options.family;
    this.#options = options;
    this.#session = new Session(options.start);
  }

  /** The decisions are complete: writes, and from now on every change. */
  start(): void {
    this.#started = true;
    this.#later(0);
  }

  changed(changes: readonly DecisionChange[]): void {
    if (this.#stopped) return;
    this.#pending.add(changes);
    for (const { key, after } of changes) if (after === undefined) this.#carried.delete(key);
    if (this.#pending.size > 0) this.#soon();
  }

  /** The node's own part changed, or nobody knows what the kernel holds. */
  rewrite(): void {
    this.#whole = true;
    this.#soon();
  }

  /** Resolves when everything that is known now is counted. */
  async settled(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#inTurn(() => this.#write());
  }

  /** One row for each decision of now. @throws SluiceError where the kernel cannot be read. */
  async read(): Promise<readonly CounterRow[]> {
    if (this.#options.clock.now() - this.#readAt < freshMs) return this.#rows;
    this.#reading ??= this.#inTurn(() => this.#read()).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Compares the live table with what it should be. */
  verify(): Promise<readonly Difference[]> {
    return this.#inTurn(async () => {
      const { source, mode } = this.#options;
      const listed = await this.#list(`list table ${this.#table}`);
      if (listed === undefined)
        return [{ kind: 'missing', object: `counters: table ${this.#table}`, key: undefined }];
      const wanted = wantedOf(source.decisions(), mode);
      return compare(listed, counterShape(source.node(), mode), wanted).differences;
    });
  }

  /** Compares, and repairs what is found; never rejects. */
  look(): void {
    if (!this.#started || this.#stopped) return;
    this.verify().then(
      (differences) => {
        if (differences.length === 0) return;
        this.#options.report({ kind: 'differs', family: this.family, differences });
        this.rewrite();
      },
      () => undefined,
    );
  }

  /** Ends after the write under way. The table stays, and goes on counting. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#queue;
    await this.#session.close();
  }

  get #table(): string {
    return tableName({ words: wordsOf(this.family) });
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(run);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  #soon(): void {
    this.#later(Math.max(behindRulesMs, this.#wroteAt + windowMs - this.#options.clock.now()));
  }

  #later(ms: number): void {
    if (!this.#started || this.#stopped || this.#cancel !== undefined) return;
    this.#cancel = this.#options.clock.schedule(ms, () => {
      this.#cancel = undefined;
      void this.#inTurn(() => this.#write()).catch(() => undefined);
    });
  }

  async #write(): Promise<void> {
    if (this.#stopped || (!this.#whole && this.#pending.size === 0)) return;
    const { clock, report } = this.#options;
    const startedAt = clock.now();
    const whole = this.#whole;
    const changes = this.#pending.take();
    this.#whole = false;
    try {
      const operations = whole ? await this.#reconcile() : await this.#apply(changes);
      this.#retry = retryMs[0];
      this.#wroteAt = clock.now();
      if (operations > 0)
        report({ kind: 'written', family: this.family, operations, ms: clock.now() - startedAt });
    } catch (thrown) {
      this.#whole = true;
      const retryInMs = this.#retry;
      this.#retry = Math.min(this.#retry * 2, retryMs[1]);
      report({ kind: 'failed', family: this.family, error: asSluiceError(thrown), retryInMs });
      this.#later(retryInMs);
    }
  }

  async #apply(changes: readonly DecisionChange[]): Promise<number> {
    const { mode } = this.#options;
    const writable = changes.flatMap((change): readonly DecisionChange[] => {
      try {
        changesOf([change], mode);
        return [change];
      } catch {
        // The writer of rules tells of it; there it is refused as well.
        return [];
      }
    });
    const { edits, leaving } = changesOf(writable, mode);
    if (edits.size === 0) return 0;
    await this.#keep(leaving);
    await this.#send(edits.lines(this.#table));
    return edits.size;
  }

  /** Brings the table to the decisions, whatever it holds; counts stay where it is ours. */
  async #reconcile(): Promise<number> {
    const { source, mode } = this.#options;
    const shape = counterShape(source.node(), mode);
    const wanted = wantedOf(source.decisions(), mode);
    const listed = await this.#list(`list table ${this.#table}`);
    if (listed === undefined || !sameSets(listed, shape)) {
      // Nobody can bring back what was counted since the last look; totals do not fall.
      for (const [key, counts] of this.#seen)
        if (source.decision(key) !== undefined) this.#carried.set(key, counts);
      await this.#file(chunks(wholeCounterTable(shape, wanted)));
      return wanted.size + shape.sets.length + shape.chains.length;
    }
    const { edits, wrongChains, strangeChains } = compare(listed, shape, wanted);
    const lines = shape.chains
      .filter(({ name }) => wrongChains.includes(name) && !listed.chains.has(name))
      .map(({ name, hook }) => `add chain ${this.#table} ${name}${hook === undefined ? '' : ` { ${hook} }`}`);
    for (const { name, rules } of shape.chains) {
      if (!wrongChains.includes(name)) continue;
      const commands = chainCommands(this.#table, { name, rules });
      lines.push(...commands.slice(1));
    }
    lines.push(...edits.lines(this.#table));
    for (const name of strangeChains) lines.push(`flush chain ${this.#table} ${name}`);
    if (lines.length > 0) await this.#file(chunks(lines.map((line) => `${line}\n`)));
    const operations = edits.size + wrongChains.length + strangeChains.length;
    // In a transaction of their own: older kernels hold a chain in use until the one that freed it is over.
    if (strangeChains.length > 0)
      await this.#file(strangeChains.map((name) => `delete chain ${this.#table} ${name}\n`));
    return operations;
  }

  /** Reads destinations that are about to go, so that their decision's totals keep what they counted. */
  async #keep(leaving: Leaving): Promise<void> {
    const { mode } = this.#options;
    if (leaving.length === 0) return;
    const wanted = new Map(leaving.map((one) => [`${one.destination.place} ${one.destination.key}`, one]));
    for (const { set, place } of countingSets(mode)) {
      for (const { destination } of leaving) {
        if (destination.place !== place) continue;
        // One that was never made is no error: it has counted nothing.
        const listed = await this.#list(`get element ${this.#table} ${set} { ${destination.key} }`);
        if (listed === undefined) continue;
        for (const [key, counts] of countsOf(listed, wanted, mode))
          this.#carried.set(key, plus(this.#carried.get(key) ?? noCounts(), counts));
      }
    }
  }

  async #read(): Promise<readonly CounterRow[]> {
    const { mode, source, clock } = this.#options;
    const listed = await this.#list(`list table ${this.#table}`);
    if (listed === undefined) {
      this.rewrite();
      throw new SluiceError(
        'transient',
        `the table ${this.#table} is not there (yet, or somebody removed it): it is made anew`,
        { code: 'NotCounted' },
      );
    }
    const decisions = [...source.decisions()];
    const live = countsOf(listed, wantedOf(decisions, mode), mode);
    const seen = new Map<DecisionKey, Counts>();
    this.#rows = decisions.map((decision) => {
      const carried = this.#carried.get(decision.key);
      const counts = live.get(decision.key) ?? noCounts();
      const total = carried === undefined ? counts : plus(counts, carried);
      if (total.connections > 0 || live.has(decision.key)) seen.set(decision.key, total);
      return rowOf(decision, total, mode);
    });
    this.#seen = seen;
    this.#readAt = clock.now();
    return this.#rows;
  }

  /** Undefined where something of it is not there. */
  async #list(command: string): Promise<Listed | undefined> {
    const reader = new ListingReader();
    const { code, error } = await runNft(
      this.#options.start,
      ['-p', '-y', ...command.split(' ')],
      [],
      reader.push,
    );
    if (code === 0) return reader.end();
    if (/no such file or directory/iu.test(error)) return undefined;
    throw notCounted(error);
  }

  async #send(lines: readonly string[]): Promise<void> {
    const line = oneLine(lines);
    if (line.length > longestLine) {
      await this.#file(chunks(lines.map((each) => `${each}\n`)));
      return;
    }
    const against = await this.#session.execute(line);
    if (against !== '') throw notCounted(against);
  }

  async #file(text: Iterable<string>): Promise<void> {
    const { code, error } = await runNft(this.#options.start, ['-f', '-'], text);
    if (code !== 0) throw notCounted(error);
  }
}

/** What the table of a family counts, as it is in the kernel; undefined where there is none. Reads only. */
export async function countingMode(start: SpawnPiped, family: IpFamily): Promise<CounterMode | undefined> {
  const out: string[] = [];
  const args = ['list', 'tables', wordsOf(family).header];
  const { code, error } = await runNft(start, args, [], (text) => out.push(text));
  if (code !== 0) throw notCounted(error);
  const table = tableName({ words: wordsOf(family) });
  if (!out.join('').split('\n').includes(`table ${table}`)) return undefined;
  out.length = 0;
  await runNft(start, ['-t', 'list', 'table', ...table.split(' ')], [], (text) => out.push(text));
  return out.join('').includes(`set ${countingSet('address', 'bytes-in')} {`) ? 'bytes' : 'connections';
}

/** Takes the table away. Nothing is said where there is none. */
export async function removeCounters(start: SpawnPiped, family: IpFamily): Promise<void> {
  const table = tableName({ words: wordsOf(family) });
  const { code, error } = await runNft(start, ['-f', '-'], [`add table ${table}\ndelete table ${table}\n`]);
  if (code !== 0) throw notCounted(error);
}

function notCounted(error: string): SluiceError {
  const [first = 'nft said nothing'] = error.split('\n');
  const denied = /operation not permitted|permission denied/iu.test(error);
  return new SluiceError(denied ? 'denied' : 'transient', `connections are not counted: ${first}`, {
    code: 'NotCounted',
    action: denied ? 'CAP_NET_ADMIN' : undefined,
    cause: error,
  });
}
