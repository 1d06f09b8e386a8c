/**
 * The fifteen edge cases that a naive controller gets wrong, each through the real controller and the AWS
 * provider on a simulated account.
 *
 * Proven elsewhere, and not repeated here: crashes, lost answers and faults at every single call, also of the
 * API server (test/sim/, the sweep and the random histories); two processes, a frozen leader, 410 and a list
 * that replaces the picture at once (src/kube/reader.test.ts, src/kube/lease.test.ts, test/cluster/); every
 * refusal in its wire form (test/wire/nock.test.ts). The smaller cases are in aws-edge-cases-more.test.ts.
 */
import { describe, expect, test } from 'vitest';
import { clusterTag } from '../../providers/aws/tags.ts';
import { finalizer } from '../../src/core/claim.ts';
import { aNode, anEndpoint, aPort, aService, aSlice, aUid } from '../../src/core/fixtures.ts';
import type { ObjectKey, ServiceObject } from '../../src/core/objects.ts';
import { ControllerBench, web } from '../support/controller-bench.ts';
import type { BenchProcess } from '../support/controller-bench.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const minute = 60_000;

/** A bench on which `default/web` has been served for a minute. */
async function served(
  service: ServiceObject = aService(),
  bench: ControllerBench = new ControllerBench(),
): Promise<{ readonly bench: ControllerBench; readonly process: BenchProcess; readonly seq: number }> {
  bench.cluster.apply(service);
  const process = bench.start();
  await bench.run(minute);
  expect(bench.get(service.key).ingress, 'the Service is served').toHaveLength(1);
  return { bench, process, seq: bench.seq };
}

/** ARN of the only resource of that kind. */
function arnOf(bench: ControllerBench, kind: string): string {
  const found = bench.account.resources().filter((one) => one.kind === kind);
  expect(found).toHaveLength(1);
  return found[0]?.arn ?? '';
}

function healthy(bench: ControllerBench): readonly string[] {
  return Object.entries(bench.targets()).flatMap(([key, state]) => (state === 'healthy' ? [key] : []));
}

describe('1 create that "succeeds" on someone else’s balancer', () => {
  test('a same-named foreign balancer costs no write, and a condition says NameConflict', async () => {
    const bench = new ControllerBench();
    const scout = new ControllerBench();
    const { bench: elsewhere } = await served(aService(), scout);
    const [balancer] = elsewhere.account.dump().loadBalancers;
    bench.account.byHand('CreateLoadBalancer', {
      Name: balancer?.['LoadBalancerName'],
      Type: 'network',
      Scheme: 'internal',
      Subnets: ['subnet-c', 'subnet-d'],
    });
    const theirs = bench.account.dump();
    bench.cluster.apply(aService());
    bench.start();
    await bench.run(30 * minute);

    expect(bench.writesSince(0)).toEqual([]);
    expect(bench.account.dump()).toEqual(theirs);
    expect(bench.condition('Accepted')).toMatchObject({ status: 'False', reason: 'NameConflict' });
    expect(bench.cluster.events.filter(({ reason }) => reason === 'NameConflict').length).toBeGreaterThan(0);
    expect(bench.get().ingress).toEqual([]);
  });
});

