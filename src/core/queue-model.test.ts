/** Random histories of the work queue, and a planted defect that they have to find. */
import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { Bench } from '../../test/support/queue-bench.ts';
import type { Doubles } from '../../test/support/queue-bench.ts';
import { SluiceError } from './errors.ts';
import type { AddOptions, Outcome } from './queue.ts';

const failed: Outcome = { kind: 'retry', error: new SluiceError('transient', 'no', { code: 'No' }) };
const done: Outcome = { kind: 'done' };

type Operation =
  | { readonly kind: 'add'; readonly key: string; readonly options: AddOptions }
  | { readonly kind: 'end'; readonly index: number; readonly outcome: Outcome }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'move'; readonly key: string; readonly lane: string | undefined };

const keys = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const operations = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('add' as const),
      key: keys,
      options: fc.record({ delayMs: fc.constantFrom(0, 0, 500, 2_000), urgent: fc.boolean() }),
    }),
    fc.record({
      kind: fc.constant('end' as const),
      index: fc.nat({ max: 4 }),
      outcome: fc.constantFrom<Outcome>(done, failed, { kind: 'after', ms: 1_500 }, { kind: 'terminal' }),
    }),
    fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(100, 1_000, 400_000) }),
    fc.record({ kind: fc.constant('move' as const), key: keys, lane: fc.constantFrom('L', 'M', undefined) }),
  ),
  { maxLength: 40 },
);

/** Plays a history, then lets everything end well; throws when an `add` was lost or a key or lane ran twice. */
async function play(history: readonly Operation[], doubles: Doubles): Promise<void> {
  const b = new Bench(doubles);
  b.queue.start();
  for (const operation of history) {
    switch (operation.kind) {
      case 'add':
        b.add(operation.key, operation.options);
        break;
      case 'end': {
        const key = [...b.running.keys()][operation.index];
        if (key !== undefined) await b.end(key, operation.outcome);
        break;
      }
      case 'advance':
        await b.clock.advance(operation.ms);
        break;
      case 'move': {
        // A pass keeps the lane that it started in.
        await b.clock.settle();
        if (b.running.has(operation.key)) break;
        const { [operation.key]: _left, ...others } = b.lanes;
        b.lanes = operation.lane === undefined ? others : { ...others, [operation.key]: operation.lane };
        break;
      }
    }
  }
  for (let round = 0; round < 20; round += 1) {
    await b.clock.advance(700_000);
    for (const key of b.running.keys()) await b.end(key);
  }
  if (b.violations.length > 0) throw new Error(b.violations.join('; '));
  const { ready, blocked, delayed, inFlight } = b.queue.state;
  const left = [...b.owed, ready, blocked, delayed, inFlight].join();
  if (left !== '0,0,0,0') throw new Error(`lost or left over: ${left}`);
}

describe('against a model', () => {
  test.prop([operations, fc.integer({ min: 1, max: 3 })], { numRuns: 300 })(
    'no add is ever lost, no key or lane runs twice at once, and everything comes to rest',
    async (history, workers) => {
      await play(history, { workers });
    },
    60_000,
  );

  test('a queue that forgets what changes while a key runs is found out', async () => {
    const forgetful: Doubles['add'] = (queue, key, options) => {
      if (!queue.keyState(key).running) queue.add(key, options);
    };
    const property = fc.asyncProperty(operations, (history) => play(history, { add: forgetful }));
    const result = await fc.check(property, { numRuns: 500, seed: 1 });
    expect(result.failed).toBe(true);
    expect(String(result.errorInstance)).toContain('lost or left over');
  }, 60_000);
});
