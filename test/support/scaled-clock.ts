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

/** By default on the system's clock. */
export function scaledClock(factor: number, inner: Clock = systemClock): ScaledClock {
  const start = inner.now();
  const wallStart = inner.wall();
  let skipped = 0;
  const now = (): number => (inner.now() - start) * factor + skipped;
  return {
    now,
    wall: () => wallStart + now(),
    schedule: (ms, run) => inner.schedule(ms / factor, run),
    skip: (ms) => {
      skipped += ms;
    },
  };
}
