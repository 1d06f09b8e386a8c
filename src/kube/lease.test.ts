/** Leader election in virtual time: minutes of contention, frost and slow servers in milliseconds. */
import { beforeEach, describe, expect, test } from 'vitest';

import { seededRandom } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import type { Method } from './api.ts';
import { MemoryLeases } from '../../test/support/memory-leases.ts';
import type { Fault } from '../../test/support/memory-leases.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { Elector } from './lease.ts';
import type { LeaseReport, Term } from './lease.ts';

let time: VirtualClock;
let server: MemoryLeases;

beforeEach(() => {
  time = new VirtualClock();
  server = new MemoryLeases(time);
});

interface Contender {
  readonly id: string;
  readonly stop: AbortController;
  readonly reports: LeaseReport[];
  readonly done: Promise<void>;
  /** When work began and ended, on the virtual clock. */
  readonly work: { readonly from: number; to: number | undefined }[];
  term: Term | undefined;
}

interface Setup {
  readonly fault?: (method: Method) => Fault;
  readonly clock?: Clock;
  /** How long work takes to wind down on a clean stop. */
  readonly drainMs?: number;
}

function contender(id: string, setup: Setup = {}): Contender {
  const stop = new AbortController();
  const clock = setup.clock ?? time;
  const reports: LeaseReport[] = [];
  const work: Contender['work'] = [];
  const elector = new Elector({
    api: server.as(id, setup.fault),
    lease: { namespace: 'sluice-system', name: 'sluice-controller' },
    identity: id,
    clock,
    random: seededRandom(id.length),
    report: (event) => reports.push(event),
  });
  const lead = async (term: Term): Promise<void> => {
    const stretch: { from: number; to: number | undefined } = { from: clock.now(), to: undefined };
    work.push(stretch);
    made.term = term;
    await new Promise<void>((resolve) => {
      term.signal.addEventListener('abort', () => resolve());
      stop.signal.addEventListener('abort', () => clock.schedule(setup.drainMs ?? 0, resolve));
    });
    stretch.to = clock.now();
  };
  const made: Contender = { id, stop, reports, work, term: undefined, done: elector.run(lead, stop.signal) };
  return made;
}

async function stopAll(...contenders: readonly Contender[]): Promise<void> {
  for (const one of contenders) one.stop.abort();
  await time.advance(60_000);
  await Promise.all(contenders.map((one) => one.done));
  expect(time.pending).toBe(0);
}

function kinds(one: Contender): readonly string[] {
  return one.reports.map((event) => event.kind);
}

