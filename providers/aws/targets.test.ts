/** Targets: new ones at once, old ones when it is safe. */
import { expect, test } from 'vitest';
import { aNode, anEndpoint, aPort, aService, aSlice } from '../../src/core/fixtures.ts';
import { Bench, cluster } from '../../test/support/aws-bench.ts';
import type { ClusterState } from '../../test/support/aws-bench.ts';
import { targetKey } from './target-key.ts';

const slow = { settings: { delays: { registrationMs: 60_000, initialCheckMs: 60_000 } } } as const;

/** Keys of targets that are registered and do not drain. */
async function registered(bench: Bench, state: ClusterState): Promise<readonly string[]> {
  const { groups } = await bench.look(state);
  return groups.flatMap(({ targets }) =>
    Object.entries(targets ?? {})
      .filter(([, { health }]) => health !== 'draining')
      .map(([key]) => key),
  );
}

function local(holders: readonly string[]): ClusterState {
  return cluster({
    service: aService({ externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 }),
    nodes: ['n1', 'n2', 'n3'].map((name) => aNode(name)),
    slices: [
      aSlice(
        's1',
        holders.map((name, i) => anEndpoint(`10.1.0.${i + 1}`, name)),
      ),
    ],
  });
}

test('under policy Local only nodes with an endpoint are targets, checked by the health-check node port', async () => {
  const bench = new Bench();
  const { after } = await bench.ensure(local(['n2']));

  expect(Object.keys(after.groups[0]?.targets ?? {})).toEqual(['i-n2:30080']);
  expect(after.groups[0]?.healthCheck).toMatchObject({
    protocol: 'HTTP',
    port: '32000',
    path: '/healthz',
    matcher: '200',
  });
});

test('with sluice.dev/targets: all-nodes every node is a target and the check tells them apart', () => {
  const state = local(['n2']);
  const wanted = new Bench().wanted({
    ...state,
    service: { ...state.service, annotations: { 'sluice.dev/targets': 'all-nodes' } },
  });

  expect(wanted.listeners[0]?.group.targets.map(targetKey)).toEqual([
    'i-n1:30080',
    'i-n2:30080',
    'i-n3:30080',
  ]);
  expect(wanted.listeners[0]?.group.healthCheck.port).toBe('32000');
});

test('an endpoint that moves takes its node along, but the old one stays until the new one is healthy', async () => {
  const bench = new Bench(slow);
  await bench.ensure(local(['n1']));
  await bench.clock.advance(130_000);

  await bench.ensure(local(['n2']));
  await bench.clock.advance(70_000);
  const waiting = await bench.ensure(local(['n2']));
  expect(waiting.plan.steps).toEqual([]);
  expect(waiting.plan.waits).toMatchObject([{ reason: 'HandingOver' }]);
  expect(await registered(bench, local(['n2']))).toEqual(['i-n1:30080', 'i-n2:30080']);

  await bench.clock.advance(60_000);
  await bench.ensure(local(['n2']));
  expect(await registered(bench, local(['n2']))).toEqual(['i-n2:30080']);
});

test('a new node port is registered beside the old one, which goes by the port it was registered with', async () => {
  const bench = new Bench(slow);
  const withNodePort = (nodePort: number): ClusterState =>
    cluster({ service: aService({ ports: [aPort({ nodePort })] }), nodes: [aNode('n1')] });
  await bench.ensure(withNodePort(30080));
  await bench.clock.advance(130_000);

  const first = await bench.ensure(withNodePort(31080));
  expect(first.calls.filter((name) => name.includes('egister'))).toEqual(['RegisterTargets']);
  await bench.clock.advance(130_000);
  const second = await bench.ensure(withNodePort(31080));

  expect(second.plan.steps.map(({ operation, parameters }) => [operation, parameters['Targets']])).toEqual([
    ['DeregisterTargets', [{ Id: 'i-n1', Port: 30080 }]],
  ]);
  expect(second.plan.steps[0]).toMatchObject({
    risk: 'disruptive',
    effect: { kind: 'removeTargets', group: '80/TCP', healthyRemoved: 1, healthyBefore: 2 },
  });
});

