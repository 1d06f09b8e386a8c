/** Groups and their members: ports that change, policy Local, quotas, batches with a failure in the middle. */
import { describe, expect, test } from 'vitest';
import { anEndpoint, aPort, aService, aSlice } from '../../src/core/fixtures.ts';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '../../src/core/objects.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';
import type { ClusterState } from '../../test/support/alibaba-bench.ts';
import { scaled, shared } from './weights.ts';

function state(
  change: Partial<Omit<ServiceObject, 'key'>> = {},
  nodes: readonly NodeObject[] = [anEcsNode('n1'), anEcsNode('n2')],
  slices: readonly EndpointSliceObject[] = [],
): ClusterState {
  return { service: aService(change), nodes, slices };
}

const many = (count: number, from = 1) => Array.from({ length: count }, (_, i) => anEcsNode(`m${from + i}`));

function balancer(bench: AlibabaBench) {
  const found = bench.account.dump().loadBalancers[0];
  if (found === undefined) throw new Error('no balancer');
  return found;
}

const members = (bench: AlibabaBench) =>
  balancer(bench).VServerGroups.map(({ BackendServers }) =>
    BackendServers.map(({ ServerId, Weight }) => `${ServerId} ${Weight}`).toSorted(),
  );

test('TCP and UDP on one port are two listeners with a group each; the end of one does not touch the other (h.8)', async () => {
  const bench = new AlibabaBench();
  const tcp = aPort({ name: 'tcp', port: 53, nodePort: 30_053 });
  const udp = aPort({ name: 'udp', port: 53, protocol: 'UDP', nodePort: 30_054 });
  await bench.ensure(state({ ports: [tcp, udp] }));
  const before = balancer(bench).Listeners.find(({ ListenerProtocol }) => ListenerProtocol === 'tcp');
  const { writes } = await bench.ensure(state({ ports: [tcp] }));
  expect(writes).toEqual(['DeleteLoadBalancerListener', 'DeleteVServerGroup']);
  expect(balancer(bench).Listeners).toEqual([before]);
});

describe('node ports that change (h.9)', () => {
  test('the new group is filled, the listener is turned to it, and the old group goes last', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(state());
    const { writes } = await bench.ensure(state({ ports: [aPort({ nodePort: 31_000 })] }));
    expect(writes).toEqual([
      'CreateVServerGroup',
      'SetLoadBalancerTCPListenerAttribute',
      'DeleteVServerGroup',
    ]);
  });

  test('two ports that swap them: each listener is turned to the group of the other, which is full', async () => {
    const bench = new AlibabaBench();
    const ports = (a: number, b: number) => [
      aPort({ name: 'a', port: 80, nodePort: a }),
      aPort({ name: 'b', port: 81, nodePort: b }),
    ];
    await bench.ensure(state({ ports: ports(30_001, 30_002) }));
    const { writes } = await bench.ensure(state({ ports: ports(30_002, 30_001) }));
    expect(writes).toEqual(['SetLoadBalancerTCPListenerAttribute', 'SetLoadBalancerTCPListenerAttribute']);
    for (const group of members(bench)) expect(group).toHaveLength(2);
  });
});

