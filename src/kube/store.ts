/**
 * The objects of one kind as last heard of, with indexes.
 *
 * Invariants: an entry is replaced, never mutated, so a reader may keep what it got; indexes hold exactly
 * the entries; `version` is the version up to which every change is in here, empty before the first list.
 * Only the reader writes.
 */
import type { Slim } from './kinds.ts';
import { compareVersions, reaches } from './version.ts';

export type Change<T> =
  | { readonly kind: 'added'; readonly object: T }
  | { readonly kind: 'updated'; readonly before: T; readonly object: T }
  /** `object` is the last state known. */
  | { readonly kind: 'deleted'; readonly object: T };

/** What readers of the cache may do with it. */
export interface ReadStore<K extends string, T> {
  readonly size: number;
  /** Every change up to here is in the store; an empty string before the first list. */
  readonly version: string;
  get(key: K): T | undefined;
  /** In no particular order. The same array as long as nothing changed. */
  list(): readonly T[];
  values(): Iterable<T>;
  keys(): Iterable<K>;
  /** The objects that the named index files under `value`. */
  by(index: string, value: string): readonly T[];
  /** The store holds version `version` of `key`, or knows of something later. */
  caughtUp(key: K, version: string): boolean;
}

/** Where an object is filed; undefined for nowhere. */
export type IndexBy<T> = (object: T) => string | undefined;

interface Index<K, T> {
  readonly of: IndexBy<T>;
  /** index value → key → object */
  readonly entries: Map<string, Map<K, T>>;
}

const nothing: readonly never[] = Object.freeze([]);

export class Store<K extends string, T extends Slim> implements ReadStore<K, T> {
  #objects = new Map<K, T>();
  readonly #indexes = new Map<string, Index<K, T>>();
  #version = '';
  /** What `list` gave out, until the next change. */
  #listed: readonly T[] | undefined;

  constructor(indexes: Readonly<Record<string, IndexBy<T>>> = {}) {
    for (const [name, of] of Object.entries(indexes)) this.#indexes.set(name, { of, entries: new Map() });
  }

  get size(): number {
    return this.#objects.size;
  }

  get version(): string {
    return this.#version;
  }

  get(key: K): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    this.#listed ??= [...this.#objects.values()];
    return this.#listed;
  }

  values(): Iterable<T> {
    return this.#objects.values();
  }

  keys(): Iterable<K> {
    return this.#objects.keys();
  }

  by(index: string, value: string): readonly T[] {
    const filed = this.#indexes.get(index)?.entries.get(value);
    return filed === undefined ? nothing : [...filed.values()];
  }

  caughtUp(key: K, version: string): boolean {
    if (reaches(this.#version, version)) return true;
    const held = this.#objects.get(key);
    return held !== undefined && reaches(held.resourceVersion, version);
  }

  /** One object came; empty when it is no news. Another uid under the same name is a new object. */
  put(key: K, object: T): readonly Change<T>[] {
    const before = this.#objects.get(key);
    if (before === undefined) {
      this.#set(key, object);
      return [{ kind: 'added', object }];
    }
    if (before.uid !== object.uid) {
      this.#drop(key, before);
      this.#set(key, object);
      return [
        { kind: 'deleted', object: before },
        { kind: 'added', object },
      ];
    }
    const order = compareVersions(object.resourceVersion, before.resourceVersion);
    if (order === 'same' || order === 'older') return nothing;
    this.#drop(key, before);
    this.#set(key, object);
    return [{ kind: 'updated', before, object }];
  }

  /** One object went. A late word about an earlier object of the same name changes nothing. */
  remove(key: K, last: T): readonly Change<T>[] {
    const before = this.#objects.get(key);
    if (before === undefined || before.uid !== last.uid) return nothing;
    this.#drop(key, before);
    return [{ kind: 'deleted', object: last }];
  }

  /** A complete list as of `version` takes the place of everything, in one step. */
  replace(objects: ReadonlyMap<K, T>, version: string): readonly Change<T>[] {
    const changes: Change<T>[] = [];
    const gone: T[] = [];
    for (const [key, before] of this.#objects) {
      const now = objects.get(key);
      if (now === undefined || now.uid !== before.uid) gone.push(before);
    }
    for (const object of gone) changes.push({ kind: 'deleted', object });
    const next = new Map<K, T>();
    for (const [key, object] of objects) {
      const before = this.#objects.get(key);
      const sameObject = before !== undefined && before.uid === object.uid;
      // Unchanged objects stay the very same value: what was derived from them stays good.
      const unchanged = sameObject && before.resourceVersion === object.resourceVersion;
      next.set(key, unchanged ? before : object);
      if (!sameObject) changes.push({ kind: 'added', object });
      else if (!unchanged) changes.push({ kind: 'updated', before, object });
    }
    this.#objects = next;
    if (changes.length > 0) this.#listed = undefined;
    for (const index of this.#indexes.values()) {
      index.entries.clear();
      for (const [key, object] of next) file(index, key, object);
    }
    this.#version = version;
    return changes;
  }

  /** Everything up to `version` has been told. */
  advance(version: string): void {
    if (version !== '') this.#version = version;
  }

  #set(key: K, object: T): void {
    this.#listed = undefined;
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) file(index, key, object);
  }

  #drop(key: K, object: T): void {
    this.#listed = undefined;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) {
      const value = index.of(object);
      if (value === undefined) continue;
      const filed = index.entries.get(value);
      filed?.delete(key);
      if (filed?.size === 0) index.entries.delete(value);
    }
  }
}

function file<K, T>(index: Index<K, T>, key: K, object: T): void {
  const value = index.of(object);
  if (value === undefined) return;
  let filed = index.entries.get(value);
  if (filed === undefined) {
    filed = new Map();
    index.entries.set(value, filed);
  }
  filed.set(key, object);
}
