/** What AWS may answer at any time, and what becomes of it. */
import { describe, expect, test } from 'vitest';
import { aNode, aPort, aService } from '../../src/core/fixtures.ts';
import { Bench, cluster, withoutHealth } from '../../test/support/aws-bench.ts';
import type { ClusterState } from '../../test/support/aws-bench.ts';

const state = cluster();

describe('eventual consistency', () => {
  test('what was made moments ago and cannot be seen yet is neither made again nor missed', async () => {
    const bench = new Bench();
    await bench.ensure(state);
    bench.account.configure({ consistency: { readLagMs: 10_000 } });

    const { plan } = await bench.ensure(state);
    const { seq } = bench;
    await bench.clock.advance(11_000);
    await bench.ensure(state);

    expect(plan.steps).toEqual([]);
    expect(bench.account.writes(seq)).toEqual([]);
  });

  test('what was deleted moments ago and is still listed counts as gone', async () => {
    const bench = new Bench();
    await bench.ensure(state);
    await bench.clock.advance(60_000);
    bench.account.configure({ consistency: { readLagMs: 10_000 } });
    await bench.remove(state);

    const again = await bench.look(state, 'removal');

    expect(bench.provider.isGone(again)).toBe(true);
  });

  test('a call that names what was just made is told to wait, not that it is gone', async () => {
    const bench = new Bench({ settings: { consistency: { referenceLagMs: 5_000 } } });

    const first = await bench.ensure(state);
    expect(first.failed.map(({ error }) => [error.kind, error.retryAfterMs])).toContainEqual([
      'busy',
      10_000,
    ]);

    await bench.clock.advance(6_000);
    await bench.ensure(state);
    await bench.clock.advance(6_000);
    const last = await bench.ensure(state);
    expect(last.failed).toEqual([]);
    expect((await bench.ensure(state)).plan.steps).toEqual([]);
    expect(bench.account.dump().loadBalancers).toHaveLength(1);
  });
});

describe('errors', () => {
  test('a throttled read waits its turn and goes through, without a failure of the Service', async () => {
    const bench = new Bench();
    bench.account.faults.order({
      match: { operation: 'DescribeLoadBalancers' },
      times: 3,
      effect: { kind: 'throttle' },
    });

    expect((await bench.ensure(state)).failed).toEqual([]);
  });

  test('a read that fails is no empty answer', async () => {
    const bench = new Bench();
    await bench.ensure(state);
    bench.account.faults.order({
      match: { operation: 'DescribeTargetGroups' },
      times: 'until-cleared',
      effect: { kind: 'error', code: 'InternalFailure' },
    });

    await expect(bench.ensure(state)).rejects.toMatchObject({ kind: 'transient', code: 'InternalFailure' });
    expect(bench.account.dump().targetGroups).toHaveLength(1);
  });

  test('one refused listener of three leaves the other two, and is made when it can be', async () => {
    const bench = new Bench();
    const ports = [80, 81, 82].map((port) => aPort({ name: `p${port}`, port, nodePort: 30_000 + port }));
    const three = cluster({ service: aService({ ports }) });
    bench.account.faults.order({
      match: { operation: 'CreateListener', input: { Port: 81 } },
      effect: { kind: 'error', code: 'TooManyListeners' },
    });

    const { failed } = await bench.ensure(three);
    expect(failed.map(({ error }) => [error.kind, error.code])).toEqual([['quota', 'TooManyListeners']]);
    expect(bench.account.dump().loadBalancers[0]?.Listeners.map(({ Port }) => Port)).toEqual([80, 82]);

    expect((await bench.ensure(three)).plan.steps.map(({ id }) => id)).toEqual(['createListener.81-TCP']);
  });

  test('a denied action is named', async () => {
    const bench = new Bench();
    bench.account.faults.order({
      match: { operation: 'CreateLoadBalancer' },
      effect: { kind: 'error', code: 'AccessDenied' },
    });

    const { failed, skipped } = await bench.ensure(state);

    expect(failed.map(({ error }) => error)).toMatchObject([
      { kind: 'denied', action: 'elasticloadbalancing:CreateLoadBalancer' },
    ]);
    expect(skipped.map(({ operation }) => operation)).toContain('CreateListener');
  });

  test('a target group that is still in use when it should go is tried again later', async () => {
    const bench = new Bench({ settings: { delays: { targetGroupReleaseMs: 10_000 } } });
    await bench.ensure(state);

    const first = await bench.remove(state);
    expect(first.failed.map(({ error }) => [error.kind, error.code])).toEqual([['busy', 'ResourceInUse']]);
    expect(bench.provider.isGone(first.after)).toBe(false);

    await bench.clock.advance(11_000);
    expect((await bench.remove(state)).failed).toEqual([]);
    expect(bench.account.dump().targetGroups).toEqual([]);
  });

  test('an instance that is not there is left out, and the others are registered', async () => {
    const bench = new Bench({ settings: { acceptUnknownInstances: false } });
    for (const name of ['n1', 'n2', 'n3']) bench.account.setInstance(`i-${name}`, { state: 'running' });
    const nodes = ['n1', 'ghost', 'n2', 'n3'].map((name) => aNode(name));

    const { failed, after } = await bench.ensure({ ...state, nodes });

    expect(failed.map(({ step, error }) => [error.code, step.parameters['Targets']])).toEqual([
      ['InvalidTarget', [{ Id: 'i-ghost', Port: 30080 }]],
    ]);
    expect(Object.keys(after.groups[0]?.targets ?? {}).toSorted()).toEqual([
      'i-n1:30080',
      'i-n2:30080',
      'i-n3:30080',
    ]);
    expect(after.balancer?.listeners).toHaveLength(1);
  });

  test('where the refusal does not name the bad target, halves lead to it', async () => {
    const bench = new Bench();
    const nodes = Array.from({ length: 16 }, (_, i) => aNode(`n${i}`));
    bench.account.faults.order({
      match: {
        operation: 'RegisterTargets',
        where: ({ input }) => JSON.stringify(input).includes('"i-n11"'),
      },
      times: 'until-cleared',
      effect: { kind: 'error', code: 'InvalidTarget', message: 'a target is invalid' },
    });

    const { failed, after } = await bench.ensure({ ...state, nodes });

    expect(failed.map(({ step }) => step.parameters['Targets'])).toEqual([[{ Id: 'i-n11', Port: 30080 }]]);
    expect(Object.keys(after.groups[0]?.targets ?? {})).toHaveLength(15);
  });

  test.each([
    ['none of them', 0, 2],
    ['one of them', 1, 4],
    ['half of them', 8, 9],
    ['all but one', 15, 10],
  ])('of a batch for which a quota has no room, what fits is registered: %s', async (_, room, mostCalls) => {
    const bench = new Bench({ settings: { quotas: { targetsPerLoadBalancer: 16 } } });
    const names = (count: number): readonly string[] => Array.from({ length: count }, (_each, i) => `n${i}`);
    const withNodes = (count: number): ClusterState => ({
      ...state,
      nodes: names(count).map((name) => aNode(name)),
    });
    await bench.ensure(withNodes(16 - room));

    const { failed, after, calls } = await bench.ensure(withNodes(32 - room));

    expect(Object.keys(after.groups[0]?.targets ?? {})).toHaveLength(16);
    expect(calls.filter((name) => name === 'RegisterTargets').length).toBeLessThanOrEqual(mostCalls);
    expect(failed.map(({ error }) => error.code)).toContain('TooManyTargets');
    const left = failed.reduce(
      (sum, { step }) => sum + (step.effect.kind === 'addTargets' ? step.effect.count : 0),
      0,
    );
    expect(left).toBe(16 - room);
  });
});

