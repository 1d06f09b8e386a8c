/** Balancers of the cloud's own controller become ours without a call about listeners, groups or members. */
import { describe, expect, test } from 'vitest';
import { anEndpoint, aPort, aService, aSlice } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { asCcm, ccmBalancerName, ccmCluster } from '../../test/support/alibaba-ccm.ts';
import type { CcmShape } from '../../test/support/alibaba-ccm.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';
import type { ClusterState } from '../../test/support/alibaba-bench.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
const uid = '6f1c2a9e-0b7d-4c55-9a52-3a7c1f0e9d11' as ServiceObject['uid'];
const nodes = [anEcsNode('n1'), anEcsNode('n2')];
const usual = [{ port: 80, nodePort: 30_080, protocol: 'tcp' }] as const;

async function world(
  shape: Partial<CcmShape> = {},
  change: Partial<Omit<ServiceObject, 'key'>> = {},
  slices: ClusterState['slices'] = [],
) {
  const bench = new AlibabaBench();
  const plain = aService({ uid, ...change });
  const { id, address } = await asCcm((operation, input) => bench.account.byHand(operation, input), {
    service: plain,
    ports: usual,
    servers: { 'i-n1': 100, 'i-n2': 100 },
    ...shape,
  });
  const service = aService({ uid, ingress: [{ ip: address }], ...change });
  const state: ClusterState = { service, nodes, slices };
  const dump = () => bench.account.dump().loadBalancers[0];
  /** All that traffic goes by. */
  const traffic = () => JSON.stringify([dump()?.Address, dump()?.Listeners, dump()?.VServerGroups]);
  return { bench, id, state, dump, traffic };
}

const dns = {
  shape: {
    ports: [
      { port: 53, nodePort: 30_053, protocol: 'tcp' },
      { port: 53, nodePort: 30_054, protocol: 'udp' },
    ],
  },
  change: {
    ports: [
      aPort({ name: 'tcp', port: 53, nodePort: 30_053 }),
      aPort({ name: 'udp', port: 53, nodePort: 30_054, protocol: 'UDP' }),
    ],
  },
} as const;
const local = {
  shape: { servers: { 'i-n1': 2, 'i-n2': 1 } },
  change: { externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 },
  slices: [
    aSlice('s', [anEndpoint('10.1.0.1', 'n1'), anEndpoint('10.1.0.2', 'n1'), anEndpoint('10.1.0.3', 'n2')]),
  ],
} as const;

const cases: readonly (readonly [
  string,
  {
    readonly shape?: Partial<CcmShape>;
    readonly change?: Partial<Omit<ServiceObject, 'key'>>;
    readonly slices?: ClusterState['slices'];
  },
])[] = [
  ['one port', {}],
  ['TCP and UDP on one port', dns],
  ['policy Local, weighed by endpoints', local],
  ['a cluster whose id was never set', { shape: { cluster: 'clusterid' } }],
  [
    'an intranet balancer with annotations',
    {
      shape: {
        balancer: { AddressType: 'intranet', VpcId: 'vpc-1', VSwitchId: 'vsw-a' },
        listener: { Scheduler: 'wlc' },
      },
      change: { annotations: { [`${prefix}address-type`]: 'intranet', [`${prefix}scheduler`]: 'wlc' } },
    },
  ],
];

