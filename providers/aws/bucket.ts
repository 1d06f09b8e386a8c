/**
 * A token bucket that slows down when it is told that the other side throttles, and recovers by and by.
 */
import { sleep } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';

export class TokenBucket {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor({
    perSecond,
    burst,
    clock,
  }: {
    perSecond: number;
    burst: number;
    clock: Clock;
    random: unknown;
  }) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = clock.now();
  }

  async take(signal: AbortSignal): Promise<void> {
    this.#refill();
    this.#tokens -= 1;
    if (this.#tokens >= 0) {
      signal.throwIfAborted();
      return;
    }
    await sleep(this.#clock, (-this.#tokens / this.#perSecond) * 1000, signal);
  }

  throttled(retryAfterMs = 1000): void {
    this.#refill();
    this.#tokens = Math.min(this.#tokens, 0) - (retryAfterMs / 1000) * this.#perSecond;
  }

  #refill(): void {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
  }
}
