import { describe, expect, test } from 'vitest';
import { bench } from './testing.ts';

const base = { Name: 'web', Protocol: 'TCP', Port: 30_080, VpcId: 'vpc-1' };

describe('CreateTargetGroup', () => {
  test.each([
    ['a name of 33 characters', { Name: 'a'.repeat(33) }, 'ValidationError'],
    ['no port', { Port: undefined }, 'ValidationError'],
    ['port 0', { Port: 0 }, 'ValidationError'],
    ['port 65536', { Port: 65_536 }, 'ValidationError'],
    ['no protocol', { Protocol: undefined }, 'ValidationError'],
    ['protocol HTTP', { Protocol: 'HTTP' }, 'InvalidConfigurationRequest'],
    ['protocol SCTP', { Protocol: 'SCTP' }, 'ValidationError'],
    ['protocol UDP', { Protocol: 'UDP' }, 'accepted'],
    ['protocol TCP_UDP', { Protocol: 'TCP_UDP' }, 'accepted'],
    ['no VPC', { VpcId: undefined }, 'ValidationError'],
    ['an unknown VPC', { VpcId: 'vpc-2' }, 'ValidationError'],
    ['a lambda target', { TargetType: 'lambda' }, 'InvalidConfigurationRequest'],
    ['interval 4', { HealthCheckIntervalSeconds: 4, HealthCheckTimeoutSeconds: 2 }, 'ValidationError'],
    ['interval 5', { HealthCheckIntervalSeconds: 5, HealthCheckTimeoutSeconds: 5 }, 'accepted'],
    ['interval 301', { HealthCheckIntervalSeconds: 301 }, 'ValidationError'],
    ['timeout 1', { HealthCheckTimeoutSeconds: 1 }, 'ValidationError'],
    ['timeout 121', { HealthCheckTimeoutSeconds: 121, HealthCheckIntervalSeconds: 300 }, 'ValidationError'],
    ['a timeout longer than the interval', { HealthCheckTimeoutSeconds: 31 }, 'ValidationError'],
    ['threshold 1', { HealthyThresholdCount: 1 }, 'ValidationError'],
    ['threshold 11', { UnhealthyThresholdCount: 11 }, 'ValidationError'],
    ['a check over UDP', { HealthCheckProtocol: 'UDP' }, 'InvalidConfigurationRequest'],
    ['a path for a check over TCP', { HealthCheckPath: '/' }, 'InvalidConfigurationRequest'],
    ['a matcher for a check over TCP', { Matcher: { HttpCode: '200' } }, 'InvalidConfigurationRequest'],
    [
      'a path without a slash',
      { HealthCheckProtocol: 'HTTP', HealthCheckPath: 'healthz' },
      'ValidationError',
    ],
    ['a matcher of 199', { HealthCheckProtocol: 'HTTP', Matcher: { HttpCode: '199' } }, 'ValidationError'],
    [
      'a matcher of 200,300-399',
      { HealthCheckProtocol: 'HTTP', Matcher: { HttpCode: '200,300-399' } },
      'accepted',
    ],
    ['a check on port 0', { HealthCheckPort: '0' }, 'ValidationError'],
    ['a check on another port', { HealthCheckPort: '32000' }, 'accepted'],
    ['checks switched off', { HealthCheckEnabled: false }, 'InvalidConfigurationRequest'],
    ['a port that is text', { Port: '80' }, 'ValidationError'],
  ])('%s', (_what, input, code) => {
    expect(bench().codeOf('CreateTargetGroup', { ...base, ...input })).toBe(code);
  });

  test.each([
    ['TCP', { HealthCheckProtocol: 'TCP', HealthCheckTimeoutSeconds: 10 }],
    [
      'HTTP',
      {
        HealthCheckProtocol: 'HTTP',
        HealthCheckTimeoutSeconds: 6,
        HealthCheckPath: '/',
        Matcher: { HttpCode: '200-399' },
      },
    ],
    ['HTTPS', { HealthCheckProtocol: 'HTTPS', HealthCheckTimeoutSeconds: 10, HealthCheckPath: '/' }],
  ])('defaults of a check over %s', (HealthCheckProtocol, expected) => {
    const { TargetGroups } = bench().call('CreateTargetGroup', { ...base, HealthCheckProtocol });
    expect(TargetGroups).toMatchObject([
      {
        ...expected,
        HealthCheckPort: 'traffic-port',
        HealthCheckIntervalSeconds: 30,
        HealthyThresholdCount: 5,
        UnhealthyThresholdCount: 2,
        TargetType: 'instance',
        LoadBalancerArns: [],
        TargetGroupArn: expect.stringMatching(/:targetgroup\/web\/[0-9a-f]{16}$/),
      },
    ]);
  });

  test.each([
    ['the same settings', {}, 'accepted'],
    ['other tags', { Tags: [{ Key: 'a', Value: 'b' }] }, 'accepted'],
    ['another port', { Port: 1 }, 'DuplicateTargetGroupName'],
    ['another protocol', { Protocol: 'UDP' }, 'DuplicateTargetGroupName'],
    ['another health check', { HealthCheckProtocol: 'HTTP' }, 'DuplicateTargetGroupName'],
  ])('a name that is taken, with %s', (_what, other, code) => {
    const { account, codeOf, createTargetGroup } = bench();
    createTargetGroup();
    expect(codeOf('CreateTargetGroup', { ...base, ...other })).toBe(code);
    expect(account.resources()).toHaveLength(1);
  });

  test('the quota of groups is kept', () => {
    const { codeOf, createTargetGroup } = bench({ quotas: { targetGroups: 1 } });
    createTargetGroup();
    expect(codeOf('CreateTargetGroup', { ...base, Name: 'other' })).toBe('TooManyTargetGroups');
  });
});

