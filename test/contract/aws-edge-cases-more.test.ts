/**
 * The smaller edge cases, through the real controller and the AWS provider on a simulated account.
 *
 * Not here: secrets in messages (test/wire/nock.test.ts, src/observe/observe.test.ts), two leaders at the
 * lease (src/kube/lease.test.ts, test/cluster/).
 */
import { describe, expect, test } from 'vitest';
import { aNode, aPort, aService } from '../../src/core/fixtures.ts';
import type { NodeObject, ServiceObject } from '../../src/core/objects.ts';
import { ControllerBench, web } from '../support/controller-bench.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const minute = 60_000;

function annotated(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`${prefix}${key}`, value]));
}

async function applied(
  service: ServiceObject,
  bench: ControllerBench = new ControllerBench(),
): Promise<ControllerBench> {
  bench.cluster.apply(service);
  bench.start();
  await bench.run(minute);
  return bench;
}

/** Replaces the provider's annotations and lets a while pass. */
async function change(bench: ControllerBench, annotations: Readonly<Record<string, string>>): Promise<void> {
  const kept = Object.entries(bench.get().annotations).filter(([key]) => !key.startsWith(prefix));
  bench.cluster.edit(web, { annotations: { ...Object.fromEntries(kept), ...annotated(annotations) } });
  await bench.run(5 * minute);
}

function group(bench: ControllerBench) {
  const [one] = bench.account.dump().targetGroups;
  if (one === undefined) throw new Error('no target group');
  return one;
}

test('an annotation removed: the attribute goes back to its default, those set by hand stay', async () => {
  const bench = await applied(
    aService({
      annotations: annotated({ 'target-group-attributes': 'deregistration_delay.timeout_seconds=30' }),
    }),
  );
  expect(group(bench).Attributes['deregistration_delay.timeout_seconds']).toBe('30');
  bench.account.byHand('ModifyTargetGroupAttributes', {
    TargetGroupArn: group(bench)['TargetGroupArn'],
    Attributes: [{ Key: 'preserve_client_ip.enabled', Value: 'false' }],
  });
  await change(bench, {});
  expect(group(bench).Attributes).toMatchObject({
    'deregistration_delay.timeout_seconds': '300',
    'preserve_client_ip.enabled': 'false',
  });
});

test('ssl-ports naming a port that is not there is refused before any call, with the ports that are', async () => {
  const bench = await applied(
    aService({
      ports: [aPort({ name: 'https', port: 443 })],
      annotations: annotated({
        'ssl-cert': 'arn:aws:acm:eu-west-1:123456789012:certificate/one',
        'ssl-ports': '443,8443',
      }),
    }),
  );
  expect(bench.condition('Accepted')).toMatchObject({
    status: 'False',
    message: expect.stringMatching(/"8443" is no port of the Service.*https/),
  });
  expect(bench.writesSince(0)).toEqual([]);
});

test('Local to Cluster, healthCheckNodePort becomes 0: the check goes to the traffic port', async () => {
  const bench = await applied(aService({ externalTrafficPolicy: 'Local', healthCheckNodePort: 32_000 }));
  expect(group(bench)).toMatchObject({
    HealthCheckProtocol: 'HTTP',
    HealthCheckPort: '32000',
    HealthCheckPath: '/healthz',
  });
  bench.cluster.edit(web, { externalTrafficPolicy: 'Cluster', healthCheckNodePort: 0 });
  await bench.run(5 * minute);
  expect(group(bench)).toMatchObject({ HealthCheckProtocol: 'TCP', HealthCheckPort: 'traffic-port' });
  expect(bench.condition('InSync')).toMatchObject({ status: 'True' });
});

describe('the order of subnets and its pairing with fixed addresses', () => {
  const fixed = (subnets: string, allocations: string): Readonly<Record<string, string>> => ({
    scheme: 'internet-facing',
    subnets,
    'eip-allocations': allocations,
  });
  const start = fixed('subnet-a,subnet-b', 'eipalloc-1,eipalloc-2');

  test('both turned around: the same pairs, nothing to do', async () => {
    const bench = await applied(aService({ annotations: annotated(start) }));
    const { seq } = bench;
    await change(bench, fixed('subnet-b,subnet-a', 'eipalloc-2,eipalloc-1'));
    expect(bench.writesSince(seq)).toEqual([]);
    expect(bench.condition('InSync')).toMatchObject({ status: 'True' });
  });

  test('one turned around: other pairs, which AWS fixes at creation, so it is refused with the way out', async () => {
    const bench = await applied(aService({ annotations: annotated(start) }));
    const { seq } = bench;
    await change(bench, fixed('subnet-b,subnet-a', 'eipalloc-1,eipalloc-2'));
    expect(bench.writesSince(seq)).toEqual([]);
    expect(bench.condition('Accepted')).toMatchObject({ status: 'False', reason: 'ReplacementRequired' });
  });
});

