import { describe, expect, test } from 'vitest';
import { bench } from './testing.ts';

describe('ModifyLoadBalancerAttributes', () => {
  test.each([
    ['load_balancing.cross_zone.enabled', 'true', 'accepted'],
    ['load_balancing.cross_zone.enabled', 'yes', 'InvalidConfigurationRequest'],
    ['dns_record.client_routing_policy', 'availability_zone_affinity', 'accepted'],
    ['dns_record.client_routing_policy', 'nearest', 'InvalidConfigurationRequest'],
    ['secondary_ips.auto_assigned.per_subnet', '7', 'accepted'],
    ['secondary_ips.auto_assigned.per_subnet', '8', 'InvalidConfigurationRequest'],
    ['access_logs.s3.enabled', 'true', 'InvalidConfigurationRequest'],
    ['idle_timeout.timeout_seconds', '60', 'InvalidConfigurationRequest'],
    ['no.such.key', 'true', 'InvalidConfigurationRequest'],
  ])('%s = %s: %s', (Key, Value, code) => {
    const { codeOf, createLoadBalancer } = bench();
    const LoadBalancerArn = createLoadBalancer();
    expect(codeOf('ModifyLoadBalancerAttributes', { LoadBalancerArn, Attributes: [{ Key, Value }] })).toBe(
      code,
    );
  });

  test('one bad attribute leaves all as they were', () => {
    const { account, codeOf, createLoadBalancer } = bench();
    const LoadBalancerArn = createLoadBalancer();
    const before = account.version;
    const Attributes = [
      { Key: 'load_balancing.cross_zone.enabled', Value: 'true' },
      { Key: 'no.such.key', Value: 'true' },
    ];
    expect(codeOf('ModifyLoadBalancerAttributes', { LoadBalancerArn, Attributes })).not.toBe('accepted');
    expect(account.version).toBe(before);
  });

  test('secondary addresses cannot be taken away again', () => {
    const { codeOf, createLoadBalancer } = bench();
    const LoadBalancerArn = createLoadBalancer();
    const set = (Value: string): string =>
      codeOf('ModifyLoadBalancerAttributes', {
        LoadBalancerArn,
        Attributes: [{ Key: 'secondary_ips.auto_assigned.per_subnet', Value }],
      });
    expect([set('2'), set('3'), set('1')]).toEqual(['accepted', 'accepted', 'InvalidConfigurationRequest']);
  });

  test('access logs go with a bucket', () => {
    const { codeOf, createLoadBalancer } = bench();
    const Attributes = [
      { Key: 'access_logs.s3.enabled', Value: 'true' },
      { Key: 'access_logs.s3.bucket', Value: 'logs' },
    ];
    expect(
      codeOf('ModifyLoadBalancerAttributes', { LoadBalancerArn: createLoadBalancer(), Attributes }),
    ).toBe('accepted');
  });

  test('every known key is described, with the default that goes with the scheme', () => {
    const { call, createLoadBalancer } = bench();
    const value = (LoadBalancerArn: string): unknown =>
      (
        call('DescribeLoadBalancerAttributes', { LoadBalancerArn })['Attributes'] as {
          Key: string;
          Value: string;
        }[]
      ).find((attribute) => attribute.Key === 'ipv6.deny_all_igw_traffic')?.Value;
    expect(value(createLoadBalancer({ Name: 'out' }))).toBe('false');
    expect(value(createLoadBalancer({ Name: 'in', Scheme: 'internal' }))).toBe('true');
  });
});

