/**
 * Real time, told faster: for what waits for a socket and so cannot live on a virtual clock.
 *
 * A wait of a minute takes `60 s ÷ factor`; whole hours are skipped with `skip`. Time never goes back.
 */
import { systemClock, type Clock } from '../../src/core/clock.ts';

export interface ScaledClock extends Clock {
  /** Time that passes at once. Timers that are under way do not notice. */
  skip(ms: number): void;
}

export function scaledClock(factor: number): ScaledClock {
  const start = systemClock.now();
  const wallStart = systemClock.wall();
  let skipped = 0;
  const now = (): number => (systemClock.now() - start) * factor + skipped;
  return {
    now,
    wall: () => wallStart + now(),
    schedule: (ms, run) => systemClock.schedule(ms / factor, run),
    skip: (ms) => {
      skipped += ms;
    },
  };
}