describe('DescribeTargetGroups', () => {
  test('of a balancer without groups is an empty list', () => {
    const { call, createLoadBalancer, createTargetGroup } = bench();
    createTargetGroup();
    expect(call('DescribeTargetGroups', { LoadBalancerArn: createLoadBalancer() })).toEqual({
      TargetGroups: [],
    });
  });

  test.each([
    ['a name that is there', { Names: ['web'] }, 'accepted'],
    ['one name of two missing', { Names: ['web', 'other'] }, 'TargetGroupNotFound'],
    ['two kinds of filter', { Names: ['web'], TargetGroupArns: [] }, 'ValidationError'],
  ])('%s', (_what, input, code) => {
    const { codeOf, createTargetGroup } = bench();
    createTargetGroup();
    expect(codeOf('DescribeTargetGroups', input)).toBe(code);
  });

  test('comes in pages', () => {
    const { call, createTargetGroup } = bench({ pageSize: 2 });
    for (const Name of ['a', 'b', 'c']) createTargetGroup({ Name });
    const first = call('DescribeTargetGroups', {});
    const second = call('DescribeTargetGroups', { Marker: first['NextMarker'] });
    expect(first['TargetGroups']).toHaveLength(2);
    expect(second['TargetGroups']).toHaveLength(1);
    expect(second['NextMarker']).toBeUndefined();
  });
});

describe('ModifyTargetGroup', () => {
  test('keeps what is not named and takes the defaults of a new protocol', () => {
    const { call, createTargetGroup } = bench();
    const TargetGroupArn = createTargetGroup({ HealthyThresholdCount: 3 });
    expect(
      call('ModifyTargetGroup', { TargetGroupArn, HealthCheckProtocol: 'HTTP', HealthCheckPort: '32000' }),
    ).toMatchObject({
      TargetGroups: [
        {
          HealthCheckProtocol: 'HTTP',
          HealthCheckPort: '32000',
          HealthCheckPath: '/',
          HealthyThresholdCount: 3,
          Matcher: { HttpCode: '200-399' },
        },
      ],
    });
    const back = call('ModifyTargetGroup', { TargetGroupArn, HealthCheckProtocol: 'TCP' })['TargetGroups'];
    expect(back).toMatchObject([{ HealthCheckProtocol: 'TCP' }]);
    expect((back as object[])[0]).not.toHaveProperty('HealthCheckPath');
  });
});

describe('DeleteTargetGroup', () => {
  test('is refused while a listener names it', () => {
    const { codeOf, call, createLoadBalancer, createTargetGroup, createListener } = bench();
    const TargetGroupArn = createTargetGroup();
    const ListenerArn = createListener(createLoadBalancer(), TargetGroupArn);
    expect(codeOf('DeleteTargetGroup', { TargetGroupArn })).toBe('ResourceInUse');
    call('DeleteListener', { ListenerArn });
    expect(codeOf('DeleteTargetGroup', { TargetGroupArn })).toBe('accepted');
  });

  test('is refused for a while after the balancer went, where that is set', () => {
    const { clock, codeOf, call, createLoadBalancer, createTargetGroup, createListener } = bench({
      delays: { targetGroupReleaseMs: 5_000 },
    });
    const TargetGroupArn = createTargetGroup();
    const LoadBalancerArn = createLoadBalancer();
    createListener(LoadBalancerArn, TargetGroupArn);
    call('DeleteLoadBalancer', { LoadBalancerArn });
    expect(codeOf('DeleteTargetGroup', { TargetGroupArn })).toBe('ResourceInUse');
    clock.advance(5_000);
    expect(codeOf('DeleteTargetGroup', { TargetGroupArn })).toBe('accepted');
  });

  test('succeeds when there is none', () => {
    const { codeOf, createTargetGroup } = bench();
    const TargetGroupArn = createTargetGroup();
    expect([
      codeOf('DeleteTargetGroup', { TargetGroupArn }),
      codeOf('DeleteTargetGroup', { TargetGroupArn }),
    ]).toEqual(['accepted', 'accepted']);
  });
});
