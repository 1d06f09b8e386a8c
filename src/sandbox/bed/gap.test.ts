import { expect, test } from 'vitest';
import { blackout } from './gap.ts';
import type { Attempt, Kind } from './traffic.ts';

/** Tries every 10 ms. */
const tries = (kinds: string): readonly Attempt[] =>
  kinds.split('').map((letter, index) => {
    const kind: Kind = letter === 'a' ? 'answered' : 'silence';
    return { atUs: index * 10_000, us: 500, kind, self: '' };
  });

test.each([
  ['no gap', 'aaaa', 0],
  ['one', 'aassaa', 20],
  ['the longest of two', 'asasssa', 30],
  ['one that lasts to the end', 'aass', 20],
  ['nothing at all', '', 0],
] as const)('%s', (_what, kinds, ms) => {
  expect(blackout(tries(kinds))).toBe(ms);
});

test('the order in which answers came does not matter', () => {
  expect(blackout(tries('aassaa').toReversed())).toBe(20);
});
