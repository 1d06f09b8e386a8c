/**
 * Gives memory back after a burst of work.
 *
 * V8 grows its heap while hundreds of Services are read and served and, on a process that then does next to nothing,
 * sees no reason to shrink it for hours. So when work has paused and the process has grown, a full collection is asked
 * for: tens of milliseconds at a time when nobody waits.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../core/clock.ts';

const lookMs = 1_000;
/** Growth of the resident set since the last collection that makes another worth its while. */
const worthBytes = 8 * 2 ** 20;
/** Quiet looks in a row before a collection: a pause between two waves of one burst is none. */
const quietFor = 3;
/** Looks from a collection to the one after it: connections are let go in between. */
const againAfter = 3;

export interface CollectOptions {
  readonly clock: Clock;
  /** Whether nothing is under way or in line. */
  readonly idle: () => boolean;
  /** Resident bytes of this process. */
  readonly resident?: () => number;
  readonly collect?: () => void;
}

/** Begins to look, every second; the returned function ends it. */
export function collectWhenIdle(options: CollectOptions): () => void {
  const { clock, idle, resident = () => process.memoryUsage.rss(), collect = collector() } = options;
  let after = 0;
  let quietLooks = 0;
  let untilAgain = 0;
  let cancel: () => void;
  const look = (): void => {
    quietLooks = idle() ? quietLooks + 1 : 0;
    if (quietLooks >= quietFor) {
      const again = untilAgain === 1;
      untilAgain = Math.max(0, untilAgain - 1);
      const grown = resident() - after > worthBytes;
      if (grown || again) {
        collect();
        after = resident();
        if (grown) untilAgain = againAfter;
      }
    }
    cancel = clock.schedule(lookMs, look);
  };
  cancel = clock.schedule(lookMs, look);
  return () => cancel();
}

/**
 * Until the returned function is called, the heap may grow to five times what survived a full collection instead of about
 * twice, and the young generation at once to its limit: where it is known that much is read and kept, as at a start,
 * collections in between find next to nothing.
 */
export function growFreely(): () => void {
  setFlagsFromString('--heap-growing-percent=400');
  setFlagsFromString('--semi-space-growth-factor=16');
  return () => {
    setFlagsFromString('--heap-growing-percent=0');
    setFlagsFromString('--semi-space-growth-factor=2');
  };
}

/** V8 hides its own function for this unless it is told not to; the flag holds for contexts made afterwards. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return typeof gc === 'function'
    ? () => void Reflect.apply(gc, undefined, [{ type: 'major', flavor: 'last-resort' }])
    : () => undefined;
}
