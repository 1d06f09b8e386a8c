/** Bugs put in on purpose: each takes one safeguard away, and the judge must notice. */
import { expect, test, vi } from 'vitest';
import { ClaimTable } from '../../../src/agent/announce/claims.ts';
import { history } from './history.ts';
import type { Plant } from './world.ts';

async function noticed(plant: Plant, seeds = 12): Promise<string | undefined> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { violations } = await history(seed, plant);
    if (violations[0] !== undefined) return violations[0];
  }
  return undefined;
}

test('addresses without a lifetime are noticed', async () => {
  expect(await noticed({ noLifetime: true })).toMatch(/held by node-\d .* and node-\d/u);
});

test('a Lease that everybody believes to have is noticed', async () => {
  expect(await noticed({ noArbiter: true })).toMatch(/held by node-\d .* and node-\d/u);
});

test('a majority that is not asked for is noticed', async () => {
  expect(await noticed({ noQuorum: true, noArbiter: true })).toMatch(/held by node-\d .* and node-\d/u);
});

test('claims that are not heard are noticed', async () => {
  const deaf = vi.spyOn(ClaimTable.prototype, 'hear').mockReturnValue(false);
  try {
    const { violations } = await history(3);
    expect(violations[0]).toMatch(/held by/u);
  } finally {
    deaf.mockRestore();
  }
});
