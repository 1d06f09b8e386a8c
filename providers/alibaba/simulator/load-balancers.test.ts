import { describe, expect, test } from 'vitest';
import { bench, onUsage } from './testing.ts';

describe('making a balancer', () => {
  test.each<[string, object, string]>([
    ['by usage', onUsage, 'accepted'],
    ['by specification, without one', { AddressType: 'internet' }, 'MissingParam.LoadBalancerSpec'],
    ['by specification', { AddressType: 'internet', LoadBalancerSpec: 'slb.s1.small' }, 'accepted'],
    [
      'by bandwidth and by usage',
      { ...onUsage, InternetChargeType: 'paybybandwidth', Bandwidth: 10 },
      'Instance.InternetChargeTypeNotAllowed',
    ],
    ['with more bandwidth than there is', { ...onUsage, Bandwidth: 6_000 }, 'InvalidParameter.Bandwidth'],
    ['on the intranet, nowhere', { ...onUsage, AddressType: 'intranet' }, 'MissingParam.VpcId'],
    [
      'on the intranet',
      { ...onUsage, AddressType: 'intranet', VpcId: 'vpc-1', VSwitchId: 'vsw-a' },
      'accepted',
    ],
    [
      'in a vswitch that is not there',
      { ...onUsage, AddressType: 'intranet', VpcId: 'vpc-1', VSwitchId: 'vsw-z' },
      'VSwitchNotExist',
    ],
    [
      'in a vswitch of another VPC',
      { ...onUsage, AddressType: 'intranet', VpcId: 'vpc-2', VSwitchId: 'vsw-a' },
      'InvalidParameter.Mismatch',
    ],
    [
      'on the intranet with IPv6',
      { ...onUsage, AddressType: 'intranet', AddressIPVersion: 'ipv6', VpcId: 'vpc-1', VSwitchId: 'vsw-a' },
      'InvalidParameter.Mismatch',
    ],
    [
      'with a name that starts with a digit',
      { ...onUsage, LoadBalancerName: '1' },
      'InvalidParameter.LoadBalancerName',
    ],
    ['with a tag that is reserved', { ...onUsage, Tag: [{ Key: 'acs:x' }] }, 'IllegalParam.TagKey'],
    [
      'with more tags than it can bear',
      { ...onUsage, Tag: Array.from({ length: 21 }, (_, i) => ({ Key: `k${i}` })) },
      'SizeLimitExceeded.Tag',
    ],
    [
      'with a reason for no protection',
      { ...onUsage, ModificationProtectionReason: 'managed' },
      'InvalidParameter.ModificationProtectionReason',
    ],
    ['with a parameter that there is not', { ...onUsage, Bandwith: 1 }, 'InvalidParameter.Bandwith'],
  ])('%s: %s', (_what, input, code) => {
    expect(bench().codeOf('CreateLoadBalancer', input)).toBe(code);
  });

  test('with a vswitch and no word about the side it is on the intranet', () => {
    const { call } = bench();
    const { LoadBalancerId } = call('CreateLoadBalancer', {
      InstanceChargeType: 'PayByCLCU',
      VpcId: 'vpc-1',
      VSwitchId: 'vsw-a',
    });
    expect(call('DescribeLoadBalancerAttribute', { LoadBalancerId })).toMatchObject({
      AddressType: 'intranet',
    });
  });

  test('bandwidth is taken and without effect where traffic is paid', () => {
    const { call, createLoadBalancer } = bench();
    const LoadBalancerId = createLoadBalancer({ Bandwidth: 10 });
    expect(call('DescribeLoadBalancerAttribute', { LoadBalancerId })).toMatchObject({ Bandwidth: 5_120 });
  });

  test('a full vswitch, a full account and unpaid bills', () => {
    const { account, codeOf } = bench({
      vswitches: [{ id: 'vsw-a', vpcId: 'vpc-1', zone: 'z', freeAddresses: 1 }],
      quotas: { loadBalancers: 2 },
    });
    const inside = { ...onUsage, AddressType: 'intranet', VpcId: 'vpc-1', VSwitchId: 'vsw-a' };
    const codes = [inside, inside, onUsage, onUsage].map((input) => codeOf('CreateLoadBalancer', input));
    expect(codes).toEqual(['accepted', 'VSwitchAvailableIpNotExist', 'accepted', 'ORDER.QUANTITY_INVALID']);
    account.configure({ arrears: true });
    expect(codeOf('CreateLoadBalancer', onUsage)).toBe('ORDER.ARREARAGE');
  });
});

