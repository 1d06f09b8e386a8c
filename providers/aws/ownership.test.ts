/** What does not bear our mark is never written to. */
import { expect, test } from 'vitest';
import { aPort, aService, aUid } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import type { Problem } from '../../src/core/problems.ts';
import { Bench, cluster, testCluster, worldOf } from '../../test/support/aws-bench.ts';
import { balancerName, groupName } from './names.ts';
import { ownerOf } from './wanted.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const state = cluster();
const owner = ownerOf(worldOf(state));

function strangerBalancer(bench: Bench, name: string, tags: Readonly<Record<string, string>> = {}): void {
  bench.account.byHand('CreateLoadBalancer', {
    Name: name,
    Type: 'network',
    Scheme: 'internal',
    Subnets: ['subnet-c', 'subnet-d'],
    ...(Object.keys(tags).length === 0
      ? {}
      : { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }),
  });
}

test("a stranger's balancer of our name stays as it is, and the Service says whose it is", async () => {
  const bench = new Bench();
  strangerBalancer(bench, balancerName(owner));
  const { version } = bench.account;

  const { plan } = await bench.ensure(state);

  expect(plan.steps).toEqual([]);
  expect(plan.problems).toMatchObject([
    { severity: 'error', reason: 'NameConflict', message: expect.stringContaining('not made by Sluice') },
  ]);
  expect(bench.account.version).toBe(version);
});

test("another cluster's balancer of our name stays as it is", async () => {
  const bench = new Bench();
  strangerBalancer(bench, balancerName(owner), {
    'sluice.dev/cluster': 'cluster-2',
    'sluice.dev/uid': owner.uid,
  });

  const { plan } = await bench.ensure(state);

  expect(plan.steps).toEqual([]);
  expect(plan.problems[0]?.message).toContain('another cluster');
});

test('the balancer of a Service of the same name that was deleted and made anew is not taken over', async () => {
  const bench = new Bench();
  const named = (uid: string): typeof state =>
    cluster({
      service: aService({ uid: aUid(uid), annotations: { [`${prefix}name`]: 'chosen' } }),
    });
  await bench.ensure(named('uid-old'));

  const { plan } = await bench.ensure(named('uid-new'));
  expect(plan.steps).toEqual([]);
  expect(plan.problems[0]).toMatchObject({
    reason: 'NameConflict',
    message: expect.stringContaining('default/web (uid uid-old)'),
  });

  await bench.remove(named('uid-old'));
  expect((await bench.ensure(named('uid-new'))).failed).toEqual([]);
  expect(bench.account.dump().loadBalancers).toHaveLength(1);
});

test('of two Services that want one name the older keeps it, before any call is made', () => {
  const bench = new Bench();
  const named = (name: string, createdAt: number): ServiceObject =>
    aService({ name, createdAt, uid: aUid(`uid-${name}`), annotations: { [`${prefix}name`]: 'chosen' } });
  const services = [named('older', 1), named('younger', 2)];
  const problemsOf = (service: ServiceObject): readonly Problem[] =>
    bench.provider.want(bench.provider.parse(service).settings, worldOf(cluster({ service }), services))
      .problems;

  expect(services.map(problemsOf)).toMatchObject([
    [],
    [{ severity: 'error', reason: 'NameConflict', message: expect.stringContaining('default/older') }],
  ]);
});

test("a stranger's target group of our name costs that port only", async () => {
  const bench = new Bench();
  bench.account.byHand('CreateTargetGroup', {
    Name: groupName(owner, { port: 80, protocol: 'TCP', targetType: 'instance' }),
    Protocol: 'TCP',
    Port: 1,
    VpcId: 'vpc-1',
  });
  const ports = [aPort({ name: 'a', port: 80 }), aPort({ name: 'b', port: 81, nodePort: 30081 })];

  const { plan, failed } = await bench.ensure({ ...state, service: aService({ ports }) });

  expect(failed).toEqual([]);
  expect(plan.problems).toMatchObject([{ reason: 'NameConflict' }]);
  expect(bench.account.dump().loadBalancers[0]?.Listeners).toMatchObject([{ Port: 81 }]);
});

test('a listener that somebody added to our balancer stays, and what it needs stays with it', async () => {
  const bench = new Bench();
  const { after } = await bench.ensure(state);
  bench.account.byHand('CreateListener', {
    LoadBalancerArn: after.balancer?.arn,
    Protocol: 'TCP',
    Port: 9000,
    DefaultActions: [{ Type: 'forward', TargetGroupArn: after.groups[0]?.arn }],
  });

  const moved = { ...state, service: aService({ ports: [aPort({ port: 81 })] }) };
  const { failed } = await bench.ensure(moved);

  expect(failed).toEqual([]);
  expect(bench.account.dump().loadBalancers[0]?.Listeners).toMatchObject([{ Port: 9000 }, { Port: 81 }]);
  expect(bench.account.dump().targetGroups).toHaveLength(2);
  expect((await bench.ensure(moved)).plan.steps).toEqual([]);
});

