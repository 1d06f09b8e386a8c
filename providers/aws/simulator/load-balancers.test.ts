import { describe, expect, test } from 'vitest';
import { bench } from './testing.ts';

const base = { Name: 'web', Type: 'network', Subnets: ['subnet-a'] };

describe('CreateLoadBalancer', () => {
  test.each([
    ['a name of 33 characters', { ...base, Name: 'a'.repeat(33) }, 'ValidationError'],
    ['a name of 32 characters', { ...base, Name: 'a'.repeat(32) }, 'accepted'],
    ['an empty name', { ...base, Name: '' }, 'ValidationError'],
    ['an underscore in the name', { ...base, Name: 'a_b' }, 'ValidationError'],
    ['a name that begins with a hyphen', { ...base, Name: '-a' }, 'ValidationError'],
    ['a name that ends with a hyphen', { ...base, Name: 'a-' }, 'ValidationError'],
    ['a name that begins with internal-', { ...base, Name: 'internal-a' }, 'ValidationError'],
    [
      'no type, which means application',
      { Name: 'web', Subnets: ['subnet-a'] },
      'InvalidConfigurationRequest',
    ],
    ['a type that does not exist', { ...base, Type: 'classic' }, 'ValidationError'],
    ['no subnets', { Name: 'web', Type: 'network' }, 'ValidationError'],
    [
      'subnets and mappings at once',
      { ...base, SubnetMappings: [{ SubnetId: 'subnet-b' }] },
      'ValidationError',
    ],
    ['an unknown subnet', { ...base, Subnets: ['subnet-z'] }, 'SubnetNotFound'],
    [
      'two subnets of one zone',
      { ...base, Subnets: ['subnet-a', 'subnet-c'] },
      'InvalidConfigurationRequest',
    ],
    ['subnets of two VPCs', { ...base, Subnets: ['subnet-a', 'subnet-other'] }, 'InvalidSubnet'],
    ['a subnet without free addresses', { ...base, Subnets: ['subnet-full'] }, 'InvalidSubnet'],
    ['a zone without support', { ...base, Subnets: ['subnet-old'] }, 'AvailabilityZoneNotSupported'],
    [
      'dualstack in a subnet without IPv6',
      { ...base, Subnets: ['subnet-v4'], IpAddressType: 'dualstack' },
      'InvalidSubnet',
    ],
    [
      'an address type for application balancers only',
      { ...base, IpAddressType: 'dualstack-without-public-ipv4' },
      'InvalidConfigurationRequest',
    ],
    ['a scheme that does not exist', { ...base, Scheme: 'public' }, 'ValidationError'],
    ['a security group of the wrong form', { ...base, SecurityGroups: ['web'] }, 'InvalidSecurityGroup'],
    [
      'an elastic address on an internal balancer',
      {
        ...base,
        Subnets: undefined,
        Scheme: 'internal',
        SubnetMappings: [{ SubnetId: 'subnet-a', AllocationId: 'eipalloc-1' }],
      },
      'InvalidConfigurationRequest',
    ],
    [
      'an allocation that does not exist',
      { ...base, Subnets: undefined, SubnetMappings: [{ SubnetId: 'subnet-a', AllocationId: 'x' }] },
      'AllocationIdNotFound',
    ],
    [
      'a private address on an internet-facing balancer',
      {
        ...base,
        Subnets: undefined,
        SubnetMappings: [{ SubnetId: 'subnet-a', PrivateIPv4Address: '10.0.0.9' }],
      },
      'InvalidConfigurationRequest',
    ],
    [
      'a source NAT prefix without dualstack',
      { ...base, EnablePrefixForIpv6SourceNat: 'on' },
      'InvalidConfigurationRequest',
    ],
    ['the same tag twice', { ...base, Tags: [{ Key: 'a' }, { Key: 'a' }] }, 'DuplicateTagKeys'],
    ['a member that the API does not know', { ...base, Colour: 'red' }, 'ValidationError'],
  ])('%s', (_what, input, code) => {
    const subnet = { vpcId: 'vpc-1', zone: 'eu-west-1c' };
    const { codeOf, account } = bench();
    account.configure({
      subnets: [
        ...account.settings.subnets,
        { ...subnet, id: 'subnet-other', vpcId: 'vpc-2' },
        { ...subnet, id: 'subnet-full', freeAddresses: 7 },
        { ...subnet, id: 'subnet-old', supported: false },
        { ...subnet, id: 'subnet-v4', ipv6: false },
      ],
    });
    expect(codeOf('CreateLoadBalancer', input)).toBe(code);
  });

  test('the VPC, the zones, the ARN and the DNS name follow from what was given', () => {
    const { call } = bench({ region: 'us-east-2', accountId: '210987654321' });
    const { LoadBalancers } = call('CreateLoadBalancer', { ...base, Subnets: ['subnet-a', 'subnet-b'] });
    expect(LoadBalancers).toMatchObject([
      {
        VpcId: 'vpc-1',
        AvailabilityZones: [
          { ZoneName: 'eu-west-1a', SubnetId: 'subnet-a' },
          { ZoneName: 'eu-west-1b', SubnetId: 'subnet-b' },
        ],
        LoadBalancerArn: expect.stringMatching(
          /^arn:aws:elasticloadbalancing:us-east-2:210987654321:loadbalancer\/net\/web\/[0-9a-f]{16}$/,
        ),
        DNSName: expect.stringMatching(/^web-[0-9A-F]{16}\.elb\.us-east-2\.amazonaws\.com$/),
        Scheme: 'internet-facing',
        IpAddressType: 'ipv4',
      },
    ]);
  });

  test.each([
    ['the same settings', {}, 'accepted'],
    ['other tags, which are not compared', { Tags: [{ Key: 'owner', Value: 'me' }] }, 'accepted'],
    ['another scheme', { Scheme: 'internal' }, 'DuplicateLoadBalancerName'],
    ['another subnet', { Subnets: ['subnet-b'] }, 'DuplicateLoadBalancerName'],
    ['a security group', { SecurityGroups: ['sg-1'] }, 'DuplicateLoadBalancerName'],
    ['another address type', { IpAddressType: 'dualstack' }, 'DuplicateLoadBalancerName'],
  ])('a name that is taken, with %s', (_what, other, code) => {
    const { codeOf, createLoadBalancer, account } = bench();
    createLoadBalancer();
    expect(codeOf('CreateLoadBalancer', { ...base, ...other })).toBe(code);
    expect(account.resources()).toHaveLength(1);
    expect(account.resources()[0]?.tags).toEqual({});
  });

  test('tags count as settings where that is set', () => {
    const { codeOf, createLoadBalancer } = bench({ compareTagsOnCreate: true });
    createLoadBalancer();
    expect(codeOf('CreateLoadBalancer', { ...base, Tags: [{ Key: 'a', Value: 'b' }] })).toBe(
      'DuplicateLoadBalancerName',
    );
  });

  test('the quota of balancers is kept, and a taken name is still answered', () => {
    const { codeOf, createLoadBalancer } = bench({ quotas: { networkLoadBalancers: 1 } });
    createLoadBalancer();
    expect(codeOf('CreateLoadBalancer', base)).toBe('accepted');
    expect(codeOf('CreateLoadBalancer', { ...base, Name: 'other' })).toBe('TooManyLoadBalancers');
  });

  test('an elastic address serves one balancer at a time', () => {
    const { codeOf, call, createLoadBalancer } = bench();
    const mapped = {
      Subnets: undefined,
      SubnetMappings: [{ SubnetId: 'subnet-a', AllocationId: 'eipalloc-1' }],
    };
    const arn = createLoadBalancer(mapped);
    expect(codeOf('CreateLoadBalancer', { ...base, ...mapped, Name: 'other' })).toBe('ResourceInUse');
    call('DeleteLoadBalancer', { LoadBalancerArn: arn });
    expect(codeOf('CreateLoadBalancer', { ...base, ...mapped, Name: 'other' })).toBe('accepted');
  });

  test('it is provisioning for as long as is set, then active', () => {
    const { call, clock, createLoadBalancer } = bench({ delays: { provisioningMs: 90_000 } });
    createLoadBalancer();
    const state = (): unknown => call('DescribeLoadBalancers', {})['LoadBalancers'];
    expect(state()).toMatchObject([{ State: { Code: 'provisioning' } }]);
    clock.advance(89_999);
    expect(state()).toMatchObject([{ State: { Code: 'provisioning' } }]);
    clock.advance(1);
    expect(state()).toMatchObject([{ State: { Code: 'active' } }]);
  });

  test('a state can be forced from outside, with its reason, and freed', () => {
    const { account, call, createLoadBalancer } = bench();
    const arn = createLoadBalancer();
    account.setLoadBalancerState(arn, { code: 'failed', reason: 'no addresses left' });
    expect(call('DescribeLoadBalancers', {})).toMatchObject({
      LoadBalancers: [{ State: { Code: 'failed', Reason: 'no addresses left' } }],
    });
    account.setLoadBalancerState(arn, undefined);
    expect(call('DescribeLoadBalancers', {})).toMatchObject({
      LoadBalancers: [{ State: { Code: 'active' } }],
    });
  });
});

