/** Long work in slices, so that a change does not wait for its end. */
import { setImmediate } from 'node:timers/promises';

const sliceMs = 3;

/** Runs a generator to its end, and lets everything else go on in between. */
export async function inSlices<Result>(work: Generator<undefined, Result>): Promise<Result> {
  let begun = performance.now();
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (performance.now() - begun < sliceMs) continue;
    await setImmediate();
    begun = performance.now();
  }
}
