import { describe, expect, test } from 'vitest';
import { AnswerLost } from './errors.ts';
import type { FaultOrder } from '../../../src/core/simulated/faults.ts';
import { bench } from './testing.ts';

const create = { Name: 'web', Type: 'network', Subnets: ['subnet-a'] };

describe('which calls are hit', () => {
  const refuse = { kind: 'error', code: 'AccessDenied' } as const;
  const calls = [
    ['CreateLoadBalancer', create],
    ['DescribeLoadBalancers', {}],
    ['DescribeLoadBalancers', { Names: ['web'] }],
    ['DescribeLoadBalancers', {}],
  ] as const;

  test.each<[string, Omit<FaultOrder, 'effect'>, string]>([
    ['the next call', {}, 'x...'],
    ['the next three calls', { times: 3 }, 'xxx.'],
    ['all calls until cleared', { times: 'until-cleared' }, 'xxxx'],
    ['the second call', { nth: 2 }, '.x..'],
    [
      'the second call of an operation and all after it',
      { match: { operation: 'DescribeLoadBalancers' }, nth: 2, times: 'until-cleared' },
      '..xx',
    ],
    [
      'operations of a list',
      { match: { operation: ['CreateListener', 'CreateLoadBalancer'] }, times: 9 },
      'x...',
    ],
    ['reads', { match: { mutating: false }, times: 2 }, '.xx.'],
    ['writes', { match: { mutating: true }, times: 9 }, 'x...'],
    ['calls with an input', { match: { input: { Names: ['web'] } } }, '..x.'],
    ['calls of somebody else', { match: { by: 'other' }, times: 9 }, '....'],
    ['calls that a function picks', { match: { where: (call) => 'Names' in call.input } }, '..x.'],
  ])('%s', (_what, order, expected) => {
    const { account, codeOf } = bench();
    account.faults.order({ ...order, effect: refuse });
    // Where the first call is refused the account stays empty, and naming what is not there is refused as well.
    account.byHand('CreateLoadBalancer', create);
    const hit = calls.map(([operation, input]) => (codeOf(operation, input) === 'AccessDenied' ? 'x' : '.'));
    expect(hit.join('')).toBe(expected);
  });

  test('an order counts what it has seen and hit, and can be taken back', () => {
    const { account, codeOf } = bench();
    const id = account.faults.order({ nth: 2, times: 'until-cleared', effect: refuse });
    for (let call = 0; call < 3; call += 1) codeOf('DescribeLoadBalancers', {});
    expect(account.faults.list()).toMatchObject([{ id, seen: 3, hits: 2 }]);
    expect(account.faults.clear(id)).toBe(true);
    expect(codeOf('DescribeLoadBalancers', {})).toBe('accepted');
    expect(account.faults.clear(id)).toBe(false);
  });

  test('what is done by hand is never hit', () => {
    const { account } = bench();
    account.faults.order({ times: 'until-cleared', effect: refuse });
    account.byHand('CreateLoadBalancer', create);
    expect(account.resources()).toHaveLength(1);
    expect(account.calls()).toMatchObject([{ by: 'hand', faults: [] }]);
  });
});

function crash(): never {
  throw new Error('crash');
}

