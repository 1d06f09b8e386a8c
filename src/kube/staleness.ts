/**
 * Remembers what we wrote, so that nobody acts on a cache that has not heard of it yet.
 *
 * After a write the watch takes a moment to bring the new state. A pass that starts in between would see the
 * past: it waits instead (the same guard that the core controllers of Kubernetes got in 1.36). A version
 * that never shows up, for example after etcd was restored from a backup, is given up after a while: the
 * cache is all there is then.
 */
import type { Clock } from '../core/clock.ts';
import type { ReadStore } from './store.ts';

/** Long enough for a watch that has to be opened again. */
const forgetMs = 60_000;

export class OwnWrites<K extends string> {
  readonly #store: Pick<ReadStore<K, unknown>, 'caughtUp'>;
  readonly #clock: Clock;
  /** key → the last version that we wrote */
  readonly #written = new Map<K, { readonly version: string; readonly at: number }>();
  #held = 0;
  #givenUp = 0;

  constructor(store: Pick<ReadStore<K, unknown>, 'caughtUp'>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** How often `fresh` said no, and how many writes were never seen again. */
  get counts(): { readonly held: number; readonly givenUp: number; readonly pending: number } {
    return { held: this.#held, givenUp: this.#givenUp, pending: this.#written.size };
  }

  /** We wrote `key`, and the answer bore `version`. */
  wrote(key: K, version: string): void {
    if (version !== '') this.#written.set(key, { version, at: this.#clock.now() });
  }

  /** The cache holds what we last wrote of `key`, or something later. */
  fresh(key: K): boolean {
    const last = this.#written.get(key);
    if (last === undefined) return true;
    if (this.#store.caughtUp(key, last.version)) {
      this.#written.delete(key);
      return true;
    }
    if (this.#clock.now() - last.at >= forgetMs) {
      this.#written.delete(key);
      this.#givenUp += 1;
      return true;
    }
    this.#held += 1;
    return false;
  }
}
