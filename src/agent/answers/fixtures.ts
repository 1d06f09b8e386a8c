/** A small world to ask about: one Service on two nodes, and what else a question may name. */
import { aNode, aNodeName, aPort, aService, aSlice, anEndpoint } from '../../core/fixtures.ts';
import type { NodeObject, ServiceObject } from '../../core/objects.ts';
import { defaultSettings } from '../decide/settings.ts';
import type { AgentSettings } from '../decide/settings.ts';
import { readFrom, readTo } from './question.ts';
import type { Around, Picture, Question } from './resolve.ts';

export const testSettings: AgentSettings = {
  ...defaultSettings(aNodeName('n1')),
  scope: 'all',
  detectLocal: { kind: 'cluster-cidr', cidrs: ['10.244.0.0/16'] },
};

export function testPicture(
  service: Partial<Omit<ServiceObject, 'key'>> = {},
  more: Partial<Picture> = {},
): Picture {
  return {
    services: [aService({ ports: [aPort({ name: 'http' })], ...service })],
    slices: [
      aSlice(
        'web-a',
        [
          anEndpoint('10.244.1.2', 'n1'),
          anEndpoint('10.244.2.2', 'n2'),
          anEndpoint('10.244.2.3', 'n2', { ready: false, serving: false }),
        ],
        { ports: [{ name: 'http', protocol: 'TCP', port: 8080, appProtocol: undefined }] },
      ),
    ],
    nodes: [
      aNode('n1', { internalIPs: ['10.0.0.1'] }),
      aNode('n2', { internalIPs: ['10.0.0.2'] }),
      aNode('n3', { internalIPs: ['10.0.0.3'] }),
    ],
    pods: [
      { namespace: 'default', name: 'web-1', addresses: ['10.244.1.2'], node: 'n1', hostNetwork: false },
      { namespace: 'shop', name: 'cart', addresses: ['10.244.2.9'], node: 'n2', hostNetwork: false },
      { namespace: 'default', name: 'new', addresses: [], node: undefined, hostNetwork: false },
    ],
    namespace: 'default',
    unread: [],
    ...more,
  };
}

export function addressesOf(node: NodeObject | undefined): ReadonlySet<string> {
  return new Set(['127.0.0.1', '::1', ...(node?.internalIPs ?? []), ...(node?.externalIPs ?? [])]);
}

export function testAround(over: Partial<Around> = {}): Around {
  return { ownName: undefined, addressesOf, settings: testSettings, ...over };
}

/** A question as it stands on the command line. */
export function ask(from: string, to: string, over: Partial<Question> = {}): Question {
  const [a, b] = [readFrom(from), readTo(to)];
  if ('mistake' in a) throw new TypeError(a.mistake);
  if ('mistake' in b) throw new TypeError(b.mistake);
  return { from: a.value, to: b.value, node: undefined, interface: undefined, ...over };
}
