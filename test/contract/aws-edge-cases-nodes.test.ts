/**
 * Edge cases 9 to 15 of the fifteen that a naive controller gets wrong (1 to 8: aws-edge-cases.test.ts): nodes,
 * targets, status and storms.
 */
import { describe, expect, test } from 'vitest';
import { aNode, anEndpoint, aPort, aService, aSlice } from '../../src/core/fixtures.ts';
import { ControllerBench, web } from '../support/controller-bench.ts';
import { healthy, minute, prefix, served } from './edge-bench.ts';

describe('9 policy Local with a rolling update', () => {
  const local = aService({ externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 });

  test('the pod moves from node to node: at no time are there zero healthy targets', async () => {
    const bench = new ControllerBench({ settings: { delays: { registrationMs: 120_000 } } });
    bench.cluster.setNodes(['a', 'b', 'c'].map((name) => aNode(name)));
    bench.cluster.setSlices([aSlice('s1', [anEndpoint('10.1.0.1', 'a')])]);
    await served(local, bench);
    await bench.run(5 * minute);
    expect(healthy(bench)).toEqual(['i-a:30080']);
    const alive = (): void => expect(healthy(bench).length).toBeGreaterThan(0);
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'c'],
      ['c', 'a'],
    ] as const) {
      // The old pod terminates and still serves; then it is gone.
      const old = anEndpoint('10.1.0.1', from, { ready: false, serving: true, terminating: true });
      const young = anEndpoint('10.1.0.2', to, { ready: false, serving: false });
      bench.cluster.setSlices([aSlice('s1', [old, young])]);
      await bench.watch(5_000, alive);
      bench.cluster.setSlices([aSlice('s1', [old, anEndpoint('10.1.0.2', to)])]);
      await bench.watch(30_000, alive);
      bench.cluster.setSlices([aSlice('s1', [anEndpoint('10.1.0.2', to)])]);
      await bench.watch(10 * minute, alive);
      expect(healthy(bench)).toEqual([`i-${to}:30080`]);
    }
  });

  test('several slices, doubles across them, no node name, both families: merged into one set of nodes', async () => {
    const bench = new ControllerBench();
    bench.cluster.setNodes(['a', 'b', 'c'].map((name) => aNode(name)));
    bench.cluster.setSlices([
      aSlice('s1', [anEndpoint('10.1.0.1', 'a'), anEndpoint('10.1.0.9', undefined)]),
      aSlice('s2', [anEndpoint('10.1.0.1', 'a'), anEndpoint('10.1.0.2', 'b')]),
      aSlice('s3', [anEndpoint('fd00::1', 'a'), anEndpoint('fd00::2', 'b')], { addressType: 'IPv6' }),
    ]);
    await served(local, bench);
    expect(Object.keys(bench.targets())).toEqual(['i-a:30080', 'i-b:30080']);
  });
});

test('a new Service under policy Local that has no endpoints yet is no reason for a warning', async () => {
  const bench = new ControllerBench();
  await served(aService({ externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 }), bench);
  expect(bench.condition('TargetsReady')).toMatchObject({ reason: 'UnAvailableLoadBalancer' });
  expect(bench.cluster.events.filter(({ type }) => type === 'Warning')).toEqual([]);
});

describe('10 an informer gap looks like "no nodes"', () => {
  test.each([
    ['all nodes vanish from the list', () => []],
    [
      'somebody labels all nodes as excluded',
      () =>
        ['n1', 'n2'].map((name) =>
          aNode(name, { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } }),
        ),
    ],
    ['all nodes lose their providerID', () => ['n1', 'n2'].map((name) => aNode(name, { providerID: '' }))],
  ])('%s: the last targets stay, and the user is told', async (_what, nodes) => {
    const { bench, seq } = await served();
    bench.cluster.setNodes(nodes());
    await bench.run(30 * minute);
    expect(bench.writesSince(seq)).toEqual([]);
    expect(healthy(bench)).toEqual(['i-n1:30080', 'i-n2:30080']);
    expect(bench.condition('TargetsReady')).toMatchObject({ reason: 'UnAvailableLoadBalancer' });
    // Said once in half an hour, and not again by the next process.
    bench.start();
    await bench.run(10 * minute);
    expect(bench.cluster.events.filter(({ reason }) => reason === 'UnAvailableLoadBalancer')).toEqual([
      expect.objectContaining({ type: 'Warning', note: expect.stringContaining('no node can be a target') }),
    ]);
  });

  test('most nodes vanish and come back within a minute: not one target was touched', async () => {
    const bench = new ControllerBench();
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => aNode(name));
    bench.cluster.setNodes(all);
    const { seq } = await served(aService(), bench);
    bench.cluster.setNodes(all.slice(0, 1));
    await bench.run(40_000);
    expect(bench.condition('InSync')).toMatchObject({ status: 'False', reason: 'RemovalHeld' });
    bench.cluster.setNodes(all);
    await bench.run(10 * minute);
    expect(bench.writesSince(seq)).toEqual([]);
    expect(bench.condition('InSync')).toMatchObject({ status: 'True' });
  });

  test('a re-list that tells of all nodes as gone and added costs no call', async () => {
    const { bench, seq } = await served();
    bench.cluster.setNodes([]);
    bench.cluster.setNodes([aNode('n1'), aNode('n2')]);
    await bench.run(2 * minute);
    expect(bench.writesSince(seq)).toEqual([]);
  });
});

