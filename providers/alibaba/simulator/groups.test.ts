import { describe, expect, test } from 'vitest';
import { bench, servers } from './testing.ts';
import type { Bench } from './testing.ts';

interface Ground extends Bench {
  readonly lb: string;
  readonly group: string;
  readonly add: (list: readonly object[]) => string;
}

function ground(settings?: Parameters<typeof bench>[0]): Ground {
  const made = bench(settings);
  const lb = made.createLoadBalancer();
  const group = made.createGroup(lb);
  const add = (BackendServers: readonly object[]): string =>
    made.codeOf('AddVServerGroupBackendServers', { VServerGroupId: group, BackendServers });
  return { ...made, lb, group, add };
}

test.each<[string, readonly object[], string]>([
  ['twenty', servers(20), 'accepted'],
  ['twenty-one', servers(21), 'TooManyBackendServers'],
  ['a server twice', [...servers(1), ...servers(1)], 'InvalidBackendServers.Duplicate'],
  ['port 0', [{ ServerId: 'i-1', Port: 0 }], 'InvalidBackendServers.Port'],
  ['numbers as text', [{ ServerId: 'i-1', Port: '30080', Weight: '5' }], 'accepted'],
  ['a weight of 101', [{ ServerId: 'i-1', Port: 1, Weight: 101 }], 'InvalidBackendServers.Weight'],
  [
    'a long description',
    [{ ServerId: 'i-1', Port: 1, Description: 'x'.repeat(81) }],
    'InvalidBackendServers.Description',
  ],
  ['a misspelling', [{ ServerID: 'i-1', Port: 1 }], 'InvalidBackendServers.MalFormed'],
])('adding %s', (_what, list, code) => {
  expect(ground().add(list)).toBe(code);
});

test('adding one that is there is refused or passed over: SLB does not say which', () => {
  const { account, add, group, members } = ground();
  expect([add(servers(1)), add(servers(2))]).toEqual(['accepted', 'InvalidBackendServers.Existed']);
  expect(members(group)).toHaveLength(1);
  account.configure({ addExisting: 'ignored' });
  expect(add(servers(2))).toBe('accepted');
  expect(members(group)).toHaveLength(2);
});

test('one server that cannot be added spoils the batch', () => {
  const { account, add, createLoadBalancer, createGroup, codeOf, group, members } = ground({
    acceptUnknownServers: false,
  });
  account.setServer('i-1', { state: 'Running' });
  account.setServer('i-2', { state: 'Stopped' });
  account.setServer('i-3', { state: 'Running', vpcId: 'vpc-2' });
  expect(
    add([
      { ServerId: 'i-1', Port: 1 },
      { ServerId: 'i-2', Port: 1 },
    ]),
  ).toBe('ObtainIpFail');
  expect(add([{ ServerId: 'i-9', Port: 1 }])).toBe('InvalidServerId.NotFound');
  expect(members(group)).toEqual([]);
  const inside = createLoadBalancer({ AddressType: 'intranet', VpcId: 'vpc-1', VSwitchId: 'vsw-a' });
  const VServerGroupId = createGroup(inside);
  expect(
    codeOf('AddVServerGroupBackendServers', {
      VServerGroupId,
      BackendServers: [{ ServerId: 'i-3', Port: 1 }],
    }),
  ).toBe('NetworkConflict');
});

describe('quotas', () => {
  test('of backends: full until something goes', () => {
    const { add, codeOf, group } = ground({ quotas: { backendsPerLoadBalancer: 2 } });
    expect([add(servers(2)), add(servers(1, 3))]).toEqual([
      'accepted',
      'InstanceBackendServerNumberOverLimit',
    ]);
    codeOf('RemoveVServerGroupBackendServers', { VServerGroupId: group, BackendServers: servers(1) });
    expect(add(servers(1, 3))).toBe('accepted');
  });

  test('of the times that one server is attached', () => {
    const { codeOf, createGroup, lb } = ground({ quotas: { attachmentsPerServer: 2 } });
    const codes = [1, 2, 3].map(() =>
      codeOf('AddVServerGroupBackendServers', {
        VServerGroupId: createGroup(lb),
        BackendServers: servers(1),
      }),
    );
    expect(codes).toEqual(['accepted', 'accepted', 'QuotaLimitExceeds.BackendServerAttached']);
  });
});

test('removing what is not there is passed over; setting it is not', () => {
  const { codeOf, group } = ground();
  const absent = { VServerGroupId: group, BackendServers: servers(1) };
  expect(codeOf('RemoveVServerGroupBackendServers', absent)).toBe('accepted');
  expect(codeOf('SetVServerGroupAttribute', absent)).toBe('InvalidBackendServers.NotExist');
});

test('setting weights leaves those alone that are not named', () => {
  const { add, call, group, members } = ground();
  add(servers(2));
  call('SetVServerGroupAttribute', {
    VServerGroupId: group,
    BackendServers: [{ ...servers(1)[0], Weight: 7 }],
  });
  expect(members(group)).toEqual(['i-1:30080 7', 'i-2:30080 100']);
});

test('members are swapped in one call', () => {
  const { add, call, group, members } = ground({ quotas: { backendsPerLoadBalancer: 1 } });
  add(servers(1));
  call('ModifyVServerGroupBackendServers', {
    VServerGroupId: group,
    OldBackendServers: servers(1),
    NewBackendServers: servers(1, 2),
  });
  expect(members(group)).toEqual(['i-2:30080 100']);
});

test('two groups may have one name, and the listeners of each are told', () => {
  const { call, createGroup, createListener, group, lb } = ground();
  const second = createGroup(lb);
  createListener(lb, second);
  const found = call('DescribeVServerGroups', { LoadBalancerId: lb, IncludeListener: true }).VServerGroups
    ?.VServerGroup;
  expect(found).toMatchObject([
    { VServerGroupId: group, VServerGroupName: 'web-80', AssociatedObjects: { Listeners: { Listener: [] } } },
    {
      VServerGroupId: second,
      VServerGroupName: 'web-80',
      AssociatedObjects: { Listeners: { Listener: [{ Port: 80, Protocol: 'tcp' }] } },
    },
  ]);
});

test.each([
  ['81 characters', 'x'.repeat(81), 'InvalidParameter.VServerGroupName'],
  ['80 characters', 'x'.repeat(80), 'accepted'],
])('a name of %s', (_what, VServerGroupName, code) => {
  const { codeOf, lb } = ground();
  expect(codeOf('CreateVServerGroup', { LoadBalancerId: lb, VServerGroupName })).toBe(code);
});
