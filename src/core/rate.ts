/**
 * One token bucket for each account and class of call: how fast we may call, learned from being told.
 *
 * It starts at the documented rate. An answer "throttled" halves the rate and empties the bucket, because
 * others (or another copy of us) use the same allowance; then the rate grows back steadily. Many answers to
 * calls that were under way together count as one.
 *
 * Invariants: callers are served in the order they came; never more than `burst` plus rate × time; an
 * aborted caller takes no token and leaves the line at once.
 */
import type { Clock, Random } from './clock.ts';

export interface BucketOptions {
  readonly clock: Clock;
  /** Spreads the return after a pause: clusters that share an account must not come back in step. */
  readonly random: Random;
  /** Tokens per second when nobody complains. */
  readonly perSecond: number;
  /** Tokens that may be saved up. At least 1. */
  readonly burst: number;
}

/** The lowest share of the full rate. */
const floor = 1 / 16;
/** From the floor to the full rate, in milliseconds. */
const recoveryMs = 60_000;
/** Complaints within this time of the last slow-down were caused by the same burst, in milliseconds. */
const sameComplaintMs = 1_000;
/** Share of a pause that chance may add. */
const pauseJitter = 0.1;

interface Waiter {
  readonly grant: () => void;
}

export class TokenBucket {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #full: number;
  readonly #burst: number;
  /** First come, first served. */
  readonly #line = new Set<Waiter>();
  #tokens: number;
  /** Tokens per millisecond at `#at`; it grows from there. */
  #rate: number;
  #at: number;
  /** Before this time no token is given. */
  #closedUntil = Number.NEGATIVE_INFINITY;
  #slowedAt = Number.NEGATIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;

  constructor({ clock, random, perSecond, burst }: BucketOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#full = perSecond / 1_000;
    this.#burst = Math.max(1, burst);
    this.#tokens = this.#burst;
    this.#rate = this.#full;
    this.#at = clock.now();
  }

  /** Resolves when a call may be made; rejects with the signal's reason when it fires before. */
  take(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        this.#line.delete(waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        grant: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#line.add(waiter);
      this.#serve();
    });
  }

  /** The other side asked us to slow down, and perhaps for how long to stay away, in milliseconds. */
  throttled(retryAfterMs = 0): void {
    this.#refill();
    this.#closedUntil = Math.max(
      this.#closedUntil,
      this.#at + retryAfterMs * (1 + pauseJitter * this.#random()),
    );
    if (this.#at - this.#slowedAt >= sameComplaintMs) {
      this.#slowedAt = this.#at;
      this.#rate = Math.max(this.#full * floor, this.#rate / 2);
      this.#tokens = 0;
    }
    this.#serve();
  }

  /** For metrics: calls per second allowed now, tokens saved up, callers in line. */
  get state(): { readonly perSecond: number; readonly tokens: number; readonly waiting: number } {
    this.#refill();
    return { perSecond: this.#rate * 1_000, tokens: this.#tokens, waiting: this.#line.size };
  }

  #serve(): void {
    this.#refill();
    for (const waiter of this.#line) {
      // A hair less than one counts: time is a floating-point number.
      if (this.#at < this.#closedUntil || this.#tokens < 1 - 1e-9) break;
      this.#tokens -= 1;
      this.#line.delete(waiter);
      waiter.grant();
    }
    this.#plan();
  }

  /** One timer for the first in line. */
  #plan(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#line.size === 0) return;
    // The rate only grows until then, so this is never too early by more than rounding.
    const ms = Math.max((1 - this.#tokens) / this.#rate, this.#closedUntil - this.#at, 0);
    this.#cancelTimer = this.#clock.schedule(ms, () => {
      this.#cancelTimer = undefined;
      this.#serve();
    });
  }

  /** Tokens that came since the last look, at a rate that grows in a straight line up to the full one. */
  #refill(): void {
    const now = this.#clock.now();
    const elapsed = now - this.#at;
    if (elapsed <= 0) return;
    const slope = (this.#full * (1 - floor)) / recoveryMs;
    const growing = Math.min(elapsed, (this.#full - this.#rate) / slope);
    const grown = this.#rate + slope * growing;
    const came = ((this.#rate + grown) / 2) * growing + this.#full * (elapsed - growing);
    this.#rate = growing < elapsed ? this.#full : grown;
    this.#tokens = Math.min(this.#burst, this.#tokens + came);
    this.#at = now;
  }
}
