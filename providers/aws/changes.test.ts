/** Changes of a Service that has its balancer: in place where AWS allows it, else told (the replacement matrix). */
import { expect, test } from 'vitest';
import { aPort, aService } from '../../src/core/fixtures.ts';
import { Bench, cluster } from '../../test/support/aws-bench.ts';
import type { ClusterState, Pass } from '../../test/support/aws-bench.ts';
import type { ServiceObject } from '../../src/core/objects.ts';

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
const arn = (name: string): string => `arn:aws:acm:eu-west-1:123456789012:certificate/${name}`;

function service(
  annotations: Readonly<Record<string, string>> = {},
  more: Partial<ServiceObject> = {},
): ClusterState {
  const prefixed = Object.entries(annotations).map(([key, value]) => [`${prefix}${key}`, value]);
  return cluster({ service: aService({ annotations: Object.fromEntries(prefixed), ...more }) });
}

async function change(before: ClusterState, after: ClusterState): Promise<Pass & { readonly bench: Bench }> {
  const bench = new Bench();
  expect((await bench.ensure(before)).failed).toEqual([]);
  const pass = await bench.ensure(after);
  expect(pass.failed).toEqual([]);
  expect((await bench.ensure(after)).plan.steps).toEqual([]);
  return { ...pass, bench };
}

const operations = ({ plan }: Pass): readonly string[] => plan.steps.map(({ operation }) => operation);
const tcp = (port: number, nodePort = 30_000 + port): ServiceObject['ports'][number] =>
  aPort({ name: `t${port}`, port, nodePort });
const udp = (port: number, nodePort = 30_000 + port): ServiceObject['ports'][number] =>
  aPort({ name: `u${port}`, port, nodePort, protocol: 'UDP' });

test.each<[string, ClusterState, ClusterState, readonly string[]]>([
  ['nothing', service(), service(), []],
  ["somebody else's annotation", service(), service({}, { annotations: { 'example.com/x': '1' } }), []],
  ['health check', service(), service({ 'healthcheck-interval': '30' }), ['ModifyTargetGroup']],
  [
    'an attribute that is asked for',
    service(),
    service({ 'cross-zone-load-balancing-enabled': 'true' }),
    ['AddTags', 'ModifyLoadBalancerAttributes'],
  ],
  [
    'an attribute that is no longer asked for: back to its default, and off the record',
    service({ 'cross-zone-load-balancing-enabled': 'true' }),
    service(),
    ['ModifyLoadBalancerAttributes', 'RemoveTags'],
  ],
  [
    'proxy protocol',
    service(),
    service({ 'proxy-protocol': '*' }),
    ['AddTags', 'ModifyTargetGroupAttributes'],
  ],
  ['subnets', service({ subnets: 'subnet-c' }), service({ subnets: 'subnet-c,subnet-d' }), ['SetSubnets']],
  [
    'security groups',
    service({ 'security-groups': 'sg-1' }),
    service({ 'security-groups': 'sg-2,sg-1' }),
    ['SetSecurityGroups'],
  ],
  [
    'port: the new listener comes before the old one goes',
    service({}, { ports: [tcp(80)] }),
    service({}, { ports: [tcp(81)] }),
    ['CreateTargetGroup', 'RegisterTargets', 'CreateListener', 'DeleteListener', 'DeleteTargetGroup'],
  ],
  [
    'fifty ports, all other ones: old listeners go first where the balancer is full',
    service({}, { ports: Array.from({ length: 50 }, (_, i) => tcp(100 + i)) }),
    service({}, { ports: [...Array.from({ length: 49 }, (_, i) => tcp(100 + i)), tcp(200)] }),
    ['CreateTargetGroup', 'RegisterTargets', 'DeleteListener', 'CreateListener', 'DeleteTargetGroup'],
  ],
  [
    'TCP to TLS: the listener is changed, the group stays',
    service(),
    service({ 'ssl-cert': arn('a') }),
    ['ModifyListener'],
  ],
  [
    'the default certificate',
    service({ 'ssl-cert': arn('a') }),
    service({ 'ssl-cert': arn('b') }),
    ['ModifyListener'],
  ],
  [
    'one more certificate',
    service({ 'ssl-cert': arn('a') }),
    service({ 'ssl-cert': `${arn('a')},${arn('b')}` }),
    ['AddTags', 'AddListenerCertificates'],
  ],
  [
    'one certificate less',
    service({ 'ssl-cert': `${arn('a')},${arn('b')}` }),
    service({ 'ssl-cert': arn('a') }),
    ['RemoveListenerCertificates', 'RemoveTags'],
  ],
  [
    'UDP joins TCP on a port: another group, and the listener is turned to it',
    service({}, { ports: [tcp(53)] }),
    service({}, { ports: [tcp(53), udp(53)] }),
    ['CreateTargetGroup', 'RegisterTargets', 'ModifyListener', 'DeleteTargetGroup'],
  ],
  [
    'UDP leaves again',
    service({}, { ports: [tcp(53), udp(53)] }),
    service({}, { ports: [tcp(53)] }),
    ['CreateTargetGroup', 'RegisterTargets', 'ModifyListener', 'DeleteTargetGroup'],
  ],
  [
    'session affinity',
    service(),
    service({}, { sessionAffinity: 'ClientIP' }),
    ['AddTags', 'ModifyTargetGroupAttributes'],
  ],
])('change of %s', async (_, before, after, expected) => {
  expect(operations(await change(before, after))).toEqual(expected);
});

