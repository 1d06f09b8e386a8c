/**
 * Keeps a store in step with one kind of object on the API server, for as long as it runs.
 *
 * Invariants: the store only ever takes a whole list or single events in order, never part of a list;
 * handlers hear each difference once, after the store has it; whatever fails (the server, a handler, an
 * object that cannot be read) is reported and the stream goes on. Only `stop` ends it.
 */
import { either } from '../core/abort.ts';
import { sleep, systemClock } from '../core/clock.ts';
import type { Clock, Random } from '../core/clock.ts';
import { SluiceError, asSluiceError } from '../core/errors.ts';
import { Backoff } from './backoff.ts';
import type { Api } from './api.ts';
import { keyOf } from './kinds.ts';
import type { Kind, Slim } from './kinds.ts';
import type { RawObject } from './raw.ts';
import { readerTimings, type ReaderReport, type ReaderState, type ReaderTimings } from './reader-report.ts';
import { isExpired } from './status.ts';
import { Store } from './store.ts';
import type { Change, IndexBy, ReadStore } from './store.ts';
import { listsWhole, notOffered, pagedList, streamingList, watch, wholeList } from './stream.ts';
import type { WatchEvent, WatchOptions } from './stream.ts';

export interface ReaderOptions<K extends string, T extends Slim> {
  readonly api: Api;
  readonly kind: Kind<K, T>;
  /** name → where an object is filed */
  readonly indexes?: Readonly<Record<string, IndexBy<T>>>;
  /**
   * Lists come in one answer, where the API offers it: cheapest for both sides, and many agents may begin at once. What
   * is not whole when it breaks off is read anew; the next try is a streaming list.
   */
  readonly whole?: boolean;
  /** The first list is asked for at once, and taken in when this resolves. */
  readonly takeAfter?: Promise<void>;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly timings?: Partial<ReaderTimings>;
  readonly report?: (event: ReaderReport) => void;
}

type Events = AsyncGenerator<readonly WatchEvent[], void>;

export type Handler<T> = (change: Change<T>) => void | Promise<void>;

export class Reader<K extends string, T extends Slim> {
  readonly #api: Api;
  readonly #kind: Kind<K, T>;
  readonly #whole: boolean;
  readonly #takeAfter: Promise<void> | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #timings: ReaderTimings;
  readonly #report: (event: ReaderReport) => void;
  readonly #store: Store<K, T>;
  readonly #handlers = new Set<Handler<T>>();
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  #foretell: ((object: T) => void) | undefined;
  /** What has come of the first list while it is not whole. */
  #begun: ReadonlyMap<K, T> = new Map();
  #running: Promise<void> | undefined;
  #isSynced = false;
  #needsList = true;
  /** Streaming lists were refused, or never completed; asked again at every other list. */
  #pagesOnly = false;
  /** A list in one answer was begun and has not come to its end: the next one is asked for in another form. */
  #wholeFailed = false;
  #relistAt = 0;
  #listedAt = Number.NEGATIVE_INFINITY;
  #lastProgressAt: number | undefined;
  #lists = 0;
  #failures = 0;
  #problem: SluiceError | undefined;

  constructor(options: ReaderOptions<K, T>) {
    this.#api = options.api;
    this.#kind = options.kind;
    this.#whole = options.whole === true && listsWhole(options.api, options.kind);
    this.#takeAfter = options.takeAfter;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#timings = { ...readerTimings, ...options.timings };
    this.#report = options.report ?? (() => undefined);
    this.#store = new Store(options.indexes);
    this.#backoff = new Backoff(this.#clock, this.#random, this.#timings.backoff);
    // Nobody need wait for it.
    this.#synced.promise.catch(() => undefined);
  }

  get store(): ReadStore<K, T> {
    return this.#store;
  }

  get state(): ReaderState {
    return {
      synced: this.#isSynced,
      lastProgressAt: this.#lastProgressAt,
      objects: this.#store.size,
      lists: this.#lists,
      failures: this.#failures,
      problem: this.#problem,
    };
  }

