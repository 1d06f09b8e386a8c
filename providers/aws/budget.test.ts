/** What things cost, in calls: the figures that the provider promises. */
import { expect, test } from 'vitest';
import { aNode, aPort, aService, aUid } from '../../src/core/fixtures.ts';
import type { Uid } from '../../src/core/objects.ts';
import { Bench, cluster, testCluster } from '../../test/support/aws-bench.ts';
import type { ClusterState } from '../../test/support/aws-bench.ts';
import type { AwsObserved } from './observed.ts';

const many: readonly ClusterState[] = Array.from({ length: 200 }, (_, i) =>
  cluster({ service: aService({ name: `web-${i}`, uid: aUid(`uid-${i}`) }) }),
);
const roomy = { settings: { quotas: { networkLoadBalancers: 1000 } } } as const;

async function benchWithMany(): Promise<{ bench: Bench; known: Map<Uid, AwsObserved> }> {
  const bench = new Bench(roomy);
  const known = new Map<Uid, AwsObserved>();
  for (const state of many) known.set(state.service.uid, (await bench.ensure(state)).after);
  return { bench, known };
}

test('a new one-port Service costs at most six calls', async () => {
  const bench = new Bench();
  expect((await bench.ensure(cluster())).calls.length).toBeLessThanOrEqual(6);
});

test('a full look at a one-port Service costs at most seven reads, whatever it asks for', async () => {
  const bench = new Bench();
  const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
  const state = cluster({
    service: aService({
      annotations: {
        [`${prefix}attributes`]: 'load_balancing.cross_zone.enabled=true',
        [`${prefix}target-group-attributes`]: 'deregistration_delay.timeout_seconds=30',
      },
    }),
  });
  await bench.ensure(state);
  const { seq } = bench;

  await bench.look(state, 'full');

  expect(bench.callsSince(seq).toSorted()).toEqual([
    'DescribeListeners',
    'DescribeLoadBalancerAttributes',
    'DescribeLoadBalancers',
    'DescribeTags',
    'DescribeTargetGroupAttributes',
    'DescribeTargetGroups',
    'DescribeTargetHealth',
  ]);
});

test('two hundred Services looked at together cost at most two and a half reads each', async () => {
  const { bench } = await benchWithMany();
  const { seq } = bench;

  const workers = 16;
  let next = 0;
  const work = async (): Promise<void> => {
    for (let state = many[next++]; state !== undefined; state = many[next++]) {
      await bench.provider.observe({
        owner: { cluster: testCluster, service: state.service.key, uid: state.service.uid },
        depth: 'quick',
        wanted: bench.wanted(state),
        previous: undefined,
        signal: bench.signal,
      });
    }
  };
  await bench.drive(Promise.all(Array.from({ length: workers }, work)));

  expect(bench.callsSince(seq).length / many.length).toBeLessThanOrEqual(2.5);
});

test('a node that joins costs one RegisterTargets for each group and no read', async () => {
  const bench = new Bench();
  const ports = [aPort({ name: 'a', port: 80 }), aPort({ name: 'b', port: 81, nodePort: 30081 })];
  const state = cluster({ service: aService({ ports }) });
  const { after } = await bench.ensure(state);

  const joined = { ...state, nodes: [...state.nodes, aNode('n3')] };
  const plan = bench.provider.plan({ kind: 'present', wanted: bench.wanted(joined) }, after, {
    owner: { cluster: testCluster, service: state.service.key, uid: state.service.uid },
    now: 0,
    memory: {},
  });

  expect(plan.steps.map(({ operation, risk }) => [operation, risk])).toEqual([
    ['RegisterTargets', 'none'],
    ['RegisterTargets', 'none'],
  ]);
  expect(plan.steps.map(({ parameters }) => parameters['Targets'])).toEqual([
    [{ Id: 'i-n3', Port: 30080 }],
    [{ Id: 'i-n3', Port: 30081 }],
  ]);
});

test('a survey of an account at rest costs its listings: less than one call for twenty Services', async () => {
  const { bench, known } = await benchWithMany();
  const { seq } = bench;

  const survey = await bench.drive(bench.provider.survey(testCluster, known, bench.signal));

  expect(survey).toEqual({ disturbed: [], strays: [] });
  expect(bench.callsSince(seq)).toEqual(['DescribeLoadBalancers', 'DescribeTargetGroups']);
});

test('a removal costs its two deletions and four reads', async () => {
  const bench = new Bench();
  const state = cluster();
  await bench.ensure(state);

  const { calls } = await bench.remove(state);

  expect(calls.toSorted()).toEqual([
    'DeleteLoadBalancer',
    'DeleteTargetGroup',
    'DescribeLoadBalancerAttributes',
    'DescribeLoadBalancers',
    'DescribeTags',
    'DescribeTargetGroups',
  ]);
});
