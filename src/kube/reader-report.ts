/** What a reader says of itself, for logs, metrics and readiness, and the times that it keeps. */
import type { SluiceError } from '../core/errors.ts';
import { readerBackoff, type BackoffLimits } from './backoff.ts';

/** Milliseconds, unless the name says otherwise. */
export interface ReaderTimings {
  readonly backoff: BackoffLimits;
  /** Bookmarks come about every minute; a server that is silent for longer is gone. */
  readonly inactivityMs: number;
  /** The server ends a watch after a random time in this range, so that load spreads over its replicas. */
  readonly watchSeconds: readonly [number, number];
  /** A complete list at least this often, give or take a tenth: the net under anything missed. */
  readonly relistMs: number;
  /** A watch that ends sooner than this without a word counts as failed. */
  readonly shortWatchMs: number;
}

export const readerTimings: ReaderTimings = {
  backoff: readerBackoff,
  inactivityMs: 72_000,
  watchSeconds: [300, 600],
  relistMs: 3_600_000,
  shortWatchMs: 1_000,
};

/** What happened, for logs and metrics. */
export type ReaderReport =
  | {
      readonly kind: 'listed';
      readonly reader: string;
      readonly objects: number;
      readonly changes: number;
      readonly ms: number;
      readonly streamed: boolean;
    }
  | {
      readonly kind: 'failed';
      readonly reader: string;
      readonly error: SluiceError;
      readonly retryInMs: number;
      /** A new list follows, not a resumed watch. */
      readonly relist: boolean;
    }
  | { readonly kind: 'handler-failed'; readonly reader: string; readonly error: unknown }
  | {
      readonly kind: 'unreadable';
      readonly reader: string;
      readonly object: string;
      readonly error: unknown;
    };

export interface ReaderState {
  readonly synced: boolean;
  /** On the monotonic clock: when the server was last heard of; undefined before. */
  readonly lastProgressAt: number | undefined;
  readonly objects: number;
  readonly lists: number;
  readonly failures: number;
  /** What stands in the way right now; undefined while all is well. */
  readonly problem: SluiceError | undefined;
}
