/** What goes wrong with balancers: lost answers, doubles, deletions by others, names, tags, odd answers. */
import { describe, expect, test } from 'vitest';
import { aPort, aService, aUid } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';
import type { ClusterState } from '../../test/support/alibaba-bench.ts';
import { groupName, balancerName } from './names.ts';
import { clusterTag, uidTag } from './tags.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';

function state(
  change: Partial<Omit<ServiceObject, 'key'>> = {},
  nodes = [anEcsNode('n1'), anEcsNode('n2')],
): ClusterState {
  return { service: aService(change), nodes, slices: [] };
}

const balancers = (bench: AlibabaBench) => bench.account.dump().loadBalancers;

describe('a creation whose answer is lost (h.3)', () => {
  test.each([false, true])('leaves exactly one balancer; the tags lag; restarted: %s', async (restarted) => {
    const bench = new AlibabaBench({ settings: { consistency: { tagLagMs: 5_000 } } });
    bench.account.faults.order({
      match: { operation: 'CreateLoadBalancer' },
      times: 2,
      effect: { kind: 'lost-answer' },
    });
    const { failed } = await bench.ensure(state());
    expect(failed).toMatchObject([{ error: { kind: 'ambiguous' } }]);
    if (restarted) bench.restart();
    expect((await bench.ensure(state())).failed).toEqual([]);
    expect(balancers(bench)).toHaveLength(1);
  });

  test('also where no read shows it yet: the token leads to it', async () => {
    const bench = new AlibabaBench();
    bench.account.faults.order({
      match: { operation: 'CreateLoadBalancer' },
      effect: { kind: 'hide-created', ms: 3_000 },
    });
    bench.account.faults.order({
      match: { operation: 'CreateLoadBalancer' },
      times: 2,
      effect: { kind: 'lost-answer' },
    });
    await bench.ensure(state());
    bench.restart();
    await bench.ensure(state());
    expect(balancers(bench)).toHaveLength(1);
  });

  test('a removal waits until what may have been made must show', async () => {
    const bench = new AlibabaBench();
    bench.account.faults.order({
      match: { operation: 'CreateLoadBalancer' },
      effect: { kind: 'hide-created', ms: 8_000 },
    });
    bench.account.faults.order({
      match: { operation: 'CreateLoadBalancer' },
      times: 2,
      effect: { kind: 'lost-answer' },
    });
    await bench.ensure(state());
    await expect(bench.remove(state())).rejects.toMatchObject({ kind: 'busy', code: 'CreationUnanswered' });
    await bench.clock.advance(31_000);
    await bench.remove(state());
    expect(balancers(bench)).toEqual([]);
  });
});

test('two balancers with our mark: both ids are told, nothing is changed or deleted (h.4)', async () => {
  const bench = new AlibabaBench();
  await bench.ensure(state());
  const tags = [
    { Key: clusterTag, Value: 'cluster-1' },
    { Key: uidTag, Value: 'uid-web' },
  ];
  bench.account.byHand('CreateLoadBalancer', {
    AddressType: 'internet',
    InstanceChargeType: 'PayByCLCU',
    Tag: tags,
  });
  const ids = balancers(bench).map(({ LoadBalancerId }) => LoadBalancerId);
  const { plan, writes } = await bench.ensure(state());
  expect(writes).toEqual([]);
  expect(plan.problems).toMatchObject([{ reason: 'DuplicateBalancer' }]);
  for (const id of ids) expect(plan.problems[0]?.message).toContain(id);
  expect((await bench.remove(state())).writes).toEqual([]);
});

test('the mark is found among more balancers than a page of the cloud has by default (h.4)', async () => {
  const bench = new AlibabaBench();
  for (let i = 0; i < 12; i++) await bench.ensure(state({ name: `s${i}` }));
  const known = new Map([[aUid('uid-s11'), (await bench.ensure(state({ name: 's11' }))).after]]);
  const { strays } = await bench.drive(
    bench.provider.survey({ name: 'test', id: 'cluster-1' }, known, new AbortController().signal),
  );
  await bench.clock.advance(31_000);
  bench.restart();
  const later = await bench.drive(
    bench.provider.survey({ name: 'test', id: 'cluster-1' }, known, new AbortController().signal),
  );
  expect([strays.length, later.strays.length]).toEqual([0, 11]);
});

