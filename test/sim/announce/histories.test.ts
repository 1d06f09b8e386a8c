/** Random histories of announcing: nothing may be held twice for long, and calm restores one holder each. */
import { expect, test } from 'vitest';
import { announceTimings } from '../../../src/agent/announce/timings.ts';
import { history } from './history.ts';

const count = Number(process.env['SLUICE_ANNOUNCE_HISTORIES'] ?? 40);
const first = Number(process.env['SLUICE_ANNOUNCE_SEED'] ?? 1);

test(`${count} histories from seed ${first}`, async () => {
  let longest = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    const { violations, events, longestDouble } = await history(seed);
    longest = Math.max(longest, longestDouble);
    expect(violations, `seed ${seed}\n${events.join('\n')}`).toEqual([]);
  }
  expect(longest).toBeLessThanOrEqual(announceTimings.lifetimeMs + 1_000);
  console.log(`longest time with two holders on one link: ${longest} ms`);
});

test.each([
  [1022, 'an engine that is told nothing after a stand-still'],
  [1026, 'an agent that registers while the other one watches'],
  [1028, 'one that cannot read of the other, and hears it'],
  [1090, 'addresses that ran out while their agent stood still'],
  [1364, 'a grace after the Lease was lost'],
  [2141, 'three heartbeats lost in a row: overdue peers are asked before they are given up'],
])('history %i, which found: %s', async (seed) => {
  const { violations, events } = await history(seed);
  expect(violations, events.join('\n')).toEqual([]);
});