describe.each(cases)('%s', (_name, { shape, change, slices }) => {
  test('three calls about tags and name, nothing that traffic goes by changes, and the first pass is empty', async () => {
    const { bench, state, dump, traffic } = await world(shape, change, slices);
    const before = traffic();
    const { steps, problems, first } = await bench.planTakeOver(state);
    expect(problems).toEqual([]);
    expect(steps.map(({ operation }) => operation)).toEqual([
      'TagResources',
      'SetLoadBalancerName',
      'UntagResources',
    ]);
    expect(first.steps).toEqual([]);
    await bench.carryOut(steps);
    expect(traffic()).toBe(before);
    expect(dump()?.TagsByKey).toMatchObject({ 'sluice.dev/uid': uid, 'sluice.dev/protection': 'set' });
    expect(Object.keys(dump()?.TagsByKey ?? {}).filter((key) => !key.startsWith('sluice.dev/'))).toEqual([]);
    expect(dump()?.LoadBalancerName).not.toBe(ccmBalancerName(uid));
    bench.restart();
    const { plan } = await bench.ensure(state);
    expect(plan).toMatchObject({ steps: [], problems: [] });
    expect(traffic()).toBe(before);
  });

  test('cut off after any call it goes on where it stopped', async () => {
    for (let done = 0; done <= 3; done += 1) {
      const { bench, state, traffic } = await world(shape, change, slices);
      const before = traffic();
      const { steps } = await bench.planTakeOver(state);
      await bench.carryOut(steps.slice(0, done));
      bench.restart();
      const again = await bench.planTakeOver(state);
      expect(again.problems).toEqual([]);
      expect(again.steps.map(({ operation }) => operation)).toEqual(
        steps.slice(done).map(({ operation }) => operation),
      );
      await bench.carryOut(again.steps);
      expect((await bench.ensure(state)).plan.steps).toEqual([]);
      expect(traffic()).toBe(before);
    }
  });

  test('afterwards it is ours to remove, protection included', async () => {
    const { bench, state } = await world(shape, change, slices);
    await bench.carryOut((await bench.planTakeOver(state)).steps);
    const { failed, after } = await bench.remove(state, bench.provider.parse(state.service).settings);
    expect(failed).toEqual([]);
    expect(bench.provider.isGone(after)).toBe(true);
    expect(bench.account.resources()).toEqual([]);
  });
});

describe('afterwards it is served like any other', () => {
  async function takenOver() {
    const made = await world();
    await made.bench.carryOut((await made.bench.planTakeOver(made.state)).steps);
    const servers = () =>
      made
        .dump()
        ?.VServerGroups.map(({ VServerGroupName, BackendServers }) => [
          VServerGroupName.split('/')[0],
          BackendServers.map(({ ServerId }) => ServerId),
        ]);
    return { ...made, servers };
  }

  test('nodes come and go, the members that the other controller put in included', async () => {
    const { bench, state, servers } = await takenOver();
    const { writes } = await bench.ensure({ ...state, nodes: [anEcsNode('n2'), anEcsNode('n3')] });
    expect(writes).toEqual(['AddVServerGroupBackendServers', 'RemoveVServerGroupBackendServers']);
    expect(servers()).toEqual([['k8s', ['i-n2', 'i-n3']]]);
  });

  test('another node port: a group of ours is filled, the listener turned to it, the old one deleted last', async () => {
    const { bench, state, servers } = await takenOver();
    const service = aService({ ...state.service, ports: [aPort({ nodePort: 31_000 })] });
    const { writes, failed } = await bench.ensure({ ...state, service });
    expect(failed).toEqual([]);
    expect(writes).toEqual([
      'CreateVServerGroup',
      'SetLoadBalancerTCPListenerAttribute',
      'DeleteVServerGroup',
    ]);
    expect(servers()).toEqual([[expect.stringMatching(/^slc-/), ['i-n1', 'i-n2']]]);
    expect((await bench.ensure({ ...state, service })).plan.steps).toEqual([]);
  });

  test('a group that TCP and UDP share (where the account lets them) goes on serving both, its members planned once', async () => {
    const { bench, state } = await takenOver();
    const { after } = await bench.ensure(state);
    const { balancer } = after;
    const [tcp] = balancer?.listeners ?? [];
    if (balancer === undefined || tcp === undefined) throw new Error('there is a listener');
    const observed = {
      ...after,
      balancer: {
        ...balancer,
        listeners: [tcp, { ...tcp, protocol: 'udp' as const }],
        groups: balancer.groups.map((one) => ({ ...one, usedBy: ['80/tcp', '80/udp'] })),
      },
    };
    const ports = [aPort({ name: 'tcp' }), aPort({ name: 'udp', protocol: 'UDP' })];
    const service = aService({ ...state.service, ports });
    const wanted = bench.wanted({ ...state, service, nodes: [...nodes, anEcsNode('n3')] });
    const owner = { cluster: { name: 'test', id: 'cluster-1' }, service: service.key, uid };
    const { steps } = bench.provider.plan({ kind: 'present', wanted }, observed, {
      owner,
      now: 0,
      memory: {},
    });
    expect(steps.map(({ operation }) => operation)).toEqual(['AddVServerGroupBackendServers']);
  });

  test('what an annotation asks for is put right, what the other controller chose stays', async () => {
    const { bench, state, dump } = await takenOver();
    const service = aService({ ...state.service, annotations: { [`${prefix}healthy-threshold`]: '5' } });
    await bench.ensure({ ...state, service });
    expect(dump()?.Listeners[0]).toMatchObject({
      Scheduler: 'rr',
      TCPListenerConfig: { HealthyThreshold: 5 },
    });
    expect(dump()?.Listeners[0]?.TCPListenerConfig).not.toHaveProperty('HealthCheckConnectPort');
  });

  test('a listener of somebody else on it stays somebody else’s', async () => {
    const { bench, id, state, dump } = await takenOver();
    for (const [ListenerPort, Description] of [
      [81, `k8s/80/web/default/${ccmCluster}`],
      [82, `k8s/82/web2/default/${ccmCluster}`],
      [83, 'k8s/83/web/default/another'],
    ] as const)
      bench.account.byHand('CreateLoadBalancerTCPListener', {
        LoadBalancerId: id,
        ListenerPort,
        Bandwidth: -1,
        BackendServerPort: 8080,
        Description,
      });
    expect((await bench.ensure(state)).plan.steps).toEqual([]);
    expect(dump()?.Listeners).toHaveLength(4);
  });

  test('a balancer that nobody handed over is not ours by its names', async () => {
    const { bench, state } = await world();
    const { plan, writes } = await bench.ensure(state);
    expect(writes).toEqual([]);
    expect(plan.problems).toMatchObject([{ reason: 'BalancerMissing' }]);
  });
});

