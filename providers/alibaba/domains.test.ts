/** Certificates for single domains: a change of one is applied, and only ours are taken off. */
import { describe, expect, test } from 'vitest';
import { aPort, aService } from '../../src/core/fixtures.ts';
import { AlibabaBench, anEcsNode, withoutNews } from '../../test/support/alibaba-bench.ts';
import type { ClusterState } from '../../test/support/alibaba-bench.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';

function state(named: string | undefined, more: Readonly<Record<string, string>> = {}): ClusterState {
  const words = {
    'protocol-port': 'https:443',
    'cert-id': 'main',
    ...(named === undefined ? {} : { 'domain-extensions': named }),
    ...more,
  };
  const annotations = Object.fromEntries(
    Object.entries(words).map(([word, value]) => [`${prefix}${word}`, value]),
  );
  const service = aService({ ports: [aPort({ port: 443, nodePort: 30_443 })], annotations });
  return { service, nodes: [anEcsNode('n1')], slices: [] };
}

function domains(bench: AlibabaBench): readonly string[] {
  const listener = bench.account.dump().loadBalancers[0]?.Listeners[0];
  return (listener?.DomainExtensions ?? [])
    .map((one) => `${one.Domain} ${one.ServerCertificateId}`)
    .toSorted();
}

const writesOf = (writes: readonly string[]) => writes.filter((one) => one.includes('Domain'));

test('made with the listener, changed one by one, taken off when they are no longer named', async () => {
  const bench = new AlibabaBench();
  const first = state('a.example.com:c1,*.b.example.com:c2');
  expect((await bench.ensure(first)).failed).toEqual([]);
  expect(domains(bench)).toEqual(['*.b.example.com c2', 'a.example.com c1']);
  expect((await bench.ensure(first)).plan.steps).toEqual([]);
  bench.restart();
  expect((await bench.ensure(first)).plan.steps).toEqual([]);
  expect(writesOf((await bench.ensure(state('a.example.com:c9,*.b.example.com:c2'))).writes)).toEqual([
    'SetDomainExtensionAttribute',
  ]);
  bench.restart();
  expect(writesOf((await bench.ensure(state('a.example.com:c9'))).writes)).toEqual(['DeleteDomainExtension']);
  expect(domains(bench)).toEqual(['a.example.com c9']);
  expect((await bench.ensure(state('a.example.com:c9'))).plan.steps).toEqual([]);
});

test('those that somebody else put on stay, and without the annotation all stay', async () => {
  const bench = new AlibabaBench();
  const { after } = await bench.ensure(state('a.example.com:c1'));
  bench.account.byHand('CreateDomainExtension', {
    LoadBalancerId: after.balancer?.id,
    ListenerPort: 443,
    Domain: 'by-hand.example.com',
    ServerCertificateId: 'c3',
  });
  await bench.ensure(state('b.example.com:c1'));
  const both = ['b.example.com c1', 'by-hand.example.com c3'];
  expect(domains(bench)).toEqual(both);
  const { writes, calls } = await bench.ensure(state(undefined));
  expect(writes).toEqual([]);
  expect(calls).not.toContain('DescribeDomainExtensions');
  expect(domains(bench)).toEqual(both);
});

test('what the plan thinks of them afterwards is what a look finds', async () => {
  const bench = new AlibabaBench();
  await bench.ensure(state('a.example.com:c1,b.example.com:c2'));
  const { after } = await bench.ensure(state('a.example.com:c3'));
  bench.restart();
  const { before } = await bench.ensure(state('a.example.com:c3'));
  expect(withoutNews(after)).toEqual(withoutNews(before));
});

test('a full quota keeps out what there is no room for, and nothing else', async () => {
  const bench = new AlibabaBench();
  const { failed } = await bench.ensure(state('a.x.y:c,b.x.y:c,c.x.y:c,d.x.y:c'));
  expect(failed.map(({ error }) => error.kind)).toEqual(['quota']);
  expect(domains(bench)).toHaveLength(3);
});

test('an expired certificate is not put in use for a domain, one in use is told', async () => {
  const bench = new AlibabaBench({ settings: { expiredCertificates: ['old'] } });
  const { plan } = await bench.ensure(state('a.example.com:old,b.example.com:c1'));
  expect(plan.problems).toMatchObject([
    { reason: 'CertificateUnusable', field: `metadata.annotations["${prefix}domain-extensions"]` },
  ]);
  expect(domains(bench)).toEqual(['b.example.com c1']);
  const kept = await bench.ensure(state('b.example.com:old'));
  expect(kept.plan.problems[0]?.message).toContain('c1 stays in use');
  expect(domains(bench)).toEqual(['b.example.com c1']);
});

describe('refused', () => {
  test.each([
    'a.example.com',
    'a.example.com:',
    ':c1',
    'a b:c1',
    'a.example.com:c1,a.example.com:c2',
    'host:c1',
  ])('"%s"', (text) => {
    const { problems } = new AlibabaBench().provider.parse(state(text).service);
    expect(problems[0]).toMatchObject({ severity: 'error', reason: 'InvalidAnnotation' });
  });

  test('without an https port it has no effect, and that is told', () => {
    const plain = state('a.example.com:c1', { 'protocol-port': 'tcp:443' });
    const { problems } = new AlibabaBench().provider.parse(plain.service);
    expect(problems.map(({ reason }) => reason)).toContain('IneffectiveSetting');
  });
});