describe('taking and keeping', () => {
  test('the first contender makes the lease, with times of six fractional digits', async () => {
    const a = contender('a');
    await time.settle();

    expect(kinds(a)).toEqual(['acquired']);
    expect(server.lease?.spec).toMatchObject({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
    });
    expect(server.lease?.spec['renewTime']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    await stopAll(a);
  });

  test('of two contenders one leads, for as long as it renews', async () => {
    const a = contender('a');
    await time.settle();
    const b = contender('b');
    await time.advance(3_600_000);

    expect(a.work).toHaveLength(1);
    expect(b.work).toHaveLength(0);
    expect(a.term?.held()).toBe(true);
    expect(kinds(b)).toEqual(['waiting']);
    await stopAll(a, b);
  });

  test('of two that start in the same moment one gets a conflict and waits', async () => {
    const [a, b] = [contender('a'), contender('b')];
    await time.advance(5_000);

    expect(a.work.length + b.work.length).toBe(1);
    await stopAll(a, b);
  });

  test('a restarted process of the same name need not wait for itself', async () => {
    server.delayMs = 0;
    const first = contender('a', { fault: () => 'none' });
    await time.settle();
    const again = contender('a');
    await time.advance(10);

    expect(again.work).toHaveLength(1);
    await stopAll(first, again);
  });
});

describe('giving back', () => {
  test('after a clean stop the next leader starts within two seconds', async () => {
    const a = contender('a');
    await time.settle();
    const b = contender('b');
    await time.advance(31_000);
    a.stop.abort();
    const stoppedAt = time.now();
    await time.advance(2_000);

    expect(kinds(a)).toEqual(['acquired', 'released']);
    expect((b.work[0]?.from ?? Infinity) - stoppedAt).toBeLessThanOrEqual(2_000);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    await stopAll(a, b);
  });

  test('the lease is kept while work winds down, and only then given back', async () => {
    const a = contender('a', { drainMs: 25_000 });
    await time.settle();
    const b = contender('b');
    await time.advance(1_000);
    a.stop.abort();
    await time.advance(24_000);

    expect(b.work).toHaveLength(0);
    expect(a.term?.held()).toBe(true);
    await time.advance(4_000);
    expect(b.work).toHaveLength(1);
    expect(b.work[0]?.from).toBeGreaterThanOrEqual(a.work[0]?.to ?? Infinity);
    await stopAll(a, b);
  });

  test('a release whose answer was lost still lets the next one in', async () => {
    let lose = false;
    const a = contender('a', { fault: (method) => (lose && method === 'PATCH' ? 'answer-lost' : 'none') });
    await time.settle();
    const b = contender('b');
    await time.advance(3_000);
    lose = true;
    a.stop.abort();
    await time.advance(2_000);

    expect(b.work).toHaveLength(1);
    await stopAll(a, b);
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

describe('losing', () => {
  test('work stops before anyone else can begin, when the server is out of reach', async () => {
    let cut = false;
    const a = contender('a', { fault: () => (cut ? 'unreachable' : 'none') });
    await time.settle();
    const b = contender('b');
    await time.advance(20_000);
    cut = true;
    await time.advance(30_000);

    const ended = a.work[0]?.to ?? Infinity;
    expect(ended).toBeLessThan(b.work[0]?.from ?? 0);
    expect(kinds(a)).toContain('lost');
    expect(a.term?.held()).toBe(false);
    cut = false;
    await stopAll(a, b);
  });

  test('the same when every call hangs', async () => {
    let cut = false;
    const a = contender('a', { fault: () => (cut ? 'hangs' : 'none') });
    await time.settle();
    const b = contender('b');
    await time.advance(20_000);
    cut = true;
    await time.advance(40_000);

    expect(a.work[0]?.to ?? Infinity).toBeLessThan(b.work[0]?.from ?? 0);
    cut = false;
    await stopAll(a, b);
  });

  test('a frozen leader knows when it wakes, before any timer runs', async () => {
    const frozen = new Freezable(time);
    const a = contender('a', { clock: frozen });
    await time.settle();
    const b = contender('b');
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
    await stopAll(a, b);
  });

  test('a machine that slept, with a monotonic clock that stood still, holds back until it has renewed', async () => {
    const a = contender('a');
    await time.settle();
    await time.advance(10_000);
    time.jumpWall(60_000);

    expect(a.term?.held()).toBe(false);
    await time.advance(2_000);
    expect(a.term?.held()).toBe(true);
    expect(a.work).toHaveLength(1);
    await stopAll(a);
  });

  test('a wall clock set back or far ahead costs nobody the lease', async () => {
    const a = contender('a');
    await time.settle();
    const b = contender('b');
    for (const jump of [-86_400_000, 86_400_000, -3_600_000]) {
      time.jumpWall(jump);
      await time.advance(60_000);
    }

    expect(a.work).toHaveLength(1);
    expect(a.term?.held()).toBe(true);
    expect(b.work).toHaveLength(0);
    await stopAll(a, b);
  });

  test('a holder whose clock is years off is given its full duration, and no more', async () => {
    const a = contender('a');
    await time.settle();
    server.tamper({ holderIdentity: 'stranger', renewTime: '2001-01-01T00:00:00.000000Z' });
    const b = contender('b');
    await time.advance(14_000);
    expect(b.work).toHaveLength(0);
    await time.advance(4_000);
    expect(a.work.length + b.work.length).toBe(2);
    await stopAll(a, b);
  });

  test('someone who only touches the lease’s labels makes the leader read it again, not lose it', async () => {
    const a = contender('a');
    await time.settle();
    await time.advance(5_000);
    server.tamper({});
    await time.advance(60_000);

    expect(a.work).toHaveLength(1);
    expect(a.term?.held()).toBe(true);
    await stopAll(a);
  });

  test('a renewal whose answer was lost is looked up, not taken for a loss', async () => {
    let lose = 0;
    const a = contender('a', {
      fault: (method) => (method === 'PATCH' && lose-- > 0 ? 'answer-lost' : 'none'),
    });
    await time.settle();
    lose = 2;
    await time.advance(60_000);

    expect(a.work).toHaveLength(1);
    expect(a.reports.filter((event) => event.kind === 'failed')).not.toHaveLength(0);
    await stopAll(a);
  });

  test('a lease that was deleted or taken by force ends the work at once', async () => {
    const a = contender('a');
    await time.settle();
    server.tamper('delete');
    await time.advance(2_500);
    expect(a.work[0]?.to).toBeDefined();

    await time.advance(5_000);
    server.tamper({ holderIdentity: 'stranger' });
    await time.advance(2_500);
    expect(a.work[1]?.to).toBeDefined();
    await stopAll(a);
  });

  test('a server that takes four seconds for each call does not cost the lease', async () => {
    server.delayMs = 4_000;
    const a = contender('a');
    await time.advance(10_000);
    const b = contender('b');
    await time.advance(600_000);

    expect(a.work).toHaveLength(1);
    expect(b.work).toHaveLength(0);
    await stopAll(a, b);
  });

  test('a server that is slower than the deadline never lets two lead at once', async () => {
    server.delayMs = 1_000;
    const all = [contender('a'), contender('bb'), contender('ccc')];
    for (let minute = 0; minute < 60; minute += 1) {
      server.delayMs = (minute * 3_700) % 17_000;
      await time.advance(60_000);
    }
    server.delayMs = 0;
    await stopAll(...all);

    const stretches = all.flatMap((one) => one.work).toSorted((one, other) => one.from - other.from);
    expect(stretches.length).toBeGreaterThan(3);
    for (const [index, stretch] of stretches.entries()) {
      expect(stretch.to ?? Infinity).toBeLessThanOrEqual(stretches[index + 1]?.from ?? Infinity);
    }
  });
});

/** The clock of a process that can be stopped: time passes for it, but its timers wait until it wakes. */
class Freezable implements Clock {
  readonly #inner: Clock;
  #frozen = false;
  #due: (() => void)[] = [];

  constructor(inner: Clock) {
    this.#inner = inner;
  }

  now(): number {
    return this.#inner.now();
  }

  wall(): number {
    return this.#inner.wall();
  }

  schedule(ms: number, run: () => void): () => void {
    let cancelled = false;
    const once = (): void => {
      if (!cancelled) run();
    };
    const cancel = this.#inner.schedule(ms, () => {
      if (this.#frozen) this.#due.push(once);
      else once();
    });
    return () => {
      cancelled = true;
      cancel();
    };
  }

  freeze(): void {
    this.#frozen = true;
  }

  wake(): void {
    this.#frozen = false;
    const due = this.#due;
    this.#due = [];
    for (const run of due) run();
  }
}
