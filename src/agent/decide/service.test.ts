import { describe, expect, test } from 'vitest';
import { aNode, aNodeName, anEndpoint, aPort, aService, aSlice } from '../../core/fixtures.ts';
import type { EndpointSliceObject, ServiceObject } from '../../core/objects.ts';
import type { Decision } from '../decision.ts';
import { decideService, notServed } from './service.ts';
import { defaultSettings } from './settings.ts';
import type { AgentSettings } from './settings.ts';
import { viewNode } from './view.ts';
import type { NodeView } from './view.ts';

function seenFrom(change: Partial<AgentSettings> = {}, node: Parameters<typeof aNode>[1] = {}): NodeView {
  const settings: AgentSettings = { ...defaultSettings(aNodeName('n1')), scope: 'all', ...change };
  return viewNode(aNode('n1', { zone: 'z1', internalIPs: ['10.0.0.1', 'fd00::1'], ...node }), settings);
}

const here = anEndpoint('10.244.1.2', 'n1');
const there = anEndpoint('10.244.2.2', 'n2');
const leaving = { ready: false, serving: true, terminating: true };
const both = [aSlice('s1', [here, there])];

/** The decision for the one port of a Service in IPv4. */
function decideOne(
  service: Parameters<typeof aService>[0],
  slices: readonly EndpointSliceObject[] = both,
  view: NodeView = seenFrom(),
): Decision {
  const [decision, ...more] = decideService(aService(service), slices, view);
  if (decision === undefined || more.length > 0) throw new Error('one decision was expected');
  return decision;
}

describe('which Services count', () => {
  test.each<[string, Partial<ServiceObject>, AgentSettings['scope'], string | undefined]>([
    ['O1: a headless one does not', { headless: true, clusterIPs: [] }, 'all', 'Headless'],
    ['O1: one without any cluster IP does not', { clusterIPs: [] }, 'all', 'Headless'],
    [
      'O1: an ExternalName does not, though it has a stale cluster IP',
      { type: 'ExternalName' },
      'all',
      'ExternalName',
    ],
    [
      'O2: of another proxy does not',
      { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } },
      'all',
      'OtherProxy',
    ],
    [
      'O2: with an empty proxy name does not',
      { labels: { 'service.kubernetes.io/service-proxy-name': '' } },
      'all',
      'OtherProxy',
    ],
    [
      'O3: hidden by label does not',
      { labels: { 'service.kubernetes.io/headless': '' } },
      'all',
      'HiddenByLabel',
    ],
    ['scope all: any other does', {}, 'all', undefined],
    [
      'scope all: one labelled for us does',
      { labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' } },
      'all',
      undefined,
    ],
    ['scope labelled: one without the label does not', {}, 'labelled', 'NotLabelled'],
    [
      'scope labelled: one labelled for us does',
      { labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' } },
      'labelled',
      undefined,
    ],
    [
      'scope labelled: one of another proxy does not',
      { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } },
      'labelled',
      'OtherProxy',
    ],
  ])('%s', (_rule, change, scope, reason) => {
    const service = aService(change);

    expect(notServed(service, seenFrom({ scope }))).toBe(reason);
    expect(decideService(service, both, seenFrom({ scope })).length > 0).toBe(reason === undefined);
  });
});

