import { test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { agentWorld } from '../../../test/support/agent-worlds.ts';
import { aNode, aNodeName, anEndpoint, aService, aSlice } from '../../core/fixtures.ts';
import type { EndpointSliceObject, SliceEndpoint } from '../../core/objects.ts';
import { explainEndpoints } from './explain.ts';
import { decideService } from './service.ts';
import { defaultSettings } from './settings.ts';
import { viewNode } from './view.ts';

const view = viewNode(aNode('n1', { zone: 'z1' }), {
  ...defaultSettings(aNodeName('n1')),
  scope: 'all',
  families: ['IPv4'],
});

/** `cluster local` of each endpoint, in order of slices. */
function reasons(slices: readonly EndpointSliceObject[]): readonly string[] {
  const [port] = explainEndpoints(aService(), slices, view).ports;
  return port?.endpoints.map(({ cluster, local }) => `${cluster} ${local}`) ?? [];
}

const here = anEndpoint('10.244.1.2', 'n1');
const there = anEndpoint('10.244.2.2', 'n2');
const hidden = { ready: false, serving: false };
const leaving = { ready: false, serving: true, terminating: true };
const zone = (endpoint: SliceEndpoint, name: string) => ({ ...endpoint, hintZones: [name] });
const node = (endpoint: SliceEndpoint, name: string) => ({ ...endpoint, hintNodes: [name] });

describe('why an endpoint is used or left out', () => {
  test.each<[string, readonly EndpointSliceObject[], readonly string[]]>([
    ['R1: ready', [aSlice('a', [here, there])], ['Used Used', 'Used NotLocal']],
    ['R1: not ready', [aSlice('a', [{ ...here, ...hidden }])], ['NotReady NotReady']],
    [
      'R1: terminating and not serving',
      [aSlice('a', [{ ...here, ...hidden, terminating: true }])],
      ['NotServing NotServing'],
    ],
    ['R1: the last resort', [aSlice('a', [{ ...here, ...leaving }])], ['UsedTerminating UsedTerminating']],
    [
      'R2: the last resort of this node only',
      [aSlice('a', [{ ...here, ...leaving }, there])],
      ['TerminatingOthersReady UsedTerminating', 'Used NotLocal'],
    ],
    [
      'R3: terminating beside a ready one',
      [aSlice('a', [here, { ...anEndpoint('10.244.1.3', 'n1'), ...leaving }])],
      ['Used Used', 'TerminatingOthersReady TerminatingOthersReady'],
    ],
    [
      '§1.10: for another zone',
      [aSlice('a', [zone(here, 'z2'), zone(there, 'z1')])],
      ['OtherZoneHint Used', 'Used NotLocal'],
    ],
    [
      '§1.10: for another node',
      [aSlice('a', [node(here, 'n1'), node(there, 'n2')])],
      ['Used Used', 'OtherNodeHint NotLocal'],
    ],
    ['O9: repeated', [aSlice('a', [here]), aSlice('b', [here])], ['Used Used', 'Repeated Repeated']],
    [
      'O9: the fitter copy counts',
      [aSlice('a', [{ ...here, ...hidden }]), aSlice('b', [here])],
      ['Repeated Repeated', 'Used Used'],
    ],
    ['O3: hidden slice', [aSlice('a', [here], { headless: true })], ['SliceHidden SliceHidden']],
    [
      'O5: slice of names',
      [aSlice('a', [anEndpoint('pod.example', 'n1')], { addressType: 'FQDN' })],
      ['SliceOfNames SliceOfNames'],
    ],
    ['O6: no such port', [aSlice('a', [here], { ports: [] })], ['NoSuchPort NoSuchPort']],
    [
      'O6: port without a number',
      [
        aSlice('a', [here], {
          ports: [{ name: '', protocol: 'TCP', port: undefined, appProtocol: undefined }],
        }),
      ],
      ['PortWithoutNumber PortWithoutNumber'],
    ],
    ['O7: no address', [aSlice('a', [{ ...here, addresses: [] }])], ['NoAddress NoAddress']],
    [
      'an address that is none',
      [aSlice('a', [{ ...here, addresses: ['10.244.1'] }])],
      ['BadAddress BadAddress'],
    ],
  ])('%s', (_rule, slices, wanted) => {
    expect(reasons(slices)).toStrictEqual(wanted);
  });

  test('a Service that is not ours is explained with the reason', () => {
    expect(explainEndpoints(aService({ type: 'ExternalName' }), [], view).notServed).toBe('ExternalName');
  });

  property.prop([agentWorld])('who is said to be used is who is used', (world) => {
    const seen = viewNode(world.node, world.settings);
    for (const service of world.services) {
      const slices = world.slices.filter((slice) => slice.service === service.key);
      const { ports } = explainEndpoints(service, slices, seen);
      for (const decision of decideService(service, slices, seen)) {
        const port = ports.find(({ key }) => key === decision.key);
        const used = (list: 'cluster' | 'local') =>
          new Set(
            port?.endpoints
              .filter((one) => one[list].startsWith('Used'))
              .map(({ address, port: number }) => `${address} ${number}`),
          );
        const held = (list: 'cluster' | 'local') =>
          new Set(decision[list].map(({ address, port: number }) => `${address} ${number}`));
        const external = decision.shortcut !== undefined;
        const usesLocal = external || service.internalTrafficPolicy === 'Local';
        if (service.internalTrafficPolicy === 'Cluster')
          expect(used('cluster')).toStrictEqual(held('cluster'));
        if (usesLocal) expect(used('local')).toStrictEqual(held('local'));
      }
    }
  });
});
