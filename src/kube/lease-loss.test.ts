/** How a lease is lost, and how not: minutes of contention, frost and slow servers in milliseconds of virtual time. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Contest, kinds } from '../../test/support/contest.ts';
import { FreezableClock } from '../../test/support/freezable-clock.ts';
import type { MemoryLeases } from '../../test/support/memory-leases.ts';
import type { VirtualClock } from '../../test/support/virtual-clock.ts';

let contest: Contest;
let time: VirtualClock;
let server: MemoryLeases;

beforeEach(() => {
  contest = new Contest();
  ({ time, server } = contest);
});

describe('losing', () => {
  test('work stops before anyone else can begin, when the server is out of reach', async () => {
    let cut = false;
    const a = contest.enter('a', { fault: () => (cut ? 'unreachable' : 'none') });
    await time.settle();
    const b = contest.enter('b');
    await time.advance(20_000);
    cut = true;
    await time.advance(30_000);

    const ended = a.work[0]?.to ?? Infinity;
    expect(ended).toBeLessThan(b.work[0]?.from ?? 0);
    expect(kinds(a)).toContain('lost');
    expect(a.term?.held()).toBe(false);
    cut = false;
    await contest.stopAll(a, b);
  });

  test('the same when every call hangs', async () => {
    let cut = false;
    const a = contest.enter('a', { fault: () => (cut ? 'hangs' : 'none') });
    await time.settle();
    const b = contest.enter('b');
    await time.advance(20_000);
    cut = true;
    await time.advance(40_000);

    expect(a.work[0]?.to ?? Infinity).toBeLessThan(b.work[0]?.from ?? 0);
    cut = false;
    await contest.stopAll(a, b);
  });

  test('a frozen leader knows when it wakes, before any timer runs', async () => {
    const frozen = new FreezableClock(time);
    const a = contest.enter('a', { clock: frozen });
    await time.settle();
    const b = contest.enter('b');
    await time.advance(20_000);
    expect(a.term?.held()).toBe(true);

    frozen.freeze();
    await time.advance(60_000);
    expect(b.work).toHaveLength(1);
    expect(a.term?.held()).toBe(false);
    expect(() => a.term?.guard()).toThrow(/lease is lost/);

    const writes = (): number =>
      server.calls.filter((call) => call.who === 'a' && call.method !== 'GET').length;
    const writesBefore = writes();
    frozen.wake();
    await time.advance(5_000);
    expect(a.term?.signal.aborted).toBe(true);
    expect(writes()).toBe(writesBefore);
    expect(server.holder).toBe('b');
    await contest.stopAll(a, b);
  });

  test('a machine that slept, with a monotonic clock that stood still, holds back until it has renewed', async () => {
    const a = contest.enter('a');
    await time.settle();
    await time.advance(10_000);
    time.jumpWall(60_000);

    expect(a.term?.held()).toBe(false);
    await time.advance(2_000);
    expect(a.term?.held()).toBe(true);
    expect(a.work).toHaveLength(1);
    await contest.stopAll(a);
  });

  test('a wall clock set back or far ahead costs nobody the lease', async () => {
    const a = contest.enter('a');
    await time.settle();
    const b = contest.enter('b');
    for (const jump of [-86_400_000, 86_400_000, -3_600_000]) {
      time.jumpWall(jump);
      await time.advance(60_000);
    }

    expect(a.work).toHaveLength(1);
    expect(a.term?.held()).toBe(true);
    expect(b.work).toHaveLength(0);
    await contest.stopAll(a, b);
  });

  test('a holder whose clock is years off is given its full duration, and no more', async () => {
    const a = contest.enter('a');
    await time.settle();
    server.tamper({ holderIdentity: 'stranger', renewTime: '2001-01-01T00:00:00.000000Z' });
    const b = contest.enter('b');
    await time.advance(14_000);
    expect(b.work).toHaveLength(0);
    await time.advance(4_000);
    expect(a.work.length + b.work.length).toBe(2);
    await contest.stopAll(a, b);
  });

  test('someone who only touches the lease’s labels makes the leader read it again, not lose it', async () => {
    const a = contest.enter('a');
    await time.settle();
    await time.advance(5_000);
    server.tamper({});
    await time.advance(60_000);

    expect(a.work).toHaveLength(1);
    expect(a.term?.held()).toBe(true);
    await contest.stopAll(a);
  });

  test('a renewal whose answer was lost is looked up, not taken for a loss', async () => {
    let lose = 0;
    const a = contest.enter('a', {
      fault: (method) => (method === 'PATCH' && lose-- > 0 ? 'answer-lost' : 'none'),
    });
    await time.settle();
    lose = 2;
    await time.advance(60_000);

    expect(a.work).toHaveLength(1);
    expect(a.reports.filter((event) => event.kind === 'failed')).not.toHaveLength(0);
    await contest.stopAll(a);
  });

  test('a lease that was deleted or taken by force ends the work at once', async () => {
    const a = contest.enter('a');
    await time.settle();
    server.tamper('delete');
    await time.advance(2_500);
    expect(a.work[0]?.to).toBeDefined();

    await time.advance(5_000);
    server.tamper({ holderIdentity: 'stranger' });
    await time.advance(2_500);
    expect(a.work[1]?.to).toBeDefined();
    await contest.stopAll(a);
  });

  test('a server that takes four seconds for each call does not cost the lease', async () => {
    server.delayMs = 4_000;
    const a = contest.enter('a');
    await time.advance(10_000);
    const b = contest.enter('b');
    await time.advance(600_000);

    expect(a.work).toHaveLength(1);
    expect(b.work).toHaveLength(0);
    await contest.stopAll(a, b);
  });

  test('a server that is slower than the deadline never lets two lead at once', async () => {
    server.delayMs = 1_000;
    const all = [contest.enter('a'), contest.enter('bb'), contest.enter('ccc')];
    for (let minute = 0; minute < 60; minute += 1) {
      server.delayMs = (minute * 3_700) % 17_000;
      await time.advance(60_000);
    }
    server.delayMs = 0;
    await contest.stopAll(...all);

    const stretches = all.flatMap((one) => one.work).toSorted((one, other) => one.from - other.from);
    expect(stretches.length).toBeGreaterThan(3);
    for (const [index, stretch] of stretches.entries()) {
      expect(stretch.to ?? Infinity).toBeLessThanOrEqual(stretches[index + 1]?.from ?? Infinity);
    }
  });
});
