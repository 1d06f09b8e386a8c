/**
 * Who holds which address: one entry for each address in use, with its holders and, where they share, what they share.
 *
 * Invariants: an address has one holder, or several that all say the same sharing key and backend and whose ports are
 * disjoint; an entry without holders does not exist.
 */
import type { IpFamily, ObjectKey, Uid } from '../../../src/core/objects.ts';
import type { AddressRequest, Sharing } from './request.ts';

export interface Entry {
  readonly family: IpFamily;
  readonly value: bigint;
  readonly text: string;
  /** The pool that it lies in, or was taken from where it lies in none any more. */
  pool: string;
  readonly holders: Map<Uid, Holder>;
}

export interface Holder {
  readonly key: ObjectKey;
  readonly sharing: Sharing | undefined;
  readonly ports: readonly string[];
}

export class Book {
  readonly #entries = new Map<string, Entry>();
  readonly #byHolder = new Map<Uid, Map<string, Entry>>();
  /** Sharing key → addresses in use by Services that say it. */
  readonly #bySharing = new Map<string, Map<string, Entry>>();

  get(text: string): Entry | undefined {
    return this.#entries.get(text);
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** What one Service holds, in the order in which it got it. */
  heldBy(uid: Uid): readonly Entry[] {
    const held = this.#byHolder.get(uid);
    return held === undefined ? [] : [...held.values()];
  }

  sharedBy(key: string): Iterable<Entry> {
    return this.#bySharing.get(key)?.values() ?? [];
  }

  /** The request becomes a holder, or changes what it says as one. Call only where `clash` found nothing. */
  add(place: Omit<Entry, 'holders'>, { uid, key, sharing, ports }: AddressRequest): void {
    let entry = this.#entries.get(place.text);
    if (entry === undefined) {
      entry = { ...place, holders: new Map() };
      this.#entries.set(place.text, entry);
    }
    this.#unfile(entry, uid);
    entry.holders.set(uid, { key, sharing, ports });
    if (sharing !== undefined) put(this.#bySharing, sharing.key, entry);
    put(this.#byHolder, uid, entry);
  }

  /** What a holder says of itself may have changed; true when it has. */
  restate(entry: Entry, request: AddressRequest): boolean {
    const before = entry.holders.get(request.uid);
    if (before !== undefined && saysTheSame(before, request)) return false;
    this.add(entry, request);
    return true;
  }

  /** Returns the entry as it was left: with no holders it is free. */
  remove(text: string, uid: Uid): Entry | undefined {
    const entry = this.#entries.get(text);
    if (entry === undefined || !entry.holders.has(uid)) return undefined;
    this.#unfile(entry, uid);
    entry.holders.delete(uid);
    take(this.#byHolder, uid, text);
    if (entry.holders.size === 0) this.#entries.delete(text);
    return entry;
  }

  #unfile(entry: Entry, uid: Uid): void {
    const key = entry.holders.get(uid)?.sharing?.key;
    if (key === undefined) return;
    const others = [...entry.holders].some(([other, { sharing }]) => other !== uid && sharing?.key === key);
    if (!others) take(this.#bySharing, key, entry.text);
  }
}

/** Why the request cannot be a holder of this entry beside those that it has; undefined when it can. */
export function clash(entry: Entry | undefined, request: AddressRequest): string | undefined {
  if (entry === undefined) return undefined;
  const mine = request.sharing;
  for (const [uid, { key, sharing: theirs, ports }] of entry.holders) {
    if (uid === request.uid) continue;
    if (theirs === undefined) return `${key} has ${entry.text} and does not share it`;
    if (mine === undefined) return `${key} has ${entry.text}, and this Service names no sharing key`;
    if (mine.key !== theirs.key) return `${key} shares ${entry.text} under another key`;
    if (mine.backend !== theirs.backend)
      return `${key} has ${entry.text}, and under externalTrafficPolicy Local only Services with the same selector can share an address`;
    const port = request.ports.find((one) => ports.includes(one));
    if (port !== undefined) return `${key} uses port ${port} of ${entry.text}`;
  }
  return undefined;
}

function saysTheSame(a: Omit<Holder, 'key'>, b: Omit<Holder, 'key'>): boolean {
  return (
    a.sharing?.key === b.sharing?.key &&
    a.sharing?.backend === b.sharing?.backend &&
    a.ports.join() === b.ports.join()
  );
}

function put<Key>(index: Map<Key, Map<string, Entry>>, key: Key, entry: Entry): void {
  let filed = index.get(key);
  if (filed === undefined) {
    filed = new Map();
    index.set(key, filed);
  }
  filed.set(entry.text, entry);
}

function take<Key>(index: Map<Key, Map<string, Entry>>, key: Key, text: string): void {
  const filed = index.get(key);
  filed?.delete(text);
  if (filed?.size === 0) index.delete(key);
}