describe('2 crash between create and record', () => {
  const life = async (dieAt: number): Promise<boolean> => {
    const bench = new ControllerBench();
    let writes = 0;
    let died = false;
    const start = (): void => {
      bench.start(async (operation, call, process) => {
        if (operation.startsWith('Describe')) return await call();
        writes += 1;
        const fatal = writes === dieAt;
        const answer = await call();
        if (fatal) {
          died = true;
          process.kill();
          bench.clock.schedule(1_000, start);
        }
        return answer;
      });
    };
    start();
    bench.cluster.apply(aService());
    await bench.run(2 * minute);
    expect(bench.owned('uid-web').toSorted()).toEqual([
      expect.stringMatching(/^listener 80$/),
      expect.stringMatching(/^load-balancer slc-/),
      expect.stringMatching(/^target-group web-/),
    ]);
    expect(healthy(bench)).toEqual(['i-n1:30080', 'i-n2:30080']);
    bench.cluster.edit(web, { ports: [aPort(), aPort({ name: 'more', port: 81, nodePort: 30_081 })] });
    await bench.run(2 * minute);
    expect(bench.owned('uid-web')).toHaveLength(5);
    bench.cluster.delete(web);
    await bench.run(2 * minute);
    expect(bench.account.resources()).toEqual([]);
    expect(bench.cluster.service(web)).toBeUndefined();
    return died;
  };

  test('a death right after any write of a life: the next process converges, no leftovers, no doubles', async () => {
    let deaths = 0;
    while (await life(deaths + 1)) deaths += 1;
    expect(deaths).toBeGreaterThanOrEqual(9);
  });
});

describe('3 type LoadBalancer → ClusterIP', () => {
  test('the class goes in the same update, and still the balancer, the status and the finalizer go', async () => {
    const { bench } = await served(aService({ loadBalancerClass: 'sluice.dev/aws' }));
    bench.cluster.edit(web, { type: 'ClusterIP' });
    await bench.run(minute);

    expect(bench.get()).toMatchObject({ loadBalancerClass: undefined, ingress: [], finalizers: [] });
    expect(bench.get().conditions).toEqual([]);
    expect(bench.account.resources()).toEqual([]);
  });
});

describe('4 delete and re-create under the same name', () => {
  test('while the controller is down: the old UID’s balancer goes, the new one gets its own', async () => {
    const { bench, process } = await served();
    process.kill();
    bench.cluster.deleteByForce(web);
    bench.cluster.apply(aService({ uid: aUid('uid-second') }));
    bench.start();
    await bench.run(20 * minute);

    expect(bench.owned('uid-web')).toEqual([]);
    expect(bench.owned('uid-second')).toHaveLength(3);
    expect(bench.get().ingress).toHaveLength(1);
  });

  test('while the old balancer is still going: neither meets the other', async () => {
    const bench = new ControllerBench({ settings: { delays: { targetGroupReleaseMs: 20_000 } } });
    await served(aService(), bench);
    bench.cluster.delete(web);
    await bench.run(1_000);
    bench.cluster.deleteByForce(web);
    bench.cluster.apply(aService({ uid: aUid('uid-second') }));
    await bench.run(20 * minute);

    expect(bench.owned('uid-web')).toEqual([]);
    expect(bench.owned('uid-second')).toHaveLength(3);
  });
});

describe('5 balancer deleted by hand, target groups left', () => {
  test('on deletion the target groups go too', async () => {
    const { bench } = await served();
    bench.account.byHand('DeleteLoadBalancer', { LoadBalancerArn: arnOf(bench, 'load-balancer') });
    bench.cluster.delete(web);
    await bench.run(minute);

    expect(bench.account.resources()).toEqual([]);
    expect(bench.cluster.service(web)).toBeUndefined();
  });

  test('on the way up it is missed, made anew, and the new address is announced', async () => {
    const { bench } = await served();
    const [before] = bench.get().ingress;
    await bench.run(10 * minute);
    bench.account.byHand('DeleteLoadBalancer', { LoadBalancerArn: arnOf(bench, 'load-balancer') });
    const { seq } = bench;
    await bench.run(10 * minute);

    expect(bench.writesSince(seq).filter((one) => one === 'CreateLoadBalancer')).toHaveLength(1);
    expect(bench.owned('uid-web')).toHaveLength(3);
    expect(bench.get().ingress).toHaveLength(1);
    expect(bench.get().ingress).not.toEqual([before]);
    expect(bench.cluster.events.map(({ reason }) => reason)).toContain('LoadBalancerRecreated');
  });
});

