/**
 * Strikes a share of the sweep: every fault at every call of a Service's life, over as many files as there are
 * shares, so that every core has work. The score is the share of pairs in which all invariants held.
 *
 * `SLUICE_SWEEP_EVERY=8` strikes every 8th point only, for a quick look.
 */
import { expect } from 'vitest';
import type { ProviderName } from '../../src/core/provider.ts';
import type { Cloud } from './cloud.ts';
import { faultsOf } from './sweep-faults.ts';
import { cleanPoints, strike } from './sweep.ts';

/** A cloud's share of the time that `npm test` takes; `npm run test:histories` strikes all points of all. */
const everyByDefault: Readonly<Record<ProviderName, number>> = { aws: 1, alibaba: 8, local: 1 };

export async function strikeShare(cloud: Cloud, share: number, shares: number): Promise<void> {
  const every = shares * Number(process.env['SLUICE_SWEEP_EVERY'] ?? everyByDefault[cloud.provider]);
  const points = await cleanPoints(cloud);
  const faults = faultsOf(cloud);
  const lines: string[] = [];
  const broken: string[] = [];
  let pairs = 0;
  for (const [row, fault] of faults.entries()) {
    const reach = points.filter(fault.at);
    expect(reach.length, `${fault.name} has no point to fall on`).toBeGreaterThan(0);
    // Each fault begins at another point, so that a few of each still fall everywhere together.
    const hit = reach.filter((_, index) => (index + row) % every === share);
    let kept = 0;
    for (const point of hit) {
      const [violation] = await strike(cloud, fault, point);
      if (violation === undefined) kept += 1;
      else {
        const where = `${point.side} call ${point.nth} (${point.call})`;
        broken.push(
          `row ${fault.row}, ${fault.name}, at ${where}: ${violation.invariant} ${violation.message}`,
        );
      }
    }
    pairs += hit.length;
    lines.push(
      `${String(fault.row).padStart(3)}  ${fault.name.padEnd(44)} ${String(kept).padStart(4)} of ${hit.length}`,
    );
  }
  const api = points.filter(({ side }) => side === 'api').length;
  const all = faults.reduce((sum, fault) => sum + points.filter(fault.at).length, 0);
  console.log(
    [
      `row  fault on ${cloud.provider.padEnd(7)}                                       kept (${points.length} points: ${api} API, ${points.length - api} cloud; share ${share + 1} of ${shares})`,
      ...lines,
      `     all                                          ${pairs - broken.length} of ${pairs} (the whole sweep: ${all} pairs)`,
    ].join('\n'),
  );
  expect(broken).toEqual([]);
}
