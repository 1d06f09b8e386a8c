/** A clock which knows what still waits for it: a process cannot end before that. */
import { systemClock, type Clock } from '../../src/core/clock.ts';

export interface WatchedClock extends Clock {
  /** Timers that have neither run nor been cancelled: where each was set. */
  pending(): readonly string[];
}

/** By default on the system's. */
export function watchedClock(inner: Clock = systemClock): WatchedClock {
  const waiting = new Map<symbol, string>();
  return {
    now: () => inner.now(),
    wall: () => inner.wall(),
    schedule: (ms, run) => {
      const id = Symbol('timer');
      waiting.set(id, `${ms} ms, set ${new Error('here').stack?.split('\n').slice(2, 5).join(' ') ?? ''}`);
      const cancel = inner.schedule(ms, () => {
        waiting.delete(id);
        run();
      });
      return () => {
        waiting.delete(id);
        cancel();
      };
    },
    pending: () => [...waiting.values()],
  };
}
