import { afterEach, describe, expect, test } from 'vitest';
import { Bench } from '../../test/support/queue-bench.ts';
import type { Doubles } from '../../test/support/queue-bench.ts';
import { SluiceError } from './errors.ts';
import type { Outcome } from './queue.ts';

const refused = new SluiceError('transient', 'no', { code: 'No' });
const failed: Outcome = { kind: 'retry', error: refused };
const done: Outcome = { kind: 'done' };

let bench = new Bench();
function started(doubles: Doubles = {}): Bench {
  bench = new Bench(doubles);
  bench.queue.start();
  return bench;
}
afterEach(async () => {
  const stopped = bench.queue.stop();
  for (const key of bench.running.keys()) await bench.end(key);
  await stopped;
  expect(bench.violations).toEqual([]);
});

describe('coalescing', () => {
  test('a key that waits is queued once', async () => {
    const b = started({ workers: 1 });
    b.add('busy');
    b.add('a');
    b.add('a');
    await b.clock.settle();
    expect(b.queue.state).toMatchObject({ ready: 1, inFlight: 1 });
  });

  test('a key that changes while it runs, however often, runs exactly once more', async () => {
    const b = started();
    b.add('a');
    await b.clock.settle();
    b.add('a');
    b.add('a');
    await b.clock.settle();
    expect(b.starts).toEqual(['a']);
    await b.end('a');
    expect(b.starts).toEqual(['a', 'a']);
    await b.end('a');
    await b.clock.advance(3_600_000);
    expect(b.starts).toEqual(['a', 'a']);
  });

  test('what changed while it ran does not wait for the back-off of that run', async () => {
    const b = started();
    b.add('a');
    await b.clock.settle();
    b.add('a');
    await b.end('a', failed);
    expect(b.starts).toEqual(['a', 'a']);
    expect(b.queue.keyState('a')).toEqual({ running: true, waiting: false, dueInMs: undefined, failures: 1 });
  });
});

