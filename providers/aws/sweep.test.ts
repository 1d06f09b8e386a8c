/** One fault of each kind at each call of a Service's life: it converges, doubles nothing and leaves nothing. */
import { expect, test } from 'vitest';
import { aNode, aPort, aService } from '../../src/core/fixtures.ts';
import { Bench, cluster } from '../../test/support/aws-bench.ts';
import type { ClusterState } from '../../test/support/aws-bench.ts';
import type { FaultEffect } from '../../src/core/simulated/faults.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const young = cluster({
  service: aService({
    ports: [aPort({ name: 'a', port: 80 }), aPort({ name: 'b', port: 81, nodePort: 30081 })],
  }),
});
const grown = cluster({
  service: aService({
    annotations: {
      [`${prefix}attributes`]: 'load_balancing.cross_zone.enabled=true',
      [`${prefix}additional-resource-tags`]: 'team=blue',
    },
    ports: [aPort({ name: 'a', port: 80 }), aPort({ name: 'c', port: 82, nodePort: 30082 })],
  }),
  nodes: [aNode('n1'), aNode('n3')],
});

/** Passes that one stage may take. */
const mostPasses = 12;

type Stage = (bench: Bench) => Promise<boolean>;

function ensures(state: ClusterState): Stage {
  return async (bench) => {
    const { plan, failed } = await bench.ensure(state);
    return plan.steps.length === 0 && failed.length === 0;
  };
}

const removes: Stage = async (bench) => {
  const { after } = await bench.remove(grown);
  return bench.provider.isGone(after) && bench.provider.isGone(await bench.look(grown, 'removal'));
};

/** Repeats a stage, as a controller would, until it says that nothing is left to do. */
async function settle(bench: Bench, stage: Stage, crash: boolean): Promise<void> {
  for (let pass = 0; pass < mostPasses; pass++) {
    let done = false;
    try {
      done = await stage(bench);
    } catch {
      done = false;
    }
    if (done) return;
    if (crash) bench.forget();
    await bench.clock.advance(5_000);
  }
  throw new Error(`not settled after ${mostPasses} passes`);
}

async function live(bench: Bench, crash: boolean): Promise<void> {
  await settle(bench, ensures(young), crash);
  await settle(bench, ensures(grown), crash);
  // What is hidden for a while is hidden from this test too.
  await bench.clock.advance(20_000);
  await settle(bench, ensures(grown), crash);
  const { loadBalancers, targetGroups } = bench.account.dump();
  expect(loadBalancers).toHaveLength(1);
  expect(loadBalancers[0]?.Listeners.map(({ Port }) => Port)).toEqual([80, 82]);
  expect(loadBalancers[0]?.Tags).toMatchObject({ team: 'blue' });
  expect(loadBalancers[0]?.Attributes).toMatchObject({ 'load_balancing.cross_zone.enabled': 'true' });
  expect(targetGroups).toHaveLength(2);
  await settle(bench, removes, crash);
  expect(bench.account.dump()).toMatchObject({ loadBalancers: [], targetGroups: [] });
}

const faults: readonly (readonly [string, FaultEffect])[] = [
  ['throttled', { kind: 'throttle' }],
  ['an error inside AWS', { kind: 'error', code: 'InternalFailure' }],
  ['denied', { kind: 'error', code: 'AccessDenied' }],
  ['in use', { kind: 'error', code: 'ResourceInUse' }],
  ['the request lost', { kind: 'lost-request' }],
  ['the answer lost', { kind: 'lost-answer' }],
  ['what was made unseen for 10 s', { kind: 'hide-created', ms: 10_000 }],
  ['an answer of 4 s ago', { kind: 'stale', ms: 4_000 }],
  ['an answer of one write ago', { kind: 'stale', writes: 1 }],
];

test('a life without a fault settles', async () => {
  await live(new Bench(), false);
});

test.each(faults.flatMap(([name, effect]) => [false, true].map((crash) => [name, crash, effect] as const)))(
  '%s, at any one call (memory lost: %s)',
  async (_, crash, effect) => {
    const clean = new Bench();
    await live(clean, crash);
    const calls = clean.account.calls().length;
    const broken: string[] = [];
    for (let nth = 1; nth <= calls; nth++) {
      const bench = new Bench();
      bench.account.faults.order({ nth, effect });
      try {
        await live(bench, crash);
      } catch (error) {
        const hit = bench.account.calls()[nth - 1];
        broken.push(
          `call ${nth} (${hit?.operation}): ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
    expect(broken).toEqual([]);
  },
);
