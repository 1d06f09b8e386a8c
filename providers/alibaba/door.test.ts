/** The one way to Alibaba Cloud: limited, classified, repeated where that is harmless. */
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { createDoor } from './door.ts';
import type { Door } from './door.ts';
import { CallFailure } from './failure.ts';
import type { FailureKind } from './failure.ts';
import { createLimits, defaultRates } from './limits.ts';
import type { Limits, Rates } from './limits.ts';
import { isSlbOperation } from './operations.ts';
import type { SlbClient } from './operations.ts';

const never = new AbortController().signal;

interface Bench {
  readonly door: Door;
  readonly clock: VirtualClock;
  readonly calls: number[];
  readonly limits: Limits;
}

function doorTo(
  answers: readonly (object | CallFailure)[],
  rates: Rates = defaultRates,
  parallel?: number,
  callMs = 0,
): Bench {
  const clock = new VirtualClock();
  const calls: number[] = [];
  const client: SlbClient = {
    async call() {
      calls.push(clock.now());
      const answer = answers[calls.length - 1] ?? {};
      if (callMs > 0) await new Promise<void>((resolve) => void clock.schedule(callMs, resolve));
      if (answer instanceof CallFailure) throw answer;
      return answer;
    },
  };
  const limits = createLimits(rates, clock, () => 0.5, parallel);
  return { door: createDoor({ client, limits, clock, random: () => 0.5 }), clock, calls, limits };
}

const refused = (code: string, status = 400): CallFailure =>
  new CallFailure('refused', 'because', { code, status });
const silent = (kind: FailureKind): CallFailure => new CallFailure(kind, 'because', { code: 'ECONNRESET' });

/** `answered`, or the kind of the error. */
async function outcome(bench: Bench, operation: string, input: object = {}): Promise<string> {
  if (!isSlbOperation(operation)) throw new Error(`no operation ${operation}`);
  const settled = bench.door.call(operation, input as never, never).then(
    () => 'answered',
    (error: unknown) => (error as { readonly kind: string }).kind,
  );
  await bench.clock.advance(120_000);
  return settled;
}

test.each<[string, readonly CallFailure[], string, object, string, number]>([
  [
    'a throttled read waits its turn',
    [refused('Throttling.User')],
    'DescribeLoadBalancers',
    {},
    'answered',
    2,
  ],
  [
    'a throttled write goes back to the queue',
    [refused('Throttling.User')],
    'DeleteVServerGroup',
    {},
    'throttled',
    1,
  ],
  [
    'a busy object is asked again',
    [refused('ServiceIsConfiguring'), refused('SystemBusy')],
    'DeleteVServerGroup',
    {},
    'answered',
    3,
  ],
  [
    'an object that stays busy goes back to the queue',
    Array.from({ length: 9 }, () => refused('SystemBusy')),
    'DeleteVServerGroup',
    {},
    'busy',
    4,
  ],
  [
    'a deletion without an answer is made again',
    [silent('unanswered')],
    'DeleteVServerGroup',
    {},
    'answered',
    2,
  ],
  ['a creation without a token is not', [silent('unanswered')], 'CreateLoadBalancer', {}, 'ambiguous', 1],
  [
    'a creation with a token is',
    [silent('unanswered')],
    'CreateLoadBalancer',
    { ClientToken: 't' },
    'answered',
    2,
  ],
  ['a group would be made twice', [silent('unreadable')], 'CreateVServerGroup', {}, 'ambiguous', 1],
  ['a listener that never left is', [silent('not-sent')], 'CreateLoadBalancerTCPListener', {}, 'answered', 2],
  [
    'an order is not made twice',
    [silent('unanswered')],
    'ModifyLoadBalancerInternetSpec',
    {},
    'ambiguous',
    1,
  ],
  [
    'members are not added twice',
    [silent('unanswered')],
    'AddVServerGroupBackendServers',
    {},
    'ambiguous',
    1,
  ],
  ['a refusal is final', [refused('MissingParam.X')], 'DescribeLoadBalancers', {}, 'invalid', 1],
])('%s', async (_what, answers, operation, input, expected, calls) => {
  const bench = doorTo(answers);
  expect(await outcome(bench, operation, input)).toBe(expected);
  expect(bench.calls).toHaveLength(calls);
});

test('the pauses of a busy object grow', async () => {
  const bench = doorTo(Array.from({ length: 3 }, () => refused('SystemBusy')));
  await outcome(bench, 'DeleteVServerGroup');
  expect(bench.calls).toEqual([0, 1_000, 3_000, 7_000]);
});

describe('being throttled', () => {
  test.each([
    ['Throttling.Api', [10, 20]],
    ['Throttling.User', [10, 10]],
  ])('%s slows the calls that it is about', async (code, expected) => {
    const rates: Rates = {
      ...defaultRates,
      read: { perSecond: 20, burst: 1 },
      modify: { perSecond: 20, burst: 1 },
    };
    const { clock, door, limits } = doorTo([refused(code)], rates);
    const failed = door.call('DescribeLoadBalancers', {}, AbortSignal.abort()).catch(() => 'aborted');
    expect(await failed).toBe('aborted');
    void door.call('DescribeLoadBalancers', {}, never).catch(() => {});
    await clock.advance(0);
    const { read, modify } = limits.buckets;
    expect([read, modify].map((bucket) => Math.round(bucket.state.perSecond))).toEqual(expected);
  });
});

test('only so many calls are under way together, in the order of asking', async () => {
  const { calls, clock, door } = doorTo([], defaultRates, 2, 100);
  const all = Promise.all([1, 2, 3, 4, 5].map(() => door.call('DescribeLoadBalancers', {}, never)));
  await clock.advance(1_000);
  await all;
  expect(calls).toEqual([0, 0, 100, 100, 200]);
});

test('one who gives up while waiting for a place has had no effect and keeps none', async () => {
  const { calls, clock, door } = doorTo([], defaultRates, 1, 100);
  const giveUp = new AbortController();
  const first = door.call('DeleteVServerGroup', { VServerGroupId: 'a' }, never);
  const second = door.call('DeleteVServerGroup', { VServerGroupId: 'b' }, giveUp.signal);
  const failed = expect(second).rejects.toMatchObject({ kind: 'transient', code: 'Aborted' });
  const third = door.call('DeleteVServerGroup', { VServerGroupId: 'c' }, never);
  await clock.advance(10);
  giveUp.abort();
  await clock.advance(1_000);
  await Promise.all([first, failed, third]);
  expect(calls).toEqual([0, 100]);
});