test('cross-zone off with a zone that has no target: the targets of other zones are healthy and nothing is hidden', async () => {
  const bench = new ControllerBench();
  bench.account.setInstance('i-n1', { state: 'running', zone: 'eu-west-1a' });
  bench.account.setInstance('i-n2', { state: 'running', zone: 'eu-west-1a' });
  await applied(aService(), bench);
  await bench.run(minute);
  expect(bench.targets()).toEqual({ 'i-n1:30080': 'healthy', 'i-n2:30080': 'healthy' });
  expect(bench.account.dump().loadBalancers[0]?.Attributes['load_balancing.cross_zone.enabled']).toBe(
    'false',
  );
});

test('source ranges without security groups are not enforced, and that is said', async () => {
  const bench = await applied(aService({ sourceRanges: ['10.0.0.0/8'] }));
  expect(bench.condition('Accepted')).toMatchObject({ reason: 'SourceRangesNotEnforced' });
});

test('proxy protocol with the HTTP check of policy Local is reported as a conflict', async () => {
  const bench = await applied(
    aService({
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 32_000,
      annotations: annotated({ 'proxy-protocol': '*' }),
    }),
  );
  expect(bench.condition('Accepted')).toMatchObject({ reason: 'ConflictingSettings' });
});

test('a quota reached half-way through the chunks: what fits is registered, the quota is named, retries are slow', async () => {
  const bench = new ControllerBench({ settings: { quotas: { targetsPerTargetGroup: 250 } } });
  bench.cluster.setNodes(Array.from({ length: 260 }, (_, i) => aNode(`n${i}`)));
  await applied(aService(), bench);
  expect(Object.keys(bench.targets())).toHaveLength(250);
  expect(bench.condition('InSync')).toMatchObject({
    status: 'False',
    reason: 'QuotaExceeded',
    message: expect.stringMatching(
      /10 targets are not registered: .*TooManyTargets.*"Targets per Target Group per Region"/,
    ),
  });
  expect(bench.condition('Provisioned')).toMatchObject({ status: 'True' });
  expect(bench.condition('TargetsReady')).toMatchObject({ status: 'True' });
  const { seq } = bench;
  await bench.run(30 * minute);
  expect(Object.keys(bench.targets())).toHaveLength(250);
  expect(bench.writesSince(seq).length).toBeLessThanOrEqual(16);
});

test('a quota of targets while nodes are replaced: the new ones come in as the old ones make room', async () => {
  const bench = new ControllerBench({ settings: { quotas: { targetsPerTargetGroup: 6 } } });
  const nodes = (from: number): readonly NodeObject[] =>
    Array.from({ length: 5 }, (_, i) => aNode(`n${from + i}`));
  bench.cluster.setNodes(nodes(0));
  await applied(aService(), bench);
  bench.cluster.setNodes(nodes(10));
  // The guard looks three times, the old ones drain for five minutes, and the next look is five minutes later.
  await bench.run(15 * minute);
  expect(Object.keys(bench.targets()).toSorted()).toEqual([10, 11, 12, 13, 14].map((i) => `i-n${i}:30080`));
  expect(bench.condition('InSync')).toMatchObject({ status: 'True' });
});

test('nodes that are labelled out one after the other: half may go, then the guard waits for a settled picture', async () => {
  const bench = new ControllerBench();
  const nodes = Array.from({ length: 8 }, (_, i) => aNode(`n${i}`));
  bench.cluster.setNodes(nodes);
  await applied(aService(), bench);
  for (let gone = 1; gone <= 6; gone += 1) {
    bench.cluster.setNodes(nodes.slice(gone));
    await bench.run(15_000);
    const states = Object.values(bench.targets());
    expect(states.filter((state) => state === 'healthy').length).toBe(Math.max(4, 8 - gone));
  }
  expect(bench.condition('InSync')).toMatchObject({
    reason: 'RemovalHeld',
    message: expect.stringContaining('with what went in the last 10 min'),
  });
  await bench.run(3 * minute);
  expect(Object.keys(bench.targets())).toContain('i-n7:30080');
  expect(bench.condition('InSync')).toMatchObject({ status: 'True' });
});

test.each([
  ['is taken away at the next full comparison', 'correct', false],
  ['is reported and stays, where the policy says so', 'report', true],
] as const)('a target that was added by hand to a group of ours %s', async (_, policy, stays) => {
  const bench = await applied(aService({ annotations: { 'sluice.dev/drift-policy': policy } }));
  const stranger = { Id: 'i-of-somebody', Port: 30080 };
  bench.account.byHand('RegisterTargets', {
    TargetGroupArn: group(bench)['TargetGroupArn'],
    Targets: [stranger],
  });
  await bench.run(90 * minute);
  expect(Object.keys(bench.targets()).includes(`${stranger.Id}:30080`)).toBe(stays);
  expect(bench.targets()).toMatchObject({ 'i-n1:30080': 'healthy', 'i-n2:30080': 'healthy' });
  expect(bench.condition('InSync')?.reason).toBe(stays ? 'DriftReported' : 'InSync');
});

