import { describe, expect, test } from 'vitest';
import type { AddressPoolObject, ServiceAddressObject } from '../core/address-objects.ts';
import { aNode, aNodeName, anEndpoint, aService, aSlice } from '../core/fixtures.ts';
import type { Condition, NodeObject, ServiceObject, Uid } from '../core/objects.ts';
import { addressStories, storyLines, type AddressInput } from './explain-address.ts';
import type { PathCheck } from './path-check.ts';

const address = '192.0.2.10';
const service = aService({ ingress: [{ ip: address, ipMode: 'VIP' }] });
const pool = { name: 'office', nodeSelectors: [], interfaces: [] } as unknown as AddressPoolObject;
const holder = {
  node: aNodeName('n1'),
  interface: 'eth0',
  mac: '02:00:00:00:00:01',
  since: '2026-01-01T00:00:00Z',
  reason: 'elected',
};

function object(over: Partial<ServiceAddressObject> = {}): ServiceAddressObject {
  return {
    name: 'v4-192-0-2-10',
    uid: 'uid' as Uid,
    resourceVersion: '1',
    address,
    pool: 'office',
    services: [{ key: service.key, uid: service.uid }],
    rememberedFor: undefined,
    probeAfter: undefined,
    probe: undefined,
    holder,
    conditions: [],
    ...over,
  };
}

function condition(type: string, status: Condition['status'], reason: string, message: string): Condition {
  return { type, status, reason, message, lastTransitionTime: '2026-01-01T00:00:00Z' };
}

const asked = condition('Asked', 'True', 'Announced', 'neighbours asked twice');

function given(
  over: {
    object?: ServiceAddressObject | undefined;
    service?: ServiceObject;
    nodes?: readonly NodeObject[];
    path?: PathCheck;
    slices?: AddressInput['slices'];
    pool?: AddressPoolObject;
  } = {},
): AddressInput {
  const one = 'object' in over ? over.object : object();
  return {
    service: over.service ?? service,
    slices: over.slices ?? [aSlice('s', [anEndpoint('10.0.0.1', 'n1')], { service: service.key })],
    nodes: over.nodes ?? [aNode('n1'), aNode('n2')],
    objects: one === undefined ? [] : [one],
    pools: [over.pool ?? pool],
    paths: new Map([[address, over.path ?? { kind: 'answered', port: 80, ms: 3 }]]),
    namespace: 'sluice-system',
  };
}

const silent: PathCheck = { kind: 'silent', port: 80, message: 'nothing within 2 s' };
const unwanted = aService({ ingress: [] });
const local = aService({ ingress: service.ingress, externalTrafficPolicy: 'Local' });

