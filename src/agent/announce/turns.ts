/**
 * When it is looked at everything again: soon, because something has come, or at a time, because time passes.
 *
 * Invariants: a process that has slept listens for a moment before it looks, so that it judges nobody by packets that
 * wait to be read; looks take at most half of the time, so that heartbeats are sent and heard however much there is to
 * look at.
 */
import type { Clock } from '../../core/clock.ts';

/** Who does not run for this much longer than it meant to has slept. */
const sleptMs = 50;
const listenFirstMs = 20;
const longestRestMs = 50;

export interface TurnsOptions {
  readonly clock: Clock;
  readonly look: () => void;
  /** `awake` is called this often. */
  readonly awakeMs: number;
  /** The process has not run for so long, in milliseconds. */
  readonly slept: (ms: number) => void;
}

export class Turns {
  readonly #options: TurnsOptions;
  #soon: (() => void) | undefined;
  #planned: () => void = () => undefined;
  #ended = false;
  #awakeAt: number | undefined;
  /** Since the process woke nothing has been looked at. */
  #woken = false;
  /** The longest sleep since then. */
  #sleptMs = 0;
  #listenUntil = Number.NEGATIVE_INFINITY;
  #restUntil = Number.NEGATIVE_INFINITY;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** The process runs. */
  awake(): void {
    const now = this.#options.clock.now();
    const pause = now - (this.#awakeAt ?? now);
    this.#awakeAt = now;
    if (pause <= this.#options.awakeMs + sleptMs) return;
    this.#sleptMs = Math.max(this.#sleptMs, pause);
    this.#options.slept(pause);
    this.listenFirst();
  }

  /** Once for all that comes in one go. */
  soon(): void {
    if (this.#soon !== undefined || this.#ended) return;
    const { clock } = this.#options;
    this.#soon = clock.schedule(Math.max(0, this.#restUntil - clock.now()), () => {
      this.#soon = undefined;
      this.now();
    });
  }

  /** Instead of what was planned; undefined: nothing is. */
  at(time: number | undefined): void {
    this.#planned();
    if (time === undefined || this.#ended) return;
    const { clock } = this.#options;
    this.#planned = clock.schedule(Math.max(1, time + 1 - clock.now()), () => this.now());
  }

  /** This process slept for longer than `ms`, and nothing has been looked at since. */
  sleptUnheard(ms: number): boolean {
    this.awake();
    return this.#woken && this.#sleptMs > ms;
  }

  /** What comes within a moment is heard before it is looked. */
  listenFirst(): void {
    // However often that happens, some time it is looked.
    if (!this.#woken) this.#listenUntil = this.#options.clock.now() + listenFirstMs;
    this.#woken = true;
    this.at(this.#listenUntil - 1);
  }

  now(): void {
    if (this.#ended) return;
    const { clock, look } = this.#options;
    this.awake();
    const started = clock.now();
    if (started < this.#listenUntil) {
      this.at(this.#listenUntil - 1);
      return;
    }
    this.#woken = false;
    this.#sleptMs = 0;
    look();
    const ended = clock.now();
    this.#restUntil = ended + Math.min(longestRestMs, ended - started);
  }

  stop(): void {
    this.#ended = true;
    this.#planned();
    this.#soon?.();
  }
}