function names(page: Record<string, unknown>): readonly string[] {
  return (page['LoadBalancers'] as readonly { LoadBalancerName: string }[]).map(
    (one) => one.LoadBalancerName,
  );
}

describe('DescribeLoadBalancers', () => {
  const missing = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/x/0123456789abcdef';

  test.each([
    ['a name that is there', { Names: ['web'] }, 'accepted'],
    ['one name of two missing', { Names: ['web', 'other'] }, 'LoadBalancerNotFound'],
    ['a missing ARN', { LoadBalancerArns: [missing] }, 'LoadBalancerNotFound'],
    ['no ARN at all', { LoadBalancerArns: ['web'] }, 'ValidationError'],
    ['ARNs and names at once', { LoadBalancerArns: [missing], Names: ['web'] }, 'ValidationError'],
    ['21 names', { Names: Array.from({ length: 21 }, (_, index) => `n${index}`) }, 'ValidationError'],
    ['a page of 0', { PageSize: 0 }, 'ValidationError'],
    ['a page of 401', { PageSize: 401 }, 'ValidationError'],
    ['a marker that was never given', { Marker: 'next' }, 'ValidationError'],
  ])('%s', (_what, input, code) => {
    const { codeOf, createLoadBalancer } = bench();
    createLoadBalancer();
    expect(codeOf('DescribeLoadBalancers', input)).toBe(code);
  });

  test('pages neither repeat nor skip what stays while others come and go', () => {
    const { call, createLoadBalancer } = bench();
    const arns = ['a', 'b', 'c', 'd'].map((Name) => createLoadBalancer({ Name }));
    const first = call('DescribeLoadBalancers', { PageSize: 2 });
    expect(names(first)).toEqual(['a', 'b']);
    call('DeleteLoadBalancer', { LoadBalancerArn: arns[1] });
    const second = call('DescribeLoadBalancers', { PageSize: 2, Marker: first['NextMarker'] });
    expect(names(second)).toEqual(['c', 'd']);
    expect(second['NextMarker']).toBeUndefined();
  });
});

