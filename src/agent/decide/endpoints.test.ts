import { describe, expect, test } from 'vitest';
import { aNode, aNodeName, anEndpoint, aPort, aService, aSlice } from '../../core/fixtures.ts';
import type { EndpointSliceObject, SliceEndpoint } from '../../core/objects.ts';
import type { Decision } from '../decision.ts';
import { decideService } from './service.ts';
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
const gone = { ready: false, serving: false, terminating: true };
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

function addresses(list: Decision['cluster']): readonly string[] {
  return list.map(({ address, port, local }) => `${address}:${port}${local ? ' here' : ''}`);
}

describe('endpoints', () => {
  const hinted = (endpoint: SliceEndpoint, zones: readonly string[], nodes: readonly string[] = []) => ({
    ...endpoint,
    hintZones: zones,
    hintNodes: nodes,
  });

  test.each<[string, readonly EndpointSliceObject[], readonly string[], readonly string[]]>([
    [
      'O4: all slices of the Service count',
      [aSlice('a', [here]), aSlice('b', [there])],
      ['10.244.1.2:8080 here', '10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'O3: a hidden slice does not count',
      [aSlice('a', [here], { headless: true }), aSlice('b', [there])],
      ['10.244.2.2:8080'],
      [],
    ],
    [
      'O5: slices of another family or of names do not count',
      [
        aSlice('a', [here], { addressType: 'FQDN' }),
        aSlice('b', [anEndpoint('fd00::2', 'n1')], { addressType: 'IPv6' }),
      ],
      [],
      [],
    ],
    [
      'O6: each slice has its own number for a port name',
      [
        aSlice('a', [here]),
        aSlice('b', [there], { ports: [{ name: '', protocol: 'TCP', port: 9090, appProtocol: undefined }] }),
      ],
      ['10.244.1.2:8080 here', '10.244.2.2:9090'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'O6: another port name does not match',
      [aSlice('a', [here], { ports: [{ name: 'x', protocol: 'TCP', port: 1, appProtocol: undefined }] })],
      [],
      [],
    ],
    [
      'O6: a port without a number is skipped',
      [
        aSlice('a', [here], {
          ports: [{ name: '', protocol: 'TCP', port: undefined, appProtocol: undefined }],
        }),
      ],
      [],
      [],
    ],
    [
      'O6: a port with number 0 is skipped',
      [aSlice('a', [here], { ports: [{ name: '', protocol: 'TCP', port: 0, appProtocol: undefined }] })],
      [],
      [],
    ],
    [
      'O7: only the first address counts',
      [aSlice('a', [{ ...here, addresses: ['10.244.1.2', '10.244.1.9'] }])],
      ['10.244.1.2:8080 here'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'O9: one in two slices counts once',
      [aSlice('a', [here]), aSlice('b', [here, there])],
      ['10.244.1.2:8080 here', '10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'O9: of copies that disagree, local wins',
      [aSlice('a', [{ ...here, nodeName: undefined }]), aSlice('b', [here])],
      ['10.244.1.2:8080 here'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'O9: a copy that is not ready takes nothing away',
      [aSlice('a', [{ ...here, ready: false, serving: false }]), aSlice('b', [here])],
      ['10.244.1.2:8080 here'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'O10: without a node name it is not local',
      [aSlice('a', [anEndpoint('10.244.1.2', undefined)])],
      ['10.244.1.2:8080'],
      [],
    ],
    [
      'O10: the node name is compared exactly',
      [aSlice('a', [anEndpoint('10.244.1.2', 'N1')])],
      ['10.244.1.2:8080'],
      [],
    ],
    [
      'O14: sorted by address and port',
      [aSlice('a', [there, here])],
      ['10.244.1.2:8080 here', '10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'R1: who is not ready is left out',
      [aSlice('a', [here, { ...there, ready: false, serving: false }])],
      ['10.244.1.2:8080 here'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'R1: none ready, so those that serve while they terminate',
      [
        aSlice('a', [
          { ...here, ...leaving },
          { ...there, ...gone },
        ]),
      ],
      ['10.244.1.2:8080 here'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'R1: serving but neither ready nor terminating is left out',
      [aSlice('a', [{ ...here, ready: false, serving: true }])],
      [],
      [],
    ],
    [
      'R2: the local list falls back on its own',
      [aSlice('a', [{ ...here, ...leaving }, there])],
      ['10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'R3: ready and terminating are not mixed',
      [aSlice('a', [here, { ...there, ...leaving }])],
      ['10.244.1.2:8080 here'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'R4: a terminating one that is published as ready goes on',
      [aSlice('a', [{ ...here, terminating: true }])],
      ['10.244.1.2:8080 here'],
      ['10.244.1.2:8080 here'],
    ],
    [
      '§1.10: all hinted by zone, one to ours',
      [aSlice('a', [hinted(here, ['z2']), hinted(there, ['z1'])])],
      ['10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      '§1.10: one hint is missing, so none holds',
      [aSlice('a', [here, hinted(there, ['z1'])])],
      ['10.244.1.2:8080 here', '10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      '§1.10: one hint is missing, in whatever order',
      [aSlice('a', [hinted(here, ['z1']), there])],
      ['10.244.1.2:8080 here', '10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      '§1.10: no hint names our zone, so none holds',
      [aSlice('a', [hinted(here, ['z2']), hinted(there, ['z2'])])],
      ['10.244.1.2:8080 here', '10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      '§1.10: hints of who is not ready do not matter',
      [aSlice('a', [{ ...here, ready: false }, hinted(there, ['z1'])])],
      ['10.244.2.2:8080'],
      [],
    ],
    [
      '§1.10: node hints go before zone hints',
      [aSlice('a', [hinted(here, ['z2'], ['n1']), hinted(there, ['z1'], ['n2'])])],
      ['10.244.1.2:8080 here'],
      ['10.244.1.2:8080 here'],
    ],
    [
      '§1.10: no node hint names us, so zone hints hold',
      [aSlice('a', [hinted(here, ['z2'], ['n3']), hinted(there, ['z1'], ['n2'])])],
      ['10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      '§1.10: terminating ones that stand in heed no hints',
      [aSlice('a', [hinted({ ...here, ...leaving }, ['z2']), hinted({ ...there, ...leaving }, ['z1'])])],
      ['10.244.1.2:8080 here', '10.244.2.2:8080'],
      ['10.244.1.2:8080 here'],
    ],
    [
      'an address that is none is left out',
      [aSlice('a', [anEndpoint('10.244.1', 'n1'), { ...there, addresses: [] }, there])],
      ['10.244.2.2:8080'],
      [],
    ],
  ])('%s', (_rule, slices, cluster, local) => {
    const decision = decideOne({ externalTrafficPolicy: 'Local' }, slices);

    expect(addresses(decision.cluster)).toStrictEqual(cluster);
    expect(addresses(decision.local)).toStrictEqual(local);
  });

  test('O14: of copies with different hints the slice that comes first by name counts, in whatever order they came', () => {
    const copies = [
      aSlice('a', [hinted(here, ['z1']), hinted(there, ['z1'])]),
      aSlice('b', [hinted(here, ['z2']), hinted(there, ['z1'])]),
    ];

    expect(decideOne({}, copies).cluster).toHaveLength(2);
    expect(decideOne({}, copies.toReversed()).cluster).toHaveLength(2);
  });

  test('§1.10: a node without a zone heeds no zone hints', () => {
    const slices = [aSlice('a', [hinted(here, ['']), hinted(there, ['z1'])])];

    expect(decideOne({}, slices, seenFrom({}, { zone: '' })).cluster).toHaveLength(2);
  });

  test('a list that no policy asks for is empty, so that it cannot make decisions differ', () => {
    expect(decideOne({}).local).toStrictEqual([]);
    const closed = { internalTrafficPolicy: 'Local', ports: [aPort({ nodePort: 0 })] } as const;
    expect(decideOne(closed).cluster).toStrictEqual([]);
  });

  test('equal lists are one array', () => {
    const decision = decideOne({ externalTrafficPolicy: 'Local' }, [aSlice('a', [here])]);

    expect(decision.local).toBe(decision.cluster);
  });

  test('weights follow the annotation, and equal weights are one', () => {
    const annotations = { 'sluice.dev/weights': '10.244.1.2=6,node:n2=4,default=2' };
    const decision = decideOne({ annotations, externalTrafficPolicy: 'Local' });

    expect(decision.cluster.map(({ weight }) => weight)).toStrictEqual([3, 2]);
    expect(decision.local.map(({ weight }) => weight)).toStrictEqual([1]);
  });
});
