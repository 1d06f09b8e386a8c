import { expect, test } from 'vitest';
import { FreezableClock } from './freezable-clock.ts';
import { steadyClock } from './steady-clock.ts';
import { VirtualClock } from './virtual-clock.ts';

test('while the process runs it goes as the machine does, and timers run when they are due', async () => {
  const clock = new VirtualClock();
  const steady = steadyClock(clock);
  const begun = steady.now();
  let ranAt = 0;
  steady.schedule(1_000, () => (ranAt = steady.now() - begun));
  await clock.advance(2_000);
  expect(ranAt).toBe(1_000);
  expect(steady.now() - begun).toBe(2_000);
  steady.stop();
});

test('a stall is a short step, and what waits goes on waiting for the rest of its time', async () => {
  const clock = new VirtualClock();
  const process = new FreezableClock(clock);
  const steady = steadyClock(process);
  const begun = steady.now();
  let ranAt = 0;
  steady.schedule(300, () => (ranAt = steady.now() - begun));
  await clock.advance(100);
  process.freeze();
  await clock.advance(10_000);
  process.wake();
  expect(steady.now() - begun).toBe(150);
  await clock.advance(149);
  expect(ranAt).toBe(0);
  await clock.advance(1);
  expect(ranAt).toBe(300);
  steady.stop();
});

test('what was cancelled never runs, and nothing is left once it has stopped', async () => {
  const clock = new VirtualClock();
  const steady = steadyClock(clock);
  let ran = false;
  const cancel = steady.schedule(50, () => (ran = true));
  cancel();
  steady.stop();
  const at = steady.now();
  await clock.advance(1_000);
  expect(ran).toBe(false);
  expect(steady.now() - at).toBe(50);
});