describe('destinations', () => {
  test('O11: balancer addresses are those of its family that are not left to the balancer', () => {
    const ingress = [
      { ip: '203.0.113.2', ipMode: 'VIP' as const },
      { ip: '203.0.113.1' },
      { ip: '203.0.113.3', ipMode: 'Proxy' as const },
      { hostname: 'lb.example' },
      { ip: '2001:db8::1' },
    ];

    expect(decideOne({ ingress }).balancerIPs).toStrictEqual(['203.0.113.1', '203.0.113.2']);
  });

  test('O12: external addresses are of its family, sorted, once each, canonical', () => {
    const externalIPs = ['198.51.100.2', '2001:DB8:0::1', '198.51.100.1', '198.51.100.2'];
    const dual = { externalIPs, clusterIPs: ['10.96.0.10', 'fd00:96::10'] };
    const [four, six] = decideService(aService(dual), both, seenFrom());

    expect(four?.externalIPs).toStrictEqual(['198.51.100.1', '198.51.100.2']);
    expect(six?.externalIPs).toStrictEqual(['2001:db8::1']);
  });

  test('an address that is external and balancer IP is guarded as a balancer IP', () => {
    const decision = decideOne({ externalIPs: ['203.0.113.1'], ingress: [{ ip: '203.0.113.1' }] });

    expect(decision.externalIPs).toStrictEqual([]);
    expect(decision.balancerIPs).toStrictEqual(['203.0.113.1']);
  });

  test('O13: one port number in three protocols makes three decisions', () => {
    const ports = (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => aPort({ protocol, port: 53 }));
    const decisions = decideService(aService({ ports }), both, seenFrom({ families: ['IPv4'] }));

    expect(decisions.map(({ key }) => key)).toStrictEqual([
      'default/web:/tcp/ipv4',
      'default/web:/udp/ipv4',
      'default/web:/sctp/ipv4',
    ]);
    // The slice has the port for TCP only.
    expect(decisions.map(({ internal }) => internal.kind)).toStrictEqual(['balance', 'reject', 'reject']);
  });

  test('§1.16: a Service of one family has nothing in the other', () => {
    const six = aService({ clusterIPs: ['fd00:96::10'], externalIPs: ['198.51.100.1'] });

    expect(decideService(six, both, seenFrom()).map(({ family }) => family)).toStrictEqual(['IPv6']);
  });

  test('§1.16: a family that the agent does not serve has nothing', () => {
    expect(decideService(aService(), both, seenFrom({ families: ['IPv6'] }))).toStrictEqual([]);
  });

  test('A1: affinity is the time-out of the Service', () => {
    expect(decideOne({}).affinitySeconds).toBeUndefined();
    expect(decideOne({ sessionAffinity: 'ClientIP', sessionAffinityTimeout: 60 }).affinitySeconds).toBe(60);
  });

  test.each<[string, Partial<ServiceObject>, number]>([
    ['H1: a balancer Service of policy Local has a health check', { externalTrafficPolicy: 'Local' }, 31000],
    ['H1: of policy Cluster has none', {}, 0],
    ['H1: of type NodePort has none', { externalTrafficPolicy: 'Local', type: 'NodePort' }, 0],
  ])('%s', (_rule, change, port) => {
    expect(decideOne({ healthCheckNodePort: 31000, ...change }).healthCheckNodePort).toBe(port);
  });
});

describe('fates', () => {
  const local = { externalTrafficPolicy: 'Local' } as const;
  const inside = { internalTrafficPolicy: 'Local' } as const;
  const none: readonly EndpointSliceObject[] = [];
  const away = [aSlice('a', [there])];
  const waiting = [aSlice('a', [{ ...there, ready: false, serving: false }])];
  const fading = [aSlice('a', [{ ...there, ...leaving }])];

  test.each<
    [string, Partial<ServiceObject>, readonly EndpointSliceObject[], string, string, string | undefined]
  >([
    ['C1: policy Cluster balances over all', {}, both, 'cluster', 'cluster', undefined],
    ['§1.7: nothing anywhere is a reject', {}, none, 'reject', 'reject', undefined],
    ['§1.7: nobody ready anywhere is a reject', {}, waiting, 'reject', 'reject', undefined],
    ['C5: internal Local balances over local ones', inside, both, 'local', 'cluster', undefined],
    ['C5: none local but some elsewhere is a drop', inside, away, 'drop', 'cluster', undefined],
    ['C5: terminating ones elsewhere exist as well', inside, fading, 'drop', 'cluster', undefined],
    ['C5: nothing anywhere is a reject', inside, none, 'reject', 'reject', undefined],
    ['T(c): external Local balances over local ones', local, both, 'cluster', 'local', 'cluster'],
    ['T(d), T5: none local but some elsewhere is a drop', local, away, 'cluster', 'drop', 'cluster'],
    ['T1: the short cut exists without local ones', local, away, 'cluster', 'drop', 'cluster'],
    [
      '§1.7: external Local with nothing anywhere is a reject for all',
      local,
      none,
      'reject',
      'reject',
      'reject',
    ],
    ['T3: both policies Local', { ...local, ...inside }, away, 'drop', 'drop', 'cluster'],
    ['T3: internal Local beside external Cluster', { ...inside }, both, 'local', 'cluster', undefined],
  ])('%s', (_rule, change, slices, internal, external, shortcut) => {
    const decision = decideOne(change, slices);
    const text = (fate: Decision['shortcut']): string | undefined =>
      fate?.kind === 'balance' ? fate.to : fate?.kind;

    expect([text(decision.internal), text(decision.external), text(decision.shortcut)]).toStrictEqual([
      internal,
      external,
      shortcut,
    ]);
  });

  test('without an external destination the external policy is nobody’s concern', () => {
    const decision = decideOne({ ...local, type: 'ClusterIP', ports: [aPort({ nodePort: 0 })] }, away);

    expect([decision.shortcut, decision.external]).toStrictEqual([undefined, decision.internal]);
  });
});

