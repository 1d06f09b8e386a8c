import { describe, expect, test } from 'vitest';
import { bench } from './testing.ts';

test('a balancer, a group, a listener and targets can be made, described and taken down', () => {
  const { call, createLoadBalancer, createTargetGroup, createListener, health, account } = bench();
  const balancer = createLoadBalancer({ Tags: [{ Key: 'team', Value: 'web' }] });
  const group = createTargetGroup();
  const listener = createListener(balancer, group);
  call('RegisterTargets', { TargetGroupArn: group, Targets: [{ Id: 'i-1' }, { Id: 'i-1', Port: 30_081 }] });

  expect(call('DescribeLoadBalancers', { Names: ['web'] })).toMatchObject({
    LoadBalancers: [
      { LoadBalancerArn: balancer, VpcId: 'vpc-1', State: { Code: 'active' }, Scheme: 'internet-facing' },
    ],
  });
  expect(call('DescribeTargetGroups', { LoadBalancerArn: balancer })).toMatchObject({
    TargetGroups: [{ TargetGroupArn: group, LoadBalancerArns: [balancer], HealthCheckProtocol: 'TCP' }],
  });
  expect(call('DescribeListeners', { LoadBalancerArn: balancer })).toMatchObject({
    Listeners: [{ ListenerArn: listener, Port: 80, DefaultActions: [{ TargetGroupArn: group }] }],
  });
  expect(call('DescribeTags', { ResourceArns: [balancer, group] })).toEqual({
    TagDescriptions: [
      { ResourceArn: balancer, Tags: [{ Key: 'team', Value: 'web' }] },
      { ResourceArn: group, Tags: [] },
    ],
  });
  expect(health(group)).toEqual(['i-1:30080 healthy', 'i-1:30081 healthy']);

  call('DeleteLoadBalancer', { LoadBalancerArn: balancer });
  call('DeleteTargetGroup', { TargetGroupArn: group });
  expect(account.resources()).toEqual([]);
});

test.each([
  ['CreateRule', 'is not simulated'],
  ['DescribeInstances', 'Could not find'],
])('%s: %s', (operation, message) => {
  expect(() => bench().call(operation, {})).toThrow(message);
});

describe('the record', () => {
  test('says what was asked, by whom, what came of it and what it touched', () => {
    const { account, clock, codeOf, createLoadBalancer } = bench();
    const arn = createLoadBalancer({ Tags: [{ Key: 'owner', Value: 'me' }] });
    clock.advance(500);
    account.handle('AddTags', { ResourceArns: [arn], Tags: [{ Key: 'owner', Value: 'you' }] }, 'rival');
    codeOf('DescribeLoadBalancers', { Names: ['other'] });
    account.byHand('DeleteLoadBalancer', { LoadBalancerArn: arn });
    const kind = 'load-balancer';
    expect(account.calls()).toMatchObject([
      {
        seq: 1,
        at: 0,
        operation: 'CreateLoadBalancer',
        mutating: true,
        by: 'controller',
        output: { LoadBalancers: [{ LoadBalancerArn: arn }] },
        touched: [{ kind, arn, change: 'created', tags: { owner: 'me' } }],
      },
      { seq: 2, at: 500, by: 'rival', touched: [{ change: 'changed', tags: { owner: 'me' } }] },
      { seq: 3, mutating: false, error: { code: 'LoadBalancerNotFound', httpStatus: 400 }, touched: [] },
      { seq: 4, by: 'hand', touched: [{ change: 'deleted', tags: { owner: 'you' } }] },
    ]);
    expect(account.writes(1).map((call) => call.seq)).toEqual([2, 4]);
    expect(account.counts()).toMatchObject({ CreateLoadBalancer: 1, DescribeLoadBalancers: 1 });
  });

  test('keeps at least as many calls as is set, and counts the forgotten', () => {
    const { account, call } = bench({ recordLimit: 10 });
    for (let index = 0; index < 25; index += 1) call('DescribeLoadBalancers', {});
    expect(account.calls().length).toBeGreaterThanOrEqual(10);
    expect(account.calls().length).toBeLessThanOrEqual(20);
    expect(account.calls(24).map((one) => one.seq)).toEqual([25]);
    expect(account.counts()).toEqual({ DescribeLoadBalancers: 25 });
    account.forgetCalls();
    call('DescribeLoadBalancers', {});
    expect(account.calls().map((one) => one.seq)).toEqual([26]);
  });
});

test('the dump shows the whole account as plain JSON', () => {
  const { account, call, createLoadBalancer, createTargetGroup, createListener } = bench();
  const balancer = createLoadBalancer({ Tags: [{ Key: 'a', Value: 'b' }] });
  const group = createTargetGroup();
  createListener(balancer, group);
  call('RegisterTargets', { TargetGroupArn: group, Targets: [{ Id: 'i-1' }] });
  const dump = account.dump();
  expect(JSON.parse(JSON.stringify(dump))).toEqual(dump);
  expect(dump).toMatchObject({
    region: 'eu-west-1',
    loadBalancers: [
      {
        LoadBalancerArn: balancer,
        CreatedTime: '2026-01-01T00:00:00.000Z',
        Tags: { a: 'b' },
        Attributes: { 'deletion_protection.enabled': 'false' },
        Listeners: [{ Port: 80, Attributes: { 'tcp.idle_timeout.seconds': '350' }, Tags: {} }],
      },
    ],
    targetGroups: [
      {
        TargetGroupArn: group,
        Attributes: { 'deregistration_delay.timeout_seconds': '300' },
        Targets: [{ Id: 'i-1', Port: 30_080, State: 'healthy' }],
      },
    ],
  });
});

test('a reset leaves an empty account with its first settings', () => {
  const { account, call, createLoadBalancer } = bench({ pageSize: 7 });
  createLoadBalancer();
  account.configure({ pageSize: 1 });
  account.faults.order({ effect: { kind: 'throttle' } });
  account.reset();
  expect(account.settings.pageSize).toBe(7);
  expect(account.calls()).toEqual([]);
  expect(call('DescribeLoadBalancers', {})).toEqual({ LoadBalancers: [] });
});

test('settings of a group are changed one by one', () => {
  const { account } = bench({ quotas: { targetGroups: 5 } });
  account.configure({ quotas: { networkLoadBalancers: 2 } });
  expect(account.settings.quotas).toMatchObject({
    targetGroups: 5,
    networkLoadBalancers: 2,
    tagsPerResource: 50,
  });
});
