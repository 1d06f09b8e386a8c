/**
 * Keeps the writers from listening to the kernel until every family has been loaded.
 *
 * The kernel tells who listens of every object, whichever family it belongs to: beside a first load of 20,000 objects a
 * listener of the other family, which has little to write and is done at once, takes as long as the load itself. A family
 * that cannot be loaded does not make the others deaf for longer than `longestLoadMs`.
 */
import type { Clock } from '../core/clock.ts';

export const longestLoadMs = 10_000;

export class LoadGate {
  readonly #clock: Clock;
  readonly #families: number;
  readonly #waiting: (() => void)[] = [];
  #loaded = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, families: number) {
    this.#clock = clock;
    this.#families = families;
  }

  /** Called once for each family, when it has been loaded. `listen` runs at once where it was the last. */
  loaded(listen: () => void): void {
    this.#waiting.push(listen);
    this.#loaded += 1;
    if (this.#loaded >= this.#families) this.#open();
    else this.#cancel ??= this.#clock.schedule(longestLoadMs, () => this.#open());
  }

  close(): void {
    this.#cancel?.();
    this.#waiting.length = 0;
  }

  #open(): void {
    this.#cancel?.();
    for (const listen of this.#waiting.splice(0)) listen();
  }
}
