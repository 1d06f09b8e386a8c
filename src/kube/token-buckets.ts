/** One token bucket per key; keys that are full again are forgotten. */
import type { Clock } from '../core/clock.ts';

interface Bucket {
  tokens: number;
  at: number;
}

const longest = 4_096;

export class TokenBuckets {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #refillMs: number;
  /** key → bucket; the least recently used first */
  readonly #buckets = new Map<string, Bucket>();

  /** `burst` tokens to begin with, and one more per `refillMs` milliseconds. */
  constructor(clock: Clock, burst: number, refillMs: number) {
    this.#clock = clock;
    this.#burst = burst;
    this.#refillMs = refillMs;
  }

  /** Takes a token of `key`. False when there is none. */
  take(key: string): boolean {
    const now = this.#clock.now();
    const held = this.#buckets.get(key);
    const tokens =
      held === undefined
        ? this.#burst
        : Math.min(this.#burst, held.tokens + (now - held.at) / this.#refillMs);
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > longest) this.#prune(now);
    return tokens >= 1;
  }

  #prune(now: number): void {
    for (const [key, bucket] of this.#buckets) {
      const full = bucket.tokens + (now - bucket.at) / this.#refillMs >= this.#burst;
      if (full || this.#buckets.size > longest) this.#buckets.delete(key);
    }
  }
}