describe('a balancer deleted by somebody while the Service shows its address (h.5)', () => {
  async function deleted(annotations: Readonly<Record<string, string>> = {}) {
    const bench = new AlibabaBench();
    const { after } = await bench.ensure(state());
    const LoadBalancerId = after.balancer?.id;
    bench.account.byHand('SetLoadBalancerDeleteProtection', { LoadBalancerId, DeleteProtection: 'off' });
    bench.account.byHand('DeleteLoadBalancer', { LoadBalancerId });
    await bench.clock.advance(60_000);
    return { bench, shown: state({ annotations, ingress: [{ ip: after.balancer?.address ?? '' }] }) };
  }

  test('is told; there is no new address in silence', async () => {
    const { bench, shown } = await deleted();
    const { plan, writes } = await bench.ensure(shown);
    expect(writes).toEqual([]);
    expect(plan.problems).toMatchObject([{ severity: 'error', reason: 'BalancerMissing' }]);
    expect(plan.problems[0]?.cure).toContain(`${prefix}recreate`);
    expect(bench.provider.isGone((await bench.remove(shown)).after)).toBe(true);
  });

  test('is made anew where the user asks for it', async () => {
    const { bench, shown } = await deleted({ [`${prefix}recreate`]: 'on' });
    expect((await bench.ensure(shown)).failed).toEqual([]);
    expect(balancers(bench)).toHaveLength(1);
  });
});

describe('a removal that is interrupted (h.6)', () => {
  test('after the protection was lifted: taken up, one deletion', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(state());
    bench.account.faults.order({
      match: { operation: 'DeleteLoadBalancer' },
      times: 4,
      effect: { kind: 'error', code: 'ServiceIsConfiguring' },
    });
    expect((await bench.remove(state())).failed).toMatchObject([{ error: { kind: 'busy' } }]);
    bench.restart();
    expect((await bench.remove(state())).writes).toEqual(['DeleteLoadBalancer']);
    expect(balancers(bench)).toEqual([]);
  });

  test('a balancer that is locked for arrears is kept and told, and one that is gone counts as deleted', async () => {
    const bench = new AlibabaBench();
    const { after } = await bench.ensure(state());
    const id = after.balancer?.id ?? '';
    bench.account.setLoadBalancerStatus(id, 'locked');
    expect((await bench.remove(state())).failed[0]?.error.code).toBe('LbStatusNotSupport');
    bench.account.setLoadBalancerStatus(id, 'active');
    bench.account.faults.order({
      match: { operation: 'DeleteLoadBalancer' },
      effect: { kind: 'lost-answer' },
    });
    expect((await bench.remove(state())).failed).toEqual([]);
    expect(balancers(bench)).toEqual([]);
  });
});

test('away and back again: the old balancer goes once, and the new one is another (h.7)', async () => {
  const bench = new AlibabaBench();
  const first = (await bench.ensure(state())).after.balancer?.id;
  await bench.remove(state());
  bench.restart();
  // The new process cannot know whether what the client token leads to is gone, or was made a moment ago.
  expect((await bench.ensure(state())).failed.map(({ error }) => error.code)).toEqual(['NotVisibleYet']);
  await bench.clock.advance(30_000);
  const second = (await bench.ensure(state())).after.balancer?.id;
  expect(second).not.toBe(first);
  expect(balancers(bench).map(({ LoadBalancerId }) => LoadBalancerId)).toEqual([second]);
});

test('long names do not collapse, and fit (h.13)', () => {
  const owner = (uid: string) => ({
    cluster: { name: 'test', id: 'cluster-1' },
    service: `${'n'.repeat(63)}/${'s'.repeat(63)}` as ServiceObject['key'],
    uid: aUid(uid),
  });
  const names = ['a', 'b'].flatMap((uid) => [
    balancerName(owner(uid)),
    groupName(owner(uid), { family: 'tcp', nodePort: 30_080 }),
  ]);
  expect(new Set(names).size).toBe(4);
  for (const name of names) expect(name.length).toBeLessThanOrEqual(80);
});

describe('odd answers (h.15)', () => {
  test.each([
    ['a page', { kind: 'html' }],
    ['status 200 with a code', { kind: 'error-in-answer', code: 'SystemBusy' }],
    ['throttled', { kind: 'throttle' }],
    ['cut off', { kind: 'lost-request' }],
  ] as const)('%s, on every call once: in the end one whole Service', async (_name, effect) => {
    const bench = new AlibabaBench();
    for (const operation of [
      'DescribeLoadBalancers',
      'CreateLoadBalancer',
      'CreateVServerGroup',
      'AddVServerGroupBackendServers',
      'CreateLoadBalancerTCPListener',
      'StartLoadBalancerListener',
    ]) {
      bench.account.faults.order({ match: { operation }, effect });
    }
    for (let i = 0; i < 8; i++) {
      await bench.ensure(state()).catch(() => undefined);
      await bench.clock.advance(10_000);
    }
    expect((await bench.ensure(state())).plan.steps).toEqual([]);
    expect(balancers(bench)).toHaveLength(1);
    expect(balancers(bench)[0]?.VServerGroups).toHaveLength(1);
  });

  test('nodes that are no instances of the region are left out with a reason, and a port without node port is refused', async () => {
    const bench = new AlibabaBench();
    const odd = [
      anEcsNode('n1'),
      anEcsNode('none', { providerID: '' }),
      anEcsNode('hybrid', { providerID: 'ack-hybrid://n9' }),
      anEcsNode('far', { providerID: 'alicloud://cn-beijing.i-far' }),
      anEcsNode('long', { providerID: 'alicloud://cn-hangzhou.i-long' }),
    ];
    const world = { cluster: { name: 'test', id: 'cluster-1' }, services: [], ...state({}, odd) };
    const { excluded, wanted } = bench.provider.want(bench.provider.parse(world.service).settings, world);
    expect(excluded.map(({ node, reason }) => `${node} ${reason}`)).toEqual([
      'far NodeForeignProviderID',
      'hybrid NodeForeignProviderID',
      'none NodeWithoutProviderID',
    ]);
    expect(wanted.listeners[0]?.group?.members.map(({ key }) => key)).toEqual(['i-long:30080', 'i-n1:30080']);
    const { problems } = bench.provider.parse(aService({ ports: [aPort({ nodePort: 0 })] }));
    expect(problems).toMatchObject([{ severity: 'error', reason: 'NodePortMissing' }]);
  });
});