describe('source ranges', () => {
  const vip = [{ ip: '203.0.113.1' }];

  test.each<[string, Partial<ServiceObject>, Partial<AgentSettings>, readonly string[] | undefined]>([
    ['L2: without ranges everybody is let in', { ingress: vip }, {}, undefined],
    [
      'L2: without a balancer IP there is nothing to guard',
      { sourceRanges: ['192.0.2.0/24'] },
      {},
      undefined,
    ],
    [
      'L2: ranges are canonical, sorted, none inside another',
      { ingress: vip, sourceRanges: ['198.18.7.7/15', '192.0.2.0/24', '192.0.2.128/25'] },
      {},
      ['192.0.2.0/24', '198.18.0.0/15'],
    ],
    [
      'L2: the whole family is everybody',
      { ingress: vip, sourceRanges: ['192.0.2.0/24', '0.0.0.0/0'] },
      {},
      undefined,
    ],
    [
      'L2: the node’s own address inside lets each balancer IP in',
      { ingress: vip, sourceRanges: ['10.0.0.0/8'] },
      {},
      ['10.0.0.0/8', '203.0.113.1/32'],
    ],
    [
      'O12: blanks around a range do not matter',
      { ingress: vip, sourceRanges: [' 192.0.2.0/24 '] },
      {},
      ['192.0.2.0/24'],
    ],
    [
      'O12: a malformed one is skipped',
      { ingress: vip, sourceRanges: ['192.0.2.0/24', '010.0.0.0/8'] },
      {},
      ['192.0.2.0/24'],
    ],
    [
      'O12, case 9: ranges of the other family only leave this one open',
      { ingress: vip, sourceRanges: ['2001:db8::/32'] },
      {},
      undefined,
    ],
    [
      'case 9, strict: they close it',
      { ingress: vip, sourceRanges: ['2001:db8::/32'] },
      { strictSourceRanges: true },
      [],
    ],
    ['no range can be read: closed', { ingress: vip, sourceRanges: ['010.0.0.0/8'] }, {}, []],
    ['N7: a node port alone is not guarded', { sourceRanges: ['192.0.2.0/24'] }, {}, undefined],
    [
      'guarding everything, it is',
      { sourceRanges: ['192.0.2.0/24'] },
      { guardEverything: true },
      ['192.0.2.0/24'],
    ],
    [
      'the annotation goes before the setting',
      { sourceRanges: ['192.0.2.0/24'], annotations: { 'sluice.dev/guard-everything': 'false' } },
      { guardEverything: true },
      undefined,
    ],
  ])('%s', (_rule, change, settings, ranges) => {
    expect(decideOne(change, both, seenFrom(settings)).sourceRanges).toStrictEqual(ranges);
  });

  test('L2: they stay while there are no endpoints, so that the first one is never open', () => {
    expect(decideOne({ ingress: vip, sourceRanges: ['192.0.2.0/24'] }, []).sourceRanges).toStrictEqual([
      '192.0.2.0/24',
    ]);
  });
});
