/**
 * What the rest of the program needs from a Kubernetes API server: one call, or one stream.
 *
 * The reader, the writer, the lease and the events stand on this interface alone. `Connection` is the one
 * that speaks HTTP; the simulation hands in a server made of values. Every failure is a `SluiceError`.
 */

import type { ListPart } from './protobuf/list.ts';
import type { Shape } from './protobuf/shape.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The patch forms of the API, by their media types. */
export type PatchType = 'merge' | 'strategic' | 'json';

export const patchContentType: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
};

export interface RequestOptions {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** Works on the answer's text before it is parsed: to cut what nobody will look at. Optional to heed. */
  readonly trim?: ((text: string) => string) | undefined;
  /** For the whole call, waiting for its turn included. Default 30 s. */
  readonly timeoutMs?: number;
  /**
   * Goes out although the server asked this client to slow down. Only for the lease, which has a priority
   * level of its own in the API server and whose delay would cost the leadership.
   */
  readonly urgent?: boolean;
}

export interface StreamOptions {
  readonly query?: Query;
  readonly signal?: AbortSignal | undefined;
  /** Longest time without a single byte, the answer's head included, before the stream counts as dead. */
  readonly inactivityMs: number;
  /** Works on each line before it is parsed: to cut what nobody will look at. Optional to heed. */
  readonly trim?: ((text: string) => string) | undefined;
  /** Of the objects in protobuf, a cheaper form that most kinds of a server have. Optional to heed. */
  readonly shape?: Shape | undefined;
}

export interface Api {
  /** Where it leads, for messages. */
  readonly server: string;
  /**
   * The parsed answer. Errors: `conflict` (409), `gone` (404; 410 with code `Expired`), `throttled` (429),
   * `denied` (401, 403), `invalid` (422), `transient`, and `ambiguous` for a write whose answer was lost.
   */
  request(method: Method, path: string, options?: RequestOptions): Promise<unknown>;
  /**
   * GETs a list and yields its items, as many at once as came together; ends after the last of them, throws on anything
   * else. Optional to offer: others list by watches and pages.
   */
  list?(path: string, options: StreamOptions): AsyncIterable<ListPart>;
  /**
   * GETs `path` and yields the lines of the answer, parsed, as many at once as came together. Ends when the server ends
   * it cleanly; throws on anything else, and with code `UnparsableLine` for a line that is not what it should be.
   */
  stream(path: string, options: StreamOptions): AsyncIterable<readonly unknown[]>;
}

/** Sent with every write: how the API server names us in `managedFields`. */
export const fieldManager = 'sluice-controller';
