/**
 * Time and chance as parameters.
 *
 * No module of Sluice reads the time, waits or rolls dice by itself: it is given a `Clock` and a `Random`.
 * The process hands in the real ones; the simulation hands in a virtual clock, so that hours pass in
 * milliseconds and a run can be repeated from its seed.
 */

export interface Clock {
  /** Milliseconds on a clock that never jumps: the only one to measure durations with. */
  now(): number;
  /** Wall-clock time, in milliseconds since the epoch: only for what people or other programs read. */
  wall(): number;
  /** Calls `run` once after `ms` milliseconds. The returned function cancels it. */
  schedule(ms: number, run: () => void): () => void;
}

/** A number in [0, 1). */
export type Random = () => number;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  schedule: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`; rejects with the signal's reason as soon as it is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.schedule(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A small, fast, seedable generator (mulberry32): the same seed gives the same run. Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
