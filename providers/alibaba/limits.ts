/**
 * How fast we call and how many calls are under way: one token bucket for each class of calls and one set of
 * places, for the whole account.
 *
 * Alibaba Cloud publishes no rates for SLB, so ours start moderate and are learnt from being throttled. All
 * Services draw from the same buckets, so no Service's trouble multiplies calls.
 */
import type { Clock, Random } from '../../src/core/clock.ts';
import { TokenBucket } from '../../src/core/rate.ts';
import type { CallClass } from './operations.ts';

export interface Rate {
  /** Calls a second, in the long run. */
  readonly perSecond: number;
  /** Calls at once after a quiet time. */
  readonly burst: number;
}

export type Rates = Readonly<Record<CallClass, Rate>>;

/**
 * Guesses: no figure is published and none has been measured yet. Too high is found out and halved by `TokenBucket`
 * (core/rate.ts), too low costs time: whoever knows better says so in the settings.
 */
export const defaultRates: Rates = {
  read: { perSecond: 20, burst: 60 },
  members: { perSecond: 10, burst: 40 },
  modify: { perSecond: 10, burst: 40 },
};

/** Members that one call about a group may carry (SLB API reference). */
export const backendsPerCall = 20;

/** Calls under way together. */
export const defaultParallel = 32;

export type Buckets = Readonly<Record<CallClass, TokenBucket>>;

export interface Limits {
  readonly buckets: Buckets;
  readonly places: Places;
}

export function createLimits(
  rates: Rates,
  clock: Clock,
  random: Random,
  parallel: number = defaultParallel,
): Limits {
  const bucket = (rate: Rate): TokenBucket => new TokenBucket({ ...rate, clock, random });
  return {
    buckets: { read: bucket(rates.read), members: bucket(rates.members), modify: bucket(rates.modify) },
    places: new Places(parallel),
  };
}

/** A fixed number of places, given in the order of asking. */
export class Places {
  #free: number;
  readonly #line = new Set<() => void>();

  constructor(count: number) {
    this.#free = Math.max(1, count);
  }

  /** For metrics. */
  get waiting(): number {
    return this.#line.size;
  }

  /** Resolves with the function that gives the place back; rejects with the signal's reason when it fires before. */
  take(signal?: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        this.#line.delete(grant);
        reject(signal?.reason);
      };
      const grant = (): void => {
        signal?.removeEventListener('abort', onAbort);
        this.#free -= 1;
        let held = true;
        resolve(() => {
          if (!held) return;
          held = false;
          this.#free += 1;
          this.#serve();
        });
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#line.add(grant);
      this.#serve();
    });
  }

  #serve(): void {
    for (const grant of this.#line) {
      if (this.#free < 1) return;
      this.#line.delete(grant);
      grant();
    }
  }
}