  /** Calls `handler` for every change from now on. The returned function takes it off again. */
  subscribe(handler: Handler<T>): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /**
   * Calls `hearer` for each object of the first list as it comes, before the list is whole, and now for those that have
   * come: it is likely, not certain, since the list may break off, or take it back. Once the list is whole, for none.
   */
  foretell(hearer: (object: T) => void): void {
    if (this.#isSynced) return;
    this.#foretell = hearer;
    for (const object of this.#begun.values()) this.#call(hearer, object);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when the first list is in the store and told to the handlers; rejects when stopped before. */
  synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** Ends the stream. When it resolves, no handler is called any more. */
  async stop(): Promise<void> {
    this.#stop.abort(
      new SluiceError('transient', `reader of ${this.#kind.name} stopped`, { code: 'Stopped' }),
    );
    await this.#running;
    this.#synced.reject(this.#stop.signal.reason);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startedAt = this.#clock.now();
      const heardBefore = this.#store.version;
      const listsBefore = this.#lists;
      let failure: SluiceError | undefined;
      try {
        await this.#stretch();
        // The server may end a watch whenever it likes; only one that says nothing at all is at fault. One
        // that says a word and ends, again and again, is opened no more often than this.
        const left = startedAt + this.#timings.shortWatchMs - this.#clock.now();
        if (left > 0 && this.#lists === listsBefore) {
          if (this.#store.version === heardBefore) {
            const message = `watch ${this.#kind.name}: ended at once`;
            failure = new SluiceError('transient', message, { code: 'ShortWatch' });
          } else {
            await this.#pause(left);
          }
        }
      } catch (error) {
        failure = asSluiceError(error);
      }
      if (signal.aborted) break;
      if (failure !== undefined) await this.#recover(failure);
    }
  }

  /** One list with what follows it, or one resumed watch; returns when the server ends it. */
  async #stretch(): Promise<void> {
    if (this.#clock.now() >= this.#relistAt) this.#needsList = true;
    const [least, most] = this.#timings.watchSeconds;
    const timeoutSeconds = Math.round(least + this.#random() * (most - least));
    using end = this.#endAfter((timeoutSeconds + 30) * 1000);
    using both = either(this.#stop.signal, end.signal);
    const options: WatchOptions = {
      signal: both.signal,
      inactivityMs: this.#timings.inactivityMs,
      timeoutSeconds,
    };
    try {
      if (!this.#needsList) {
        await this.#follow(watch(this.#api, this.#kind, this.#store.version, options));
      } else if (this.#pagesOnly) {
        await this.#list(pagedList(this.#api, this.#kind, options.signal), false);
      } else if (this.#whole && !this.#wholeFailed) {
        this.#wholeFailed = true;
        await this.#list(wholeList(this.#api, this.#kind, options), false);
      } else {
        await this.#list(streamingList(this.#api, this.#kind, options), true);
      }
    } catch (error) {
      // A server that forgets to end a watch is no failure of the watch.
      if (!end.signal.aborted) throw error;
    }
  }

  /** Gathers a list until it is whole, puts it in place, and follows what comes after it. */
  async #list(events: Events, streamed: boolean): Promise<void> {
    const startedAt = this.#clock.now();
    const gathered = new Map<K, T>();
    if (!this.#isSynced) this.#begun = gathered;
    for await (const batch of this.#isSynced ? events : this.#whenTaken(events)) {
      this.#lastProgressAt = this.#clock.now();
      for (const [at, event] of batch.entries()) {
        if (event.kind === 'complete') {
          this.#complete(gathered, event.version, streamed, this.#clock.now() - startedAt);
          this.#hear(batch.slice(at + 1));
          await this.#follow(events);
          return;
        }
        this.#gather(gathered, event);
      }
    }
    throw new SluiceError('transient', `list ${this.#kind.name}: broke off before its end`, {
      code: 'ShortList',
    });
  }

  /** They are asked for at once. */
  async *#whenTaken(events: Events): Events {
    const asked = events.next();
    asked.catch(() => undefined);
    const stopped = Promise.withResolvers<void>();
    this.#stop.signal.addEventListener('abort', () => stopped.resolve(), { once: true });
    await Promise.race([this.#takeAfter, stopped.promise]);
    if (this.#stop.signal.aborted) {
      await events.return();
      throw this.#stop.signal.reason;
    }
    const first = await asked;
    if (first.done !== true) yield first.value;
    yield* events;
  }

  #gather(gathered: Map<K, T>, event: WatchEvent): void {
    if (event.kind === 'remove') gathered.delete(keyOf(event.raw) as K);
    if (event.kind !== 'put') return;
    const key = keyOf(event.raw) as K;
    const object = this.#held(key, event.raw) ?? this.#read(event.raw) ?? this.#store.get(key);
    if (object === undefined) return;
    gathered.set(key, object);
    if (this.#foretell !== undefined) this.#call(this.#foretell, object);
  }

  #complete(gathered: ReadonlyMap<K, T>, version: string, streamed: boolean, ms: number): void {
    const changes = this.#store.replace(gathered, version);
    this.#needsList = false;
    // Pages were only for this once: the server may have been upgraded by the next list.
    this.#pagesOnly = false;
    this.#wholeFailed = false;
    this.#listedAt = this.#clock.now();
    this.#relistAt = this.#listedAt + this.#timings.relistMs * (0.9 + 0.2 * this.#random());
    this.#lists += 1;
    this.#problem = undefined;
    this.#tell(changes);
    this.#say({
      kind: 'listed',
      reader: this.#kind.name,
      objects: gathered.size,
      changes: changes.length,
      ms,
      streamed,
    });
    if (!this.#isSynced) {
      this.#isSynced = true;
      this.#foretell = undefined;
      this.#begun = new Map();
      this.#synced.resolve();
    }
  }

  async #follow(events: Events): Promise<void> {
    for await (const batch of events) this.#hear(batch);
  }

