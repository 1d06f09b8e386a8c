/**
 * The pools as places to take addresses from: which pool an address lies in, what is lowest and free in a pool, and
 * what is kept in it for Services that have gone.
 */
import type { Address } from '../../../src/core/cidr.ts';
import type { IpFamily } from '../../../src/core/objects.ts';
import { FreeList } from './free.ts';
import { Heap } from './heap.ts';
import { endsBefore, type Kept } from './memory.ts';
import type { JudgedPool, Pool } from './pools.ts';
import { isEdge } from './ranges.ts';

export interface Shelf {
  readonly pool: Pool;
  readonly free: Readonly<Record<IpFamily, readonly FreeList[]>>;
  /** Kept addresses of the pool, those that end first on top; some are old. */
  readonly kept: Readonly<Record<IpFamily, Heap<Kept>>>;
}

interface Stretch {
  readonly first: bigint;
  readonly last: bigint;
  readonly shelf: Shelf;
  readonly list: FreeList;
}

export class Shelves {
  readonly #isFree: (address: Address) => boolean;
  #byName = new Map<string, Shelf>();
  #ordered: readonly Shelf[] = [];
  #refused: ReadonlySet<string> = new Set();
  #stretches: Readonly<Record<IpFamily, readonly Stretch[]>> = { IPv4: [], IPv6: [] };

  /** `isFree`: nobody has the address, nothing keeps or blocks it. */
  constructor(isFree: (address: Address) => boolean) {
    this.#isFree = isFree;
  }

  replace(judged: readonly JudgedPool[], kept: Iterable<Kept>): void {
    this.#refused = new Set(judged.filter(({ pool }) => pool === undefined).map(({ name }) => name));
    const pools = judged.map(({ pool }) => pool).filter((pool) => pool !== undefined);
    const shelves = pools.toSorted((a, b) => a.rank - b.rank).map((pool) => this.#shelve(pool));
    this.#ordered = shelves;
    this.#byName = new Map(shelves.map((shelf) => [shelf.pool.name, shelf]));
    this.#stretches = { IPv4: stretches(shelves, 'IPv4'), IPv6: stretches(shelves, 'IPv6') };
    for (const one of kept) this.keep(one);
  }

  /** In order of search. */
  get ordered(): readonly Shelf[] {
    return this.#ordered;
  }

  named(name: string): Shelf | undefined {
    return this.#byName.get(name);
  }

  /** The pool is there and has a mistake. */
  isRefused(name: string): boolean {
    return this.#refused.has(name);
  }

  at(address: Address): Shelf | undefined {
    return this.#stretchOf(address)?.shelf;
  }

  lowest(shelf: Shelf, family: IpFamily): bigint | undefined {
    for (const list of shelf.free[family]) {
      const value = list.lowest();
      if (value !== undefined) return value;
    }
    return undefined;
  }

  giveBack(address: Address): void {
    this.#stretchOf(address)?.list.giveBack(address.value);
  }

  keep(kept: Kept): void {
    this.at(kept)?.kept[kept.family].push(kept);
  }

  /** The kept address of the pool that ends first and may be given up; old entries go on the way. */
  firstToEnd(shelf: Shelf, family: IpFamily, isCurrent: (kept: Kept) => boolean): Kept | undefined {
    const heap = shelf.kept[family];
    for (let top = heap.peek(); top !== undefined; top = heap.peek()) {
      if (isCurrent(top)) return top;
      heap.pop();
    }
    return undefined;
  }

  #shelve(pool: Pool): Shelf {
    const lists = (family: IpFamily): readonly FreeList[] =>
      pool.ranges
        .filter((range) => range.family === family)
        .map(
          (range) =>
            new FreeList(
              range,
              (value) => this.#isFree({ family, value }) && !(pool.avoidEdges && isEdge({ family, value })),
            ),
        );
    return {
      pool,
      free: { IPv4: lists('IPv4'), IPv6: lists('IPv6') },
      kept: { IPv4: new Heap(endsBefore), IPv6: new Heap(endsBefore) },
    };
  }

  #stretchOf({ family, value }: Address): Stretch | undefined {
    const all = this.#stretches[family];
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const stretch = all[middle];
      if (stretch !== undefined && stretch.last < value) low = middle + 1;
      else high = middle;
    }
    const found = all[low];
    return found !== undefined && found.first <= value ? found : undefined;
  }
}

function stretches(shelves: readonly Shelf[], family: IpFamily): readonly Stretch[] {
  return shelves
    .flatMap((shelf) => shelf.free[family].map((list) => ({ ...list.range, shelf, list })))
    .toSorted((a, b) => (a.first < b.first ? -1 : 1));
}
