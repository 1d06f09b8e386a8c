/**
 * Forgets stale flows after the rules have changed: one dump of the table for all that changed meanwhile.
 *
 * Invariants: it looks only when the rules for what it was told are in the kernel, or a packet in between would
 * make the bad entry anew; a request is never lost, a failed round comes again with a growing wait; destinations
 * that we serve no more are remembered until a round has succeeded. Families are apart.
 */
import type { Clock, Random } from '../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import { Backoff } from '../../kube/backoff.ts';
import { StaleFinder, type ConntrackFacts, type Served } from './stale.ts';
import type { ConntrackTable, Tracked } from './table.ts';

export type ConntrackReport =
  | {
      readonly kind: 'reconciled';
      readonly family: IpFamily;
      readonly protocol: Tracked;
      /** Entries looked at, and entries forgotten. */
      readonly seen: number;
      readonly removed: number;
      readonly ms: number;
    }
  | {
      readonly kind: 'failed';
      readonly family: IpFamily;
      readonly protocol: Tracked;
      readonly error: SluiceError;
      /** Undefined: never, the tool is not there. */
      readonly retryInMs: number | undefined;
    };

export interface ConntrackOptions {
  readonly family: IpFamily;
  readonly protocol: Tracked;
  readonly table: ConntrackTable;
  /** Everything that is served in this family and protocol at the moment of asking. */
  readonly served: () => readonly Served[];
  readonly isNodePortAddress: (address: string) => boolean;
  /** Calls back when the rules for all that is known are in the kernel. */
  readonly whenWritten: (then: () => void) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: (event: ConntrackReport) => void;
}

/** A large table takes seconds to read: between two looks the tool rests for a multiple of the last one. */
const restFactor = 2;
const longestRestMs = 5_000;

type Destination = ConntrackFacts['retired'][number];

export class ConntrackReconciler {
  readonly #options: ConntrackOptions;
  readonly #backoff: Backoff;
  /** Those whose rules are gone from the kernel. */
  #retired: Destination[] = [];
  /** A look is due: the rules for what was told are written. */
  #due = false;
  #starting = false;
  #running: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #stopped = false;
  /** Monotonic: no look before this. */
  #notBefore = 0;

  constructor(options: ConntrackOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock, options.random, {
      minMs: 500,
      maxMs: 30_000,
      healthyMs: 60_000,
    });
  }

  /** A destination is served no more. */
  retire(destination: Destination): void {
    this.#whenWritten(destination);
  }

  /** Endpoints or Services changed: looks at the table once the rules are written. */
  request(): void {
    this.#whenWritten(undefined);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#running;
  }

  /**
   * Each request waits for rules of its own: one that comes while a write is under way is part of the next one, and
   * a look before that would forget flows which the old rules then make anew.
   */
  #whenWritten(retired: Destination | undefined): void {
    if (this.#stopped) return;
    this.#options.whenWritten(() => {
      if (this.#stopped) return;
      if (retired) this.#retired.push(retired);
      this.#due = true;
      this.#stir();
    });
  }

  /** Starts the look that is due, not before its time, and one for all whose rules were written together. */
  #stir(): void {
    if (!this.#due || this.#stopped || this.#starting || this.#running || this.#cancel) return;
    const wait = this.#notBefore - this.#options.clock.now();
    if (wait > 0) {
      this.#later(wait);
      return;
    }
    this.#starting = true;
    queueMicrotask(() => {
      this.#starting = false;
      if (this.#stopped) return;
      this.#running = this.#round().finally(() => {
        this.#running = undefined;
        this.#stir();
      });
    });
  }

  async #round(): Promise<void> {
    const { family, protocol, table, clock, report } = this.#options;
    this.#due = false;
    const retired = this.#retired;
    this.#retired = [];
    const finder = new StaleFinder({
      served: this.#options.served(),
      retired,
      isNodePortAddress: this.#options.isNodePortAddress,
    });
    if (finder.idle) return;
    const startedAt = clock.now();
    const rest = (): void => {
      const now = clock.now();
      this.#notBefore = now + Math.min(restFactor * (now - startedAt), longestRestMs);
    };
    try {
      let seen = 0;
      await table.dump(family, protocol, (entry) => {
        seen += 1;
        finder.see(entry);
      });
      let removed = 0;
      for (const flows of finder.stale()) removed += await table.remove(family, protocol, flows);
      rest();
      report({ kind: 'reconciled', family, protocol, seen, removed, ms: clock.now() - startedAt });
    } catch (thrown) {
      const error = asSluiceError(thrown);
      this.#due = true;
      this.#retired = [...retired, ...this.#retired];
      const missing = error.code === 'ToolMissing';
      if (missing) this.#stopped = true;
      const retryInMs = missing ? undefined : this.#backoff.failed();
      report({ kind: 'failed', family, protocol, error, retryInMs });
      if (retryInMs === undefined) return;
      this.#later(retryInMs);
    }
  }

  #later(ms: number): void {
    this.#cancel = this.#options.clock.schedule(ms, () => {
      this.#cancel = undefined;
      this.#stir();
    });
  }
}
