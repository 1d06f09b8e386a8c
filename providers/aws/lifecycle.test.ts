/** The life of a Service on a simulated account. */
import { expect, test } from 'vitest';
import { aService } from '../../src/core/fixtures.ts';
import { Bench, cluster, withoutHealth } from '../../test/support/aws-bench.ts';

test('a one-port Service costs two shared reads and four calls, and needs no second look', async () => {
  const bench = new Bench();
  const state = cluster();

  const pass = await bench.ensure(state);

  expect(pass.failed).toEqual([]);
  expect(pass.calls.toSorted()).toEqual([
    'CreateListener',
    'CreateLoadBalancer',
    'CreateTargetGroup',
    'DescribeLoadBalancers',
    'DescribeTargetGroups',
    'RegisterTargets',
  ]);
  expect(bench.provider.addresses(bench.wanted(state), pass.after)).toMatchObject({
    kind: 'ready',
    ingress: [
      { hostname: expect.stringMatching(/^slc-default-web-/), ports: [{ port: 80, protocol: 'TCP' }] },
    ],
  });
});

test('what was folded forward is what a fresh look says, and leaves nothing to do', async () => {
  const bench = new Bench();
  const state = cluster();
  const { after } = await bench.ensure(state);

  const fresh = await bench.look(state);
  const again = await bench.ensure(state);

  expect(withoutHealth(after)).toEqual(withoutHealth(fresh));
  expect(again.plan.steps).toEqual([]);
});

test('a removed Service leaves nothing in the account', async () => {
  const bench = new Bench();
  const state = cluster();
  await bench.ensure(state);

  const pass = await bench.remove({ ...state, service: aService({ deleting: true }) });

  expect(pass.failed).toEqual([]);
  expect(bench.provider.isGone(pass.after)).toBe(true);
  expect(
    bench.account
      .writes()
      .map(({ operation }) => operation)
      .slice(-2),
  ).toEqual(['DeleteLoadBalancer', 'DeleteTargetGroup']);
  expect(bench.provider.isGone(await bench.look(state, 'removal'))).toBe(true);
});