describe('a client token', () => {
  const once = { ...onUsage, ClientToken: 'uid-1' };

  test('gives the same balancer to the same question', () => {
    const { account, call } = bench();
    const first = call('CreateLoadBalancer', once);
    expect(call('CreateLoadBalancer', once).LoadBalancerId).toBe(first.LoadBalancerId);
    expect(account.resources()).toHaveLength(1);
  });

  test('is refused with another question', () => {
    const { call, codeOf } = bench();
    call('CreateLoadBalancer', once);
    expect(codeOf('CreateLoadBalancer', { ...once, LoadBalancerName: 'other' })).toBe(
      'LX_REQUEST_TOKEN_CONFLICT',
    );
  });

  test('gives the balancer that was deleted since: a new one needs a new token', () => {
    const { account, call } = bench();
    const { LoadBalancerId } = call('CreateLoadBalancer', once);
    call('DeleteLoadBalancer', { LoadBalancerId });
    expect(call('CreateLoadBalancer', once).LoadBalancerId).toBe(LoadBalancerId);
    expect(account.resources()).toEqual([]);
  });
});

describe('finding balancers', () => {
  test('ten at a time, unless a page is named with the size', () => {
    const { call, createLoadBalancer } = bench();
    for (let i = 0; i < 12; i += 1) createLoadBalancer();
    const count = (input: object): number | undefined =>
      call('DescribeLoadBalancers', input).LoadBalancers?.LoadBalancer?.length;
    expect([count({}), count({ PageSize: 100 }), count({ PageNumber: 1, PageSize: 100 })]).toEqual([
      10, 10, 12,
    ]);
    expect(count({ PageNumber: 2 })).toBe(2);
  });

  test('a balancer with any one of the tags is found', () => {
    const { call, createLoadBalancer } = bench();
    const Tag = (Key: string, Value: string): object => ({ Tag: [{ Key, Value }] });
    const a = createLoadBalancer(Tag('uid', '1'));
    const b = createLoadBalancer(Tag('cluster', 'x'));
    createLoadBalancer(Tag('uid', '2'));
    const Tags = [
      { TagKey: 'uid', TagValue: '1' },
      { TagKey: 'cluster', TagValue: 'x' },
    ];
    const found = call('DescribeLoadBalancers', { Tags }).LoadBalancers?.LoadBalancer ?? [];
    expect(found.map(({ LoadBalancerId }) => LoadBalancerId)).toEqual([a, b]);
  });

  test('a new balancer is not found by its tags for a while, and by its id at once', () => {
    const { call, clock, createLoadBalancer } = bench({ consistency: { tagLagMs: 5_000 } });
    const LoadBalancerId = createLoadBalancer({ Tag: [{ Key: 'uid', Value: '1' }] });
    const byTag = { Tags: [{ TagKey: 'uid', TagValue: '1' }] };
    const total = (input: object): number | undefined => call('DescribeLoadBalancers', input).TotalCount;
    expect([total(byTag), total({ LoadBalancerId })]).toEqual([0, 1]);
    clock.advance(5_000);
    expect(total(byTag)).toBe(1);
  });

  test('a name also finds longer ones, and the list has numbers for the charge type', () => {
    const { call, createLoadBalancer } = bench();
    createLoadBalancer({ LoadBalancerName: 'web' });
    createLoadBalancer({ LoadBalancerName: 'web-2' });
    const { LoadBalancers } = call('DescribeLoadBalancers', { LoadBalancerName: 'web' });
    expect(LoadBalancers?.LoadBalancer).toHaveLength(2);
    expect(LoadBalancers?.LoadBalancer?.[0]).toMatchObject({
      InternetChargeType: '4',
      InternetChargeTypeAlias: 'paybytraffic',
    });
  });
});