test("somebody's listener on one of our ports is named, and the other ports go on", async () => {
  const bench = new Bench();
  const { after } = await bench.ensure(state);
  const group = bench.account.byHand('CreateTargetGroup', {
    Name: 'theirs',
    Protocol: 'TCP',
    Port: 1,
    VpcId: 'vpc-1',
  }) as { readonly TargetGroups: readonly { readonly TargetGroupArn: string }[] };
  bench.account.byHand('CreateListener', {
    LoadBalancerArn: after.balancer?.arn,
    Protocol: 'TCP',
    Port: 81,
    DefaultActions: [{ Type: 'forward', TargetGroupArn: group.TargetGroups[0]?.TargetGroupArn }],
  });
  const ports = [80, 81, 82].map((port) => aPort({ name: `p${port}`, port, nodePort: 30_000 + port }));

  const { plan, failed } = await bench.ensure({ ...state, service: aService({ ports }) });

  expect(failed).toEqual([]);
  expect(plan.problems).toMatchObject([
    { reason: 'PortConflict', message: expect.stringContaining('port 81') },
  ]);
  expect(bench.account.dump().loadBalancers[0]?.Listeners.map(({ Port }) => Port)).toEqual([80, 81, 82]);
});

test('a removal leaves what others made', async () => {
  const bench = new Bench();
  await bench.ensure(state);
  strangerBalancer(bench, 'theirs');
  const other = cluster({ service: aService({ name: 'other', uid: aUid('uid-other') }) });
  await bench.ensure(other);

  await bench.remove(state);

  expect(bench.account.dump().loadBalancers.map(({ LoadBalancerName }) => LoadBalancerName)).toEqual([
    'theirs',
    balancerName(ownerOf(worldOf(other))),
  ]);
  expect(bench.account.dump().targetGroups).toHaveLength(1);
});

test('a balancer that vanished is made anew beside the groups that are left', async () => {
  const bench = new Bench();
  const { after } = await bench.ensure(state);
  await bench.clock.advance(60_000);
  bench.account.byHand('DeleteLoadBalancer', { LoadBalancerArn: after.balancer?.arn });

  const { plan, failed } = await bench.ensure(state);

  expect(failed).toEqual([]);
  expect(plan.steps.map(({ operation }) => operation)).toEqual(['CreateLoadBalancer', 'CreateListener']);
});

test('when the balancer is gone, a removal still finds the groups', async () => {
  const bench = new Bench();
  const { after } = await bench.ensure(state);
  bench.forget();
  bench.account.byHand('DeleteLoadBalancer', { LoadBalancerArn: after.balancer?.arn });

  await bench.remove(state);

  expect(bench.account.dump().targetGroups).toEqual([]);
});

test('what others tagged stays, what we tagged follows the Service', async () => {
  const bench = new Bench();
  const tagged = (tags: string | undefined): typeof state =>
    cluster({
      service: aService({
        annotations: tags === undefined ? {} : { [`${prefix}additional-resource-tags`]: tags },
      }),
    });
  const { after } = await bench.ensure(tagged('team=blue,cost=1'));
  bench.account.byHand('AddTags', {
    ResourceArns: [after.balancer?.arn],
    Tags: [{ Key: 'theirs', Value: 'yes' }],
  });

  await bench.ensure(tagged('team=red'));
  const changed = await bench.look(tagged('team=red'));
  await bench.ensure(tagged(undefined));
  const cleared = await bench.look(tagged(undefined));

  expect(changed.balancer?.tags).toMatchObject({ team: 'red', theirs: 'yes' });
  expect(changed.balancer?.tags).not.toHaveProperty('cost');
  expect(Object.keys(cleared.balancer?.tags ?? {}).toSorted()).toEqual([
    'sluice.dev/cluster',
    'sluice.dev/resource',
    'sluice.dev/service',
    'sluice.dev/uid',
    'theirs',
  ]);
});

test('strays of our cluster are told, those of others are not', async () => {
  const bench = new Bench();
  const { after } = await bench.ensure(state);
  strangerBalancer(bench, 'theirs', { 'sluice.dev/cluster': 'cluster-2', 'sluice.dev/uid': 'x' });
  const survey = async (known: ReadonlyMap<typeof state.service.uid, typeof after>): Promise<unknown> =>
    await bench.drive(bench.provider.survey(testCluster, known, bench.signal));

  // What was made moments ago may belong to a pass that is still under way.
  expect(await survey(new Map())).toEqual({ disturbed: [], strays: [] });
  await bench.clock.advance(60_000);
  expect(await survey(new Map())).toEqual({
    disturbed: [],
    strays: [
      {
        uid: state.service.uid,
        service: 'default/web',
        resources: [`balancer ${after.balancer?.name}`, `target group ${after.groups[0]?.name}`],
      },
    ],
  });
  expect(await survey(new Map([[state.service.uid, after]]))).toEqual({ disturbed: [], strays: [] });
  bench.account.byHand('DeleteLoadBalancer', { LoadBalancerArn: after.balancer?.arn });
  expect(await survey(new Map([[state.service.uid, after]]))).toEqual({
    disturbed: [state.service.uid],
    strays: [],
  });
});
