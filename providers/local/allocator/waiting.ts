/**
 * Who waits, in the order in which they came, filed under the places that could help them: an address by name
 * (`@192.0.2.10`) or a pool and a family (`office|IPv4`).
 *
 * A place that becomes free is offered to those who wait for it only, first come first served.
 */
import type { Uid } from '../../../src/core/objects.ts';
import type { AddressRequest } from './request.ts';

export interface Waiter {
  readonly request: AddressRequest;
  /** Decides between two that have waited since the same moment. */
  readonly turn: number;
  readonly places: readonly string[];
}

export class WaitingList {
  readonly #all = new Map<Uid, Waiter>();
  readonly #lists = new Map<string, Waiter[]>();
  #turns = 0;

  get size(): number {
    return this.#all.size;
  }

  get(uid: Uid): Waiter | undefined {
    return this.#all.get(uid);
  }

  /** In order. */
  all(): readonly Waiter[] {
    return [...this.#all.values()].toSorted(inOrder);
  }

  at(place: string): readonly Waiter[] {
    return this.#lists.get(place) ?? [];
  }

  /** Who waited already keeps the place in the order. */
  put(request: AddressRequest, places: readonly string[]): void {
    const before = this.#all.get(request.uid);
    if (before !== undefined) this.remove(request.uid);
    const since = before?.request.since ?? request.since;
    const turn = before?.turn ?? this.#turns++;
    const filed = request.sharing === undefined ? places : [...places, ...places.map(forSharers)];
    const waiter: Waiter = { request: { ...request, since }, turn, places: filed };
    this.#all.set(request.uid, waiter);
    for (const place of filed) {
      let list = this.#lists.get(place);
      if (list === undefined) {
        list = [];
        this.#lists.set(place, list);
      }
      list.splice(positionOf(list, waiter), 0, waiter);
    }
  }

  remove(uid: Uid): void {
    const waiter = this.#all.get(uid);
    if (waiter === undefined) return;
    this.#all.delete(uid);
    for (const place of waiter.places) {
      const list = this.#lists.get(place);
      const at: number = list === undefined ? -1 : positionOf(list, waiter);
      if (list?.[at] === waiter) list.splice(at, 1);
      if (list?.length === 0) this.#lists.delete(place);
    }
  }

  /** Of those filed under any of the places the ones that would share what they get. */
  sharersAt(places: readonly string[]): readonly Waiter[] {
    return this.waitingAt(places.map(forSharers));
  }

  /** Those filed under any of the places, each once, in order. */
  waitingAt(places: readonly string[]): readonly Waiter[] {
    const lists = places.map((place) => this.at(place)).filter((list) => list.length > 0);
    const [only] = lists;
    if (only === undefined) return [];
    if (lists.length === 1) return [...only];
    return [...new Set(lists.flat())].toSorted(inOrder);
  }
}

function forSharers(place: string): string {
  return `${place}|sharing`;
}

function inOrder(a: Waiter, b: Waiter): number {
  return a.request.since - b.request.since || a.turn - b.turn;
}

/** Of the first entry that does not come before it. */
function positionOf(list: readonly Waiter[], waiter: Waiter): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = list[middle];
    if (other !== undefined && inOrder(other, waiter) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
