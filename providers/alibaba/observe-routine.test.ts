/** Full looks that only their time asks for: what they cost, and what they still see. */
import { describe, expect, test } from 'vitest';
import { aService } from '../../src/core/fixtures.ts';
import type { ObjectKey } from '../../src/core/objects.ts';
import type { Uid } from '../../src/core/objects.ts';
import { AlibabaBench, anEcsNode, withoutNews } from '../../test/support/alibaba-bench.ts';
import type { AlibabaObserved, ObservedBalancer } from './observed.ts';

const cluster = { name: 'test', id: 'cluster-1' } as const;
const never = new AbortController().signal;
const state = { service: aService({}), nodes: [anEcsNode('n1'), anEcsNode('n2')], slices: [] };

/** A Service in peace, with a survey behind it. */
async function surveyed() {
  const bench = new AlibabaBench();
  await bench.ensure(state);
  await bench.clock.advance(60_000);
  const known = (await bench.ensure(state)).after;
  await bench.clock.advance(60_000);
  const survey = async (): Promise<readonly Uid[]> => {
    const of = new Map([[state.service.uid, known]]);
    return (await bench.drive(bench.provider.survey(cluster, of, never))).disturbed;
  };
  expect(await survey()).toEqual([]);
  const owner = { cluster, service: state.service.key satisfies ObjectKey, uid: state.service.uid };
  const look = async (): Promise<{ readonly seen: AlibabaObserved; readonly reads: readonly string[] }> => {
    const seq = bench.account.calls().at(-1)?.seq ?? 0;
    const request = { owner, wanted: bench.wanted(state), previous: known, routine: true, signal: never };
    const seen = await bench.drive(bench.provider.observe({ ...request, depth: 'full' }));
    const calls = bench.account.calls(seq).filter(({ by }) => by !== 'hand');
    return { seen, reads: calls.map(({ operation }) => operation) };
  };
  const { balancer } = known;
  if (balancer === undefined) throw new Error('no balancer');
  return { bench, known, balancer, survey, look };
}

function member({ groups }: ObservedBalancer): object {
  const VServerGroupId = groups[0]?.id;
  return { VServerGroupId, BackendServers: [{ ServerId: 'i-n1', Port: 30_080 }] };
}

describe('a look that only its time asks for', () => {
  test('costs one read, and says what an ordinary one says', async () => {
    const { known, look } = await surveyed();
    const { seen, reads } = await look();
    expect(reads).toEqual(['DescribeHealthStatus']);
    expect(withoutNews(seen)).toEqual(withoutNews(known));
  });

  test('sees a member that is gone, and then looks at everything', async () => {
    const { bench, balancer, look } = await surveyed();
    bench.account.byHand('RemoveVServerGroupBackendServers', member(balancer));
    const { seen, reads } = await look();
    expect(reads).toContain('DescribeVServerGroupAttribute');
    expect(Object.keys(seen.balancer?.groups[0]?.members ?? {})).toEqual(['i-n2:30080']);
  });

  test('sees a changed weight at one of twelve looks', async () => {
    const { bench, balancer, look } = await surveyed();
    const { VServerGroupId } = member(balancer) as { readonly VServerGroupId: string };
    bench.account.byHand('SetVServerGroupAttribute', {
      VServerGroupId,
      BackendServers: [{ ServerId: 'i-n1', Port: 30_080, Weight: 1 }],
    });
    const weights: (number | undefined)[] = [];
    let reads = 0;
    for (let i = 0; i < 12; i += 1) {
      const one = await look();
      reads += one.reads.length;
      weights.push(one.seen.balancer?.groups[0]?.members?.['i-n1:30080']?.weight);
    }
    expect(weights.at(-1)).toBe(1);
    expect(reads / 12).toBeLessThanOrEqual(1.2);
  });

  test('does not stand on what was seen before a write of ours, or long ago', async () => {
    const { bench, balancer, look } = await surveyed();
    await bench.clock.advance(3_600_000);
    expect((await look()).reads.length).toBeGreaterThan(1);
    const again = await surveyed();
    const step = {
      id: 'setLoadBalancerName',
      operation: 'SetLoadBalancerName',
      parameters: {},
      subject: '',
      reason: '',
      risk: 'none',
      needs: [],
      effect: { kind: 'other' },
    } as const;
    const parameters = { LoadBalancerId: again.balancer.id, LoadBalancerName: 'other' };
    await again.bench.drive(again.bench.provider.apply(step, parameters, never));
    expect((await again.look()).seen.balancer?.name).toBe('other');
    expect(balancer.id).not.toBe('');
  });
});

test('a survey sees a listener that somebody stopped', async () => {
  const { bench, balancer, survey } = await surveyed();
  const listener = { LoadBalancerId: balancer.id, ListenerPort: 80, ListenerProtocol: 'tcp' };
  bench.account.byHand('StopLoadBalancerListener', listener);
  expect(await survey()).toEqual([state.service.uid]);
});
