/**
 * Makes a failing history small: takes out steps, alone and in runs, as long as the same invariant breaks.
 * The seed stays, so chance falls nearly as before.
 */
import type { Cloud } from './cloud.ts';
import { describeHistory, type History, type HistoryStep } from './events.ts';
import type { Invariant, Violation } from './monitor.ts';
import { runHistory, type RunOptions } from './run.ts';

/** Most runs that a search may take: a failure is worth a minute, not an hour. */
const mostRuns = 400;

export interface Shrunk {
  readonly history: History;
  readonly violation: Violation;
}

export async function shrink(history: History, first: Violation, options: RunOptions): Promise<Shrunk> {
  let best: Shrunk = { history, violation: first };
  let runs = 0;
  const tryWith = async (steps: readonly HistoryStep[]): Promise<boolean> => {
    if (runs >= mostRuns) return false;
    runs += 1;
    const smaller = { ...best.history, steps };
    const violation = await broken(smaller, first.invariant, options);
    if (violation === undefined) return false;
    best = { history: smaller, violation };
    return true;
  };
  // From long runs of steps to single ones, from the end: what came after the cause is the cheapest to drop.
  for (let size = Math.ceil(history.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    let end = best.history.steps.length;
    while (end > 0) {
      const { steps } = best.history;
      const start = Math.max(0, end - size);
      // The time that passed stays, or what follows would meet another moment.
      const passed = steps.slice(start, end).reduce((sum, { gapMs }) => sum + gapMs, 0);
      const next = steps[end];
      const rest =
        next === undefined ? [] : [{ ...next, gapMs: next.gapMs + passed }, ...steps.slice(end + 1)];
      const plain = [...steps.slice(0, start), ...steps.slice(end)];
      if (!(await tryWith(plain)) && rest.length > 0) await tryWith([...steps.slice(0, start), ...rest]);
      end = start;
    }
  }
  return best;
}

async function broken(
  history: History,
  invariant: Invariant,
  options: RunOptions,
): Promise<Violation | undefined> {
  const { violations } = await runHistory(history, options);
  return violations.find((violation) => violation.invariant === invariant);
}

/** What a person needs: what broke, the least that breaks it, and how to see it again. */
export function report(cloud: Cloud, { history, violation }: Shrunk): string {
  return [
    `${violation.invariant} broken at ${Math.round(violation.at)} ms: ${violation.message}`,
    describeHistory(history),
    `see it again: SLUICE_CLOUD=${cloud.provider} SLUICE_SEED=${history.seed} npx vitest run --project sim test/sim/replay.test.ts`,
  ].join('\n');
}