test('a balancer of a stranger with our name that comes between look and creation is not taken over', async () => {
  const bench = new AlibabaBench();
  const { name } = bench.wanted(state());
  bench.account.faults.order({
    match: { operation: 'CreateLoadBalancer' },
    effect: {
      kind: 'hook',
      before: () =>
        void bench.account.byHand('CreateLoadBalancer', {
          AddressType: 'internet',
          InstanceChargeType: 'PayByCLCU',
          LoadBalancerName: name,
        }),
    },
  });
  await bench.ensure(state());
  await bench.remove(state());
  expect(balancers(bench)).toMatchObject([{ LoadBalancerName: name, TagsByKey: {} }]);
});

describe('kept on delete', () => {
  test('unprotected, without our mark, with all that is on it', async () => {
    const bench = new AlibabaBench();
    const kept = state({ annotations: { [`${prefix}preserve-lb-on-delete`]: 'true' } });
    await bench.ensure(kept);
    const { plan, after, failed } = await bench.remove(kept, bench.provider.parse(kept.service).settings);
    expect(failed).toEqual([]);
    expect(plan.kept).toContain(balancers(bench)[0]?.LoadBalancerId);
    expect(bench.provider.isGone(after)).toBe(true);
    expect(balancers(bench)).toMatchObject([
      {
        DeleteProtection: 'off',
        ModificationProtectionStatus: 'NonProtection',
        TagsByKey: {},
        Listeners: [{ ListenerPort: 80 }],
      },
    ]);
  });

  test('a value that could be meant either way is refused, and nothing is deleted', () => {
    const { service } = state({ annotations: { [`${prefix}preserve-lb-on-delete`]: 'false' } });
    const { settings, problems } = new AlibabaBench().provider.parse(service);
    expect(settings.preserve).toBe(true);
    expect(problems).toMatchObject([{ severity: 'error', reason: 'InvalidAnnotation' }]);
  });
});

test('where the internet is not allowed nothing new is made, and what exists is removed all the same', async () => {
  const bench = new AlibabaBench({ config: { allowInternet: false } });
  const { plan, writes } = await bench.ensure(state());
  expect(writes).toEqual([]);
  expect(plan.problems).toMatchObject([{ severity: 'error', reason: 'ConflictingSettings' }]);
  expect((await bench.remove(state())).failed).toEqual([]);
});

test('an intranet balancer goes to another vswitch of the settings when the first is full', async () => {
  const vswitches = [
    { id: 'vsw-a', vpcId: 'vpc-1', zone: 'cn-hangzhou-h', freeAddresses: 0 },
    { id: 'vsw-b', vpcId: 'vpc-1', zone: 'cn-hangzhou-i' },
  ];
  const bench = new AlibabaBench({ settings: { vswitches } });
  await bench.ensure(state({ annotations: { [`${prefix}address-type`]: 'intranet' } }));
  expect(balancers(bench)).toMatchObject([{ AddressType: 'intranet', VSwitchId: 'vsw-b' }]);
});

test('tags of the user that are no longer named are taken off, and those of others stay', async () => {
  const bench = new AlibabaBench();
  const tagged = (text: string) => state({ annotations: { [`${prefix}additional-resource-tags`]: text } });
  const { after } = await bench.ensure(tagged('team=blue,cost=42'));
  bench.account.byHand('TagResources', {
    ResourceType: 'instance',
    ResourceId: [after.balancer?.id],
    Tag: [{ Key: 'note', Value: 'mine' }],
  });
  await bench.ensure(tagged('team=red'));
  await bench.ensure(state());
  const tags = balancers(bench)[0]?.TagsByKey ?? {};
  expect([tags['team'], tags['cost'], tags['note']]).toEqual([undefined, undefined, 'mine']);
  expect((await bench.ensure(state())).plan.steps).toEqual([]);
});