describe('policy Local (h.10)', () => {
  const local = (slices: readonly EndpointSliceObject[]): ClusterState =>
    state(
      { externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 },
      [anEcsNode('n1'), anEcsNode('n2')],
      slices,
    );
  const on = (...nodes: readonly string[]) => [
    aSlice(
      's',
      nodes.map((node, i) => anEndpoint(`10.1.0.${i + 1}`, node)),
    ),
  ];

  test('weights follow ready endpoints, and the check asks the health-check node port', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(local(on('n1', 'n1', 'n2')));
    expect(members(bench)).toEqual([['i-n1 2', 'i-n2 1']]);
    expect(balancer(bench).Listeners[0]).toMatchObject({
      Scheduler: 'wrr',
      TCPListenerConfig: {
        HealthCheckType: 'http',
        HealthCheckURI: '/healthz',
        HealthCheckConnectPort: 32_000,
      },
    });
    const { writes } = await bench.ensure(local(on('n1', 'n2', 'n2', 'n2')));
    expect(writes).toEqual(['SetVServerGroupAttribute']);
    expect(members(bench)).toEqual([['i-n1 1', 'i-n2 3']]);
  });

  test('the last endpoint of a node moves: the new node is added first, the old one stays for its grace time', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(local(on('n1')));
    expect((await bench.ensure(local(on('n2')))).writes).toEqual(['AddVServerGroupBackendServers']);
    await bench.clock.advance(61_000);
    expect((await bench.ensure(local(on('n2')))).writes).toEqual(['RemoveVServerGroupBackendServers']);
  });

  test('no endpoint left: members stay, and a wait says why', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(local(on('n1')));
    const { writes, plan } = await bench.ensure(local([]));
    expect(writes).toEqual([]);
    expect(plan.waits).toMatchObject([{ reason: 'UnAvailableLoadBalancer' }]);
  });

  test('terminating endpoints and those without a node do not count, those that are not ready weigh nothing beside ready ones', async () => {
    const bench = new AlibabaBench();
    const slice = aSlice('s', [
      anEndpoint('10.1.0.1', 'n1'),
      anEndpoint('10.1.0.2', 'n1', { terminating: true }),
      anEndpoint('10.1.0.3', undefined),
      anEndpoint('10.1.0.4', 'n2', { ready: false }),
    ]);
    await bench.ensure(local([slice]));
    expect(members(bench)).toEqual([['i-n1 1', 'i-n2 0']]);
  });

  test('Local to Cluster and back on a live Service: check and scheduler follow', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(local(on('n1', 'n2')));
    await bench.ensure(state());
    expect(balancer(bench).Listeners[0]).toMatchObject({
      Scheduler: 'rr',
      TCPListenerConfig: { HealthCheckType: 'tcp', HealthCheckConnectPort: 30_080 },
    });
    expect((await bench.ensure(state())).plan.steps).toEqual([]);
  });

  test.each([
    ['up to 100 as they are', [3, 1], [3, 1]],
    ['more are scaled, and none falls to 0', [200, 1], [100, 1]],
    ['none stays none beside others', [2, 0], [2, 0]],
    ['none anywhere: nobody is preferred', [0, 0], [1, 1]],
  ])('%s', (_name, counts, weights) => {
    expect(scaled(counts)).toEqual(weights);
  });

  test('a share is divided, each at least 1, and 0 is 0 for all', () => {
    expect([shared([3, 1], 40), shared([99, 1], 10), shared([1, 1], 0)]).toEqual([
      [30, 10],
      [9, 1],
      [0, 0],
    ]);
  });
});

describe('calls for members', () => {
  test('45 nodes cost 3 calls, the group’s own creation among them, one more 1 call, one replaced 2 calls', async () => {
    const bench = new AlibabaBench();
    const { writes } = await bench.ensure(state({}, many(45)));
    expect(writes.filter((one) => one.includes('VServerGroup'))).toEqual([
      'CreateVServerGroup',
      'AddVServerGroupBackendServers',
      'AddVServerGroupBackendServers',
    ]);
    expect(members(bench)[0]).toHaveLength(45);
    expect((await bench.ensure(state({}, many(46)))).writes).toEqual(['AddVServerGroupBackendServers']);
    const replaced = await bench.ensure(state({}, many(46, 2)));
    expect(replaced.writes).toEqual(['AddVServerGroupBackendServers', 'RemoveVServerGroupBackendServers']);
  });

  test('a middle batch that is busy and a stopped instance: the good ones get in, nothing twice (h.12)', async () => {
    const bench = new AlibabaBench();
    bench.account.faults.order({
      match: { operation: 'AddVServerGroupBackendServers' },
      nth: 1,
      times: 4,
      effect: { kind: 'error', code: 'VServerGroupProcessing' },
    });
    bench.account.setServer('i-m9', { state: 'Stopped' });
    const first = await bench.ensure(state({}, many(45)));
    expect(first.failed.map(({ error }) => error.code).toSorted()).toEqual([
      'ObtainIpFail',
      'VServerGroupProcessing',
    ]);
    const second = await bench.ensure(state({}, many(45)));
    expect(second.failed.map(({ error }) => error.code)).toEqual(['ObtainIpFail']);
    expect(members(bench)[0]).toHaveLength(44);
  });

  test('a cloud that takes fewer in one call is answered by halving', async () => {
    const bench = new AlibabaBench({ settings: { quotas: { backendsPerCall: 6 } } });
    expect((await bench.ensure(state({}, many(20)))).failed).toEqual([]);
    expect(members(bench)[0]).toHaveLength(20);
  });
});

