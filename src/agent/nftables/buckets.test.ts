import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import type { Endpoint } from '../decision.ts';
import { hashOrder, numberSlots, place, plainOrder } from './buckets.ts';

function endpoints(...weights: number[]): Endpoint[] {
  return weights.map((weight, at) => ({ address: `10.0.0.${at}`, port: 80, local: false, weight }));
}

test('weights are shares of buckets, reduced', () => {
  expect(plainOrder(endpoints(1, 1, 1))).toEqual([0, 1, 2]);
  expect(plainOrder(endpoints(4, 2))).toEqual([0, 0, 1]);
  expect(plainOrder(endpoints(1_000_000, 1)).length).toBeLessThanOrEqual(4097);
  expect(plainOrder(endpoints(1_000_000, 1))).toContain(1);
});

test('one endpoint that goes moves the last one into its bucket, and nobody else', () => {
  expect(place(['a', 'b', 'c', 'd'], ['a', 'c', 'd'])).toEqual(['a', 'd', 'c']);
  expect(place(['a', 'd', 'c'], ['a', 'b', 'c', 'd'])).toEqual(['a', 'd', 'c', 'b']);
  expect(place(['a', 'b'], ['a', 'x'])).toEqual(['a', 'x']);
});

const ids = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { maxLength: 12 });

test.prop([ids, ids])('buckets always hold just what is wanted', (before, wanted) => {
  expect(place(before, wanted).toSorted()).toEqual(wanted.toSorted());
});

test('a table of hashes gives everybody a share, and moves few when one goes', () => {
  const all = endpoints(1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
  const whole = hashOrder(all);
  const fewer = hashOrder(all.slice(0, 9));
  const counts = all.map((_, at) => whole.filter((one) => one === at).length);
  expect(Math.min(...counts)).toBeGreaterThan(20);
  const moved = whole.filter((one, bucket) => one !== 9 && fewer[bucket] !== one).length;
  expect(moved).toBeLessThan(whole.length / 5);
});

test('a slot stays with its endpoint for life', () => {
  const first = numberSlots(new Map(), ['a', 'b', 'c']);
  const second = numberSlots(first, ['c', 'd']);
  expect([...second]).toEqual([
    ['c', 3],
    ['d', 4],
  ]);
});