describe('DeleteLoadBalancer', () => {
  test('takes the listeners along and frees the target groups', () => {
    const { account, call, createLoadBalancer, createTargetGroup, createListener } = bench();
    const balancer = createLoadBalancer();
    const group = createTargetGroup();
    createListener(balancer, group);
    call('DeleteLoadBalancer', { LoadBalancerArn: balancer });
    expect(account.resources().map((resource) => resource.kind)).toEqual(['target-group']);
    expect(call('DescribeTargetGroups', {})).toMatchObject({ TargetGroups: [{ LoadBalancerArns: [] }] });
  });

  test('succeeds when there is none, and refuses what is no balancer', () => {
    const { codeOf, createTargetGroup, createLoadBalancer } = bench();
    const arn = createLoadBalancer();
    expect(codeOf('DeleteLoadBalancer', { LoadBalancerArn: arn })).toBe('accepted');
    expect(codeOf('DeleteLoadBalancer', { LoadBalancerArn: arn })).toBe('accepted');
    expect(codeOf('DeleteLoadBalancer', { LoadBalancerArn: createTargetGroup() })).toBe('ValidationError');
  });

  test('is refused while deletion protection is on', () => {
    const { codeOf, call, createLoadBalancer } = bench();
    const LoadBalancerArn = createLoadBalancer();
    const protect = (Value: string): object => ({
      LoadBalancerArn,
      Attributes: [{ Key: 'deletion_protection.enabled', Value }],
    });
    call('ModifyLoadBalancerAttributes', protect('true'));
    expect(codeOf('DeleteLoadBalancer', { LoadBalancerArn })).toBe('OperationNotPermitted');
    call('ModifyLoadBalancerAttributes', protect('false'));
    expect(codeOf('DeleteLoadBalancer', { LoadBalancerArn })).toBe('accepted');
  });

  test('is refused while an endpoint service stands on it', () => {
    const { account, codeOf, createLoadBalancer } = bench();
    const LoadBalancerArn = createLoadBalancer();
    account.setEndpointService(LoadBalancerArn, true);
    expect(codeOf('DeleteLoadBalancer', { LoadBalancerArn })).toBe('ResourceInUse');
    account.setEndpointService(LoadBalancerArn, false);
    expect(codeOf('DeleteLoadBalancer', { LoadBalancerArn })).toBe('accepted');
  });
});

