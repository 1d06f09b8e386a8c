/**
 * The one writer of one address family: carries changes of decisions into a kernel, through a backend.
 *
 * Invariants:
 * 1. One call to the backend that writes at a time.
 * 2. Nothing is written before `start`, which comes after the first complete lists; the first write is a whole one.
 * 3. What has been told is either in the kernel, or waiting, or being written: after a failure, a foreign change or
 *    a change of the node's own part everything is written anew from the source, which is never behind.
 * 4. An idle writer writes at once; a busy one gathers for as long as its last write took, within limits. What a change
 *    takes away does not wait for that, where the backend can take it out for next to nothing; there a slow writer gathers
 *    for longer. After a failure the waits grow and are jittered; changes that come meanwhile do not shorten them.
 * 5. A decision that the kernel refuses is told once, left out, and tried again at a slow pace.
 *
 * The two families share nothing: the failure of one does not hold up the other.
 */
import type { Clock, Random } from '../core/clock.ts';
import { asSluiceError, type SluiceError } from '../core/errors.ts';
import type { IpFamily } from '../core/objects.ts';
import { Backoff } from '../kube/backoff.ts';
import type { Backend, ForeignChange } from './backend.ts';
import type { Decision, DecisionChange, DecisionKey, NodeDecision } from './decision.ts';
import { PendingChanges } from './pending.ts';
import { RefusedDecisions } from './refused.ts';
import { KernelLooks } from './sync-look.ts';
import { syncTimings, type SyncReport, type SyncState, type SyncTimings } from './sync-report.ts';

/** What is left of a window that is not worth a step of its own. */
const shortWaitMs = 3;

/** Everything that is decided for one family at this moment. */
export interface DecisionSource {
  node(): NodeDecision;
  decisions(): Iterable<Decision>;
  decision(key: DecisionKey): Decision | undefined;
}

export interface SyncOptions {
  readonly backend: Backend;
  readonly source: DecisionSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly timings?: SyncTimings;
  readonly report: (event: SyncReport) => void;
  /** Runs something once the events at hand have been read, before any time passes. Default: `setImmediate`. */
  readonly soon?: (run: () => void) => void;
  /** Calls back when listening to the kernel disturbs no first write of others. Default: at once. */
  readonly mayListen?: (listen: () => void) => void;
}

/** Something heard of that a write has to cover: called with the write's end, once. */
type Waiter = () => void;

export class FamilySync {
  readonly #backend: Backend;
  readonly #source: DecisionSource;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #timings: SyncTimings;
  readonly #report: (event: SyncReport) => void;
  readonly #soon: (run: () => void) => void;
  readonly #mayListen: (listen: () => void) => void;
  readonly #backoff: Backoff;
  /** For repairs of foreign changes, so that a quarrel with another program does not take the whole machine. */
  readonly #foreignBackoff: Backoff;
  readonly #pending = new PendingChanges();
  readonly #refused: RefusedDecisions;
  readonly #looks: KernelLooks;
  readonly #watching = new AbortController();
  #waiters: Waiter[] = [];
  #started = false;
  #stopped = false;
  #whole = true;
  /** Something has been taken out ahead of the changes that it belongs to: a write has to come. */
  #owed = false;
  #wake: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  #writes = 0;
  /** Monotonic: no write before this. */
  #notBefore = 0;
  #repairedAt = Number.NEGATIVE_INFINITY;
  #waitingSince: number | undefined;
  #writtenAt: number | undefined;
  #programmed = false;
  #problem: SluiceError | undefined;

