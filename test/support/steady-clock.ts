/**
 * Real time without the moments in which this process was kept from running: for tests of what is promised to a process
 * that runs, on a machine that others keep busy.
 *
 * It goes on by what has passed since it was looked at last, which is every few milliseconds, but never by more than a
 * short step. Timers wait by it. So a stall of a second is a short step for all that share the clock, sockets are read
 * after it as after any other, and nobody takes it for silence.
 */
import { systemClock, type Clock } from '../../src/core/clock.ts';

const lookEveryMs = 10;
const longestStepMs = 50;

export interface SteadyClock extends Clock {
  /** Resolves when so much of this clock's time has passed. */
  pause(ms: number): Promise<void>;
  /** No timer is left of the clock's own. */
  stop(): void;
}

export function steadyClock(inner: Clock = systemClock): SteadyClock {
  let told = 0;
  let lookedAt = inner.now();
  let cancelLook = (): void => undefined;
  const now = (): number => {
    const at = inner.now();
    told += Math.min(at - lookedAt, longestStepMs);
    lookedAt = at;
    return told;
  };
  const look = (): void => {
    now();
    cancelLook = inner.schedule(lookEveryMs, look);
  };
  look();
  const schedule = (ms: number, run: () => void): (() => void) => {
    const due = now() + ms;
    let cancel = (): void => undefined;
    const wait = (leftMs: number): void => {
      cancel = inner.schedule(leftMs, () => {
        const left = due - now();
        if (left <= 0) run();
        else wait(left);
      });
    };
    wait(ms);
    return () => cancel();
  };
  return {
    now,
    wall: () => inner.wall(),
    schedule,
    pause: (ms) => new Promise((resolve) => void schedule(ms, resolve)),
    stop: () => cancelLook(),
  };
}
