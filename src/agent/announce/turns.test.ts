import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { Turns } from './turns.ts';

function setUp() {
  const clock = new VirtualClock();
  const looks: number[] = [];
  const pauses: number[] = [];
  const turns = new Turns({
    clock,
    look: () => looks.push(clock.now()),
    awakeMs: 50,
    slept: (ms) => pauses.push(ms),
  });
  turns.awake();
  const started = clock.now();
  return { clock, looks, pauses, turns, at: () => looks.map((time) => time - started) };
}

test('all that comes in one go is looked at once', async () => {
  const { clock, turns, looks } = setUp();
  for (let times = 0; times < 5; times += 1) turns.soon();
  await clock.advance(1);
  expect(looks).toHaveLength(1);
});

test('the last plan counts', async () => {
  const { clock, turns, at } = setUp();
  turns.at(clock.now() + 10);
  turns.at(clock.now() + 30);
  await clock.advance(60);
  expect(at()).toEqual([31]);
});

test('who has slept listens before it looks, whatever wakes it first', async () => {
  const { clock, turns, at, pauses } = setUp();
  await clock.advance(500);
  turns.soon();
  await clock.advance(100);
  expect(pauses).toEqual([500]);
  expect(at()).toEqual([520]);
});

test('what is planned in between does not end the caution, nor the next one', async () => {
  const { clock, turns, at } = setUp();
  await clock.advance(500);
  turns.awake();
  turns.at(clock.now() + 5);
  turns.soon();
  await clock.advance(50);
  expect(at()).toEqual([520]);
  await clock.advance(500);
  turns.now();
  await clock.advance(50);
  expect(at()).toEqual([520, 1_070]);
});

test('a process that sleeps again and again looks all the same', async () => {
  const { clock, turns, looks } = setUp();
  await clock.advance(500);
  turns.now();
  expect(looks).toEqual([]);
  turns.stop();
  const late = new Turns({ clock, look: () => looks.push(1), awakeMs: 50, slept: () => undefined });
  late.awake();
  await clock.advance(500);
  late.awake();
  await clock.advance(10);
  expect(looks).toEqual([]);
  await clock.advance(500);
  expect(looks.length).toBeGreaterThan(0);
});

test('looks that take long leave as much time for everything else', async () => {
  const clock = new VirtualClock();
  const started = clock.now();
  const looks: number[] = [];
  let ms = 0;
  const slow = {
    now: () => clock.now() + ms,
    wall: () => clock.wall(),
    schedule: clock.schedule.bind(clock),
  };
  const turns = new Turns({
    clock: slow,
    look: () => {
      looks.push(clock.now() - started);
      ms += 30;
    },
    awakeMs: 1_000,
    slept: () => undefined,
  });
  turns.soon();
  await clock.advance(1);
  turns.soon();
  await clock.advance(20);
  expect(looks).toHaveLength(1);
  await clock.advance(20);
  expect(looks).toHaveLength(2);
});

test('who has slept for longer than may be is told so until it has looked, and not for less', async () => {
  const { clock, turns } = setUp();
  await clock.advance(150);
  expect(turns.sleptUnheard(200)).toBe(false);
  await clock.advance(30);
  expect(turns.sleptUnheard(200)).toBe(false);
  await clock.advance(250);
  expect(turns.sleptUnheard(200)).toBe(true);
  await clock.advance(10);
  expect(turns.sleptUnheard(200)).toBe(true);
  await clock.advance(15);
  expect(turns.sleptUnheard(200)).toBe(false);
});