describe('why an address does not answer, and the one command', () => {
  test.each<[string, Parameters<typeof given>[0], RegExp, RegExp]>([
    [
      'nothing says whose it is',
      { object: undefined },
      /no ServiceAddress/u,
      /get serviceaddresses v4-192-0-2-10/u,
    ],
    [
      'nobody has asked the link yet',
      { service: unwanted, object: object({ holder: undefined, probeAfter: '2026-01-01T00:00:00Z' }) },
      /asked the link/u,
      /rollout status daemonset\/sluice-agent/u,
    ],
    [
      'taken on the link',
      {
        service: unwanted,
        object: object({
          holder: undefined,
          probe: {
            node: aNodeName('n1'),
            interface: 'eth0',
            at: '2026-01-01T00:00:00Z',
            outcome: 'taken',
            mac: '02:99',
          },
        }),
      },
      /taken on the link by 02:99/u,
      /edit addresspool office/u,
    ],
    [
      'policy Local and no endpoint',
      { service: local, slices: [] },
      /no serving endpoint.*no pod is ready anywhere/u,
      /^kubectl -n default get pods -o wide -l app=web$/u,
    ],
    [
      'policy Local, and the pods are where the pool chooses no node',
      {
        service: local,
        nodes: [aNode('n1', { labels: { rack: 'a' } }), aNode('n2', { labels: { rack: 'b' } })],
        pool: { ...pool, nodeSelectors: [{ matchLabels: { rack: 'b' }, matchExpressions: [] }] },
      },
      /pods run on nodes that may not announce/u,
      /patch service web .*"externalTrafficPolicy":"Cluster"/u,
    ],
    [
      'policy Local, and the holder has lost its endpoint',
      { service: local, slices: [aSlice('s', [anEndpoint('10.0.0.2', 'n2')], { service: service.key })] },
      /node n1 answers for 192\.0\.2\.10 until n2 does: .*no serving endpoint/u,
      /rollout status/u,
    ],
    [
      'the pool chooses no node',
      { pool: { ...pool, nodeSelectors: [{ matchLabels: { rack: 'b' }, matchExpressions: [] }] } },
      /no node selector of pool office/u,
      /edit addresspool office/u,
    ],
    [
      'the node is about to be removed',
      { nodes: [aNode('n1', { deleting: true })] },
      /being deleted/u,
      /^kubectl describe node n1$/u,
    ],
    ['there are no nodes', { nodes: [] }, /the cluster has no nodes/u, /^kubectl get nodes$/u],
    [
      'the agents do not hear each other',
      {
        object: object({
          holder: undefined,
          conditions: [condition('Announced', 'False', 'NoMajority', 'let UDP pass')],
        }),
      },
      /let UDP pass/u,
      /logs -l app\.kubernetes\.io\/component=agent/u,
    ],
    [
      'the interface is down',
      {
        object: object({
          holder: undefined,
          conditions: [condition('Announced', 'False', 'LinkDown', 'interface eth1 is down (seen on n1)')],
        }),
        pool: { ...pool, interfaces: ['eth1'] },
      },
      /bring it up/u,
      /^ip link set dev eth1 up$/u,
    ],
    [
      'the link could not be asked',
      {
        service: unwanted,
        object: object({
          holder: undefined,
          probe: {
            node: aNodeName('n1'),
            interface: '',
            at: '2026-01-01T00:00:00Z',
            outcome: 'failed',
            message: 'the pool names interface eth9; the node has eth0',
          },
        }),
      },
      /could not ask the link.*eth9/u,
      /edit addresspool office/u,
    ],
    [
      'the nodes are excluded',
      { nodes: [aNode('n1', { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } })] },
      /no node may announce/u,
      /kubectl label node n1 .*-$/u,
    ],
    [
      'no agent is heard',
      {
        object: object({
          holder: undefined,
          conditions: [condition('Announced', 'False', 'NoAgentThere', 'no agent is heard on n1')],
        }),
      },
      /no agent is heard on n1/u,
      /rollout status/u,
    ],
    [
      'the interface is not there',
      {
        object: object({
          holder: undefined,
          conditions: [condition('Announced', 'False', 'InterfaceMissing', 'the pool names interface eth9')],
        }),
      },
      /eth9/u,
      /edit addresspool office/u,
    ],
    [
      'two hosts answer',
      {
        object: object({ conditions: [condition('Contested', 'True', 'AddressContested', '02:99 says so')] }),
      },
      /two hosts/u,
      /edit addresspool/u,
    ],
    [
      'nobody serves',
      { slices: [] },
      /no endpoint is ready to serve: there is none/u,
      /get pods -o wide -l app=web/u,
    ],
    ['never asked for', { path: silent }, /no neighbour has asked/u, /ip route get 192\.0\.2\.10/u],
    [
      'asked for, and the path ends behind the node',
      { path: silent, object: object({ conditions: [asked] }) },
      /connection from here to port 80/u,
      /sluice explain --node n1 --from/u,
    ],
  ])('%s', (_name, over, verdict, command) => {
    const [story] = addressStories(given(over));
    expect(story).toMatchObject({ ok: false });
    expect(story?.verdict).toMatch(verdict);
    expect(story?.command).toMatch(command);
  });

  test('all is well: the whole way in a few lines', () => {
    const [story] = addressStories(given({ object: object({ conditions: [asked] }) }));
    expect(story).toMatchObject({ ok: true, command: '', nodes: ['n1', 'n2'] });
    const text = story === undefined ? '' : storyLines(story).join('\n');
    for (const part of [
      'from pool office',
      'n1 on eth0 (02:00:00:00:00:01)',
      'asked twice',
      'answers in 3 ms',
    ])
      expect(text).toContain(part);
  });
});
