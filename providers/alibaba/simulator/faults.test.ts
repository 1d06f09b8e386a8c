import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/core/clock.ts';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { operations } from '../operations.ts';
import { Account } from './account.ts';
import { inMemoryClient } from './client.ts';
import { AnswerLost } from './errors.ts';
import type { FaultEffect } from './faults.ts';
import { simulatedOperations } from './operations.ts';
import { parameters } from './parameters.ts';
import { bench, onUsage } from './testing.ts';

test('every operation that the provider calls is simulated and described, with the same idea of what writes', () => {
  const names = Object.keys(operations).toSorted();
  expect([...simulatedOperations.keys()].toSorted()).toEqual(names);
  expect(Object.keys(parameters).toSorted()).toEqual(names);
  const writes = Object.entries(operations).filter(([, { callClass }]) => callClass !== 'read');
  expect(
    [...simulatedOperations]
      .filter(([, { mutating }]) => mutating)
      .map(([name]) => name)
      .toSorted(),
  ).toEqual(writes.map(([name]) => name).toSorted());
});

describe('what happens to a call that is hit', () => {
  test.each<[FaultEffect, object, number]>([
    [{ kind: 'error', code: 'InternalError' }, { kind: 'refused', code: 'InternalError', status: 500 }, 0],
    [
      { kind: 'error-in-answer', code: 'SystemBusy' },
      { kind: 'refused', code: 'SystemBusy', status: 200 },
      0,
    ],
    [
      { kind: 'throttle', retryAfterMs: 700 },
      { kind: 'refused', code: 'Throttling.User', retryAfterMs: 700 },
      0,
    ],
    [{ kind: 'error', code: 'Forbidden.RAM' }, { missingAction: 'slb:CreateLoadBalancer', status: 403 }, 0],
    [{ kind: 'html' }, { kind: 'unreadable' }, 0],
    [{ kind: 'html', when: 'after' }, { kind: 'unreadable' }, 1],
    [{ kind: 'lost-request' }, { kind: 'unanswered' }, 0],
    [{ kind: 'lost-answer' }, { kind: 'unanswered' }, 1],
  ])('%o: %o and %i balancers', async (effect, failure, count) => {
    const account = new Account({ clock: new VirtualClock(), random: seededRandom(1) });
    account.faults.order({ effect });
    await expect(inMemoryClient(account).call('CreateLoadBalancer', onUsage)).rejects.toMatchObject(failure);
    expect(account.resources()).toHaveLength(count);
    expect(account.calls()).toMatchObject([{ faults: [effect.kind] }]);
  });

  test.each([
    ['before', 10, 0],
    ['after', 40, 1],
  ])('given up %s the effect', async (_when, ms, count) => {
    const clock = new VirtualClock();
    const account = new Account({ clock, random: seededRandom(1), settings: { latency: { callMs: 50 } } });
    const abort = new AbortController();
    const pending = inMemoryClient(account).call('CreateLoadBalancer', onUsage, abort.signal);
    const failed = expect(pending).rejects.toMatchObject({ kind: 'aborted' });
    await clock.advance(ms);
    abort.abort();
    await failed;
    expect(account.resources()).toHaveLength(count);
  });

  test('a call that never gets an answer ends with the abort', async () => {
    const clock = new VirtualClock();
    const account = new Account({ clock, random: seededRandom(1) });
    account.faults.order({ effect: { kind: 'hang', when: 'after' } });
    const abort = new AbortController();
    const pending = inMemoryClient(account).call('CreateLoadBalancer', onUsage, abort.signal);
    const failed = expect(pending).rejects.toMatchObject({ kind: 'aborted' });
    await clock.advance(1_000_000);
    abort.abort();
    await failed;
    expect(account.resources()).toHaveLength(1);
  });

  test('stale, hidden and cut reads', () => {
    const { account, call, clock, codeOf, createLoadBalancer } = bench();
    const total = (): number | undefined =>
      call('DescribeLoadBalancers', {}).LoadBalancers?.LoadBalancer?.length;
    createLoadBalancer();
    clock.advance(10_000);
    account.faults.order({ match: { mutating: true }, effect: { kind: 'hide-created', ms: 5_000 } });
    const LoadBalancerId = createLoadBalancer();
    expect([total(), codeOf('DescribeLoadBalancerAttribute', { LoadBalancerId })]).toEqual([
      1,
      'InvalidLoadBalancerId.NotFound',
    ]);
    clock.advance(5_000);
    account.faults.order({ effect: { kind: 'stale', ms: 8_000 } });
    account.faults.order({ nth: 2, effect: { kind: 'stale', writes: 2 } });
    account.faults.order({ nth: 3, effect: { kind: 'truncated-list', keep: 1 } });
    account.faults.order({ nth: 4, effect: { kind: 'empty-list' } });
    expect([total(), total(), total(), total(), total()]).toEqual([1, 0, 1, 0, 2]);
  });

  test('in memory a lost answer is thrown, and what is done by hand is never hit', () => {
    const { account } = bench();
    account.faults.order({ times: 'until-cleared', effect: { kind: 'lost-answer' } });
    expect(() => account.handle('CreateLoadBalancer', onUsage)).toThrow(AnswerLost);
    account.byHand('CreateLoadBalancer', onUsage);
    expect(account.calls()).toMatchObject([{ answered: false }, { by: 'hand', answered: true }]);
  });
});

test('throttling refills with time', () => {
  const { clock, codeOf } = bench({ throttling: { enabled: true, read: { burst: 2, perSecond: 1 } } });
  const read = (): string => codeOf('DescribeLoadBalancers', {});
  expect([read(), read(), read()]).toEqual(['accepted', 'accepted', 'Throttling.User']);
  clock.advance(1_000);
  expect(read()).toBe('accepted');
});

test('the dump holds everything, the record every call with what it touched', () => {
  const { account, createGroup, createListener, createLoadBalancer } = bench();
  const lb = createLoadBalancer({ Tag: [{ Key: 'uid', Value: '1' }] });
  createListener(lb, createGroup(lb));
  expect(account.dump()).toMatchObject({
    loadBalancers: [
      {
        LoadBalancerId: lb,
        TagsByKey: { uid: '1' },
        Listeners: [{ ListenerPort: 80 }],
        VServerGroups: [{ BackendServers: [] }],
      },
    ],
  });
  expect(account.resources().map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'load-balancer web',
    'group web-80',
    'listener 80',
  ]);
  expect(account.writes()[0]).toMatchObject({
    touched: [{ kind: 'load-balancer', id: lb, change: 'created' }],
  });
  account.reset();
  expect([account.resources(), account.calls()]).toEqual([[], []]);
});

test('another region is not here', () => {
  expect(bench().codeOf('DescribeLoadBalancers', { RegionId: 'cn-nowhere' })).toBe(
    'InvalidRegionId.NotFound',
  );
});