describe('left where it is, with the reason', () => {
  test.each([
    ['the Service shows another address', {}, { ingress: [{ ip: '192.0.2.9' }] }, 'ReplacementRequired'],
    ['there is none', { balancer: { Tag: [], LoadBalancerName: 'other' } }, {}, 'BalancerMissing'],
    ['it has the name and not the tag', { balancer: { Tag: [] } }, {}, 'NameConflict'],
    [
      'Sluice in another cluster made it',
      {
        balancer: {
          Tag: [
            { Key: 'kubernetes.do.not.delete', Value: ccmBalancerName(uid) },
            { Key: 'sluice.dev/cluster', Value: 'other' },
          ],
        },
      },
      {},
      'NameConflict',
    ],
    [
      'the Service says what the balancer is not',
      {},
      { annotations: { [`${prefix}address-type`]: 'intranet' } },
      'ImmutableSetting',
    ],
    ['a member would go', { servers: { 'i-n1': 100, 'i-n2': 100, 'i-old': 100 } }, {}, 'TakeOverDisturbs'],
    [
      'a listener would go',
      { ports: [...usual, { port: 81, nodePort: 30_081, protocol: 'tcp' }] },
      {},
      'TakeOverDisturbs',
    ],
    [
      'a listener would be changed',
      {},
      { annotations: { [`${prefix}persistence-timeout`]: '60' } },
      'TakeOverDisturbs',
    ],
    [
      'the user brought the balancer along',
      {},
      { annotations: { [`${prefix}id`]: 'lb-mine' } },
      'UnsupportedAnnotation',
    ],
  ] as const)('%s', async (_name, shape, change, reason) => {
    const { bench, state } = await world(shape, change);
    const { steps, problems } = await bench.planTakeOver(state);
    expect(steps).toEqual([]);
    expect(problems.map((one) => one.reason)).toContain(reason);
  });

  test('two could be meant', async () => {
    const { bench, state } = await world();
    bench.account.byHand('CreateLoadBalancer', {
      AddressType: 'internet',
      InstanceChargeType: 'PayByCLCU',
      LoadBalancerName: ccmBalancerName(uid),
    });
    const { steps, problems } = await bench.planTakeOver(state);
    expect(steps).toEqual([]);
    expect(problems).toMatchObject([{ reason: 'DuplicateBalancer' }]);
  });
});

test('a protection that the Service asks for stays its own', async () => {
  const { bench, state, dump } = await world({}, { annotations: { [`${prefix}delete-protection`]: 'on' } });
  await bench.carryOut((await bench.planTakeOver(state)).steps);
  expect(dump()?.TagsByKey).not.toHaveProperty(['sluice.dev/protection']);
});
