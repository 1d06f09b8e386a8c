/**
 * Values by key, with what each was when its changes were last asked for: changes in between fall together, and what
 * came back to where it was is no change.
 */

/** Something that is told with its state before and after; undefined: it was not there, or is not any more. */
export interface Turned<T> {
  readonly before: T | undefined;
  readonly after: T | undefined;
}

export class Turns<K, T> {
  readonly #now = new Map<K, T>();
  /** As last given, for each key that was set since. */
  readonly #before = new Map<K, T | undefined>();
  readonly #same: (a: T, b: T) => boolean;

  constructor(same: (a: T, b: T) => boolean) {
    this.#same = same;
  }

  /** Undefined removes. */
  set(key: K, value: T | undefined): void {
    const held = this.#now.get(key);
    if (held === undefined && value === undefined) return;
    if (!this.#before.has(key)) this.#before.set(key, held);
    if (value === undefined) this.#now.delete(key);
    else this.#now.set(key, value);
  }

  values(): Iterable<T> {
    return this.#now.values();
  }

  /** What turned since the last call; equal values have not. */
  take(): readonly Turned<T>[] {
    const changed: Turned<T>[] = [];
    for (const [key, before] of this.#before) {
      const after = this.#now.get(key);
      if (before === after) continue;
      if (before !== undefined && after !== undefined && this.#same(before, after)) continue;
      changed.push({ before, after });
    }
    this.#before.clear();
    return changed;
  }
}