describe('deletion protection', () => {
  const attributes = 'service.beta.kubernetes.io/aws-load-balancer-attributes';
  const asking = cluster({
    service: aService({ annotations: { [attributes]: 'deletion_protection.enabled=true' } }),
  });

  test('stays while the Service asks for it', async () => {
    const bench = new Bench();
    await bench.ensure(asking);
    const { settings } = bench.provider.parse(asking.service);

    const { plan, after } = await bench.remove(asking, settings);

    expect(plan.steps).toEqual([]);
    expect(plan.problems).toMatchObject([{ reason: 'DeletionProtected', severity: 'error' }]);
    expect(bench.provider.isGone(after)).toBe(false);
  });

  test('that we set is lifted once nobody asks for it', async () => {
    const bench = new Bench();
    await bench.ensure(asking);

    const { failed, calls } = await bench.remove(asking);

    expect(failed).toEqual([]);
    expect(calls).toContain('ModifyLoadBalancerAttributes');
    expect(bench.account.dump().loadBalancers).toEqual([]);
  });

  test('that somebody else set stays, with the reason, until the Service says no to it', async () => {
    const bench = new Bench();
    const { after } = await bench.ensure(state);
    bench.account.byHand('ModifyLoadBalancerAttributes', {
      LoadBalancerArn: after.balancer?.arn,
      Attributes: [{ Key: 'deletion_protection.enabled', Value: 'true' }],
    });

    const { plan } = await bench.remove(state);

    expect(plan.steps).toEqual([]);
    expect(plan.problems).toMatchObject([
      { reason: 'DeletionProtected', message: expect.stringContaining('somebody else') },
    ]);

    const refusing = aService({ annotations: { [attributes]: 'deletion_protection.enabled=false' } });
    const { failed } = await bench.remove(state, bench.provider.parse(refusing).settings);

    expect(failed).toEqual([]);
    expect(bench.account.dump().loadBalancers).toEqual([]);
  });
});

describe('drift', () => {
  test('a target, a health check and an attribute that were changed by hand are put right', async () => {
    const bench = new Bench();
    const asking = cluster({
      service: aService({
        annotations: {
          'service.beta.kubernetes.io/aws-load-balancer-attributes': 'load_balancing.cross_zone.enabled=true',
        },
      }),
    });
    const { after } = await bench.ensure(asking);
    const group = after.groups[0]?.arn;
    bench.account.byHand('DeregisterTargets', {
      TargetGroupArn: group,
      Targets: [{ Id: 'i-n1', Port: 30080 }],
    });
    bench.account.byHand('ModifyTargetGroup', { TargetGroupArn: group, HealthCheckIntervalSeconds: 30 });
    bench.account.byHand('ModifyLoadBalancerAttributes', {
      LoadBalancerArn: after.balancer?.arn,
      Attributes: [{ Key: 'load_balancing.cross_zone.enabled', Value: 'false' }],
    });

    const { plan } = await bench.ensure(asking);

    expect(plan.steps.map(({ operation }) => operation).toSorted()).toEqual([
      'ModifyLoadBalancerAttributes',
      'ModifyTargetGroup',
      'RegisterTargets',
    ]);
    expect(withoutHealth(await bench.look(asking))).toEqual(withoutHealth(after));
  });
});
