/**
 * Leader election on a Lease: at most one process works at a time.
 *
 * Why this is safe: others take over only after they have watched the lease stand still for its whole
 * duration, on their own monotonic clock. We count our time from before a renewal was sent, so we know of
 * its end before anyone else does, and stop work at the renew deadline, well ahead of that end. Times
 * written in the lease are never compared with a clock. A process that was frozen finds out by `held`,
 * which looks at the clock and at nothing else; whoever writes asks it first.
 */
import { either } from '../core/abort.ts';
import { sleep, systemClock } from '../core/clock.ts';
import type { Clock, Random } from '../core/clock.ts';
import { SluiceError, asSluiceError, isSluiceError } from '../core/errors.ts';
import type { Api } from './api.ts';
import { claimLease, createLease, readLease, releaseLease, renewLease } from './lease-record.ts';
import type { LeaseName, LeaseRecord } from './lease-record.ts';

export interface LeaseTimings {
  /** Others wait this long after the last sign of life. */
  readonly durationMs: number;
  /** We stop work this long after the start of the last good renewal. Below `durationMs`. */
  readonly renewDeadlineMs: number;
  /** Between two tries, to renew or to acquire. */
  readonly retryMs: number;
}

export const leaseTimings: LeaseTimings = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

export type LeaseReport =
  | { readonly kind: 'waiting'; readonly holder: string }
  | { readonly kind: 'acquired'; readonly transitions: number }
  | { readonly kind: 'lost'; readonly error: SluiceError }
  | { readonly kind: 'released' }
  /** A try failed; the next one follows. */
  | { readonly kind: 'failed'; readonly doing: 'acquire' | 'renew' | 'release'; readonly error: SluiceError };

export interface ElectorOptions {
  readonly api: Api;
  readonly lease: LeaseName;
  /** Unique for each process: the Pod's name and something random. */
  readonly identity: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly timings?: LeaseTimings;
  readonly report?: (event: LeaseReport) => void;
}

/** One stretch of leadership. */
export interface Term {
  /** Fires when the lease is lost: every call in flight hangs on it. Not on a clean stop. */
  readonly signal: AbortSignal;
  /** True while the lease is surely ours. */
  held(): boolean;
  /** Before each write. Errors: `transient`, code `LeaseLost`. */
  guard(): void;
}

export class Elector {
  readonly #api: Api;
  readonly #lease: LeaseName;
  readonly #identity: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #timings: LeaseTimings;
  readonly #report: (event: LeaseReport) => void;
  #term: CurrentTerm | undefined;

  constructor(options: ElectorOptions) {
    this.#api = options.api;
    this.#lease = options.lease;
    this.#identity = options.identity;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#timings = options.timings ?? leaseTimings;
    this.#report = options.report ?? (() => undefined);
  }

  /** This process leads, as far as it may know right now. */
  held(): boolean {
    return this.#term?.held() ?? false;
  }