describe('6 three refusals of a removal with three outcomes', () => {
  test('DeleteTargetGroup right after DeleteLoadBalancer is in use for seconds: waited out in silence', async () => {
    const bench = new ControllerBench({ settings: { delays: { targetGroupReleaseMs: 15_000 } } });
    await served(aService(), bench);
    bench.cluster.delete(web);
    const said = bench.cluster.events.length;
    await bench.run(2_000);
    expect(bench.cluster.service(web)?.finalizers).toContain(finalizer);
    await bench.run(2 * minute);

    expect(bench.account.resources()).toEqual([]);
    expect(bench.cluster.service(web)).toBeUndefined();
    expect(bench.cluster.events.slice(said).filter(({ type }) => type === 'Warning')).toEqual([]);
  });

  test('PrivateLink holds the balancer: the user is told, retries are slow, the finalizer stays', async () => {
    const { bench } = await served();
    const arn = arnOf(bench, 'load-balancer');
    bench.account.setEndpointService(arn, true);
    bench.cluster.delete(web);
    const { seq } = bench;
    await bench.run(30 * minute);

    expect(bench.cluster.service(web)?.finalizers).toContain(finalizer);
    expect(bench.owned('uid-web')).toHaveLength(3);
    expect(bench.writesSince(seq).length).toBeLessThanOrEqual(45);
    expect(bench.cluster.events.filter(({ reason }) => reason === 'DeleteLoadBalancerFailed')).toContainEqual(
      expect.objectContaining({ note: expect.stringContaining('ResourceInUse') }),
    );
    bench.account.setEndpointService(arn, false);
    await bench.run(6 * minute);
    expect(bench.cluster.service(web)).toBeUndefined();
  });

  test('deletion protection set by hand: the user is told what to do, nothing is deleted, the finalizer stays', async () => {
    const { bench } = await served();
    const arn = arnOf(bench, 'load-balancer');
    const protect = (Value: string): object =>
      bench.account.byHand('ModifyLoadBalancerAttributes', {
        LoadBalancerArn: arn,
        Attributes: [{ Key: 'deletion_protection.enabled', Value }],
      });
    protect('true');
    bench.cluster.delete(web);
    const { seq } = bench;
    await bench.run(30 * minute);

    expect(bench.writesSince(seq)).toEqual([]);
    expect(bench.cluster.service(web)?.finalizers).toContain(finalizer);
    expect(bench.cluster.events.at(-1)).toMatchObject({
      type: 'Warning',
      note: expect.stringContaining('switch it off at AWS'),
    });
    protect('false');
    await bench.run(3 * minute);
    expect(bench.cluster.service(web)).toBeUndefined();
    expect(bench.account.resources()).toEqual([]);
  });
});