describe('order', () => {
  test('nothing starts before start, then urgent keys first, then as they came', async () => {
    bench = new Bench({ workers: 1 });
    const b = bench;
    b.add('a');
    b.add('b', { urgent: true });
    b.add('c');
    b.add('d', { urgent: true });
    b.add('c', { urgent: true });
    await b.clock.settle();
    expect(b.starts).toEqual([]);
    b.queue.start();
    for (let i = 0; i < 4; i += 1) {
      await b.clock.settle();
      for (const key of b.running.keys()) await b.end(key);
    }
    expect(b.starts).toEqual(['b', 'd', 'c', 'a']);
  });

  test('no more run at once than there are workers', async () => {
    const b = started({ workers: 3 });
    for (const key of 'abcde') b.add(key);
    await b.clock.settle();
    expect(b.starts).toEqual(['a', 'b', 'c']);
    await b.end('b');
    expect(b.starts).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('delays', () => {
  test('of two planned times the earlier holds, and runs once', async () => {
    const b = started();
    b.add('a', { delayMs: 5_000 });
    b.add('a', { delayMs: 1_000 });
    b.add('a', { delayMs: 9_000 });
    await b.clock.advance(999);
    expect(b.starts).toEqual([]);
    await b.clock.advance(1);
    expect(b.starts).toEqual(['a']);
    await b.end('a');
    await b.clock.advance(60_000);
    expect(b.starts).toEqual(['a']);
  });

  test('a plain add runs at once and makes the planned return unnecessary', async () => {
    const b = started();
    b.add('a', { delayMs: 5_000 });
    b.add('a');
    await b.clock.settle();
    await b.end('a');
    await b.clock.advance(60_000);
    expect(b.starts).toEqual(['a']);
  });

  test('a delay asked for while the key runs outlives the pass', async () => {
    const b = started();
    b.add('a');
    await b.clock.settle();
    b.add('a', { delayMs: 5_000 });
    await b.end('a');
    await b.clock.advance(5_000);
    expect(b.starts).toEqual(['a', 'a']);
  });

  test('a delay that ends while the key runs causes one more pass', async () => {
    const b = started();
    b.add('a');
    await b.clock.settle();
    b.add('a', { delayMs: 5_000 });
    await b.clock.advance(6_000);
    await b.end('a');
    expect(b.starts).toEqual(['a', 'a']);
  });
});

describe('outcomes', () => {
  /** The delays after which a key comes back when its passes end so. */
  async function returns(
    b: Bench,
    outcomes: readonly (Outcome | Error)[],
  ): Promise<readonly (number | undefined)[]> {
    const delays: (number | undefined)[] = [];
    for (const outcome of outcomes) {
      await b.once('a', outcome);
      delays.push(b.queue.keyState('a').dueInMs);
    }
    return delays;
  }
  const slow: Outcome = {
    kind: 'retry',
    error: new SluiceError('throttled', 'slow', { code: 'T', retryAfterMs: 7_000 }),
  };

  const rows: readonly [string, number, readonly (Outcome | Error)[], readonly (number | undefined)[]][] = [
    ['done comes back never', 0, [done], [undefined]],
    ['after comes back when it said', 0, [{ kind: 'after', ms: 1_234 }], [1_234]],
    ['terminal comes back slowly', 0, [{ kind: 'terminal' }], [600_000]],
    ['retry doubles', 0, [failed, failed, failed, failed], [1_000, 2_000, 4_000, 8_000]],
    ['done resets the back-off', 0, [failed, failed, done, failed], [1_000, 2_000, undefined, 1_000]],
    ['after neither grows nor resets it', 0, [failed, { kind: 'after', ms: 5 }, failed], [1_000, 5, 2_000]],
    ['terminal resets it', 0, [failed, { kind: 'terminal' }, failed], [1_000, 600_000, 1_000]],
    ['what a pass throws counts as a failure', 0, [new Error('boom'), failed], [1_000, 2_000]],
    ['chance takes up to a quarter off', 0.999, [failed, { kind: 'terminal' }], [750.25, 450_150]],
    ['a named delay is a minimum', 0, [slow, slow, slow, slow], [7_000, 7_000, 7_000, 8_000]],
    ['chance only adds to a named delay', 0.5, [slow], [7_875]],
  ];
  test.each(rows)('%s', async (_idea, random, outcomes, delays) => {
    expect(await returns(started({ random }), outcomes)).toEqual(delays);
  });

  test('the back-off ends at five minutes, and chance still moves it there', async () => {
    const many = Array.from({ length: 12 }, () => failed);
    expect((await returns(started(), many)).at(-1)).toBe(300_000);
    expect((await returns(started({ random: 0.5 }), many)).at(-1)).toBe(262_500);
  });

  test('forget lets the next back-off start small', async () => {
    const b = started();
    await returns(b, [failed, failed, failed]);
    b.queue.forget('a');
    expect(await returns(b, [failed])).toEqual([1_000]);
  });

  test('a key that failed comes back by itself', async () => {
    const b = started();
    await b.once('a', failed);
    await b.clock.advance(1_000);
    expect(b.starts).toEqual(['a', 'a']);
  });
});

describe('lanes', () => {
  test('keys of one lane run one after another, in order, while others pass them', async () => {
    const b = started({ workers: 4, lanes: { a: 'L', b: 'L', c: 'L' } });
    for (const key of ['a', 'b', 'c', 'x']) b.add(key);
    await b.clock.settle();
    expect(b.starts).toEqual(['a', 'x']);
    expect(b.queue.state).toMatchObject({ ready: 0, blocked: 2, inFlight: 2 });
    b.add('a');
    await b.end('a');
    await b.end('b');
    await b.end('c');
    await b.end('a');
    expect(b.starts).toEqual(['a', 'x', 'b', 'c', 'a']);
  });

  test('a key that is added again while it waits for its lane runs once', async () => {
    const b = started({ workers: 4, lanes: { a: 'L', b: 'L' } });
    b.add('a');
    b.add('b');
    await b.clock.settle();
    b.lanes = { a: 'L' };
    b.add('b');
    await b.clock.settle();
    await b.end('a');
    await b.end('b');
    await b.end('b');
    expect(b.starts).toEqual(['a', 'b']);
  });

  test('a key that has left its lane while it waited does not strand those behind it', async () => {
    const b = started({ workers: 4, lanes: { a: 'L', b: 'L', c: 'L' } });
    for (const key of ['a', 'b', 'c']) b.add(key);
    await b.clock.settle();
    b.lanes = { a: 'L', c: 'L' };
    await b.end('a');
    expect(b.starts).toEqual(['a', 'b', 'c']);
  });
});

describe('stop', () => {
  test('aborts what runs, waits for it, and starts nothing more', async () => {
    const b = started({ workers: 1 });
    b.add('a');
    b.add('b');
    b.add('c', { delayMs: 1_000 });
    await b.clock.settle();
    let ended = false;
    const stop = async (): Promise<void> => {
      await b.queue.stop('over');
      ended = true;
    };
    const stopped = stop();
    await b.clock.advance(10_000);
    expect([ended, b.signals[0]?.aborted, b.signals[0]?.reason]).toEqual([false, true, 'over']);
    b.add('d');
    await b.end('a', failed);
    await stopped;
    await b.clock.advance(3_600_000);
    expect(b.starts).toEqual(['a']);
    expect(b.queue.state).toEqual({ ready: 0, blocked: 0, delayed: 0, inFlight: 0, oldestMs: 0, failing: 0 });
  });

  test('a key whose pass was about to begin does not begin', async () => {
    const b = started();
    b.add('a');
    await b.queue.stop();
    expect(b.starts).toEqual([]);
  });
});

test('tells how deep it is, how old, and who fails', async () => {
  const b = started({ workers: 1 });
  await b.once('bad', failed);
  b.add('a');
  b.add('b');
  await b.clock.advance(900);
  expect(b.queue.state).toEqual({ ready: 1, blocked: 0, delayed: 1, inFlight: 1, oldestMs: 900, failing: 1 });
});
