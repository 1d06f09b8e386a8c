import { expect, test } from 'vitest';
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
