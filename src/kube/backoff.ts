/**
 * Growing, jittered waits between failed tries, forgotten after a healthy while.
 *
 * The figures are those of client-go's reflector: from 0.8 s to 30 s, back to the start after two minutes
 * without a failure.
 */
import type { Clock, Random } from '../core/clock.ts';

export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
  /** This long without a failure makes the next wait the shortest again. */
  readonly healthyMs: number;
}

export const readerBackoff: BackoffLimits = { minMs: 800, maxMs: 30_000, healthyMs: 120_000 };

export class Backoff {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: BackoffLimits;
  #next: number;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, random: Random, limits: BackoffLimits) {
    this.#clock = clock;
    this.#random = random;
    this.#limits = limits;
    this.#next = limits.minMs;
  }

  /** Milliseconds to wait now: between one and two times the step, at most the greatest. */
  failed(): number {
    const now = this.#clock.now();
    if (now - this.#failedAt >= this.#limits.healthyMs) this.#next = this.#limits.minMs;
    const step = this.#next;
    this.#next = Math.min(step * 2, this.#limits.maxMs);
    // Jitter comes after the cap, below it: at the cap clients must not march in step.
    const wait = Math.min(step * (1 + this.#random()), this.#limits.maxMs * (0.5 + 0.5 * this.#random()));
    this.#failedAt = now + wait;
    return wait;
  }
}
