/** The one way to AWS: limited, classified, repeated where that is harmless. */
import { expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { createDoor } from './door.ts';
import type { Door } from './door.ts';
import { createLimits, defaultRates } from './limits.ts';
import type { Rates } from './limits.ts';
import type { ElbClient } from './operations.ts';

const never = new AbortController().signal;

function doorTo(
  answers: readonly (object | Error)[],
  rates: Rates = defaultRates,
): { readonly door: Door; readonly clock: VirtualClock; readonly calls: number[] } {
  const clock = new VirtualClock();
  const calls: number[] = [];
  const client: ElbClient = {
    call: () => {
      calls.push(clock.now());
      const answer = answers[calls.length - 1] ?? {};
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  const door = createDoor({
    client,
    limits: createLimits(rates, clock, () => 0.5),
    clock,
    random: () => 0.5,
  });
  return { door, clock, calls };
}

const named = (name: string, status?: number): Error =>
  Object.assign(new Error('because'), {
    name,
    ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }),
  });

async function outcome(clock: VirtualClock, promise: Promise<unknown>): Promise<unknown> {
  const settled = promise.then(
    () => 'answered',
    (error: unknown) => error,
  );
  await clock.advance(120_000);
  return await settled;
}

test('a throttled write goes back to the queue, whose gaps grow', async () => {
  const { door, clock, calls } = doorTo([named('Throttling', 400)]);

  expect(await outcome(clock, door.call('CreateListener', {} as never, never))).toMatchObject({
    kind: 'throttled',
  });
  expect(calls).toHaveLength(1);
});

test('a throttled read is made again when its turn comes, and slows the others of its class', async () => {
  const { door, clock, calls } = doorTo([named('Throttling', 400), named('Throttling', 400)]);

  expect(await outcome(clock, door.call('DescribeTags', { ResourceArns: [] }, never))).toBe('answered');
  expect(calls).toHaveLength(3);
  expect(calls[1]).toBeGreaterThan(0);
});

test('a call that is throttled for good says so', async () => {
  const { door, clock, calls } = doorTo(Array.from({ length: 10 }, () => named('Throttling', 400)));

  expect(await outcome(clock, door.call('DescribeTags', { ResourceArns: [] }, never))).toMatchObject({
    kind: 'throttled',
  });
  expect(calls).toHaveLength(4);
});

test('a call without an answer is made once more', async () => {
  const { door, clock, calls } = doorTo([named('TimeoutError')]);

  expect(await outcome(clock, door.call('CreateListener', {} as never, never))).toBe('answered');
  expect(calls).toEqual([0, 200]);
});

test('a refusal is not repeated', async () => {
  const { door, clock, calls } = doorTo([named('ValidationError', 400)]);

  expect(await outcome(clock, door.call('CreateListener', {} as never, never))).toMatchObject({
    kind: 'invalid',
  });
  expect(calls).toHaveLength(1);
});

test('each class of calls has its own allowance', async () => {
  const rates: Rates = { ...defaultRates, modify: { perSecond: 1, burst: 1 } };
  const { door, clock, calls } = doorTo([], rates);

  const all = Promise.all([
    door.call('CreateListener', {} as never, never),
    door.call('CreateListener', {} as never, never),
    door.call('DescribeTags', { ResourceArns: [] }, never),
    door.call('RegisterTargets', {} as never, never),
  ]);

  expect(await outcome(clock, all)).toBe('answered');
  expect(calls).toEqual([0, 0, 0, 1_000]);
});

test('one who gives up while waiting has had no effect', async () => {
  const rates: Rates = { ...defaultRates, modify: { perSecond: 0.001, burst: 1 } };
  const { door, clock, calls } = doorTo([], rates);
  const giveUp = new AbortController();
  await door.call('CreateListener', {} as never, never);
  const second = door.call('CreateListener', {} as never, giveUp.signal);

  giveUp.abort();

  expect(await outcome(clock, second)).toMatchObject({ kind: 'transient', code: 'Aborted' });
  expect(calls).toHaveLength(1);
});