describe('ModifyTargetGroupAttributes', () => {
  test.each([
    ['TCP', 'deregistration_delay.timeout_seconds', '3600', 'accepted'],
    ['TCP', 'deregistration_delay.timeout_seconds', '3601', 'InvalidConfigurationRequest'],
    ['TCP', 'deregistration_delay.timeout_seconds', '-1', 'InvalidConfigurationRequest'],
    ['TCP', 'preserve_client_ip.enabled', 'false', 'accepted'],
    ['UDP', 'preserve_client_ip.enabled', 'false', 'InvalidConfigurationRequest'],
    ['TCP_UDP', 'preserve_client_ip.enabled', 'false', 'InvalidConfigurationRequest'],
    ['TCP', 'stickiness.type', 'source_ip', 'accepted'],
    ['TCP', 'stickiness.type', 'lb_cookie', 'InvalidConfigurationRequest'],
    ['TLS', 'stickiness.enabled', 'true', 'InvalidConfigurationRequest'],
    ['TCP', 'proxy_protocol_v2.enabled', 'true', 'accepted'],
    ['TCP', 'load_balancing.cross_zone.enabled', 'use_load_balancer_configuration', 'accepted'],
    [
      'UDP',
      'target_health_state.unhealthy.connection_termination.enabled',
      'true',
      'InvalidConfigurationRequest',
    ],
    ['TCP', 'target_health_state.unhealthy.draining_interval_seconds', '60', 'InvalidConfigurationRequest'],
    ['UDP', 'target_health_state.unhealthy.draining_interval_seconds', '60', 'accepted'],
    ['TCP', 'target_group_health.dns_failover.minimum_healthy_targets.count', 'off', 'accepted'],
    [
      'TCP',
      'target_group_health.dns_failover.minimum_healthy_targets.percentage',
      '101',
      'InvalidConfigurationRequest',
    ],
    ['TCP', 'slow_start.duration_seconds', '30', 'InvalidConfigurationRequest'],
    ['TCP', 'no.such.key', 'x', 'InvalidConfigurationRequest'],
  ])('%s: %s = %s: %s', (Protocol, Key, Value, code) => {
    const { codeOf, createTargetGroup } = bench();
    const TargetGroupArn = createTargetGroup({ Protocol });
    expect(codeOf('ModifyTargetGroupAttributes', { TargetGroupArn, Attributes: [{ Key, Value }] })).toBe(
      code,
    );
  });

  test.each([
    ['instance', 'TCP', 'true'],
    ['instance', 'UDP', 'true'],
    ['ip', 'TCP', 'false'],
    ['ip', 'UDP', 'true'],
  ])('client addresses of %s targets over %s: %s by default', (TargetType, Protocol, expected) => {
    const { call, createTargetGroup } = bench();
    const TargetGroupArn = createTargetGroup({ TargetType, Protocol });
    expect(call('DescribeTargetGroupAttributes', { TargetGroupArn })['Attributes']).toContainEqual({
      Key: 'preserve_client_ip.enabled',
      Value: expected,
    });
  });
});

describe('ModifyListenerAttributes', () => {
  test.each([
    ['TCP', '60', 'accepted'],
    ['TCP', '6000', 'accepted'],
    ['TCP', '59', 'InvalidConfigurationRequest'],
    ['TCP', '6001', 'InvalidConfigurationRequest'],
    ['UDP', '100', 'InvalidConfigurationRequest'],
  ])('%s: idle timeout of %s seconds: %s', (Protocol, Value, code) => {
    const { codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
    const ListenerArn = createListener(createLoadBalancer(), createTargetGroup({ Protocol }), { Protocol });
    const Attributes = [{ Key: 'tcp.idle_timeout.seconds', Value }];
    expect(codeOf('ModifyListenerAttributes', { ListenerArn, Attributes })).toBe(code);
  });

  test('a TCP listener closes idle connections after 350 seconds unless told otherwise', () => {
    const { call, createLoadBalancer, createTargetGroup, createListener } = bench();
    const ListenerArn = createListener(createLoadBalancer(), createTargetGroup());
    expect(call('DescribeListenerAttributes', { ListenerArn })).toEqual({
      Attributes: [{ Key: 'tcp.idle_timeout.seconds', Value: '350' }],
    });
  });
});
