/**
 * Gives addresses of pools to Services: deterministic, without time or chance, O(log n) for each address.
 *
 * Invariants: an address has one holder, or several that may share it; what is held stays held until its holder lets
 * go or can hold it no longer, whatever becomes of the pools; while nothing changes nobody waits who could be served,
 * so a newcomer never goes before one who waits. Times come in with the requests and with `expire`.
 *
 * Which address: one kept from before for the same Service, else one that it may share under its key, else the lowest
 * free one, else the kept address of somebody gone whose keeping ends first. Pools are searched by rank; a Service that
 * takes two families takes both from one pool, and later ones from the pool of the first.
 */
import { parseAddress, type Address } from '../../../src/core/cidr.ts';
import type { IpFamily, ObjectKey, Uid } from '../../../src/core/objects.ts';
import { Book, clash, type Entry } from './book.ts';
import { Choice, type Place } from './choice.ts';
import { Memory, type Kept } from './memory.ts';
import type { JudgedPool } from './pools.ts';
import type { AddressRequest, Grant, Outcome } from './request.ts';
import { Shelves } from './shelf.ts';
import { WaitingList } from './waiting.ts';

export class Allocator {
  readonly #book = new Book();
  readonly #memory = new Memory();
  readonly #waiting = new WaitingList();
  readonly #blocked = new Map<string, string>();
  /** Addresses that cannot be given out as free ones: in use, kept or blocked. */
  readonly #unfree: Readonly<Record<IpFamily, Set<bigint>>> = { IPv4: new Set(), IPv6: new Set() };
  readonly #shelves = new Shelves(({ family, value }) => !this.#unfree[family].has(value));
  readonly #choice = new Choice({
    book: this.#book,
    memory: this.#memory,
    blocked: this.#blocked,
    shelves: this.#shelves,
  });
  readonly #served: (key: ObjectKey, uid: Uid) => void;
  #offers: Place[] = [];

  /** `served` is called for everybody who waited and got something without having asked again. */
  constructor(served: (key: ObjectKey, uid: Uid) => void = () => undefined) {
    this.#served = served;
  }

  /** These pools from now on. Nobody loses anything; who waits may get something. */
  setPools(judged: readonly JudgedPool[]): void {
    this.#shelves.replace(judged, this.#memory.all());
    for (const entry of this.#book.entries()) entry.pool = this.#shelves.at(entry)?.pool.name ?? entry.pool;
    for (const { request } of this.#waiting.all()) this.#serve(request);
    this.#settle();
  }

  /** What the Service gets. Asking again with the same words gives the same. */
  ask(request: AddressRequest): Outcome {
    const outcome = this.#evaluate(request);
    this.#settle();
    return outcome;
  }

  /**
   * The Service has these addresses already, as its status says: it keeps them, from a pool or not.
   *
   * @returns why it cannot have one of them; empty where it can have all.
   */
  adopt(
    request: AddressRequest,
    addresses: readonly { readonly text: string; readonly pool: string }[],
  ): readonly string[] {
    const refused: string[] = [];
    for (const { text, pool } of addresses) {
      const address = parseAddress(text);
      if (address === undefined) continue;
      const why = clash(this.#book.get(text), request);
      if (why === undefined) this.#hold({ ...address, text, pool }, request);
      else refused.push(why);
    }
    return refused;
  }

  /** The Service lets go of one address, or of all and of its place among those who wait. */
  release(uid: Uid, address?: string): void {
    if (address === undefined) this.#waiting.remove(uid);
    for (const entry of this.#book.heldBy(uid))
      if (address === undefined || entry.text === address) this.#drop(entry, uid);
    this.#settle();
  }

  /** The address is kept for a Service that has gone. */
  remember(kept: Kept): void {
    this.#memory.keep(kept);
    this.#mark(kept);
    this.#shelves.keep(kept);
  }

  forget(address: string): void {
    const kept = this.#memory.get(address);
    if (kept === undefined) return;
    this.#memory.forget(address);
    this.#mark(kept);
    this.#settle();
  }

  /** Ends what is kept no longer than until now, in milliseconds since the epoch. Returns what ended. */
  expire(now: number): readonly Kept[] {
    const ended = this.#memory.expire(now);
    for (const kept of ended) this.#mark(kept);
    this.#settle();
    return ended;
  }

  /** Nobody gets the address from now on, for this reason; who has it loses it when asking next. */
  block(address: string, why: string): void {
    const parsed = parseAddress(address);
    if (parsed === undefined) return;
    this.#blocked.set(address, why);
    this.#mark({ ...parsed, text: address });
  }

  unblock(address: string): void {
    const parsed = parseAddress(address);
    if (parsed === undefined || !this.#blocked.delete(address)) return;
    const kept = this.#memory.get(address);
    if (kept !== undefined) {
      this.#shelves.keep(kept);
      this.#offers.push({ ...parsed, text: address, pool: '' });
    }
    this.#mark({ ...parsed, text: address });
    this.#settle();
  }

  blockedWhy(address: string): string | undefined {
    return this.#blocked.get(address);
  }

  heldBy(uid: Uid): readonly Entry[] {
    return this.#book.heldBy(uid);
  }

  entryOf(address: string): Entry | undefined {
    return this.#book.get(address);
  }

  /** When the first of what is kept ends; milliseconds since the epoch. */
  nextEnd(): number | undefined {
    return this.#memory.nextEnd();
  }

  holdersOf(address: string): readonly ObjectKey[] {
    return [...(this.#book.get(address)?.holders.values() ?? [])].map(({ key }) => key);
  }

  /** The pool in which the address lies now. */
  poolOf(address: string): string | undefined {
    const parsed = parseAddress(address);
    return parsed && this.#shelves.at(parsed)?.pool.name;
  }

  inUse(): Iterable<Entry> {
    return this.#book.entries();
  }

  keptFor(key: ObjectKey): readonly Kept[] {
    return this.#memory.of(key);
  }

  /** Who waits, first to be served first; of one pool where it is named. */
  waiting(pool?: string): readonly ObjectKey[] {
    const waiters =
      pool === undefined ? this.#waiting.all() : this.#waiting.waitingAt([`${pool}|IPv4`, `${pool}|IPv6`]);
    return waiters.map(({ request }) => request.key);
  }

  /** Those of a namespace who wait, first to be served first. */
  waitingOf(namespace: string): readonly ObjectKey[] {
    return this.#waiting
      .all()
      .filter(({ request }) => request.namespace === namespace)
      .map(({ request }) => request.key);
  }

  /** It waits no more; what it has it keeps. */
  stopWaiting(uid: Uid): void {
    this.#waiting.remove(uid);
  }

  #evaluate(request: AddressRequest): Outcome {
    for (const entry of this.#book.heldBy(request.uid)) {
      const lost = this.#blocked.has(entry.text) || clash(entry, request) !== undefined;
      if (lost) this.#drop(entry, request.uid);
      // Others may fit beside it now.
      else if (this.#book.restate(entry, request)) this.#offers.push(entry);
    }
    const held = this.#book.heldBy(request.uid);
    const decision = this.#choice.decide(request, held);
    for (const place of decision.taken) this.#hold(place, request);
    if (decision.missing.length > 0) this.#waiting.put(request, decision.missing);
    else this.#waiting.remove(request.uid);
    const staying = new Set(decision.grants.map(({ text }) => text));
    const leaving = held.filter(({ text }) => !staying.has(text));
    return { grants: decision.grants.map(grantOf), leaving: leaving.map(grantOf), lack: decision.lack };
  }

  #hold(place: Place, request: AddressRequest): void {
    this.#memory.forget(place.text);
    this.#book.add(place, request);
    this.#mark(place);
  }

  #drop(entry: Entry, uid: Uid): void {
    this.#book.remove(entry.text, uid);
    this.#mark(entry);
    this.#offers.push(entry);
  }

  /** Whether the address is free has to be seen anew. */
  #mark(place: Address & { readonly text: string }): void {
    const { family, value, text } = place;
    const unfree =
      this.#book.get(text) !== undefined || this.#memory.get(text) !== undefined || this.#blocked.has(text);
    if (unfree) {
      this.#unfree[family].add(value);
    } else if (this.#unfree[family].delete(value)) {
      this.#shelves.giveBack(place);
      this.#offers.push({ family, value, text, pool: '' });
    }
  }

  /** Offers what became free to those who wait, first come first served, until nothing changes any more. */
  #settle(): void {
    if (this.#waiting.size === 0) {
      this.#offers = [];
      return;
    }
    while (this.#offers.length > 0) {
      // All that became free at one time is offered together: one who needs two of them must not go before another.
      const free = this.#offers;
      this.#offers = [];
      const places = [...new Set(free.flatMap((place) => this.#placesOf(place)))];
      const taken = (place: Place): boolean => this.#book.get(place.text) !== undefined;
      for (const { request } of this.#waiting.waitingAt(places)) {
        if (free.every(taken)) break;
        this.#serve(request);
      }
      if (!free.some(taken)) continue;
      for (const { request } of this.#waiting.sharersAt(places)) this.#serve(request);
    }
  }

  /** Where those are filed whom the address could help. */
  #placesOf(place: Place): readonly string[] {
    const shelf = this.#shelves.at(place);
    return [`@${place.text}`, ...(shelf === undefined ? [] : [`${shelf.pool.name}|${place.family}`])];
  }

  #serve(request: AddressRequest): void {
    const before = this.#book.heldBy(request.uid).length;
    this.#evaluate(request);
    if (this.#book.heldBy(request.uid).length > before || this.#waiting.get(request.uid) === undefined)
      this.#served(request.key, request.uid);
  }
}

function grantOf({ family, text, pool }: Place): Grant {
  return { family, address: text, pool };
}
