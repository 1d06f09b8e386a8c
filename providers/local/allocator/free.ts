/**
 * The lowest free address of a range, in O(log n).
 *
 * Below `next` every free address is in the heap; from `next` on nothing has been looked at yet. So a pool of any size,
 * a /64 as well, costs memory for what was given back only. Entries of the heap may have grown old (given out by name,
 * or blocked, meanwhile): whether an address is free is always asked of the owner, and old entries go when they come up.
 */
import { Heap } from './heap.ts';
import type { Range } from './ranges.ts';

export class FreeList {
  readonly range: Range;
  readonly #isFree: (value: bigint) => boolean;
  readonly #back = new Heap<bigint>((a, b) => a < b);
  #next: bigint;

  constructor(range: Range, isFree: (value: bigint) => boolean) {
    this.range = range;
    this.#isFree = isFree;
    this.#next = range.first;
  }

  /** The lowest free address, which stays free: taking it is the owner's business. */
  lowest(): bigint | undefined {
    for (let top = this.#back.peek(); top !== undefined; top = this.#back.peek()) {
      if (this.#isFree(top)) return top;
      this.#back.pop();
    }
    while (this.#next <= this.range.last && !this.#isFree(this.#next)) this.#next += 1n;
    return this.#next <= this.range.last ? this.#next : undefined;
  }

  /** The address is free again. Needed only for one that was not; harmless for others. */
  giveBack(value: bigint): void {
    if (value < this.#next) this.#back.push(value);
  }
}
