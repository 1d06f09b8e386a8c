/** Every fault at every call of a Service's life; the score is the share of pairs in which all invariants held. */
import { expect, it } from 'vitest';
import { faults } from './sweep-faults.ts';
import { cleanPoints, strike } from './sweep.ts';

it('keeps every invariant, whatever fault falls on whatever call of a Service’s life', async () => {
  const points = await cleanPoints();
  const lines: string[] = [];
  const broken: string[] = [];
  let pairs = 0;
  for (const fault of faults) {
    const hit = points.filter(fault.at).filter((_, index) => index % (fault.every ?? 1) === 0);
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
  expect(broken).toEqual([]);
});
