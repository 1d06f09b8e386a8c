/**
 * Addresses that are kept for a Service that has gone, so that one made anew under its name gets them again.
 *
 * Memory is a courtesy: it never makes anybody wait. Where a pool has nothing else, the memory that would end first is
 * given up.
 */
import type { IpFamily, ObjectKey } from '../../../src/core/objects.ts';
import { Heap } from './heap.ts';

export interface Kept {
  readonly family: IpFamily;
  readonly value: bigint;
  readonly text: string;
  readonly key: ObjectKey;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

export class Memory {
  readonly #byAddress = new Map<string, Kept>();
  readonly #byKey = new Map<ObjectKey, Map<string, Kept>>();
  /** Those that end first come first; entries that are not in `#byAddress` any more are old. */
  readonly #ends = new Heap<Kept>(endsBefore);

  get(text: string): Kept | undefined {
    return this.#byAddress.get(text);
  }

  of(key: ObjectKey): readonly Kept[] {
    const kept = this.#byKey.get(key);
    return kept === undefined ? [] : [...kept.values()];
  }

  all(): Iterable<Kept> {
    return this.#byAddress.values();
  }

  keep(kept: Kept): void {
    this.forget(kept.text);
    this.#byAddress.set(kept.text, kept);
    const own = this.#byKey.get(kept.key) ?? new Map<string, Kept>();
    own.set(kept.text, kept);
    this.#byKey.set(kept.key, own);
    this.#ends.push(kept);
  }

  forget(text: string): boolean {
    const kept = this.#byAddress.get(text);
    if (kept === undefined) return false;
    this.#byAddress.delete(text);
    const own = this.#byKey.get(kept.key);
    own?.delete(text);
    if (own?.size === 0) this.#byKey.delete(kept.key);
    return true;
  }

  nextEnd(): number | undefined {
    for (let top = this.#ends.peek(); top !== undefined; top = this.#ends.peek()) {
      if (this.#byAddress.get(top.text) === top) return top.until;
      this.#ends.pop();
    }
    return undefined;
  }

  /** What has ended by now; it is forgotten. */
  expire(now: number): readonly Kept[] {
    const ended: Kept[] = [];
    for (let top = this.#ends.peek(); top !== undefined && top.until <= now; top = this.#ends.peek()) {
      this.#ends.pop();
      if (this.#byAddress.get(top.text) !== top) continue;
      this.forget(top.text);
      ended.push(top);
    }
    return ended;
  }
}

/** Of two that end at one time, the lower address. */
export function endsBefore(a: Kept, b: Kept): boolean {
  return a.until < b.until || (a.until === b.until && a.value < b.value);
}