  /**
   * Contends, and runs `lead` whenever the lease is ours; contends again when it was lost. `stop` ends
   * contending; a `lead` that runs then is waited for, the lease is kept for as long, and given back so
   * that the next leader can start at once. Resolves after that, or when `lead` resolves by itself; rejects
   * with what `lead` threw while the lease was held.
   */
  async run(lead: (term: Term) => Promise<void>, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const term = await this.#acquire(stop);
      if (term === undefined) return;
      this.#term = term;
      const end = new AbortController();
      const renewing = this.#keep(term, end.signal);
      try {
        await lead(term);
        if (!term.signal.aborted) return;
      } catch (error) {
        // What fails because the lease was lost is not news.
        if (!term.signal.aborted) throw error;
      } finally {
        end.abort(new SluiceError('transient', 'the term is over', { code: 'Finished' }));
        await renewing;
        if (!term.signal.aborted) await this.#release(term);
        term.close();
        this.#term = undefined;
      }
    }
  }

  async #acquire(stop: AbortSignal): Promise<CurrentTerm | undefined> {
    let seen: { readonly record: LeaseRecord; readonly at: number } | undefined;
    let toldHolder: string | undefined;
    const limits = { timeoutMs: this.#timings.renewDeadlineMs, signal: stop };
    while (!stop.aborted) {
      try {
        const record = await this.#readOrCreate(limits);
        if ('term' in record) return record.term;
        // The clock is read after the answer: others may have renewed until just before it.
        if (seen === undefined || !sameClaim(seen.record, record)) seen = { record, at: this.#clock.now() };
        const idleMs = this.#clock.now() - seen.at;
        const waitMs = record.durationSeconds > 0 ? record.durationSeconds * 1000 : this.#timings.durationMs;
        if (record.holder === '' || record.holder === this.#identity || idleMs >= waitMs) {
          return await this.#claim((claim) => claimLease(this.#api, this.#lease, record, claim, limits));
        }
        if (record.holder !== toldHolder) this.#report({ kind: 'waiting', holder: record.holder });
        toldHolder = record.holder;
      } catch (error) {
        if (stop.aborted) return undefined;
        const failure = asSluiceError(error);
        // Somebody else was faster: that is what the lease is for.
        if (failure.kind !== 'conflict') this.#report({ kind: 'failed', doing: 'acquire', error: failure });
      }
      await this.#pause(0.6, 0.9, stop);
    }
    return undefined;
  }

  async #readOrCreate(limits: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<LeaseRecord | { readonly term: CurrentTerm }> {
    try {
      return await readLease(this.#api, this.#lease, limits);
    } catch (error) {
      if (!isSluiceError(error) || error.kind !== 'gone') throw error;
      return { term: await this.#claim((claim) => createLease(this.#api, this.#lease, claim, limits)) };
    }
  }

  async #claim(
    make: (claim: { holder: string; durationMs: number; wallMs: number }) => Promise<LeaseRecord>,
  ): Promise<CurrentTerm> {
    const at = this.#clock.now();
    const wallMs = this.#clock.wall();
    const record = await make({ holder: this.#identity, durationMs: this.#timings.durationMs, wallMs });
    const term = new CurrentTerm(this.#clock, this.#timings, this.#report, record, at, wallMs);
    this.#report({ kind: 'acquired', transitions: record.transitions });
    return term;
  }

  /** Renews until the term ends or is lost. Never rejects. */
  async #keep(term: CurrentTerm, end: AbortSignal): Promise<void> {
    using both = either(end, term.signal);
    const { signal } = both;
    while (!signal.aborted) {
      await this.#pause(0.8, 1, signal);
      if (end.aborted || !term.checkDeadline()) return;
      const at = this.#clock.now();
      const wallMs = this.#clock.wall();
      const claim = { holder: this.#identity, durationMs: this.#timings.durationMs, wallMs };
      const limits = { timeoutMs: term.leftMs(), signal };
      try {
        term.renewed(await renewLease(this.#api, this.#lease, term.record, claim, limits), at, wallMs);
      } catch (error) {
        if (end.aborted || term.signal.aborted) return;
        const failure = asSluiceError(error);
        this.#report({ kind: 'failed', doing: 'renew', error: failure });
        if (failure.kind === 'conflict' || failure.kind === 'ambiguous' || failure.kind === 'gone') {
          await this.#lookAgain(term, signal);
        }
      }
    }
  }

  /** The lease is not what we thought: still ours with another version, someone else's, or not there. */
  async #lookAgain(term: CurrentTerm, signal: AbortSignal): Promise<void> {
    try {
      const live = await readLease(this.#api, this.#lease, { timeoutMs: term.leftMs(), signal });
      if (live.holder === this.#identity) term.record = live;
      else term.lose(`the lease is held by ${live.holder === '' ? 'nobody' : live.holder}`);
    } catch (error) {
      if (signal.aborted) return;
      const failure = asSluiceError(error);
      // Without the object nothing keeps others out.
      if (failure.kind === 'gone') term.lose('the lease was deleted');
      else this.#report({ kind: 'failed', doing: 'renew', error: failure });
    }
  }

  async #release(term: CurrentTerm): Promise<void> {
    const limits = { timeoutMs: Math.max(1, Math.min(term.leftMs(), this.#timings.retryMs)) };
    try {
      // A renewal that was cut off may have gone through: what is there counts.
      for (let round = 1; ; round += 1) {
        try {
          await releaseLease(this.#api, this.#lease, term.record, this.#clock.wall(), limits);
          break;
        } catch (error) {
          const failure = asSluiceError(error);
          if (failure.kind === 'gone') break;
          if (failure.kind !== 'conflict' || round >= 3) throw failure;
          const live = await readLease(this.#api, this.#lease, limits);
          if (live.holder !== this.#identity) break;
          term.record = live;
        }
      }
      this.#report({ kind: 'released' });
    } catch (error) {
      // Then others wait for the duration, as after a crash.
      this.#report({ kind: 'failed', doing: 'release', error: asSluiceError(error) });
    }
  }

  /** A part of the retry time between `least` and `most`, or until the signal. */
  async #pause(least: number, most: number, signal: AbortSignal): Promise<void> {
    const ms = this.#timings.retryMs * (least + (most - least) * this.#random());
    await sleep(this.#clock, ms, signal).catch(() => undefined);
  }
}

class CurrentTerm implements Term {
  /** The lease as we last wrote or read it. */
  record: LeaseRecord;
  readonly #clock: Clock;
  readonly #timings: LeaseTimings;
  readonly #report: (event: LeaseReport) => void;
  readonly #lost = new AbortController();
  /** Both clocks just before the last good renewal was sent. */
  #at: number;
  #wallAt: number;
  #cancel: () => void = () => undefined;

  constructor(
    clock: Clock,
    timings: LeaseTimings,
    report: (event: LeaseReport) => void,
    record: LeaseRecord,
    at: number,
    wallAt: number,
  ) {
    this.#clock = clock;
    this.#timings = timings;
    this.#report = report;
    this.record = record;
    this.#at = at;
    this.#wallAt = wallAt;
    this.#arm();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  held(): boolean {
    return !this.#lost.signal.aborted && this.#clock.now() < this.#deadline() && !this.#slept();
  }

  guard(): void {
    if (this.held()) return;
    throw lostError('it was not renewed in time');
  }

  leftMs(): number {
    return Math.max(0, this.#deadline() - this.#clock.now());
  }

  renewed(record: LeaseRecord, at: number, wallAt: number): void {
    if (this.#lost.signal.aborted) return;
    this.record = record;
    this.#at = at;
    this.#wallAt = wallAt;
    this.#arm();
  }

  /** False, and lost, when the time is over. A frozen process gets here before its timers do. */
  checkDeadline(): boolean {
    if (this.#lost.signal.aborted) return false;
    if (this.leftMs() > 0) return true;
    this.lose('it was not renewed in time');
    return false;
  }

  lose(why: string): void {
    if (this.#lost.signal.aborted) return;
    this.#cancel();
    const error = lostError(why);
    this.#lost.abort(error);
    this.#report({ kind: 'lost', error });
  }

  close(): void {
    this.#cancel();
  }

  #deadline(): number {
    return this.#at + this.#timings.renewDeadlineMs;
  }

  /**
   * The wall clock ran ahead of the monotonic one: the machine may have been suspended, during which the
   * monotonic clock of Linux stands still. Until the next renewal nobody can tell, so nobody writes.
   */
  #slept(): boolean {
    const ahead = this.#clock.wall() - this.#wallAt - (this.#clock.now() - this.#at);
    return ahead > this.#timings.durationMs - this.#timings.renewDeadlineMs;
  }

  #arm(): void {
    this.#cancel();
    this.#cancel = this.#clock.schedule(this.leftMs(), () => {
      this.checkDeadline();
    });
  }
}

function sameClaim(one: LeaseRecord, other: LeaseRecord): boolean {
  return (
    one.holder === other.holder &&
    one.renewTime === other.renewTime &&
    one.transitions === other.transitions &&
    one.durationSeconds === other.durationSeconds
  );
}

function lostError(why: string): SluiceError {
  return new SluiceError('transient', `the leader lease is lost: ${why}`, { code: 'LeaseLost' });
}