describe('11 odd nodes', () => {
  test('no providerID yet, Fargate, hybrid, another cloud: left out by name, the others are targets', async () => {
    const bench = new ControllerBench();
    bench.cluster.setNodes([
      aNode('good'),
      aNode('young', { providerID: '' }),
      aNode('fargate', { providerID: 'aws:///zone-a/fargate-ip-10-0-0-1.eu-west-1.compute.internal' }),
      aNode('hybrid', { providerID: 'eks-hybrid:///eu-west-1/cluster/mi-0123' }),
      aNode('elsewhere', { providerID: 'gce://project/zone/name' }),
    ]);
    const { process } = await served(aService(), bench);
    expect(Object.keys(bench.targets())).toEqual(['i-good:30080']);
    expect(
      process.controller
        .memory(web)
        ?.lastPass?.excluded.map(({ node }) => node)
        .toSorted(),
    ).toEqual(['elsewhere', 'fargate', 'hybrid', 'young']);
    bench.cluster.setNodes([aNode('good'), aNode('young')]);
    await bench.run(minute);
    expect(Object.keys(bench.targets())).toEqual(['i-good:30080', 'i-young:30080']);
  });

  test.each([
    ['a stopped instance', { state: 'stopped' }],
    ['a terminated instance', { state: 'terminated' }],
    ['an instance in another VPC', { state: 'running', vpcId: 'vpc-other' }],
  ] as const)('%s fails nobody but itself', async (_what, instance) => {
    const bench = new ControllerBench();
    bench.account.setInstance('i-n2', instance);
    bench.cluster.setNodes(['n1', 'n2', 'n3'].map((name) => aNode(name)));
    await served(aService(), bench);
    expect(Object.keys(bench.targets())).toEqual(['i-n1:30080', 'i-n3:30080']);
    expect(bench.condition('Provisioned')).toMatchObject({ status: 'True' });
    expect(
      bench.cluster.events.filter(({ type }) => type === 'Warning').map(({ note }) => note),
    ).toContainEqual(expect.stringContaining('i-n2'));
    const { seq } = bench;
    await bench.run(10 * minute);
    expect(bench.writesSince(seq).length, 'no hot loop').toBeLessThanOrEqual(20);
  });

  test('an instance in a zone where the balancer has no subnet registers, stays unused, and shows in the counts', async () => {
    const bench = new ControllerBench();
    bench.account.setInstance('i-n2', { state: 'running', zone: 'eu-west-1c' });
    await served(aService(), bench);
    await bench.run(2 * minute);
    expect(bench.targets()).toMatchObject({ 'i-n1:30080': 'healthy', 'i-n2:30080': 'unused' });
    expect(bench.condition('TargetsReady')).toMatchObject({
      status: 'True',
      message: expect.stringContaining('1 of 2 healthy'),
    });
  });
});

describe('12 a draining target is wanted again', () => {
  test('a node flaps within the deregistration delay: it is registered again and does not disappear', async () => {
    const { bench } = await served();
    bench.cluster.setNodes([aNode('n1')]);
    await bench.run(minute);
    expect(bench.targets()).toMatchObject({ 'i-n2:30080': 'draining' });
    const { seq } = bench;
    bench.cluster.setNodes([aNode('n1'), aNode('n2')]);
    await bench.run(minute);
    expect(bench.writesSince(seq)).toEqual(['RegisterTargets']);
    await bench.run(10 * minute);
    expect(healthy(bench)).toEqual(['i-n1:30080', 'i-n2:30080']);
  });

  test('a target that drains is not deregistered again and again', async () => {
    const { bench } = await served();
    bench.cluster.setNodes([aNode('n1')]);
    await bench.run(minute);
    const { seq } = bench;
    bench.cluster.edit(web, {
      annotations: { ...bench.get().annotations, [`${prefix}healthcheck-interval`]: '30' },
    });
    await bench.run(4 * minute);
    expect(bench.writesSince(seq).filter((one) => one === 'DeregisterTargets')).toEqual([]);
  });
});

