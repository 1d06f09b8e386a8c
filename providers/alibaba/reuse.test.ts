/** Balancers and groups that a user brought along: used, never owned (h.14). */
import { describe, expect, test } from 'vitest';
import { aService } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';
import type { ClusterState } from '../../test/support/alibaba-bench.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';

function world(settings: object = {}) {
  const bench = new AlibabaBench();
  const made = bench.account.byHand('CreateLoadBalancer', {
    AddressType: 'internet',
    InstanceChargeType: 'PayByCLCU',
    LoadBalancerName: 'mine',
    ...settings,
  }) as { readonly LoadBalancerId: string };
  const { LoadBalancerId: id } = made;
  const using = (
    annotations: Readonly<Record<string, string>> = {},
    change: Partial<Omit<ServiceObject, 'key'>> = {},
  ): ClusterState => ({
    service: aService({ ...change, annotations: { [`${prefix}id`]: id, ...annotations } }),
    nodes: [anEcsNode('n1')],
    slices: [],
  });
  const dump = () => bench.account.dump().loadBalancers[0];
  return { bench, id, using, dump };
}

const override = { [`${prefix}force-override-listeners`]: 'true' };

test('groups and members are ours, listeners only where the user says so; removed is what we made and nothing else', async () => {
  const { bench, using, dump } = world();
  const before = dump();
  await bench.ensure(using());
  expect(dump()).toMatchObject({
    LoadBalancerName: 'mine',
    Listeners: [],
    VServerGroups: [{ BackendServers: [{ ServerId: 'i-n1' }] }],
  });
  await bench.ensure(using(override));
  expect(dump()?.Listeners).toHaveLength(1);
  expect((await bench.ensure(using(override))).plan).toMatchObject({ steps: [], problems: [] });
  bench.restart();
  expect((await bench.remove(using())).failed).toEqual([]);
  expect(dump()).toEqual(before);
});

test('a listener of the user on our port is told and stays, also with force-override', async () => {
  const { bench, id, using, dump } = world();
  bench.account.byHand('CreateLoadBalancerTCPListener', {
    LoadBalancerId: id,
    ListenerPort: 80,
    Bandwidth: -1,
    BackendServerPort: 8080,
  });
  const theirs = dump()?.Listeners;
  const { plan } = await bench.ensure(using(override));
  expect(plan.problems).toMatchObject([{ severity: 'error', reason: 'PortConflict' }]);
  expect(dump()?.Listeners).toEqual(theirs);
});

test('a listener of the user on our group: the group stays until it is free, and so does the mark', async () => {
  const { bench, id, using, dump } = world();
  await bench.ensure(using());
  const VServerGroupId = dump()?.VServerGroups[0]?.VServerGroupId;
  bench.account.byHand('CreateLoadBalancerTCPListener', {
    LoadBalancerId: id,
    ListenerPort: 81,
    Bandwidth: -1,
    VServerGroupId,
  });
  const { plan } = await bench.remove(using());
  expect(plan.problems).toMatchObject([{ severity: 'error', reason: 'PortConflict' }]);
  bench.account.byHand('DeleteLoadBalancerListener', {
    LoadBalancerId: id,
    ListenerPort: 81,
    ListenerProtocol: 'tcp',
  });
  const { after } = await bench.remove(using());
  expect(bench.provider.isGone(after)).toBe(true);
  expect(dump()).toMatchObject({ VServerGroups: [], TagsByKey: {} });
});

test('two Services on one balancer with one port: the older keeps it, before any call; both share a lane', () => {
  const { bench, using, id } = world();
  const older = using({}, { name: 'older', createdAt: 1 });
  const younger = using({}, { name: 'younger', createdAt: 2 });
  const { settings } = bench.provider.parse(younger.service);
  const services = [older.service, younger.service];
  const { problems, wanted } = bench.provider.want(settings, {
    cluster: { name: 'test', id: 'cluster-1' },
    services,
    ...younger,
  });
  expect(problems).toMatchObject([{ severity: 'error', reason: 'PortConflict', field: 'spec.ports[0]' }]);
  expect(wanted.listeners).toEqual([]);
  expect(bench.provider.lane(settings, younger.service)).toBe(`alibaba/${id}`);
});

describe('refused before anything is written', () => {
  test.each([
    [
      'made by the cloud’s own controller',
      { Tag: [{ Key: 'kubernetes.do.not.delete', Value: 'a1' }] },
      {},
      {},
      'NameConflict',
    ],
    ['made by Sluice', { Tag: [{ Key: 'sluice.dev/cluster', Value: 'other' }] }, {}, {}, 'NameConflict'],
    ['the Service shows another address', {}, {}, { ingress: [{ ip: '192.0.2.1' }] }, 'ReplacementRequired'],
    ['of another side', {}, { [`${prefix}address-type`]: 'intranet' }, {}, 'ConflictingSettings'],
    ['of another VPC', { AddressType: 'intranet', VpcId: 'vpc-1', VSwitchId: 'vsw-a' }, {}, {}, undefined],
    ['not there', {}, { [`${prefix}id`]: 'lb-nothing' }, {}, 'BalancerMissing'],
  ])('%s', async (_name, settings, annotations, change, reason) => {
    const { bench, using } = world(settings);
    const { plan, writes } = await bench.ensure(using(annotations, change));
    expect(plan.problems.map((one) => one.reason)).toEqual(reason === undefined ? [] : [reason]);
    if (reason !== undefined) expect(writes).toEqual([]);
  });

  test('a Service cannot change over from its own balancer to one of the user', async () => {
    const { bench, using } = world();
    await bench.ensure({ ...using(), service: aService() });
    const { plan, writes } = await bench.ensure(using());
    expect(writes).toEqual([]);
    expect(plan.problems).toMatchObject([{ reason: 'ReplacementRequired' }]);
  });
});

test('in a group of the user only members that we put in are changed, and their weights are a share', async () => {
  const { bench, id, using, dump } = world();
  const group = bench.account.byHand('CreateVServerGroup', {
    LoadBalancerId: id,
    VServerGroupName: 'theirs',
    BackendServers: [{ ServerId: 'i-theirs', Port: 8080, Weight: 7 }],
  }) as { readonly VServerGroupId: string };
  const asked = using({ [`${prefix}vgroup-port`]: `${group.VServerGroupId}:80`, [`${prefix}weight`]: '40' });
  await bench.ensure({ ...asked, nodes: [anEcsNode('n1'), anEcsNode('n2')] });
  const found = () =>
    dump()?.VServerGroups.flatMap(({ BackendServers }) =>
      BackendServers.map(({ ServerId, Weight }) => `${ServerId} ${Weight}`),
    );
  expect(found()).toEqual(['i-theirs 7', 'i-n1 20', 'i-n2 20']);
  bench.restart();
  await bench.remove(asked);
  expect(found()).toEqual(['i-theirs 7']);
});
