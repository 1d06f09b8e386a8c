import { expect, test } from 'vitest';
import { VirtualClock } from '../../../../test/support/virtual-clock.ts';
import { Carrier } from './carrier.ts';
import type { Kernel, Refused } from './kernel.ts';
import { LinkTable } from './link-table.ts';
import type { Request } from './netlink.ts';
import { Placements } from './placements.ts';

const address = '192.0.2.1';

function setUp(answer: () => Promise<readonly Refused[]> = () => Promise.resolve([])) {
  const clock = new VirtualClock();
  const asked: { readonly requests: number; readonly until: number | undefined }[] = [];
  const placements = new Placements();
  placements.become([{ address, interfaces: ['eth0'], ports: [] }]);
  const listened = { yes: true };
  const carrier = new Carrier({
    clock,
    placements,
    table: new LinkTable(),
    herald: { tell: () => undefined, stop: () => undefined },
    mayRenew: () => listened.yes,
  });
  const kernel: Pick<Kernel, 'ask' | 'find'> = {
    ask: (requests: readonly Request[], until?: number) => {
      asked.push({ requests: requests.length, until });
      return answer();
    },
    find: () => Promise.resolve([]),
  };
  const [placement] = placements.values();
  if (placement === undefined) throw new Error('there is no placement');
  const stands = (forMs: number): void => {
    placement.link = 2;
    placement.standsUntil = clock.now() + forMs;
  };
  return { clock, asked, placement, listened, carrier, kernel, stands };
}

test('what certainly stands is renewed for the whole lifetime', async () => {
  const { clock, carrier, kernel, placement, stands } = setUp();
  stands(700);
  expect(await carrier.renew(kernel)).toBe(true);
  expect(placement.standsUntil).toBe(clock.now() + 1_950);
});

test('what may have gone already is not', async () => {
  const { carrier, kernel, asked, stands } = setUp();
  stands(0);
  expect(await carrier.renew(kernel)).toBe(true);
  expect(asked).toEqual([]);
});

test('a process that has slept asks nothing of the kernel before it has listened', async () => {
  const { carrier, kernel, asked, listened, placement, stands } = setUp();
  stands(700);
  const before = placement.standsUntil;
  listened.yes = false;
  expect(await carrier.renew(kernel)).toBe(false);
  expect(asked).toEqual([]);
  expect(placement.standsUntil).toBe(before);
  listened.yes = true;
  expect(await carrier.renew(kernel)).toBe(true);
  expect(asked).toHaveLength(1);
});

test.each([
  [1_900, 500, 'the next renewal comes in its place'],
  [300, 300, 'the address may have gone'],
])('with %i ms to live a renewal is worthless after %i ms: %s', async (lives, worth) => {
  const { clock, carrier, kernel, asked, stands } = setUp();
  stands(lives);
  await carrier.renew(kernel);
  expect(asked.map(({ until }) => until)).toEqual([clock.now() + worth]);
});

test('a renewal that came too late leaves the address to its time', async () => {
  const { carrier, kernel, placement, stands } = setUp(() => Promise.reject(new Error('too late')));
  stands(700);
  const before = placement.standsUntil;
  expect(await carrier.renew(kernel)).toBe(true);
  expect(placement.standsUntil).toBe(before);
});