  #hear(batch: readonly WatchEvent[]): void {
    if (batch.length === 0) return;
    this.#lastProgressAt = this.#clock.now();
    this.#problem = undefined;
    for (const event of batch) {
      switch (event.kind) {
        case 'put': {
          const object = this.#read(event.raw);
          if (object === undefined) this.#store.advance(event.raw.metadata?.resourceVersion ?? '');
          else this.#apply(object, this.#store.put(keyOf(event.raw) as K, object));
          break;
        }
        case 'remove': {
          const key = keyOf(event.raw) as K;
          const object = this.#read(event.raw) ?? this.#store.get(key);
          if (object !== undefined) this.#apply(object, this.#store.remove(key, object));
          break;
        }
        case 'bookmark':
        case 'complete':
          this.#store.advance(event.version);
          break;
      }
    }
  }

  #apply(object: T, changes: readonly Change<T>[]): void {
    this.#store.advance(object.resourceVersion);
    this.#tell(changes);
  }

  /** What the store has, when a list brings the very same version: nothing to transform. */
  #held(key: K, raw: RawObject): T | undefined {
    const held = this.#store.get(key);
    const { uid, resourceVersion } = raw.metadata ?? {};
    return held !== undefined && held.uid === uid && held.resourceVersion === resourceVersion
      ? held
      : undefined;
  }

  /** The slim form; undefined, and reported, when the object cannot be read: what we had of it stays. */
  #read(raw: RawObject): T | undefined {
    try {
      return this.#kind.slim(raw);
    } catch (error) {
      const { namespace, name } = raw.metadata ?? {};
      this.#say({
        kind: 'unreadable',
        reader: this.#kind.name,
        object: namespace === undefined ? (name ?? '?') : `${namespace}/${name ?? '?'}`,
        error,
      });
      return undefined;
    }
  }

  #tell(changes: readonly Change<T>[]): void {
    for (const change of changes) {
      for (const handler of this.#handlers) {
        if (this.#stop.signal.aborted) return;
        this.#call(handler, change);
      }
    }
  }

  #call<Told>(handler: (told: Told) => void | Promise<void>, told: Told): void {
    const failed = (error: unknown): void =>
      this.#say({ kind: 'handler-failed', reader: this.#kind.name, error });
    try {
      const result = handler(told);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  async #recover(failure: SluiceError): Promise<void> {
    this.#failures += 1;
    let waitMs: number;
    if (this.#needsList && !this.#pagesOnly && (notOffered(failure) || failure.code === 'Quiet')) {
      this.#pagesOnly = true;
      waitMs = 0;
    } else {
      const wasFollowing = !this.#needsList;
      if (isExpired(failure) || failure.code === 'UnparsableLine' || failure.code === 'Unclassified') {
        this.#needsList = true;
      }
      // A version that expired while we watched asks for a list at once; one that expires again right after
      // a list does not, or a confused server would be listed without end.
      const settled = this.#clock.now() - this.#listedAt >= this.#timings.backoff.maxMs;
      const atOnce = isExpired(failure) && wasFollowing && settled;
      waitMs = Math.max(atOnce ? 0 : this.#backoff.failed(), failure.retryAfterMs ?? 0);
      this.#problem = failure;
    }
    this.#say({
      kind: 'failed',
      reader: this.#kind.name,
      error: failure,
      retryInMs: waitMs,
      relist: this.#needsList,
    });
    if (waitMs === 0) return;
    await this.#pause(waitMs);
  }

  /** Ends early, and quietly, when the reader is stopped. */
  async #pause(ms: number): Promise<void> {
    await sleep(this.#clock, ms, this.#stop.signal).catch(() => undefined);
  }

  #endAfter(ms: number): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
    const controller = new AbortController();
    const cancel = this.#clock.schedule(ms, () => controller.abort());
    return { signal: controller.signal, [Symbol.dispose]: cancel };
  }

  #say(event: ReaderReport): void {
    try {
      this.#report(event);
    } catch {
      // A broken log must not cost the stream.
    }
  }
}
