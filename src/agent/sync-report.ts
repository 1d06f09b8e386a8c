/**
 * What the writer of one family tells: each thing that it did or could not do, and how it stands. And its times, by
 * which both are to be read.
 */
import type { SluiceError } from '../core/errors.ts';
import type { IpFamily } from '../core/objects.ts';
import type { BackoffLimits } from '../kube/backoff.ts';
import type { Difference, ForeignChange, Left } from './backend.ts';
import type { Decision, DecisionKey } from './decision.ts';

/** Milliseconds. */
export interface SyncTimings {
  /** How long a busy writer gathers changes: at least, and at most. */
  readonly windowMs: readonly [number, number];
  /**
   * After a write that took longer than the window allows, where what is removed does not wait (`Backend.hastens`): so many
   * times as long as it took, and at most so many milliseconds. One Service that changes all the time shall not keep a
   * core busy with rules.
   */
  readonly slowWindow: { readonly times: number; readonly mostMs: number };
  readonly backoff: BackoffLimits;
  /** Refused decisions are offered to the kernel again after this. */
  readonly quarantineMs: number;
  /** Between two looks at the live kernel; 0: never. */
  readonly verifyMs: number;
}

export const syncTimings: SyncTimings = {
  windowMs: [10, 50],
  slowWindow: { times: 3, mostMs: 300 },
  backoff: { minMs: 100, maxMs: 30_000, healthyMs: 60_000 },
  quarantineMs: 300_000,
  verifyMs: 300_000,
};

export type SyncReport =
  | {
      readonly kind: 'written';
      readonly family: IpFamily;
      readonly full: boolean;
      readonly changes: number;
      readonly operations: number;
      /** Destinations of an earlier run that this write has taken away. */
      readonly left: readonly Left[];
      readonly ms: number;
    }
  | {
      readonly kind: 'failed';
      readonly family: IpFamily;
      readonly full: boolean;
      readonly error: SluiceError;
      readonly retryInMs: number;
    }
  | { readonly kind: 'foreign'; readonly family: IpFamily; readonly change: ForeignChange }
  | {
      readonly kind: 'quarantined';
      readonly family: IpFamily;
      readonly decision: Decision;
      readonly message: string;
    }
  | { readonly kind: 'released'; readonly family: IpFamily; readonly key: DecisionKey }
  | {
      readonly kind: 'verified';
      readonly family: IpFamily;
      readonly differences: readonly Difference[];
      readonly ms: number;
    }
  | { readonly kind: 'verify-failed'; readonly family: IpFamily; readonly error: SluiceError };

export interface SyncState {
  /** The first whole write has succeeded. */
  readonly programmed: boolean;
  /** On the monotonic clock: since when something has been waiting to be written; undefined when nothing is. */
  readonly waitingSince: number | undefined;
  /** Wall clock: the last successful write. */
  readonly writtenAt: number | undefined;
  readonly pending: number;
  readonly writing: boolean;
  readonly quarantined: ReadonlyMap<DecisionKey, string>;
  /** What stands in the way; undefined while all is well. */
  readonly problem: SluiceError | undefined;
  /** Looks at the live kernel in a row that found it other than written: 1 is being repaired, 2 is a quarrel. */
  readonly badLooks: number;
}