test.each(['RegisterTargets', 'DeregisterTargets', 'CreateListener'])(
  'two leaders for a moment: the old one’s %s lands after the new one’s work, and is put right',
  async (held) => {
    const bench = new ControllerBench();
    let release: (() => void) | undefined;
    let armed = held === 'CreateListener';
    bench.cluster.apply(aService());
    const old = bench.start(async (operation, call) => {
      if (!armed || operation !== held) return await call();
      armed = false;
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return await call();
    });
    await bench.run(minute);
    armed ||= held !== 'CreateListener';
    bench.cluster.setNodes([aNode('n2'), aNode('n3')]);
    await bench.run(2 * minute);
    expect(release, 'a call of the old leader is on its way').toBeDefined();
    old.kill();
    bench.start();
    await bench.run(minute);
    // The world has moved on when the call arrives.
    bench.cluster.setNodes([aNode('n1'), aNode('n2')]);
    await bench.run(2 * minute);
    release?.();
    await bench.run(60 * minute);

    expect(bench.owned('uid-web')).toHaveLength(3);
    expect(bench.targets()).toEqual({ 'i-n1:30080': 'healthy', 'i-n2:30080': 'healthy' });
    expect(bench.condition('InSync')).toMatchObject({ status: 'True' });
    bench.cluster.delete(web);
    await bench.run(5 * minute);
    expect(bench.account.resources()).toEqual([]);
  },
);

test('a creation without an answer, unseen for a while, and the Service let go meanwhile: nothing is left behind', async () => {
  const bench = new ControllerBench();
  const match = { operation: 'CreateLoadBalancer' };
  bench.account.faults.order({ match, times: 2, effect: { kind: 'hide-created', ms: 10_000 } });
  bench.account.faults.order({ match, times: 2, effect: { kind: 'lost-answer' } });
  bench.cluster.apply(aService({ annotations: annotated({ name: 'chosen' }) }));
  bench.start();
  await bench.run(500);
  expect(bench.owned('uid-web')).toHaveLength(1);
  bench.cluster.edit(web, { type: 'ClusterIP' });
  await bench.run(2_000);
  expect(bench.get().finalizers, 'not let go while nothing can be seen').not.toEqual([]);
  await bench.run(2 * minute);
  expect(bench.get().finalizers).toEqual([]);
  expect(bench.account.resources()).toEqual([]);
});

describe('the limit of 50 tags with the user’s own', () => {
  const tags = (count: number, name: string): string =>
    Array.from({ length: count }, (_, i) => `${name}${i}=x`).join(',');

  test('as many as there is room for beside ours are accepted', async () => {
    const bench = await applied(
      aService({ annotations: annotated({ 'additional-resource-tags': tags(40, 'k') }) }),
    );
    expect(bench.get().ingress).toHaveLength(1);
    for (const { tags: all } of bench.account.resources()) {
      expect(Object.keys(all).length).toBeLessThanOrEqual(50);
      expect(Object.keys(all)).toContain('k39');
    }
  });

  test('too many are refused before any call, with the cure', async () => {
    const bench = await applied(
      aService({ annotations: annotated({ 'additional-resource-tags': tags(50, 'k') }) }),
    );
    expect(bench.writesSince(0)).toEqual([]);
    expect(bench.condition('Accepted')).toMatchObject({
      status: 'False',
      message: expect.stringMatching(/50 tags, and there is room for 40 beside ours; name fewer/),
    });
  });

  test('too many together with those of the settings file are refused before any call', async () => {
    const own = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`s${i}`, 'x']));
    const bench = await applied(
      aService({ annotations: annotated({ 'additional-resource-tags': tags(30, 'k') }) }),
      new ControllerBench({ config: { tags: own } }),
    );
    expect(bench.writesSince(0)).toEqual([]);
    expect(bench.condition('Accepted')).toMatchObject({ status: 'False' });
  });
});

test.each([
  [50, 'True', 50],
  [51, 'False', 0],
])('a Service with %d ports: accepted is %s', async (count, accepted, listeners) => {
  const ports = Array.from({ length: count }, (_, i) =>
    aPort({ name: `p${i}`, port: 1_000 + i, nodePort: 30_000 + i }),
  );
  const bench = await applied(aService({ ports }));
  expect(bench.condition('Accepted')).toMatchObject({
    status: accepted,
    reason: accepted === 'True' ? 'Accepted' : 'TooManyPorts',
  });
  expect(bench.account.dump().loadBalancers.flatMap((one) => one.Listeners)).toHaveLength(listeners);
});
