/** What making a Service's balancer costs, and what becomes of an answer that leads to nothing. */
import { describe, expect, test } from 'vitest';
import { aService, aUid } from '../../src/core/fixtures.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';

const state = { service: aService({}), nodes: [anEcsNode('n1'), anEcsNode('n2')], slices: [] };

test('a Service with one port costs four writes and three looks', async () => {
  const { calls, plan } = await new AlibabaBench().ensure(state);
  expect(plan.waits).toEqual([]);
  expect(calls).toEqual([
    // By name and by tag, side by side.
    'DescribeLoadBalancers',
    'DescribeLoadBalancers',
    'CreateLoadBalancer',
    'CreateVServerGroup',
    'CreateLoadBalancerTCPListener',
    'StartLoadBalancerListener',
    'DescribeLoadBalancerListeners',
  ]);
});

test('twelve Services that look at the same time share four looks', async () => {
  const bench = new AlibabaBench();
  const signal = new AbortController().signal;
  const looks = Array.from({ length: 12 }, (_, i) => {
    const service = aService({ name: `s${i}`, uid: aUid(`uid-${i}`) });
    const owner = { cluster: { name: 'test', id: 'c' }, service: service.key, uid: service.uid };
    const wanted = bench.wanted({ ...state, service });
    return bench.provider.observe({ owner, depth: 'quick', wanted, previous: undefined, signal });
  });
  await bench.drive(Promise.all(looks));
  expect(bench.account.calls()).toHaveLength(4);
});

describe('an answer whose balancer is not found by the next write', () => {
  test('is waited for: the write is made again as soon as it can be seen', async () => {
    const bench = new AlibabaBench();
    bench.account.faults.order({
      match: { operation: 'CreateVServerGroup' },
      effect: { kind: 'error', code: 'InvalidLoadBalancerId.NotFound' },
    });
    const { failed, calls } = await bench.ensure(state);
    expect(failed).toEqual([]);
    expect(calls.slice(3, 6)).toEqual(['CreateVServerGroup', 'DescribeLoadBalancers', 'CreateVServerGroup']);
  });

  test('is given up in time: the next one is another, and the first is asked for once', async () => {
    const bench = new AlibabaBench();
    const first = (await bench.ensure(state)).after.balancer?.id ?? '';
    await bench.remove(state);
    bench.restart();
    const codes: string[] = [];
    for (let i = 0; i < 6; i++) {
      const { failed } = await bench.ensure(state);
      codes.push(...failed.map(({ error }) => `${error.kind} ${error.code}`));
      await bench.clock.advance(10_000);
    }
    expect(new Set(codes)).toEqual(new Set(['busy NotVisibleYet']));
    const { plan, after } = await bench.ensure(state);
    expect(plan.steps).toEqual([]);
    expect(after.balancer?.id).not.toBe(first);
    // The first Service's, the one that leads to it, and the new one.
    const creations = bench.account.calls().filter(({ operation }) => operation === 'CreateLoadBalancer');
    expect(creations).toHaveLength(3);
  });
});