describe('no room (h.11)', () => {
  test('dead members go, and the next pass puts the new one in', async () => {
    const bench = new AlibabaBench({ settings: { quotas: { backendsPerLoadBalancer: 3 } } });
    await bench.ensure(state({}, many(3)));
    bench.account.setServer('i-m1', { state: 'Stopped' });
    const full = await bench.ensure(state({}, many(3, 2)));
    expect(full.failed).toMatchObject([
      { error: { kind: 'quota', code: 'InstanceBackendServerNumberOverLimit' } },
    ]);
    expect(full.writes.at(-1)).toBe('RemoveVServerGroupBackendServers');
    expect((await bench.ensure(state({}, many(3, 2)))).failed).toEqual([]);
    expect(members(bench)).toEqual([['i-m2 100', 'i-m3 100', 'i-m4 100']]);
  });

  test('as many as there is room for get in, and the count of the others is told', async () => {
    const bench = new AlibabaBench({ settings: { quotas: { backendsPerLoadBalancer: 5 } } });
    const { failed } = await bench.ensure(state({}, many(12)));
    expect(members(bench)[0]).toHaveLength(5);
    const counts = failed.map(({ step: { effect } }) => (effect.kind === 'addTargets' ? effect.count : 0));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(7);
  });

  test('a server that is in too many groups keeps nobody else out', async () => {
    const bench = new AlibabaBench({ settings: { quotas: { attachmentsPerServer: 1 } } });
    await bench.ensure(state({ name: 'first' }, many(1)));
    const { failed } = await bench.ensure(state({}, many(4)));
    expect(failed).toMatchObject([
      { error: { kind: 'quota', code: 'QuotaLimitExceeds.BackendServerAttached' } },
    ]);
    expect(bench.account.dump().loadBalancers[1]?.VServerGroups[0]?.BackendServers).toHaveLength(3);
  });
});

test('http in the place of tcp on one port: the old listener goes first, with a group of its own family', async () => {
  const bench = new AlibabaBench();
  await bench.ensure(state());
  const annotations = { 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-protocol-port': 'http:80' };
  const { failed, writes } = await bench.ensure(state({ annotations }));
  expect(failed).toEqual([]);
  expect(writes.indexOf('DeleteLoadBalancerListener')).toBeLessThan(
    writes.indexOf('CreateLoadBalancerHTTPListener'),
  );
  expect(writes.at(-1)).toBe('DeleteVServerGroup');
});

describe('nodes that are kept out (A-37)', () => {
  test.each([
    [{ 'service.beta.kubernetes.io/exclude-node': '' }, true],
    [{ 'service.alibabacloud.com/exclude-node': 'true' }, true],
    [{ 'alpha.service-controller.kubernetes.io/exclude-balancer': 'x' }, true],
    [{ 'service.alibabacloud.com/exclude-node': 'false' }, false],
    [{ type: 'virtual-kubelet' }, true],
    [{ type: 'gpu' }, false],
    [{ 'node-role.kubernetes.io/control-plane': '' }, false],
  ])('%j: %s', (labels, out) => {
    const { provider } = new AlibabaBench();
    const { service } = state();
    const nodes = [anEcsNode('n1', { labels }), anEcsNode('n2')];
    const world = { cluster: { name: 'test', id: 'c' }, service, services: [service], nodes, slices: [] };
    const { wanted, excluded } = provider.want(provider.parse(service).settings, world);
    expect(wanted.listeners[0]?.group?.members.map(({ key }) => key)).toEqual(
      out ? ['i-n2:30080'] : ['i-n1:30080', 'i-n2:30080'],
    );
    expect(excluded.map(({ node, reason }) => `${node} ${reason}`)).toEqual(out ? ['n1 NodeExcluded'] : []);
  });
});