  constructor(options: SyncOptions) {
    this.#backend = options.backend;
    this.#source = options.source;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#timings = options.timings ?? syncTimings;
    this.#report = options.report;
    this.#soon = options.soon ?? ((run) => void setImmediate(run));
    this.#mayListen = options.mayListen ?? ((listen) => listen());
    this.#backoff = new Backoff(this.#clock, this.#random, this.#timings.backoff);
    const { family } = this.#backend;
    this.#refused = new RefusedDecisions({
      clock: this.#clock,
      decision: (key) => this.#source.decision(key),
      retryMs: () => this.#spread(this.#timings.quarantineMs),
      offer: (changes) => this.changed(changes),
      refused: (decision, message) => this.#say({ kind: 'quarantined', family, decision, message }),
      released: (key) => this.#say({ kind: 'released', family, key }),
    });
    this.#looks = new KernelLooks({
      family,
      backend: this.#backend,
      clock: this.#clock,
      everyMs: this.#timings.verifyMs,
      spread: (ms) => this.#spread(ms),
      say: (event) => this.#say(event),
      writer: {
        busy: () => this.#busy(),
        writing: () => this.#writing,
        writes: () => this.#writes,
        exclusively: (work) => this.#exclusively(work),
        repair: () => this.#demandWhole(),
      },
    });
    this.#foreignBackoff = new Backoff(this.#clock, this.#random, this.#timings.backoff);
  }

  get family(): IpFamily {
    return this.#backend.family;
  }

  get backend(): Backend {
    return this.#backend;
  }

  get state(): SyncState {
    return {
      programmed: this.#programmed,
      waitingSince: this.#waitingSince,
      writtenAt: this.#writtenAt,
      pending: this.#pending.size,
      writing: this.#writing !== undefined,
      quarantined: this.#refused.messages,
      problem: this.#problem,
      badLooks: this.#looks.bad,
    };
  }

  /** The source is complete: writes it whole, and from now on every change. */
  start(): void {
    if (this.#started || this.#stopped) return;
    this.#started = true;
    this.#demandWhole();
  }

  /**
   * Hears of others' changes from the first whole write on: a monitor that is there before prints every object of that
   * write, which takes longer than the write. What somebody changes before the monitor stands is found by looks soon after.
   */
  #watch(): void {
    if (this.#stopped) return;
    this.#backend.watch((change) => this.#foreign(change), this.#watching.signal);
    this.#looks.start();
  }

  /** Decisions changed; the source has them already. */
  changed(changes: readonly DecisionChange[]): void {
    if (changes.length === 0 || this.#stopped) return;
    this.#pending.add(changes);
    if (this.#pending.size === 0) return;
    if (this.#wake === undefined) this.#stir();
    else this.#hasten(changes);
  }

  /** The node's own part changed, or nobody knows what the kernel holds: everything is written anew. */
  rewrite(): void {
    if (!this.#stopped) this.#demandWhole();
  }

  /** Calls back when all that is known now is in the kernel; at once where it is already. */
  whenWritten(then: () => void): void {
    if (this.#stopped) return;
    if (this.#programmed && !this.#busy()) then();
    else this.#waiters.push(then);
  }

  /** Ends after the write that is under way; what is in the kernel stays. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watching.abort();
    this.#wake?.();
    this.#refused.stop();
    this.#looks.abort();
    await this.#writing;
    await this.#looks.ended();
    await this.#backend.close();
  }

  #busy(): boolean {
    return this.#writing !== undefined || this.#toWrite();
  }

  #toWrite(): boolean {
    return this.#whole || this.#owed || this.#pending.size > 0;
  }

  #demandWhole(): void {
    this.#whole = true;
    this.#stir();
  }

  /** Something is to be written: sees to it that a write comes, not before its time. */
  #stir(): void {
    this.#waitingSince ??= this.#clock.now();
    if (!this.#started || this.#stopped || this.#writing !== undefined || this.#wake !== undefined) return;
    const wait = this.#notBefore - this.#clock.now();
    const run = (): void => {
      this.#wake = undefined;
      if (!this.#stopped && this.#writing === undefined) this.#begin();
    };
    if (wait > 0) {
      this.#wake = this.#clock.schedule(wait, run);
      this.#hasten(this.#pending.all());
      return;
    }
    let live = true;
    this.#wake = () => {
      live = false;
    };
    this.#soon(() => {
      if (live) run();
    });
  }

  #begin(): void {
    if (!this.#toWrite()) {
      this.#rest();
      return;
    }
    this.#exclusively(this.#write());
  }

  /** Nothing waits, or what did has been undone before it was written. */
  #rest(): void {
    this.#waitingSince = undefined;
    this.#settled(this.#takeWaiters());
  }

  /** Nothing is written until `work` has ended. It never rejects. */
  #exclusively(work: Promise<void>): void {
    this.#writing = work.finally(() => {
      this.#writing = undefined;
      if (this.#toWrite()) this.#stir();
      else this.#rest();
    });
  }

  /** How long to gather after a write that took `ms`. */
  #windowAfter(ms: number): number {
    const { slowWindow, windowMs } = this.#timings;
    const [least, most] = windowMs;
    if (ms <= most || this.#backend.hastens !== true) return Math.min(Math.max(ms, least), most);
    return Math.max(most, Math.min(ms * slowWindow.times, slowWindow.mostMs));
  }

  /** What is removed need not wait for the window, where the backend can take it out for next to nothing. */
  #hasten(changes: readonly DecisionChange[]): void {
    if (this.#backend.hasten === undefined || changes.length === 0) return;
    if (!this.#programmed || this.#whole || this.#stopped || this.#writing !== undefined) return;
    if (this.#notBefore - this.#clock.now() < shortWaitMs) return;
    // Whoever looks at the kernel meanwhile looks again.
    this.#writes += 1;
    const startedAt = this.#clock.now();
    const hastened = this.#backend.hasten(changes).then(
      (owed) => {
        this.#owed ||= owed;
      },
      (thrown: unknown) =>
        this.#failed(asSluiceError(thrown), { full: false, since: startedAt, waiters: [] }),
    );
    this.#exclusively(hastened);
  }

  async #write(): Promise<void> {
    const full = this.#whole;
    // Taken in one step: what comes while the backend works belongs to the next write.
    const changes = this.#pending.take();
    const waiters = this.#takeWaiters();
    const wasWaitingSince = this.#waitingSince;
    this.#whole = false;
    this.#owed = false;
    this.#waitingSince = undefined;
    this.#writes += 1;
    const startedAt = this.#clock.now();
    try {
      const written = full
        ? await this.#backend.replace(this.#source.node(), [...this.#source.decisions()])
        : await this.#backend.apply(changes);
      const now = this.#clock.now();
      const ms = now - startedAt;
      this.#notBefore = now + this.#windowAfter(ms);
      if (!this.#programmed) this.#mayListen(() => this.#watch());
      this.#programmed = true;
      this.#problem = undefined;
      this.#writtenAt = this.#clock.wall();
      this.#refused.judge(full, changes, written);
      const { operations, left = [] } = written;
      const count = changes.length;
      this.#say({ kind: 'written', family: this.family, full, changes: count, operations, left, ms });
      this.#settled(waiters);
    } catch (thrown) {
      const since = wasWaitingSince ?? startedAt;
      this.#failed(asSluiceError(thrown), { full, since, waiters });
    }
  }

  /** Nobody knows what is in the kernel now; the source does know what shall be. */
  #failed(
    error: SluiceError,
    {
      full,
      since,
      waiters,
    }: { readonly full: boolean; readonly since: number; readonly waiters: readonly Waiter[] },
  ): void {
    this.#whole = true;
    this.#pending.clear();
    this.#waiters = [...waiters, ...this.#waiters];
    this.#waitingSince = since;
    this.#problem = error;
    const retryInMs = Math.max(this.#backoff.failed(), error.retryAfterMs ?? 0);
    this.#notBefore = this.#clock.now() + retryInMs;
    this.#say({ kind: 'failed', family: this.family, full, error, retryInMs });
  }

  #foreign(change: ForeignChange): void {
    if (this.#stopped) return;
    this.#say({ kind: 'foreign', family: this.family, change });
    const now = this.#clock.now();
    if (!this.#whole) {
      // The first repair comes at once; a program that keeps at it is answered at a growing distance.
      const again = now - this.#repairedAt < this.#timings.backoff.maxMs;
      if (again) this.#notBefore = Math.max(this.#notBefore, now + this.#foreignBackoff.failed());
      else this.#notBefore = Math.min(this.#notBefore, now);
      this.#repairedAt = now;
      // A gathering window is no reason to leave a flushed kernel as it is.
      this.#wake?.();
      this.#wake = undefined;
    }
    this.#demandWhole();
  }

  #takeWaiters(): readonly Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    return waiters;
  }

  #settled(waiters: readonly Waiter[]): void {
    for (const waiter of waiters) {
      try {
        waiter();
      } catch (thrown) {
        const error = asSluiceError(thrown);
        this.#say({ kind: 'failed', family: this.family, full: false, error, retryInMs: 0 });
      }
    }
  }

  /** Give or take a tenth, so that nodes do not march in step. */
  #spread(ms: number): number {
    return ms * (0.9 + 0.2 * this.#random());
  }

  #say(event: SyncReport): void {
    try {
      this.#report(event);
    } catch {
      // A broken log must not cost the loop.
    }
  }
}