test('a target that drains and is wanted again is registered again', async () => {
  const bench = new Bench();
  const two = cluster();
  const one = { ...two, nodes: [aNode('n1')] };
  await bench.ensure(two);
  await bench.ensure(one);
  expect(await registered(bench, one)).toEqual(['i-n1:30080']);

  const { plan } = await bench.ensure(two);

  expect(plan.steps.map(({ operation, parameters }) => [operation, parameters['Targets']])).toEqual([
    ['RegisterTargets', [{ Id: 'i-n2', Port: 30080 }]],
  ]);
  expect(await registered(bench, two)).toEqual(['i-n1:30080', 'i-n2:30080']);
});

test('when no node can be a target, those that are registered stay', async () => {
  const bench = new Bench();
  await bench.ensure(cluster());

  const { plan } = await bench.ensure(cluster({ nodes: [] }));

  expect(plan.steps).toEqual([]);
  expect(plan.waits).toMatchObject([{ reason: 'UnAvailableLoadBalancer' }]);
});

test('an odd node is left out by itself, with the reason', () => {
  const bench = new Bench();
  const state = cluster({
    nodes: [
      aNode('n1'),
      aNode('new', { providerID: '' }),
      aNode('fargate', { providerID: 'aws:///eu-west-1a/fargate-ip-10-0-0-1' }),
      aNode('elsewhere', { providerID: 'gce://project/zone/vm' }),
      aNode('bare', { providerID: 'i-0123456789abcdef0' }),
      aNode('odd', { providerID: 'aws://partition/eu-west-1a/i-0f' }),
    ],
  });
  const { settings } = bench.provider.parse(state.service);

  const { wanted, excluded } = bench.provider.want(settings, {
    cluster: { name: 'test', id: 'c' },
    service: state.service,
    services: [state.service],
    nodes: state.nodes,
    slices: [],
  });

  expect(wanted.listeners[0]?.group.targets.map(({ instance }) => instance)).toEqual([
    'i-0123456789abcdef0',
    'i-0f',
    'i-n1',
  ]);
  expect(excluded.map(({ node, reason }) => [node, reason])).toEqual([
    ['elsewhere', 'NodeForeignProviderID'],
    ['fargate', 'NodeForeignProviderID'],
    ['new', 'NodeWithoutProviderID'],
  ]);
});

test('more targets than a call may name are registered in several calls', async () => {
  const bench = new Bench();
  const nodes = Array.from({ length: 450 }, (_, i) => aNode(`n${i}`));

  const { plan, failed } = await bench.ensure(cluster({ nodes }));

  expect(failed).toEqual([]);
  const sizes = plan.steps
    .filter(({ operation }) => operation === 'RegisterTargets')
    .map(({ effect }) => (effect.kind === 'addTargets' ? effect.count : 0));
  expect(sizes).toEqual([200, 200, 50]);
});

test('a change between Local and Cluster changes the check in place and hands the targets over', async () => {
  const bench = new Bench();
  await bench.ensure(local(['n1']));
  const open = { ...local(['n1']), service: aService() };

  const { plan } = await bench.ensure(open);

  expect(plan.steps.map(({ operation }) => operation)).toEqual(['ModifyTargetGroup', 'RegisterTargets']);
  expect((await bench.ensure(open)).plan.steps).toEqual([]);
});

test('targets of a group whose listener somebody deleted are not taken for useless: the guard still has its say', async () => {
  const bench = new Bench();
  const nodes = ['n1', 'n2', 'n3', 'n4'].map((name) => aNode(name));
  const { after } = await bench.ensure(cluster({ nodes }));
  await bench.clock.advance(130_000);
  bench.account.byHand('DeleteListener', { ListenerArn: after.balancer?.listeners[0]?.arn });
  // A label put on most nodes by mistake: with a listener this would be held, as most healthy targets would go.
  const few = cluster({ nodes: nodes.slice(0, 1) });

  const { plan, calls } = await bench.ensure(few);

  expect(plan.waits).toMatchObject([{ reason: 'HandingOver' }]);
  expect(calls).toContain('CreateListener');
  expect(calls).not.toContain('DeregisterTargets');
  const next = await bench.ensure(few);
  expect(next.plan.steps).toMatchObject([
    {
      operation: 'DeregisterTargets',
      effect: { kind: 'removeTargets', healthyRemoved: 3, healthyBefore: 4 },
    },
  ]);
});
