/**
 * When it is looked at everything again: soon, because something has come, or at a time, because time passes.
 *
 * Invariant: a process that has slept listens for a moment before it looks, so that it judges nobody by packets that
 * wait to be read.
 */
import type { Clock } from '../../core/clock.ts';

/** A timer that comes later than this finds a process that has slept. */
const sleptMs = 50;
const listenFirstMs = 20;

export class Turns {
  readonly #clock: Clock;
  readonly #look: () => void;
  #soon = false;
  #deferred = false;
  #ended = false;
  #cancel: () => void = () => undefined;

  constructor(clock: Clock, look: () => void) {
    this.#clock = clock;
    this.#look = look;
  }

  /** Once for all that comes in one go. */
  soon(): void {
    if (this.#soon || this.#ended) return;
    this.#soon = true;
    this.#clock.schedule(0, () => {
      this.#soon = false;
      this.#look();
    });
  }

  /** Instead of what was planned; undefined: nothing is. */
  at(time: number | undefined): void {
    this.#cancel();
    if (time === undefined || this.#ended) return;
    const due = time + 1;
    this.#cancel = this.#clock.schedule(Math.max(1, due - this.#clock.now()), () => {
      if (this.#clock.now() - due > sleptMs && !this.#deferred) {
        this.#deferred = true;
        this.#cancel = this.#clock.schedule(listenFirstMs, () => {
          this.#deferred = false;
          this.#look();
        });
        return;
      }
      this.#look();
    });
  }

  /** After what comes within a moment has been heard. */
  listenFirst(): void {
    this.#cancel();
    this.#cancel = this.#clock.schedule(listenFirstMs, () => this.#look());
  }

  stop(): void {
    this.#ended = true;
    this.#cancel();
  }
}
