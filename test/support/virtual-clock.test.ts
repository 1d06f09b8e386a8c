import { describe, expect, it } from 'vitest';
import { seededRandom, sleep } from '../../src/core/clock.ts';
import { VirtualClock } from './virtual-clock.ts';

/** The order in which eight timers of one moment run. */
async function order(seed: number): Promise<string> {
  const clock = new VirtualClock({ random: seededRandom(seed) });
  const ran: string[] = [];
  for (const name of 'abcdefgh') clock.schedule(5, () => ran.push(name));
  await clock.run(5);
  return ran.join('');
}

describe('the virtual clock', () => {
  it('runs timers in the order of their times, whatever the order of their making', async () => {
    const clock = new VirtualClock();
    const ran: string[] = [];
    for (const ms of [30, 10, 20, 10]) clock.schedule(ms, () => ran.push(`${ms}@${clock.now()}`));
    await clock.run(25);
    expect(ran).toEqual(['10@10', '10@10', '20@20']);
    expect(clock.now()).toBe(25);
    await clock.run(100);
    expect(ran.at(-1)).toBe('30@30');
  });

  it('lets every promise settle before time moves on', async () => {
    const clock = new VirtualClock();
    const seen: number[] = [];
    const work = async (): Promise<void> => {
      for (let i = 0; i < 50; i += 1) await Promise.resolve();
      seen.push(clock.now());
      await sleep(clock, 5);
      seen.push(clock.now());
    };
    clock.schedule(1, () => void work());
    clock.schedule(2, () => seen.push(-2));
    await clock.run(1_000);
    expect(seen).toEqual([1, -2, 6]);
  });

  it('never runs a cancelled timer', async () => {
    const clock = new VirtualClock();
    const cancel = clock.schedule(1, () => expect.unreachable());
    cancel();
    expect(clock.pending).toBe(0);
    await clock.run(10);
    expect(clock.now()).toBe(10);
  });

  it('shuffles what is due at one moment by the seed, and by nothing else', async () => {
    expect(await order(1)).toBe(await order(1));
    expect(new Set([await order(1), await order(2), await order(3)]).size).toBeGreaterThan(1);
  });

  it('ends a run with the error that a timer throws', async () => {
    const clock = new VirtualClock();
    clock.schedule(1, () => {
      throw new Error('broken timer');
    });
    await expect(clock.run(10)).rejects.toThrow('broken timer');
    clock.schedule(1, () => {});
    await clock.run(20);
    expect(clock.pending).toBe(0);
  });

  it('turns an endless loop into a failure that names who made the timers', async () => {
    const clock = new VirtualClock({ limit: 1_000 });
    const hotLoop = (): void => void clock.schedule(0, hotLoop);
    hotLoop();
    await expect(clock.run(10)).rejects.toThrow(/more than 1000 timers[^]*hotLoop/);
  });

  it('stops as soon as it is told to', async () => {
    const clock = new VirtualClock();
    let count = 0;
    const tick = (): void => {
      count += 1;
      clock.schedule(10, tick);
    };
    tick();
    expect(await clock.runUntil(() => count === 4, 1_000)).toBe(true);
    expect(clock.now()).toBe(30);
    expect(await clock.runUntil(() => false, 50)).toBe(false);
    expect(clock.now()).toBe(50);
  });

  it('moves the wall clock without touching the one that measures', async () => {
    const clock = new VirtualClock({ wall: 1_000 });
    await clock.run(10);
    clock.jumpWall(-500);
    expect([clock.now(), clock.wall()]).toEqual([10, 510]);
  });
});