test('a listener is turned to another group only after that group has its targets', async () => {
  const pass = await change(service({}, { ports: [tcp(53)] }), service({}, { ports: [tcp(53), udp(53)] }));

  const turn = pass.plan.steps.find(({ operation }) => operation === 'ModifyListener');
  expect(turn?.needs).toEqual(['registerTargets.53-TCP_UDP']);
});

test.each<[string, ClusterState, ClusterState, object]>([
  [
    'scheme',
    service({ scheme: 'internal' }),
    service({ scheme: 'internet-facing' }),
    { severity: 'error', reason: 'ReplacementRequired' },
  ],
  ['name', service(), service({ name: 'chosen' }), { severity: 'warning', reason: 'ImmutableSetting' }],
  [
    'security groups on a balancer made without',
    service(),
    service({ 'security-groups': 'sg-1' }),
    { severity: 'error', reason: 'ReplacementRequired' },
  ],
  [
    'security groups taken away',
    service({ 'security-groups': 'sg-1' }),
    service(),
    { severity: 'warning', reason: 'ImmutableSetting' },
  ],
  [
    'Elastic IPs of zones that are there',
    service({ scheme: 'internet-facing', 'eip-allocations': 'eipalloc-1,eipalloc-2' }),
    service({ scheme: 'internet-facing', 'eip-allocations': 'eipalloc-3,eipalloc-2' }),
    { severity: 'error', reason: 'ReplacementRequired' },
  ],
])(
  'change of %s is told with the way out, and everything else goes on',
  async (_, before, after, problem) => {
    const port = { ...after, service: { ...after.service, ports: [tcp(81)] } };

    const pass = await change(before, port);

    expect(pass.plan.problems).toMatchObject([problem]);
    expect(operations(pass)).toContain('CreateListener');
    expect(pass.bench.account.dump().loadBalancers).toHaveLength(1);
  },
);

test('a balancer keeps its scheme and subnets when the Service does not say and the settings change', async () => {
  const bench = new Bench();
  await bench.ensure(service({ scheme: 'internet-facing' }));

  const { plan } = await bench.ensure(service());

  expect(plan.steps).toEqual([]);
  expect(plan.problems).toEqual([]);
});

test('the address is the lower-case name with every port and protocol, once the balancer is active', async () => {
  const bench = new Bench({ settings: { delays: { provisioningMs: 60_000 } } });
  const state = service({}, { ports: [tcp(53), udp(53), tcp(80)] });
  const wanted = bench.wanted(state);

  const { after } = await bench.ensure(state);
  expect(bench.provider.addresses(wanted, after)).toMatchObject({ kind: 'pending' });
  await bench.clock.advance(61_000);

  expect(bench.provider.addresses(wanted, await bench.look(state))).toEqual({
    kind: 'ready',
    ingress: [
      {
        hostname: expect.stringMatching(/^[a-z0-9.-]+$/),
        ports: [
          { port: 53, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
          { port: 80, protocol: 'TCP' },
        ],
      },
    ],
  });
  expect(bench.provider.targets(wanted, await bench.look(state)).groups).toEqual([
    { listener: '53/TCP+UDP', healthy: 2, total: 2, reason: '', settling: false },
    { listener: '80/TCP', healthy: 2, total: 2, reason: '', settling: false },
  ]);
});