describe('what happens to them', () => {
  test.each([
    ['AccessDenied', 403],
    ['ExpiredToken', 403],
    ['TooManyLoadBalancers', 400],
    ['InternalFailure', 500],
    ['ServiceUnavailable', 503],
    ['PriorRequestNotComplete', 429],
    ['SomethingNew', 400],
  ])('refused as %s: status %i, no effect', (code, httpStatus) => {
    const { account, codeOf } = bench();
    account.faults.order({ effect: { kind: 'error', code } });
    expect(codeOf('CreateLoadBalancer', create)).toBe(code);
    expect(account.resources()).toEqual([]);
    expect(account.calls()).toMatchObject([
      { error: { code, httpStatus }, faults: ['error'], answered: true },
    ]);
  });

  test('throttled', () => {
    const { account, codeOf } = bench();
    account.faults.order({ times: 2, effect: { kind: 'throttle' } });
    const codes = [1, 2, 3].map(() => codeOf('DescribeLoadBalancers', {}));
    expect(codes).toEqual(['ThrottlingException', 'ThrottlingException', 'accepted']);
  });

  test.each([
    ['lost-request', 0],
    ['lost-answer', 1],
  ] as const)('%s: %i balancers afterwards', (kind, count) => {
    const { account } = bench();
    account.faults.order({ effect: { kind } });
    expect(() => account.handle('CreateLoadBalancer', create)).toThrow(AnswerLost);
    expect(account.resources()).toHaveLength(count);
    expect(account.calls()).toMatchObject([{ answered: false }]);
  });

  test.each([
    ['before', 0],
    ['after', 1],
  ] as const)('never answered, with the hang %s the effect: %i balancers', (when, count) => {
    const { account } = bench();
    account.faults.order({ effect: { kind: 'hang', when } });
    expect(account.open('CreateLoadBalancer', create).run()).toEqual({ kind: 'hang' });
    expect(account.resources()).toHaveLength(count);
  });

  test('a crash can be put before or after the effect', () => {
    const { account } = bench();
    account.faults.order({ effect: { kind: 'hook', before: crash } });
    expect(() => account.handle('CreateLoadBalancer', create)).toThrow('crash');
    expect(account.resources()).toHaveLength(0);
    account.faults.order({ effect: { kind: 'hook', after: crash } });
    expect(() => account.handle('CreateLoadBalancer', create)).toThrow('crash');
    expect(account.resources()).toHaveLength(1);
  });

  test('a read is answered from the state of some writes ago', () => {
    const { account, call, createLoadBalancer } = bench();
    createLoadBalancer({ Name: 'a' });
    createLoadBalancer({ Name: 'b' });
    account.faults.order({ effect: { kind: 'stale', writes: 1 } });
    expect(call('DescribeLoadBalancers', {})['LoadBalancers']).toHaveLength(1);
    expect(call('DescribeLoadBalancers', {})['LoadBalancers']).toHaveLength(2);
  });

  test('a read is answered from the state of some time ago: the deleted is listed, the new is not', () => {
    const { account, call, clock, codeOf, createLoadBalancer } = bench();
    const old = createLoadBalancer({ Name: 'old' });
    clock.advance(10_000);
    call('DeleteLoadBalancer', { LoadBalancerArn: old });
    createLoadBalancer({ Name: 'new' });
    account.faults.order({ times: 3, effect: { kind: 'stale', ms: 5_000 } });
    expect(call('DescribeLoadBalancers', {})).toMatchObject({ LoadBalancers: [{ LoadBalancerName: 'old' }] });
    expect(codeOf('DescribeLoadBalancers', { Names: ['new'] })).toBe('LoadBalancerNotFound');
    expect(codeOf('DescribeTags', { ResourceArns: [old] })).toBe('accepted');
    expect(codeOf('DescribeTags', { ResourceArns: [old] })).toBe('LoadBalancerNotFound');
  });

  test('what a create call made is unseen for a while, by reads and writes alike', () => {
    const { account, clock, codeOf, createTargetGroup } = bench();
    account.faults.order({ effect: { kind: 'hide-created', ms: 10_000 } });
    const TargetGroupArn = createTargetGroup();
    const register = { TargetGroupArn, Targets: [{ Id: 'i-1' }] };
    expect(codeOf('DescribeTargetGroups', { Names: ['web'] })).toBe('TargetGroupNotFound');
    expect(codeOf('RegisterTargets', register)).toBe('TargetGroupNotFound');
    expect(account.dump().targetGroups).toMatchObject([{ TargetGroupName: 'web' }]);
    clock.advance(10_000);
    expect(codeOf('DescribeTargetGroups', { Names: ['web'] })).toBe('accepted');
    expect(codeOf('RegisterTargets', register)).toBe('accepted');
  });

  test('a list is empty, or ends early without saying so', () => {
    const { account, call, createLoadBalancer } = bench();
    for (const Name of ['a', 'b', 'c']) createLoadBalancer({ Name });
    account.faults.order({ effect: { kind: 'empty-list' } });
    expect(call('DescribeLoadBalancers', { PageSize: 2 })).toEqual({ LoadBalancers: [] });
    account.faults.order({ effect: { kind: 'truncated-list', keep: 1 } });
    const short = call('DescribeLoadBalancers', { PageSize: 2 });
    expect(short['LoadBalancers']).toHaveLength(1);
    expect(short).not.toHaveProperty('NextMarker');
  });

  test('delays add up, and the first order that decides wins', () => {
    const { account } = bench({ latency: { callMs: 50 } });
    account.faults.order({ effect: { kind: 'latency', ms: 100 } });
    account.faults.order({ effect: { kind: 'latency', ms: 7, when: 'after' } });
    account.faults.order({ effect: { kind: 'error', code: 'AccessDenied' } });
    account.faults.order({ effect: { kind: 'throttle' } });
    const pending = account.open('DescribeLoadBalancers', {});
    expect(pending).toMatchObject({ delayBeforeMs: 125, delayAfterMs: 32 });
    expect(pending.run()).toMatchObject({ kind: 'refusal', error: { code: 'AccessDenied' } });
  });
});

