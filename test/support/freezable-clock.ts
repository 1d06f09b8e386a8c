/**
 * The clock of a process that can be stopped: time passes for it, but its timers wait until it wakes. Once it has ended,
 * nothing of it runs any more.
 */
import type { Clock } from '../../src/core/clock.ts';

export class FreezableClock implements Clock {
  readonly #inner: Clock;
  #frozen = false;
  #ended = false;
  #due: (() => void)[] = [];

  constructor(inner: Clock) {
    this.#inner = inner;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  now(): number {
    return this.#inner.now();
  }

  wall(): number {
    return this.#inner.wall();
  }

  schedule(ms: number, run: () => void): () => void {
    let live = true;
    const once = (): void => {
      if (live && !this.#ended) run();
    };
    const cancel = this.#inner.schedule(ms, () => {
      if (this.#frozen) this.#due.push(once);
      else once();
    });
    return () => {
      live = false;
      cancel();
    };
  }

  freeze(): void {
    this.#frozen = true;
  }

  wake(): void {
    this.#frozen = false;
    const due = this.#due;
    this.#due = [];
    for (const run of due) run();
  }

  end(): void {
    this.#ended = true;
  }
}
