/**
 * The slow look at the live kernel: whether it still holds what was written, and a repair where it does not.
 *
 * It reads beside the writer, so that no change waits for a long listing. A backend says whether an answer holds that
 * writes have crossed; else it is thrown away, and the next look comes after a rest. Only where that goes on and on does
 * the writer wait for one (seconds with 10,000 Services in iptables): at once where a backend's answers never hold beside
 * writes, an hour later where they do and only could not be had (no perl).
 */
import { sleep, type Clock } from '../core/clock.ts';
import { asSluiceError, type SluiceError } from '../core/errors.ts';
import type { IpFamily } from '../core/objects.ts';
import type { Backend, Difference } from './backend.ts';
import type { SyncReport } from './sync-report.ts';

/** A repair is looked at after this; also the rest between two looks that a write has crossed. */
const secondLookMs = 10_000;
const rounds = 4;
/** So many looks that came to nothing are put up with, where looks hold beside writes. */
const mostFruitless = 12;
/** Until the monitor stands (nft first lists every table) nobody tells of foreign changes. */
const firstLooksMs: readonly number[] = [1_000, secondLookMs];

/** What a look has to know of the writer, and may ask of it. */
export interface LookedAtWriter {
  /** Something is being written, or waits to be. */
  busy(): boolean;
  /** What is being written; it never rejects. */
  writing(): Promise<void> | undefined;
  /** How many writes have begun. */
  writes(): number;
  /** Nothing is written until `work` has ended. It never rejects. */
  exclusively(work: Promise<void>): void;
  /** The kernel is not as it was written. */
  repair(): void;
}

export interface LooksOptions {
  readonly family: IpFamily;
  readonly backend: Pick<Backend, 'verify' | 'verifiesBesideWrites'>;
  readonly writer: LookedAtWriter;
  readonly clock: Clock;
  /** Between two looks, milliseconds; 0: never. */
  readonly everyMs: number;
  /** Give or take a little, so that nodes do not march in step. */
  readonly spread: (ms: number) => number;
  readonly say: (event: SyncReport) => void;
}

export class KernelLooks {
  readonly #options: LooksOptions;
  readonly #stopped = new AbortController();
  #bad = 0;
  #count = 0;
  #fruitless = 0;
  #cancel: (() => void) | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  /** Looks in a row that found the kernel other than written. */
  get bad(): number {
    return this.#bad;
  }

  /** From the first whole write on. */
  start(): void {
    const { clock, everyMs, spread } = this.#options;
    if (everyMs === 0 || this.#stopped.signal.aborted) return;
    // After a bad look the repair is looked at soon.
    const soon = firstLooksMs[this.#count] ?? (this.#bad > 0 ? secondLookMs : everyMs);
    this.#count += 1;
    this.#cancel = clock.schedule(spread(Math.min(everyMs, soon)), () => {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
        this.start();
      });
    });
  }

  /** No look begins any more. */
  abort(): void {
    this.#stopped.abort();
    this.#cancel?.();
  }

  /** Ends when the look that is under way has. */
  async ended(): Promise<void> {
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { backend, clock, family, say, writer } = this.#options;
    const beside = backend.verifiesBesideWrites === true;
    const patient = beside && this.#fruitless < mostFruitless;
    const { signal } = this.#stopped;
    this.#fruitless += 1;
    for (let round = 1; round <= rounds && !signal.aborted; round += 1) {
      const last = round === rounds;
      if (round > 1 || writer.busy()) await sleep(clock, secondLookMs, signal).catch(() => undefined);
      for (let work = writer.writing(); work !== undefined; work = writer.writing()) await work;
      const writes = writer.writes();
      const startedAt = clock.now();
      const answer = this.#read();
      if (last && !patient && writer.writing() === undefined)
        writer.exclusively(answer.then(() => undefined));
      const found = await answer;
      if (signal.aborted) return;
      if (!beside && writes !== writer.writes()) continue;
      if ('error' in found) {
        if (found.error.code === 'Crossed') continue;
        this.#fruitless = 0;
        say({ kind: 'verify-failed', family, error: found.error });
        return;
      }
      this.#fruitless = 0;
      const { differences } = found;
      this.#bad = differences.length > 0 ? this.#bad + 1 : 0;
      say({ kind: 'verified', family, differences, ms: clock.now() - startedAt });
      if (differences.length > 0) writer.repair();
      return;
    }
  }

  async #read(): Promise<{ readonly differences: readonly Difference[] } | { readonly error: SluiceError }> {
    try {
      return { differences: await this.#options.backend.verify() };
    } catch (thrown) {
      return { error: asSluiceError(thrown) };
    }
  }
}