describe('13 settings that cannot be changed later', () => {
  test.each([
    ['security groups on a balancer made without any', { 'security-groups': 'sg-0a' }],
    ['the scheme', { scheme: 'internet-facing' }],
    ['fixed addresses', { subnets: 'subnet-c,subnet-d', 'eip-allocations': 'eipalloc-1,eipalloc-2' }],
  ])(
    '%s: a replacement is named and not done, nothing is deleted, retries are slow',
    async (_what, asked) => {
      const { bench, seq } = await served();
      const [address] = bench.get().ingress;
      const annotations = Object.fromEntries(
        Object.entries(asked).map(([key, value]) => [prefix + key, value]),
      );
      bench.cluster.edit(web, { annotations: { ...bench.get().annotations, ...annotations } });
      await bench.run(20 * minute);

      expect(bench.writesSince(seq).filter((one) => /^(Create|Delete)/.test(one))).toEqual([]);
      expect(bench.condition('Accepted')).toMatchObject({
        status: 'False',
        message: expect.stringMatching(/undo the change|internet-facing/),
      });
      expect(bench.get().ingress).toEqual([address]);
      expect(bench.account.calls(seq).length, 'no hot loop').toBeLessThanOrEqual(60);
      // Nodes go on to be followed while the user makes up their mind.
      bench.cluster.setNodes([aNode('n1'), aNode('n2'), aNode('n3')]);
      await bench.run(minute);
      expect(Object.keys(bench.targets())).toContain('i-n3:30080');
    },
  );
});

describe('14 status wars and hostname details', () => {
  test('a DNS name in mixed case is written once, in lower case, with ports and protocols and without ipMode', async () => {
    const { bench } = await served(
      aService({
        ports: [aPort({ name: 'a' }), aPort({ name: 'b', port: 81, nodePort: 30_081, protocol: 'UDP' })],
      }),
    );
    const dnsName = String(bench.account.dump().loadBalancers[0]?.['DNSName']);
    expect(dnsName, 'the account answers in mixed case').not.toBe(dnsName.toLowerCase());
    expect(bench.get().ingress).toEqual([
      {
        hostname: dnsName.toLowerCase(),
        ports: [
          { port: 80, protocol: 'TCP' },
          { port: 81, protocol: 'UDP' },
        ],
      },
    ]);
    const writes = bench.cluster.writes.length;
    await bench.run(60 * minute);
    expect(bench.cluster.writes.length).toBe(writes);
  });

  test('a port that changes from TCP to UDP is written, although its number stays', async () => {
    const { bench } = await served();
    bench.cluster.edit(web, { ports: [aPort({ protocol: 'UDP' })] });
    await bench.run(10 * minute);
    expect(bench.get().ingress[0]?.ports).toEqual([{ port: 80, protocol: 'UDP' }]);
  });

  test.each([
    ['writes its status', { ingress: [{ ip: '192.0.2.1' }], ingressManagers: ['cloud-controller-manager'] }],
    ['holds its finalizer', { finalizers: ['service.kubernetes.io/load-balancer-cleanup'] }],
    ['is named by its type annotation', { annotations: { [`${prefix}type`]: 'external' } }],
  ] as const)(
    'a class-less Service on which another controller %s is left alone, and it is said',
    async (_what, change) => {
      const bench = new ControllerBench();
      bench.cluster.apply(aService(change));
      bench.start();
      await bench.run(10 * minute);
      expect(bench.writesSince(0)).toEqual([]);
      expect(bench.cluster.writes).toEqual([]);
      expect(bench.cluster.events).toContainEqual(expect.objectContaining({ reason: 'ClaimedElsewhere' }));
    },
  );
});

describe('15 throttled start-up storm', () => {
  test('500 Services at once on documented buckets: all served in calls ÷ rate + 10 %, no failure told to a user', async () => {
    const buckets = {
      read: { burst: 40, perSecond: 10 },
      registration: { burst: 20, perSecond: 4 },
      mutation: { burst: 20, perSecond: 3 },
    };
    const bench = new ControllerBench({
      config: { rates: undefined },
      settings: {
        checkSchema: false,
        throttling: { enabled: true, ...buckets },
        quotas: { networkLoadBalancers: 1_000 },
      },
      options: { surveyEveryMs: 0, fullEveryMs: 0 },
    });
    const services = Array.from({ length: 500 }, (_, i) => aService({ name: `s${i}` }));
    for (const service of services) bench.cluster.apply(service);
    bench.start();
    const done = (): boolean => services.every(({ key }) => bench.get(key).ingress.length > 0);
    const most = 60 * minute;
    for (let second = 0; second < most / 1_000 && !done(); second += 1) await bench.run(1_000);

    expect(done()).toBe(true);
    const counts = bench.account.counts();
    const calls = (match: RegExp): number =>
      Object.entries(counts).reduce(
        (sum, [operation, count]) => sum + (match.test(operation) ? count : 0),
        0,
      );
    const seconds = Math.max(
      (calls(/^Describe/) - buckets.read.burst) / buckets.read.perSecond,
      (calls(/Targets$/) - buckets.registration.burst) / buckets.registration.perSecond,
      (calls(/^Create/) - buckets.mutation.burst) / buckets.mutation.perSecond,
    );
    expect(bench.clock.now() / 1_000).toBeLessThanOrEqual(seconds * 1.1);
    expect(bench.cluster.events.filter(({ type }) => type === 'Warning')).toEqual([]);
    for (const { key } of services) {
      expect(bench.condition('Provisioned', key)).toMatchObject({ status: 'True' });
    }
    const throttled = bench.account
      .calls()
      .filter(({ error }) => error?.code === 'ThrottlingException').length;
    expect(throttled, 'refused as too fast').toBeLessThanOrEqual(10);
  });
});
