/** Every fault at every call of a Service's life; the score is the share of pairs in which all invariants held. */
import { expect, it } from 'vitest';
import { faults } from './sweep-faults.ts';
import { cleanPoints, strike } from './sweep.ts';

/**
 * Of the points of each fault, every how manyth is struck: all of them take ten minutes, `SLUICE_SWEEP_EVERY=1`.
 * Each fault begins at another point, so that together they still fall everywhere.
 */
const stride = Number(process.env['SLUICE_SWEEP_EVERY'] ?? 8);

/**
 * Pairs that break an invariant today: open defects, each to be mended and taken off this list. They are struck and
 * printed like all others; any other pair that breaks fails the test.
 */
const openDefects: readonly string[] = [];

it('keeps every invariant, whatever fault falls on whatever call of a Service’s life', async () => {
  const points = await cleanPoints();
  const lines: string[] = [];
  const broken: string[] = [];
  let pairs = 0;
  for (const [row, fault] of faults.entries()) {
    const every = stride * (stride === 1 ? (fault.every ?? 1) : 1);
    const reach = points.filter(fault.at);
    const hit = reach.filter((_, index) => index % every === row % Math.min(every, reach.length));
    let kept = 0;
    for (const point of hit) {
      const [violation] = await strike(fault, point);
      if (violation === undefined) kept += 1;
      else {
        const where = `${point.side} call ${point.nth} (${point.call})`;
        broken.push(
          `row ${fault.row}, ${fault.name}, at ${where}: ${violation.invariant} ${violation.message}`,
        );
      }
    }
    pairs += hit.length;
    expect(hit.length, `${fault.name} has no point to fall on`).toBeGreaterThan(0);
    lines.push(
      `${String(fault.row).padStart(3)}  ${fault.name.padEnd(44)} ${String(kept).padStart(4)} of ${hit.length}`,
    );
  }
  const api = points.filter(({ side }) => side === 'api').length;
  console.log(
    [
      `row  fault                                        kept (${points.length} points: ${api} API, ${points.length - api} cloud)`,
      ...lines,
      `     all                                          ${pairs - broken.length} of ${pairs}`,
    ].join('\n'),
  );
  for (const line of broken) console.log(`broken: ${line}`);
  expect(broken.filter((line) => !openDefects.some((known) => line.startsWith(known)))).toEqual([]);
});
