/**
 * Runs a share of the random histories: `npm test` runs them all, over as many files as there are shares, so
 * that every core has work. `SLUICE_HISTORIES` says how many there are in all, `SLUICE_SEED` where they begin.
 */
import { expect } from 'vitest';
import type { ProviderName } from '../../src/core/provider.ts';
import type { Cloud } from './cloud.ts';
import { eventKinds, randomHistory } from './random-history.ts';
import { runHistory } from './run.ts';
import { report, shrink } from './shrink.ts';

/** A cloud's share of the time that `npm test` takes; `npm run test:histories` runs the same for all. */
const historiesByDefault: Readonly<Record<ProviderName, number>> = { aws: 20_000, alibaba: 4_000, local: 0 };
/** Failures that are made small and shown: more of them say little more. */
const mostShown = 3;

export async function runShare(cloud: Cloud, share: number, shares: number): Promise<void> {
  const total = Number(process.env['SLUICE_HISTORIES'] ?? historiesByDefault[cloud.provider]);
  const first = Number(process.env['SLUICE_SEED'] ?? 1);
  const happened = new Map<string, number>();
  const failures: string[] = [];
  let run = 0;
  for (let seed = first + share; seed < first + total; seed += shares) {
    const history = randomHistory(seed, cloud);
    const result = await runHistory(history, { cloud });
    run += 1;
    for (const [kind, times] of result.happened) happened.set(kind, (happened.get(kind) ?? 0) + times);
    const [violation] = result.violations;
    if (violation === undefined) continue;
    failures.push(report(cloud, await shrink(history, violation, { cloud })));
    if (failures.length >= mostShown) break;
  }
  expect(failures.join('\n\n'), `${failures.length} of ${run} histories broke an invariant`).toBe('');
  // Fewer histories than this need not hold every kind.
  if (run >= 500) expect(eventKinds.filter((kind) => (happened.get(kind) ?? 0) < run / 100)).toEqual([]);
}
