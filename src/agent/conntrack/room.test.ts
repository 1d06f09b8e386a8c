import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { RoomWatch, type Room } from './room.ts';

function watch(limit = '1000') {
  const clock = new VirtualClock();
  const found: string[] = [];
  const messages: string[] = [];
  const seen: Room[] = [];
  const values: Record<string, string | undefined> = {
    'net/netfilter/nf_conntrack_count': '0',
    'net/netfilter/nf_conntrack_max': limit,
  };
  const watched = new RoomWatch({
    sysctls: { read: async (path) => values[path] },
    clock,
    seen: (room) => seen.push(room),
    found: ({ code, message }) => {
      found.push(code);
      messages.push(message);
    },
  });
  const at = async (entries: number): Promise<readonly string[]> => {
    values['net/netfilter/nf_conntrack_count'] = String(entries);
    await watched.look();
    return found.splice(0);
  };
  return { clock, watched, at, values, seen, found, messages };
}

test('a table that fills is told of from nine tenths on, and again when it is full, with the cure', async () => {
  const { at, messages } = watch();
  expect(await at(899)).toEqual([]);
  expect(await at(900)).toEqual(['ConntrackNearlyFull']);
  expect(await at(950)).toEqual([]);
  expect(await at(999)).toEqual(['ConntrackFull']);
  for (const message of messages) expect(message).toContain('sysctl -w net.netfilter.nf_conntrack_max=2000');
});

test('one that swings about a mark is told of once, until there is room again', async () => {
  const { at } = watch();
  expect(await at(1_000)).toEqual(['ConntrackFull']);
  for (const entries of [990, 1_000, 850, 950, 1_001]) expect(await at(entries)).toEqual([]);
  expect(await at(799)).toEqual([]);
  expect(await at(950)).toEqual(['ConntrackNearlyFull']);
});

test.each([
  ['without a limit', '0'],
  ['that cannot be read', undefined],
  ['that reads as no number', 'many'],
])('a table %s is not judged', async (_, limit) => {
  const { at, values, seen } = watch();
  values['net/netfilter/nf_conntrack_max'] = limit;
  expect(await at(5_000)).toEqual([]);
  expect(seen).toEqual([]);
});

test('it looks every ten seconds until it is stopped', async () => {
  const { clock, watched, seen } = watch();
  watched.start();
  await clock.advance(25_000);
  expect(seen).toHaveLength(3);
  watched.stop();
  await clock.advance(60_000);
  expect(seen).toHaveLength(3);
});
