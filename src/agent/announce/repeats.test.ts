import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { memberId } from './rank.ts';
import { Repeats } from './repeats.ts';
import type { NodeName } from '../../core/objects.ts';

const [one, two] = ['192.0.2.1', '2001:db8::1'];
const other = memberId('n2' as NodeName);

function setUp() {
  const clock = new VirtualClock();
  const started = clock.now();
  const told: (readonly [number, readonly string[]])[] = [];
  const listened = { yes: true };
  const repeats = new Repeats({
    clock,
    announcer: { repeat: (addresses) => void told.push([clock.now() - started, addresses]) },
    mayTell: () => listened.yes,
  });
  return { clock, told, listened, repeats };
}

test('each address is told for itself: one that was told a moment ago holds up no other', async () => {
  const { clock, told, repeats } = setUp();
  repeats.tell([one]);
  await clock.advance(5);
  repeats.tell([two]);
  expect(told).toEqual([
    [0, [one]],
    [5, [two]],
  ]);
});

test('what was told a moment ago is told again when that moment is over, once', async () => {
  const { clock, told, repeats } = setUp();
  repeats.tell([one, two]);
  await clock.advance(100);
  for (let times = 0; times < 3; times += 1) repeats.tell([one]);
  await clock.advance(5_000);
  expect(told).toEqual([
    [0, [one, two]],
    [1_000, [one]],
  ]);
});

test('whoever comes is noticed, and whoever goes', () => {
  const { repeats } = setUp();
  expect(repeats.see(new Set([other]))).toBe('somebody came');
  expect(repeats.see(new Set([other]))).toBe('the same');
  expect(repeats.see(new Set())).toBe('fewer');
  expect(repeats.see(new Set([other]))).toBe('somebody came');
  expect(repeats.has(other)).toBe(true);
});

test('a process that has slept claims nothing before it has listened', async () => {
  const { clock, told, listened, repeats } = setUp();
  listened.yes = false;
  repeats.tell([one]);
  await clock.advance(200);
  expect(told).toEqual([]);
  listened.yes = true;
  await clock.advance(25);
  expect(told.map(([, addresses]) => addresses)).toEqual([[one]]);
});

test('nothing is told after the end', async () => {
  const { clock, told, repeats } = setUp();
  repeats.tell([one]);
  repeats.tell([one]);
  repeats.stop();
  repeats.tell([two]);
  await clock.advance(5_000);
  expect(told).toHaveLength(1);
});
