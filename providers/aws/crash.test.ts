/** A crash at any point is adopted: the next look finds what was made, and nothing is made twice. */
import { describe, expect, test } from 'vitest';
import { aPort, aService } from '../../src/core/fixtures.ts';
import { execute } from '../../src/core/execute.ts';
import { Bench, cluster, testCluster, withoutHealth } from '../../test/support/aws-bench.ts';
import { ownerOf } from './wanted.ts';
import { worldOf } from '../../test/support/aws-bench.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const state = cluster({
  service: aService({
    annotations: {
      [`${prefix}name`]: 'chosen',
      [`${prefix}attributes`]: 'load_balancing.cross_zone.enabled=true',
      [`${prefix}target-group-attributes`]: 'deregistration_delay.timeout_seconds=30',
    },
    ports: [aPort({ name: 'a', port: 80, nodePort: 30080 }), aPort({ name: 'b', port: 81, nodePort: 30081 })],
  }),
});

const writes = [
  'CreateLoadBalancer',
  'ModifyLoadBalancerAttributes',
  'CreateTargetGroup',
  'ModifyTargetGroupAttributes',
  'RegisterTargets',
  'CreateTargetGroup',
  'ModifyTargetGroupAttributes',
  'RegisterTargets',
  'CreateListener',
  'CreateListener',
];

/** Carries out the first `count` steps of a fresh plan, one after the other, and then is no more. */
async function crashAfter(bench: Bench, count: number): Promise<void> {
  const owner = ownerOf(worldOf(state));
  const wanted = bench.wanted(state);
  const plan = bench.provider.plan({ kind: 'present', wanted }, bench.provider.nothing, {
    owner,
    now: 0,
    memory: {},
  });
  expect(plan.steps.map(({ operation }) => operation)).toEqual(writes);
  await execute({
    provider: { ...bench.provider, parallel: 1 },
    observed: bench.provider.nothing,
    steps: plan.steps.slice(0, count),
    signal: bench.signal,
    clock: bench.clock,
  });
}

describe.each(writes.map((operation, i) => [i + 1, operation] as const))('after write %i (%s)', (count) => {
  test('the next pass completes what is there', async () => {
    const bench = new Bench();
    await crashAfter(bench, count);

    const { failed, after } = await bench.ensure(state);

    expect(failed).toEqual([]);
    expect(withoutHealth(after)).toEqual(withoutHealth(await bench.look(state)));
    expect((await bench.ensure(state)).plan.steps).toEqual([]);
    const { loadBalancers, targetGroups } = bench.account.dump();
    expect([loadBalancers.length, loadBalancers[0]?.Listeners.length, targetGroups.length]).toEqual([
      1, 2, 2,
    ]);
  });

  test('a removal finds everything by its mark', async () => {
    const bench = new Bench();
    await crashAfter(bench, count);

    await bench.remove(state);

    expect(bench.account.dump()).toMatchObject({ loadBalancers: [], targetGroups: [] });
  });
});

test('a removal that stopped half-way goes on from there', async () => {
  const bench = new Bench();
  const { after } = await bench.ensure(state);
  const owner = ownerOf(worldOf(state));
  const plan = bench.provider.plan({ kind: 'absent', settings: undefined }, after, {
    owner,
    now: 0,
    memory: {},
  });
  await execute({
    provider: bench.provider,
    observed: after,
    steps: plan.steps.slice(0, 1),
    signal: bench.signal,
    clock: bench.clock,
  });
  bench.forget();

  await bench.remove(state);

  expect(bench.account.dump()).toMatchObject({ loadBalancers: [], targetGroups: [] });
});

test('an answer that was lost is no reason to make a second balancer', async () => {
  const bench = new Bench();
  for (const operation of ['CreateLoadBalancer', 'CreateTargetGroup', 'CreateListener']) {
    bench.account.faults.order({ match: { operation }, effect: { kind: 'lost-answer' } });
  }

  const { failed } = await bench.ensure(state);

  expect(failed).toEqual([]);
  expect(bench.account.dump().loadBalancers).toHaveLength(1);
  expect(bench.account.dump().targetGroups).toHaveLength(2);
});

test('the mark is in the very call that makes a resource', async () => {
  const bench = new Bench();
  await bench.ensure(state);

  const creations = bench.account.writes().filter(({ operation }) => operation.startsWith('Create'));

  for (const { input } of creations) {
    expect(input).toMatchObject({
      Tags: expect.arrayContaining([
        { Key: 'sluice.dev/cluster', Value: testCluster.id },
        { Key: 'sluice.dev/uid', Value: state.service.uid },
        { Key: 'sluice.dev/service', Value: 'default/web' },
      ]),
    });
  }
  expect(creations).toHaveLength(5);
});