describe('7 the node port changes, or a port swaps its number', () => {
  const slow = { settings: { delays: { registrationMs: 60_000 } } };

  test('a new node port: the same instances are registered anew, and the old port goes once the new is healthy', async () => {
    const bench = new ControllerBench(slow);
    await served(aService(), bench);
    await bench.run(5 * minute);
    expect(healthy(bench)).toEqual(['i-n1:30080', 'i-n2:30080']);
    const { seq } = bench;
    bench.cluster.edit(web, { ports: [aPort({ nodePort: 31_080 })] });
    await bench.watch(20 * minute, () => expect(healthy(bench).length).toBeGreaterThan(0));

    expect(healthy(bench)).toEqual(['i-n1:31080', 'i-n2:31080']);
    const [registered, ...later] = bench.account.writes(seq);
    expect(registered).toMatchObject({
      operation: 'RegisterTargets',
      input: {
        Targets: [
          { Id: 'i-n1', Port: 31_080 },
          { Id: 'i-n2', Port: 31_080 },
        ],
      },
    });
    for (const { operation, input } of later) {
      expect(operation).toBe('DeregisterTargets');
      expect(input).toMatchObject({
        Targets: expect.arrayContaining([expect.objectContaining({ Port: 30_080 })]),
      });
    }
  });

  test('two ports swap their node ports: each listener ends with its own, and none is without a target meanwhile', async () => {
    const bench = new ControllerBench(slow);
    const ports = (a: number, b: number) => [
      aPort({ name: 'a', port: 80, nodePort: a }),
      aPort({ name: 'b', port: 81, nodePort: b }),
    ];
    await served(aService({ ports: ports(30_080, 30_081) }), bench);
    await bench.run(5 * minute);
    bench.cluster.edit(web, { ports: ports(30_081, 30_080) });
    const states = (): readonly (readonly string[])[] =>
      bench.account.dump().targetGroups.map((group) =>
        (group['Targets'] as readonly { Id: string; Port: number; State: string }[])
          .filter(({ State }) => State === 'healthy')
          .map(({ Id, Port }) => `${Id}:${Port}`)
          .toSorted(),
      );
    await bench.watch(20 * minute, () => {
      for (const targets of states()) expect(targets.length).toBeGreaterThan(0);
    });

    expect(states().flat().toSorted()).toEqual(['i-n1:30080', 'i-n1:30081', 'i-n2:30080', 'i-n2:30081']);
    const byPort = bench.account.dump().loadBalancers[0]?.Listeners.map((one) => one['Port']);
    expect(byPort).toEqual([80, 81]);
    expect(bench.condition('InSync')).toMatchObject({ status: 'True' });
  });
});

describe('8 TCP and UDP on one port', () => {
  const dns = (udp: number) => [
    aPort({ name: 'tcp', port: 53, nodePort: 30_053 }),
    aPort({ name: 'udp', port: 53, nodePort: udp, protocol: 'UDP' }),
  ];
  const listeners = (bench: ControllerBench): readonly string[] =>
    (bench.account.dump().loadBalancers[0]?.Listeners ?? []).map(
      (one) => `${String(one['Protocol'])}:${String(one['Port'])}`,
    );

  test('equal node ports become one TCP_UDP listener, and the status names both protocols', async () => {
    const { bench } = await served(aService({ ports: dns(30_053) }));
    expect(listeners(bench)).toEqual(['TCP_UDP:53']);
    expect(bench.get().ingress[0]?.ports).toEqual([
      { port: 53, protocol: 'TCP' },
      { port: 53, protocol: 'UDP' },
    ]);
  });

  test('one protocol removed later: listener and target group are replaced, not left as they were', async () => {
    const { bench } = await served(aService({ ports: dns(30_053) }));
    bench.cluster.edit(web, { ports: dns(30_053).slice(0, 1) });
    await bench.run(10 * minute);
    expect(listeners(bench)).toEqual(['TCP:53']);
    expect(bench.account.dump().targetGroups.map((group) => group['Protocol'])).toEqual(['TCP']);
    expect(bench.get().ingress[0]?.ports).toEqual([{ port: 53, protocol: 'TCP' }]);
    expect(healthy(bench)).toEqual(['i-n1:30053', 'i-n2:30053']);
  });

  test('different node ports are refused, with the cure', async () => {
    const bench = new ControllerBench();
    bench.cluster.apply(aService({ ports: dns(30_054) }));
    bench.start();
    await bench.run(minute);
    expect(bench.writesSince(0)).toEqual([]);
    expect(bench.condition('Accepted')).toMatchObject({
      status: 'False',
      reason: 'PortConflict',
      message: expect.stringMatching(/30053.*30054.*nodePort/s),
    });
  });
});

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
    expect(bench.cluster.events).toContainEqual(
      expect.objectContaining({ type: 'Warning', reason: 'UnAvailableLoadBalancer' }),
    );
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

test('the marks that all of this rests on are there from the first call', async () => {
  const { bench } = await served();
  for (const { tags } of bench.account.resources()) expect(tags[clusterTag]).toBe('cluster-1');
  expect(bench.cluster.writes[0]).toBe(`finalizer ${'default/web' as ObjectKey}`);
});
