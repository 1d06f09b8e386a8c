import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { AddressPoolObject, ServiceAddressObject } from '../core/address-objects.ts';
import { aNode, aNodeName, anEndpoint, aService, aSlice } from '../core/fixtures.ts';
import type { Condition, NodeObject, ServiceObject, Uid } from '../core/objects.ts';
import { agents } from './address-verdict.ts';
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
  };
}

const from = '192.0.2.99';
const silent: PathCheck = { kind: 'silent', port: 80, message: 'nothing within 2 s', from };
const refused: PathCheck = { kind: 'refused', port: 80, from };
const unwanted = aService({ ingress: [] });
const local = aService({ ingress: service.ingress, externalTrafficPolicy: 'Local' });

test('the agents are named as the manifests name them', async () => {
  const read = async (name: string): Promise<Record<string, unknown>> =>
    parse(
      await readFile(new URL(`../../manifests/overlays/agent/${name}`, import.meta.url), 'utf8'),
    ) as Record<string, unknown>;
  const overlay = (await read('kustomization.yaml')) as {
    readonly namespace: string;
    readonly labels: readonly { readonly pairs: Record<string, string> }[];
  };
  const daemon = (await read('daemon-set.yaml')) as {
    readonly spec: { readonly template: { readonly metadata: { readonly labels: Record<string, string> } } };
  };
  expect(agents.namespace).toBe(overlay.namespace);
  for (const label of agents.labels.split(',')) {
    const [key = '', value] = label.split('=');
    expect(daemon.spec.template.metadata.labels[key]).toBe(value);
  }
});

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
      /^kubectl get pods --all-namespaces .*component=agent$/u,
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
      /get pods --all-namespaces .*component=agent$/u,
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
      /^kubectl -n sluice-agent logs -l .*component=agent /u,
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
      /get pods --all-namespaces .*component=agent$/u,
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
      /^sluice explain --node n1 --from 192\.0\.2\.99 --to 192\.0\.2\.10:80 --scope all$/u,
    ],
    [
      'the same for a Service that the agent carries',
      {
        path: silent,
        object: object({ conditions: [asked] }),
        service: { ...service, labels: { 'service.kubernetes.io/service-proxy-name': 'sluice' } },
      },
      /connection from here/u,
      /--to 192\.0\.2\.10:80$/u,
    ],
    [
      'the port is refused although pods are ready',
      { path: refused },
      /port 80 is refused: .*kube-proxy/u,
      /^sluice explain --node n1 --from 192\.0\.2\.99 --to 192\.0\.2\.10:80 --scope all$/u,
    ],
    [
      'this machine has no way to there',
      {
        path: { ...silent, message: 'ENETUNREACH', from: undefined },
        object: object({ conditions: [asked] }),
      },
      /ENETUNREACH/u,
      /^ip route get 192\.0\.2\.10$/u,
    ],
    [
      'this machine is outside the source ranges',
      { path: silent, service: { ...service, sourceRanges: ['198.51.100.0/24', '2001:db8::/32'] } },
      /lets in only 198\.51\.100\.0\/24, 2001:db8::\/32 .*asks as 192\.0\.2\.99/u,
      /^kubectl -n default edit service web$/u,
    ],
    [
      'the only pod was on the node that is lost',
      {
        nodes: [aNode('n1'), aNode('n2', { ready: 'Unknown' })],
        slices: [aSlice('s', [anEndpoint('10.0.0.2', 'n2')], { service: service.key })],
        path: silent,
      },
      /node n1 answers for .*all pods of the Service are on node n2, which is not ready/u,
      /^kubectl describe node n2$/u,
    ],
    [
      'the same once its endpoint is known not to be ready',
      {
        nodes: [aNode('n1'), aNode('n2', { ready: 'Unknown' })],
        slices: [
          aSlice('s', [anEndpoint('10.0.0.2', 'n2', { ready: false, serving: false })], {
            service: service.key,
          }),
        ],
      },
      /all pods of the Service are on node n2/u,
      /^kubectl describe node n2$/u,
    ],
    [
      'the same under policy Local',
      {
        service: local,
        nodes: [aNode('n1'), aNode('n2', { ready: 'Unknown' })],
        slices: [
          aSlice('s', [anEndpoint('10.0.0.2', 'n2', { ready: false, serving: false })], {
            service: service.key,
          }),
        ],
      },
      /no node may announce .*all pods of the Service are on node n2/u,
      /^kubectl describe node n2$/u,
    ],
  ])('%s', (_name, over, verdict, command) => {
    const [story] = addressStories(given(over));
    expect(story).toMatchObject({ ok: false });
    expect(story?.verdict).toMatch(verdict);
    expect(story?.command).toMatch(command);
  });

  test('a lost node says nothing against a Service that has a pod elsewhere', () => {
    const [story] = addressStories(
      given({
        nodes: [aNode('n1'), aNode('n2', { ready: 'Unknown' })],
        slices: [
          aSlice('s', [anEndpoint('10.0.0.1', 'n1'), anEndpoint('10.0.0.2', 'n2')], { service: service.key }),
        ],
      }),
    );
    expect(story).toMatchObject({ ok: true });
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
