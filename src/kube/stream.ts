/**
 * Lists and watches as sequences of plain events, as many at once as came together; one vocabulary for every form that
 * the API has.
 *
 * `wholeList` is one answer in the binary form, `streamingList` one watch that begins with everything; `pagedList` is for
 * servers without either. All say `complete` only when the server has said so: a list that broke off is an error, never a
 * short list.
 */
import { SluiceError } from '../core/errors.ts';
import { notAList } from './lines.ts';
import { describeCall, eventError } from './status.ts';
import type { Api, Query } from './api.ts';
import type { Kind, Slim } from './kinds.ts';
import type { RawObject } from './raw.ts';

export type WatchEvent =
  | { readonly kind: 'put'; readonly raw: RawObject }
  | { readonly kind: 'remove'; readonly raw: RawObject }
  /** All changes up to `version` have been told. */
  | { readonly kind: 'bookmark'; readonly version: string }
  /** The list is whole, as of `version`. */
  | { readonly kind: 'complete'; readonly version: string };

export interface WatchOptions {
  readonly signal: AbortSignal;
  readonly inactivityMs: number;
  /** After this many seconds the server ends the watch. */
  readonly timeoutSeconds: number;
}

const pageSize = 500;
const endOfList = 'k8s.io/initial-events-end';

/**
 * The list, then the watch, in one answer (KEP-3157). The version is left out: the server answers with its
 * most recent state, so a lagging one of several API servers cannot lead us into the past.
 * Errors as `Api.stream`; `invalid` where the server does not offer it (see `notOffered`).
 */
export function streamingList<K extends string, T extends Slim>(
  api: Api,
  kind: Kind<K, T>,
  options: WatchOptions,
): AsyncGenerator<readonly WatchEvent[], void> {
  return events(api, kind, options, {
    sendInitialEvents: true,
    resourceVersionMatch: 'NotOlderThan',
  });
}

/**
 * The list in one answer, in the API's binary form, as of now: of all forms the one that costs both sides least. A watch
 * sends each object by itself: a record to encrypt, send and parse for each of ten thousand.
 * Errors as `Api.list`.
 */
export async function* wholeList<K extends string, T extends Slim>(
  api: Api,
  kind: Kind<K, T>,
  { signal, inactivityMs }: Pick<WatchOptions, 'signal' | 'inactivityMs'>,
): AsyncGenerator<readonly WatchEvent[], void> {
  let version: string | undefined;
  const { trim, shape } = kind;
  const options = { query: selectors(kind), signal, inactivityMs, trim, shape };
  for await (const part of api.list?.(kind.path, options) ?? []) {
    version ??= part.version;
    yield part.items.map((item) => ({ kind: 'put', raw: (item ?? {}) as RawObject }) as const);
  }
  if (version === undefined) throw notAList();
  yield [{ kind: 'complete', version }];
}

/** Changes after `version`. Errors: code `Expired` when the server no longer keeps that version. */
export function watch<K extends string, T extends Slim>(
  api: Api,
  kind: Kind<K, T>,
  version: string,
  options: WatchOptions,
): AsyncGenerator<readonly WatchEvent[], void> {
  return events(api, kind, options, { resourceVersion: version });
}

/** Whether lists may come as one answer. In JSON they would have to be held and parsed whole. */
export function listsWhole<K extends string, T extends Slim>(api: Api, kind: Kind<K, T>): boolean {
  return api.list !== undefined && kind.shape !== undefined;
}

/** The server does not know streaming lists, or has them switched off. */
export function notOffered(error: SluiceError): boolean {
  return error.kind === 'invalid' || error.code === 'BadRequest';
}

/** Pages of 500, ended by `complete`. Errors: code `Expired` when it took too long between two pages. */
export async function* pagedList<K extends string, T extends Slim>(
  api: Api,
  kind: Kind<K, T>,
  signal: AbortSignal,
): AsyncGenerator<readonly WatchEvent[], void> {
  let next: string | undefined;
  let version: string | undefined;
  do {
    const page = (await api.request('GET', kind.path, {
      query: { ...selectors(kind), limit: pageSize, continue: next },
      signal,
      timeoutMs: 60_000,
      trim: kind.trim,
    })) as
      | {
          readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
          readonly items?: readonly RawObject[] | null;
        }
      | undefined;
    // The version of the first page: a watch from there misses nothing, whatever the later pages say.
    version ??= page?.metadata?.resourceVersion;
    if (page?.metadata === undefined || version === undefined || page.items === undefined) {
      throw new SluiceError('transient', `list ${kind.name}: the answer is not a list`, { code: 'NotAList' });
    }
    yield (page.items ?? []).map((raw) => ({ kind: 'put', raw }) as const);
    next = page.metadata.continue;
  } while (next !== undefined && next !== '');
  yield [{ kind: 'complete', version }];
}

interface RawEvent {
  readonly type?: string;
  readonly object?: RawObject;
}

async function* events<K extends string, T extends Slim>(
  api: Api,
  kind: Kind<K, T>,
  options: WatchOptions,
  query: Query,
): AsyncGenerator<readonly WatchEvent[], void> {
  const lines = api.stream(kind.path, {
    query: {
      watch: true,
      allowWatchBookmarks: true,
      timeoutSeconds: options.timeoutSeconds,
      ...selectors(kind),
      ...query,
    },
    signal: options.signal,
    inactivityMs: options.inactivityMs,
    trim: kind.trim,
    shape: kind.shape,
  });
  for await (const batch of lines) {
    const told: WatchEvent[] = [];
    try {
      for (const line of batch) told.push(watchEvent(kind, (line ?? {}) as RawEvent));
    } catch (error) {
      // What came before it holds.
      if (told.length > 0) yield told;
      throw error;
    }
    yield told;
  }
}

function watchEvent<K extends string, T extends Slim>(
  kind: Kind<K, T>,
  { type, object }: RawEvent,
): WatchEvent {
  if (object === undefined) throw odd(kind.name, 'an event without an object');
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
      return { kind: 'put', raw: object };
    case 'DELETED':
      return { kind: 'remove', raw: object };
    case 'BOOKMARK': {
      const version = object.metadata?.resourceVersion ?? '';
      const ended = object.metadata?.annotations?.[endOfList] === 'true';
      return { kind: ended ? 'complete' : 'bookmark', version };
    }
    case 'ERROR':
      throw eventError(describeCall('GET', kind.path, true), object);
    case undefined:
    default:
      throw odd(kind.name, `an event of type ${String(type)}`);
  }
}

function selectors<K extends string, T extends Slim>(kind: Kind<K, T>): Query {
  return { labelSelector: kind.labelSelector, fieldSelector: kind.fieldSelector };
}

/** Treated like an unparsable line: what was missed is unknown, so a new list is due. */
function odd(name: string, what: string): SluiceError {
  return new SluiceError('transient', `watch ${name}: the API server sent ${what}`, {
    code: 'UnparsableLine',
  });
}