describe('changing and deleting', () => {
  test('a protected balancer is deleted once protection is off, with all that is in it', () => {
    const { account, codeOf, createGroup, createListener, createLoadBalancer } = bench();
    const LoadBalancerId = createLoadBalancer({ DeleteProtection: 'on' });
    createListener(LoadBalancerId, createGroup(LoadBalancerId));
    const remove = (): string => codeOf('DeleteLoadBalancer', { LoadBalancerId });
    expect(remove()).toBe('OperationDenied.DeleteProtectionIsOn');
    codeOf('SetLoadBalancerDeleteProtection', { LoadBalancerId, DeleteProtection: 'off' });
    expect([remove(), remove()]).toEqual(['accepted', 'InvalidLoadBalancerId.NotFound']);
    expect(account.resources()).toEqual([]);
  });

  test.each<[string, object, object, string]>([
    ['by usage', {}, { Bandwidth: 10 }, 'OperationDenied.PayByCLCU'],
    [
      'by bandwidth',
      {
        InstanceChargeType: 'PayBySpec',
        LoadBalancerSpec: 'slb.s1.small',
        InternetChargeType: 'paybybandwidth',
        Bandwidth: 5,
      },
      { Bandwidth: 10 },
      'accepted',
    ],
    [
      'of an intranet balancer',
      {
        InstanceChargeType: 'PayBySpec',
        LoadBalancerSpec: 'slb.s1.small',
        AddressType: 'intranet',
        VpcId: 'vpc-1',
        VSwitchId: 'vsw-a',
      },
      { Bandwidth: 10 },
      'Operation.NotAllowed',
    ],
  ])('bandwidth %s', (_what, made, change, code) => {
    const { codeOf, createLoadBalancer } = bench();
    const LoadBalancerId = createLoadBalancer(made);
    expect(codeOf('ModifyLoadBalancerInternetSpec', { LoadBalancerId, ...change })).toBe(code);
  });

  test('from specification to usage there is no way back', () => {
    const { codeOf, createLoadBalancer } = bench();
    const LoadBalancerId = createLoadBalancer({
      InstanceChargeType: 'PayBySpec',
      LoadBalancerSpec: 'slb.s1.small',
    });
    const change = (InstanceChargeType: string): string =>
      codeOf('ModifyLoadBalancerInstanceChargeType', { LoadBalancerId, InstanceChargeType });
    expect([change('PayByCLCU'), change('PayBySpec')]).toEqual(['accepted', 'Forbidden.LcuToSpec']);
  });

  test('while it is configured, writes are refused as busy and reads answered', () => {
    const { clock, codeOf, createGroup, createLoadBalancer } = bench({ delays: { configuringMs: 3_000 } });
    const LoadBalancerId = createLoadBalancer();
    const group = createGroup(LoadBalancerId);
    const named = { LoadBalancerId, LoadBalancerName: 'other' };
    expect(codeOf('SetLoadBalancerName', named)).toBe('ServiceIsConfiguring');
    expect(codeOf('DeleteVServerGroup', { VServerGroupId: group })).toBe('VServerGroupProcessing');
    expect(codeOf('DescribeLoadBalancerAttribute', { LoadBalancerId })).toBe('accepted');
    clock.advance(3_000);
    expect(codeOf('SetLoadBalancerName', named)).toBe('accepted');
  });

  test('a locked balancer takes no changes', () => {
    const { account, codeOf, createLoadBalancer } = bench();
    const LoadBalancerId = createLoadBalancer();
    account.setLoadBalancerStatus(LoadBalancerId, 'locked');
    expect(codeOf('DeleteLoadBalancer', { LoadBalancerId })).toBe('LbStatusNotSupport');
  });

  test('tags come and go by key', () => {
    const { account, call, createLoadBalancer } = bench();
    const id = createLoadBalancer({ Tag: [{ Key: 'a', Value: '1' }] });
    const of = { ResourceType: 'instance', ResourceId: [id] };
    call('TagResources', { ...of, Tag: [{ Key: 'b', Value: '2' }] });
    call('UntagResources', { ...of, TagKey: ['a', 'z'] });
    expect(account.resources()).toMatchObject([{ tags: { b: '2' } }]);
    expect(call('ListTagResources', of).TagResources?.TagResource).toMatchObject([
      { TagKey: 'b', TagValue: '2' },
    ]);
  });
});
