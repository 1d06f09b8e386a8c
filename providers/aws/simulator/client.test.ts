import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { seededRandom } from '../../../src/core/clock.ts';
import { Account } from './account.ts';
import { inMemoryClient } from './client.ts';
import type { FaultEffect } from '../../../src/core/simulated/faults.ts';

const create = { Name: 'web', Type: 'network', Subnets: ['subnet-a'] };

function setUp(callMs = 0): {
  time: VirtualClock;
  account: Account;
  call: (signal?: AbortSignal) => Promise<object>;
} {
  const time = new VirtualClock();
  const account = new Account({ clock: time, random: seededRandom(1), settings: { latency: { callMs } } });
  const client = inMemoryClient(account, 'me');
  return { time, account, call: (signal) => client.call('CreateLoadBalancer', create, signal) };
}

test('answers what the account answers, in the name of its caller', async () => {
  const { account, call } = setUp();
  await expect(call()).resolves.toMatchObject({ LoadBalancers: [{ LoadBalancerName: 'web' }] });
  expect(account.calls()).toMatchObject([{ by: 'me' }]);
});

test('a call takes effect half way through its time', async () => {
  const { time, account, call } = setUp(50);
  let answered = false;
  const pending = call().then(() => (answered = true));
  await time.advance(24);
  expect(account.resources()).toHaveLength(0);
  await time.advance(1);
  expect([account.resources().length, answered]).toEqual([1, false]);
  await time.advance(25);
  await pending;
  expect(answered).toBe(true);
});

test.each<[string, FaultEffect, object]>([
  [
    'a modelled error',
    { kind: 'error', code: 'TooManyLoadBalancers', message: 'too many' },
    {
      name: 'TooManyLoadBalancersException',
      message: 'too many',
      $metadata: { httpStatusCode: 400 },
      $fault: 'client',
    },
  ],
  [
    'an irregular one',
    { kind: 'error', code: 'ALPNPolicyNotFound' },
    { name: 'ALPNPolicyNotSupportedException' },
  ],
  [
    'the other irregular one',
    { kind: 'error', code: 'CapacityDecreaseRequestLimitExceeded' },
    { name: 'CapacityDecreaseRequestsLimitExceededException' },
  ],
  [
    'one that is not modelled',
    { kind: 'error', code: 'AccessDenied' },
    { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } },
  ],
  [
    'a failure of the service',
    { kind: 'error', code: 'InternalFailure' },
    { $fault: 'server', $metadata: { httpStatusCode: 500 } },
  ],
  ['throttling', { kind: 'throttle' }, { name: 'ThrottlingException' }],
  ['a cut connection', { kind: 'lost-answer' }, { code: 'ECONNRESET' }],
])('%s looks as from the SDK', async (_what, effect, expected) => {
  const { account, call } = setUp();
  account.faults.order({ effect });
  await expect(call()).rejects.toMatchObject(expected);
});

test.each([
  [10, 0],
  [40, 1],
])('an abort after %i of 50 ms leaves %i balancers', async (ms, count) => {
  const { time, account, call } = setUp(50);
  const abort = new AbortController();
  const pending = expect(call(abort.signal)).rejects.toMatchObject({ name: 'AbortError' });
  await time.advance(ms);
  abort.abort();
  await pending;
  await time.advance(100);
  expect(account.resources()).toHaveLength(count);
});

test('a call that is aborted before it starts does nothing', async () => {
  const { account, call } = setUp();
  await expect(call(AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
  expect(account.calls()).toEqual([]);
});

test('a call that hangs ends with the abort', async () => {
  const { time, account, call } = setUp();
  account.faults.order({ effect: { kind: 'hang', when: 'after' } });
  const abort = new AbortController();
  const pending = expect(call(abort.signal)).rejects.toMatchObject({ name: 'AbortError' });
  await time.advance(1_000_000);
  abort.abort();
  await pending;
  expect(account.resources()).toHaveLength(1);
});
