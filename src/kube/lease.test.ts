/** Leader election in virtual time: who leads, for how long, and how it is given back. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Contest, kinds } from '../../test/support/contest.ts';
import type { MemoryLeases } from '../../test/support/memory-leases.ts';
import type { VirtualClock } from '../../test/support/virtual-clock.ts';
import { Elector } from './lease.ts';

let contest: Contest;
let time: VirtualClock;
let server: MemoryLeases;

beforeEach(() => {
  contest = new Contest();
  ({ time, server } = contest);
});

describe('taking and keeping', () => {
  test('the first contender makes the lease, with times of six fractional digits', async () => {
    const a = contest.enter('a');
    await time.settle();

    expect(kinds(a)).toEqual(['acquired']);
    expect(server.lease?.spec).toMatchObject({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
    });
    expect(server.lease?.spec['renewTime']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    await contest.stopAll(a);
  });

  test('of two contenders one leads, for as long as it renews', async () => {
    const a = contest.enter('a');
    await time.settle();
    const b = contest.enter('b');
    await time.advance(3_600_000);

    expect(a.work).toHaveLength(1);
    expect(b.work).toHaveLength(0);
    expect(a.term?.held()).toBe(true);
    expect(kinds(b)).toEqual(['waiting']);
    await contest.stopAll(a, b);
  });

  test('of two that start in the same moment one gets a conflict and waits', async () => {
    const [a, b] = [contest.enter('a'), contest.enter('b')];
    await time.advance(5_000);

    expect(a.work.length + b.work.length).toBe(1);
    await contest.stopAll(a, b);
  });

  test('a restarted process of the same name need not wait for itself', async () => {
    server.delayMs = 0;
    const first = contest.enter('a', { fault: () => 'none' });
    await time.settle();
    const again = contest.enter('a');
    await time.advance(10);

    expect(again.work).toHaveLength(1);
    await contest.stopAll(first, again);
  });
});

describe('giving back', () => {
  test('after a clean stop the next leader starts within two seconds', async () => {
    const a = contest.enter('a');
    await time.settle();
    const b = contest.enter('b');
    await time.advance(31_000);
    a.stop.abort();
    const stoppedAt = time.now();
    await time.advance(2_000);

    expect(kinds(a)).toEqual(['acquired', 'released']);
    expect((b.work[0]?.from ?? Infinity) - stoppedAt).toBeLessThanOrEqual(2_000);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    await contest.stopAll(a, b);
  });

  test('the lease is kept while work winds down, and only then given back', async () => {
    const a = contest.enter('a', { drainMs: 25_000 });
    await time.settle();
    const b = contest.enter('b');
    await time.advance(1_000);
    a.stop.abort();
    await time.advance(24_000);

    expect(b.work).toHaveLength(0);
    expect(a.term?.held()).toBe(true);
    await time.advance(4_000);
    expect(b.work).toHaveLength(1);
    expect(b.work[0]?.from).toBeGreaterThanOrEqual(a.work[0]?.to ?? Infinity);
    await contest.stopAll(a, b);
  });

  test('a release whose answer was lost still lets the next one in', async () => {
    let lose = false;
    const a = contest.enter('a', {
      fault: (method) => (lose && method === 'PATCH' ? 'answer-lost' : 'none'),
    });
    await time.settle();
    const b = contest.enter('b');
    await time.advance(3_000);
    lose = true;
    a.stop.abort();
    await time.advance(2_000);

    expect(b.work).toHaveLength(1);
    await contest.stopAll(a, b);
  });

  test('work that ends by itself gives the lease back and ends the election', async () => {
    const elector = new Elector({
      api: server.as('a'),
      lease: { namespace: 'x', name: 'y' },
      identity: 'a',
      clock: time,
    });
    await elector.run(() => Promise.resolve(), new AbortController().signal);

    expect(server.holder).toBe('');
  });

  test('work that fails gives the lease back, and the failure is the caller’s', async () => {
    const elector = new Elector({
      api: server.as('a'),
      lease: { namespace: 'x', name: 'y' },
      identity: 'a',
      clock: time,
    });
    const run = elector.run(() => Promise.reject(new Error('no work')), new AbortController().signal);

    await expect(run).rejects.toThrow('no work');
    expect(server.holder).toBe('');
  });
});