/** How many of `count` calls at once are let through with the documented buckets. */
function letThrough(operation: string, input: object, count: number): number {
  const { codeOf } = bench({ throttling: { enabled: true } });
  return Array.from({ length: count }, () => codeOf(operation, input)).filter((code) => code === 'accepted')
    .length;
}

describe('throttling by buckets', () => {
  test.each([
    ['reads', 'DescribeLoadBalancers', {}, 40],
    ['other writes', 'CreateLoadBalancer', create, 20],
  ])('%s: a burst is let through as far as documented', (_what, operation, input, allowed) => {
    expect(letThrough(operation, input, 60)).toBe(allowed);
  });

  test('each class has its own bucket, refilled with time', () => {
    const { account, clock, codeOf } = bench({
      throttling: { enabled: true, read: { burst: 1, perSecond: 10 }, mutation: { burst: 1, perSecond: 2 } },
    });
    const read = (): string => codeOf('DescribeLoadBalancers', {});
    const write = (): string => codeOf('CreateLoadBalancer', create);
    expect([read(), read(), write(), write()]).toEqual([
      'accepted',
      'ThrottlingException',
      'accepted',
      'ThrottlingException',
    ]);
    clock.advance(100);
    expect([read(), write()]).toEqual(['accepted', 'ThrottlingException']);
    clock.advance(400);
    expect(write()).toBe('accepted');
    expect(account.counts()).toEqual({ DescribeLoadBalancers: 3, CreateLoadBalancer: 4 });
  });
});

/** Sizes of twenty answers while the first balancer is half as old as the longest lag. */
function varying(): readonly number[] {
  const { call, clock, createLoadBalancer } = bench({
    consistency: { readLagMs: 10_000, readLagVaries: true },
  });
  createLoadBalancer();
  clock.advance(5_000);
  return Array.from(
    { length: 20 },
    () => (call('DescribeLoadBalancers', {})['LoadBalancers'] as readonly object[]).length,
  );
}

describe('eventual consistency', () => {
  test('every read is as old as is set', () => {
    const { call, clock, createLoadBalancer } = bench({ consistency: { readLagMs: 10_000 } });
    const arn = createLoadBalancer();
    expect(call('DescribeLoadBalancers', {})['LoadBalancers']).toEqual([]);
    clock.advance(10_000);
    expect(call('DescribeLoadBalancers', {})['LoadBalancers']).toHaveLength(1);
    call('DeleteLoadBalancer', { LoadBalancerArn: arn });
    expect(call('DescribeLoadBalancers', {})['LoadBalancers']).toHaveLength(1);
    clock.advance(10_000);
    expect(call('DescribeLoadBalancers', {})['LoadBalancers']).toEqual([]);
  });

  test('a create call sees the taken name at once', () => {
    const { account, createLoadBalancer } = bench({ consistency: { readLagMs: 10_000 } });
    expect(createLoadBalancer()).toBe(createLoadBalancer());
    expect(account.resources()).toHaveLength(1);
  });

  test('a varying lag gives new and old answers in turn, the same ones for the same seed', () => {
    expect(new Set(varying())).toEqual(new Set([0, 1]));
    expect(varying()).toEqual(varying());
  });

  test('a write that names what is too young is refused', () => {
    const { clock, codeOf, createTargetGroup } = bench({ consistency: { referenceLagMs: 2_000 } });
    const input = { TargetGroupArn: createTargetGroup(), Targets: [{ Id: 'i-1' }] };
    expect(codeOf('RegisterTargets', input)).toBe('TargetGroupNotFound');
    clock.advance(2_000);
    expect(codeOf('RegisterTargets', input)).toBe('accepted');
  });
});
