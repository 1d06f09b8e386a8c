import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { TokenBucket } from './rate.ts';

class Bench {
  readonly clock = new VirtualClock();
  readonly bucket: TokenBucket;
  /** When each call was let through, in order, with its name. */
  readonly granted: { readonly name: string; readonly at: number }[] = [];

  constructor(perSecond: number, burst: number, random = 0) {
    this.bucket = new TokenBucket({ clock: this.clock, random: () => random, perSecond, burst });
  }

  async call(name: string, signal?: AbortSignal): Promise<void> {
    await this.bucket.take(signal);
    this.granted.push({ name, at: this.clock.now() });
  }

  calls(count: number): Promise<unknown> {
    return Promise.all(Array.from({ length: count }, (_, i) => this.call(`c${i}`)));
  }
}

describe('the bucket', () => {
  test('lets a burst through at once and the rest at the rate, in order', async () => {
    const b = new Bench(10, 3);
    const all = b.calls(6);
    await b.clock.advance(1_000);
    await all;
    expect(b.granted.map(({ name, at }) => `${name} ${Math.round(at)}`)).toEqual([
      'c0 0',
      'c1 0',
      'c2 0',
      'c3 100',
      'c4 200',
      'c5 300',
    ]);
  });

  test('saves up no more than its burst', async () => {
    const b = new Bench(10, 3);
    await b.clock.advance(60_000);
    expect(b.bucket.state).toEqual({ perSecond: 10, tokens: 3, waiting: 0 });
  });

  test('serves a newcomer after those who wait, though tokens have come meanwhile', async () => {
    const b = new Bench(1, 1);
    const all = [b.call('a'), b.call('b')];
    await b.clock.advance(999);
    all.push(b.call('c'));
    await b.clock.advance(5_000);
    await Promise.all(all);
    expect(b.granted.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  test('an aborted caller leaves the line at once and takes no token', async () => {
    const b = new Bench(1, 1);
    const abort = new AbortController();
    const first = b.call('a');
    const second = b.call('b', abort.signal);
    const third = b.call('c');
    await b.clock.advance(500);
    abort.abort(new Error('over'));
    await expect(second).rejects.toThrow('over');
    await b.clock.advance(500);
    await Promise.all([first, third]);
    expect(b.granted).toEqual([
      { name: 'a', at: 0 },
      { name: 'c', at: 1_000 },
    ]);
    expect(b.clock.pending).toBe(0);
  });

  test('a caller that was aborted before it came is not let in', async () => {
    const b = new Bench(1, 1);
    await expect(b.call('a', AbortSignal.abort('no'))).rejects.toBe('no');
    expect(b.bucket.state.tokens).toBe(1);
  });
});

describe('when told to slow down', () => {
  test('halves its rate and gives up what it had saved', () => {
    const b = new Bench(10, 40);
    b.bucket.throttled();
    expect(b.bucket.state).toMatchObject({ perSecond: 5, tokens: 0 });
  });

  test('counts complaints about one burst once', async () => {
    const b = new Bench(10, 40);
    for (let i = 0; i < 20; i += 1) b.bucket.throttled();
    expect(b.bucket.state.perSecond).toBe(5);
    await b.clock.advance(1_000);
    b.bucket.throttled();
    expect(b.bucket.state.perSecond).toBeLessThan(3);
  });

  test('never falls below a sixteenth, so that it never stands still', async () => {
    const b = new Bench(16, 1);
    for (let i = 0; i < 50; i += 1) {
      b.bucket.throttled();
      await b.clock.advance(1_000);
    }
    b.bucket.throttled();
    expect(b.bucket.state.perSecond).toBe(1);
  });

  test('is back at its full rate after a minute without complaints', async () => {
    const b = new Bench(10, 5);
    b.bucket.throttled();
    await b.clock.advance(60_000);
    expect(b.bucket.state.perSecond).toBe(10);
  });

  test('stays away for as long as it was told, those in line included', async () => {
    const b = new Bench(10, 5);
    const before = b.calls(7);
    b.bucket.throttled(30_000);
    await b.clock.advance(29_999);
    expect(b.granted).toHaveLength(5);
    await b.clock.advance(2_000);
    await before;
    expect(b.granted.map(({ at }) => Math.round(at / 1_000))).toEqual([0, 0, 0, 0, 0, 30, 30]);
  });
});

test('a pause that was asked for is a minimum, and chance adds a little', async () => {
  const b = new Bench(10, 1, 0.5);
  b.bucket.throttled(10_000);
  const waiting = b.call('a');
  await b.clock.advance(10_499);
  expect(b.granted).toEqual([]);
  await b.clock.advance(1);
  await waiting;
  expect(b.granted).toEqual([{ name: 'a', at: 10_500 }]);
});

describe('against a server with the documented bucket', () => {
  /** The cloud's own bucket: refuses when it is empty. */
  function cloud(clock: VirtualClock, perSecond: number, burst: number): () => boolean {
    let tokens = burst;
    let at = 0;
    return () => {
      tokens = Math.min(burst, tokens + ((clock.now() - at) * perSecond) / 1_000);
      at = clock.now();
      if (tokens < 1 - 1e-6) return false;
      tokens -= 1;
      return true;
    };
  }

  test('500 Services with 9 reads each pass without one refusal, in calls ÷ rate', async () => {
    const b = new Bench(10, 40);
    const accept = cloud(b.clock, 10, 40);
    let refused = 0;
    const all = Array.from({ length: 4_500 }, async () => {
      await b.bucket.take();
      if (!accept()) refused += 1;
    });
    await b.clock.advance(((4_500 - 40) / 10) * 1_000 + 1);
    await Promise.all(all);
    expect(refused).toBe(0);
  });

  test('it finds its way when somebody else takes half of the allowance', async () => {
    const b = new Bench(10, 40);
    const accept = cloud(b.clock, 5, 20);
    let done = 0;
    let refused = 0;
    const work = async (): Promise<void> => {
      for (;;) {
        await b.bucket.take();
        if (accept()) break;
        refused += 1;
        b.bucket.throttled();
      }
      done += 1;
    };
    const all = Array.from({ length: 500 }, () => work());
    await b.clock.advance(150_000);
    await Promise.all(all);
    expect(done).toBe(500);
    expect(refused).toBeLessThan(60);
  });
});

test.prop([
  fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('take' as const) }),
      fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 5_000 }) }),
      fc.record({ kind: fc.constant('throttled' as const), retryAfterMs: fc.constantFrom(0, 0, 3_000) }),
    ),
    { maxLength: 60 },
  ),
  fc.integer({ min: 1, max: 20 }),
  fc.integer({ min: 1, max: 10 }),
])(
  'never lets more through than burst plus rate × time, in order, and everybody gets through',
  async (history, perSecond, burst) => {
    const b = new Bench(perSecond, burst);
    const all: Promise<void>[] = [];
    for (const event of history) {
      if (event.kind === 'take') all.push(b.call(String(all.length)));
      else if (event.kind === 'wait') await b.clock.advance(event.ms);
      else b.bucket.throttled(event.retryAfterMs);
    }
    await b.clock.advance(2_000_000);
    await Promise.all(all);
    expect(b.granted.map(({ name }) => name)).toEqual(all.map((_, i) => String(i)));
    b.granted.forEach((first, i) => {
      b.granted.slice(i).forEach((last, distance) => {
        expect(distance + 1).toBeLessThanOrEqual(burst + ((last.at - first.at) * perSecond) / 1_000 + 1e-3);
      });
    });
  },
);
