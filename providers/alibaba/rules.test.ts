/** Rules about balancers and listeners that each take a line: what is sent, what is refused, what is left alone. */
import { describe, expect, test } from 'vitest';
import { aPort, aService } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';
import type { ClusterState } from '../../test/support/alibaba-bench.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';

function state(
  words: Readonly<Record<string, string>> = {},
  change: Partial<Omit<ServiceObject, 'key'>> = {},
): ClusterState {
  const annotations = Object.fromEntries(
    Object.entries(words).map(([word, value]) => [`${prefix}${word}`, value]),
  );
  return { service: aService({ annotations, ...change }), nodes: [anEcsNode('n1')], slices: [] };
}

function problemsOf({ service }: ClusterState): readonly string[] {
  return new AlibabaBench().provider
    .parse(service)
    .problems.map(({ severity, reason }) => `${severity} ${reason}`);
}

test('a creation says all that the cloud would choose otherwise, the side of the address first (A-14, A-17)', async () => {
  const bench = new AlibabaBench();
  await bench.ensure(state());
  const created = bench.account.calls().find(({ operation }) => operation === 'CreateLoadBalancer');
  expect(created?.input).toMatchObject({
    AddressType: 'internet',
    InstanceChargeType: 'PayByCLCU',
    DeleteProtection: 'on',
    ModificationProtectionStatus: 'ConsoleProtection',
    ClientToken: expect.stringMatching(/^sluice-/u),
  });
  for (const absent of ['VSwitchId', 'VpcId', 'LoadBalancerSpec', 'Bandwidth'])
    expect(created?.input).not.toHaveProperty(absent);
});

describe('what applies at creation only is told, and all else goes on (A-20)', () => {
  test.each([
    ['address-type', 'intranet'],
    ['ip-version', 'ipv6'],
    ['resource-group-id', 'rg-other'],
  ])('%s', async (word, value) => {
    const bench = new AlibabaBench();
    await bench.ensure(state());
    const { plan, writes } = await bench.ensure(state({ [word]: value, name: 'renamed' }));
    expect(plan.problems).toMatchObject([
      { severity: 'error', reason: 'ImmutableSetting', field: `metadata.annotations["${prefix}${word}"]` },
    ]);
    expect(writes).toEqual(['SetLoadBalancerName']);
  });
});

test.each([
  ['name', 'renamed', 'SetLoadBalancerName'],
  ['delete-protection', 'off', 'SetLoadBalancerDeleteProtection'],
  ['modification-protection', 'NonProtection', 'SetLoadBalancerModificationProtection'],
  ['additional-resource-tags', 'a=b', 'TagResources'],
])(
  'a change of %s is one call, and its annotation gone changes nothing but tags (A-21, A-22)',
  async (word, value, call) => {
    const bench = new AlibabaBench();
    await bench.ensure(state());
    expect((await bench.ensure(state({ [word]: value }))).writes).toEqual([call]);
    const { writes } = await bench.ensure(state());
    expect(writes).toEqual(word === 'additional-resource-tags' ? ['UntagResources'] : []);
  },
);

test('a balancer of the user that has IPv6 is used and let go without a word about its family (A-23)', async () => {
  const bench = new AlibabaBench();
  const { LoadBalancerId } = bench.account.byHand('CreateLoadBalancer', {
    AddressType: 'internet',
    AddressIPVersion: 'ipv6',
    InstanceChargeType: 'PayByCLCU',
  }) as { readonly LoadBalancerId: string };
  const used = state({ id: LoadBalancerId });
  expect((await bench.ensure(used)).plan.problems).toEqual([]);
  expect((await bench.remove(used)).failed).toEqual([]);
  expect(bench.account.dump().loadBalancers[0]).toMatchObject({ TagsByKey: {}, VServerGroups: [] });
});

describe('ports and protocols that cannot be (A-24, A-25)', () => {
  const udp = [aPort({ protocol: 'UDP' })];
  test.each<[string, ClusterState, string]>([
    [
      'UDP 4789',
      state({}, { ports: [aPort({ port: 4_789, protocol: 'UDP' })] }),
      'error UnsupportedProtocol',
    ],
    ['SCTP', state({}, { ports: [aPort({ protocol: 'SCTP' })] }), 'error UnsupportedProtocol'],
    ['a word that is no protocol', state({ 'protocol-port': 'HTTPS:80' }), 'error InvalidAnnotation'],
    ['a port twice', state({ 'protocol-port': 'http:80,tcp:80' }), 'error InvalidAnnotation'],
    ['a port that is not there', state({ 'protocol-port': 'http:81' }), 'error InvalidAnnotation'],
    ['http on a UDP port', state({ 'protocol-port': 'http:80' }, { ports: udp }), 'error InvalidAnnotation'],
    ['https without a certificate', state({ 'protocol-port': 'https:80' }), 'error InvalidAnnotation'],
  ])('%s', (_name, given, expected) => {
    expect(problemsOf(given)).toContain(expected);
  });
});

test('a group that could not be read is not an empty one: the pass ends, and nothing is written (A-48)', async () => {
  const bench = new AlibabaBench();
  await bench.ensure(state());
  bench.restart();
  bench.account.faults.order({
    match: { operation: 'DescribeVServerGroupAttribute' },
    times: 'until-cleared',
    effect: { kind: 'error', code: 'InternalError' },
  });
  const before = bench.account.version;
  await expect(bench.ensure(state())).rejects.toMatchObject({ kind: 'transient' });
  expect(bench.account.version).toBe(before);
});

test('weights are left as they are where that is asked for (A-49)', async () => {
  const bench = new AlibabaBench();
  await bench.ensure(state({ 'default-weight': '50' }));
  expect(
    (await bench.ensure(state({ 'default-weight': '60', 'ignore-weight-update': 'on' }))).writes,
  ).toEqual([]);
  expect((await bench.ensure(state({ 'default-weight': '60' }))).writes).toEqual([
    'SetVServerGroupAttribute',
  ]);
});