describe('SetSecurityGroups', () => {
  test.each([
    ['created without, can never get any', [], ['sg-1'], 'InvalidConfigurationRequest'],
    ['created with one, can get others', ['sg-1'], ['sg-2', 'sg-3'], 'accepted'],
    ['created with one, cannot lose all', ['sg-1'], [], 'InvalidConfigurationRequest'],
    ['of the wrong form', ['sg-1'], ['group'], 'InvalidSecurityGroup'],
  ])('%s', (_what, SecurityGroups, wanted, code) => {
    const { codeOf, createLoadBalancer } = bench();
    const LoadBalancerArn = createLoadBalancer({ SecurityGroups });
    expect(codeOf('SetSecurityGroups', { LoadBalancerArn, SecurityGroups: wanted })).toBe(code);
  });

  test('only listed groups exist where a list is set', () => {
    const { codeOf } = bench({ securityGroups: ['sg-1'] });
    expect(codeOf('CreateLoadBalancer', { ...base, SecurityGroups: ['sg-2'] })).toBe('InvalidSecurityGroup');
    expect(codeOf('CreateLoadBalancer', { ...base, SecurityGroups: ['sg-1'] })).toBe('accepted');
  });
});

describe('SetSubnets', () => {
  test.each([
    ['one more zone', { Subnets: ['subnet-a', 'subnet-b'] }, true, 'accepted'],
    ['another zone instead', { Subnets: ['subnet-b'] }, true, 'accepted'],
    [
      'another zone instead, where zones must stay',
      { Subnets: ['subnet-b'] },
      false,
      'InvalidConfigurationRequest',
    ],
    ['another subnet of the same zone', { Subnets: ['subnet-c'] }, true, 'InvalidConfigurationRequest'],
    ['none', {}, true, 'ValidationError'],
    ['an unknown one', { Subnets: ['subnet-z'] }, true, 'SubnetNotFound'],
    [
      'an elastic address for a zone that had none',
      { SubnetMappings: [{ SubnetId: 'subnet-a', AllocationId: 'eipalloc-1' }] },
      true,
      'InvalidConfigurationRequest',
    ],
  ])('%s', (_what, input, zonesRemovable, code) => {
    const { codeOf, createLoadBalancer } = bench({ zonesRemovable });
    const LoadBalancerArn = createLoadBalancer();
    expect(codeOf('SetSubnets', { LoadBalancerArn, ...input })).toBe(code);
  });
});

describe('SetIpAddressType', () => {
  test.each([
    ['dualstack', 'TCP', 'accepted'],
    ['dualstack with a UDP listener', 'UDP', 'InvalidConfigurationRequest'],
  ])('%s', (_what, Protocol, code) => {
    const { codeOf, createLoadBalancer, createTargetGroup, createListener } = bench();
    const LoadBalancerArn = createLoadBalancer();
    createListener(LoadBalancerArn, createTargetGroup({ Protocol }), { Protocol });
    expect(codeOf('SetIpAddressType', { LoadBalancerArn, IpAddressType: 'dualstack' })).toBe(code);
  });
});
