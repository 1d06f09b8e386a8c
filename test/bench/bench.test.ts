/** The verdicts of the benches. */
import { expect, test } from 'vitest';
import { judge, quantile } from './bench.ts';
import { renderTable } from './table.ts';

const row = { what: 'list', unit: 's', ours: 2 };

test('lower is better unless said otherwise', () => {
  expect(judge({ ...row, peer: { name: 'informer', value: 5 } }).ratio).toBe(2.5);
  expect(judge({ ...row, peer: { name: 'x', value: 4 }, better: 'higher' }).ratio).toBe(0.5);
});

test.each([
  [{ kind: 'at most', value: 2 }, true],
  [{ kind: 'at most', value: 1.9 }, false],
  [{ kind: 'at least', value: 2 }, true],
  [{ kind: 'at least', value: 3 }, false],
  [{ kind: 'times better', value: 2.5 }, true],
  [{ kind: 'times better', value: 2.6 }, false],
] as const)('the goal %o is met: %s', (goal, met) => {
  expect(judge({ ...row, peer: { name: 'informer', value: 5 }, goal }).met).toBe(met);
});

test('a goal against a peer without a figure is missed', () => {
  expect(judge({ ...row, goal: { kind: 'times better', value: 1 } }).met).toBe(false);
  const absent = { name: 'x', value: Number.NaN };
  expect(judge({ ...row, peer: absent, goal: { kind: 'times better', value: 1 } }).met).toBe(false);
});

test('a figure that is not a number meets no goal', () => {
  expect(judge({ ...row, ours: Number.NaN, goal: { kind: 'at most', value: 9 } }).met).toBe(false);
});

test('quantiles are values that occurred', () => {
  const values = [5, 1, 4, 2, 3];
  expect([quantile(values, 0.5), quantile(values, 0.99), quantile(values, 0)]).toEqual([3, 5, 1]);
  expect(quantile([], 0.5)).toBeNaN();
});

test('the table shows figure, peer, ratio, goal and verdict in a row', () => {
  const judged = judge({
    ...row,
    peer: { name: 'informer', value: 5 },
    goal: { kind: 'times better', value: 2 },
  });
  expect(renderTable([judged])).toBe(
    [
      'what  ours  beside         ratio  goal       met',
      '----  ----  -------------  -----  ---------  ---',
      'list  2 s   informer: 5 s  2.5×   2× better  yes',
      '',
    ].join('\n'),
  );
});
