import { describe, expect, test } from 'vitest';
import type { AddressPoolObject, ServiceAddressObject } from '../../core/address-objects.ts';
import { aNode, anEndpoint, aService, aSlice } from '../../core/fixtures.ts';
import type { EndpointSliceObject, NodeObject, ServiceObject, Uid } from '../../core/objects.ts';
import { factsOf, isAsked, nodesOfPool, nodesThatServe } from './facts.ts';

const address = '192.0.2.10';

function object(over: Partial<ServiceAddressObject> = {}): ServiceAddressObject {
  return {
    name: 'v4-192-0-2-10',
    uid: 'uid' as Uid,
    resourceVersion: '1',
    address,
    pool: 'office',
    services: [{ key: aService().key, uid: aService().uid }],
    rememberedFor: undefined,
    probeAfter: undefined,
    probe: undefined,
    holder: undefined,
    conditions: [],
    ...over,
  };
}

function pool(over: Partial<AddressPoolObject> = {}): AddressPoolObject {
  return {
    name: 'office',
    uid: 'uid' as Uid,
    resourceVersion: '1',
    generation: 1,
    createdAt: 0,
    deleting: false,
    addresses: ['192.0.2.0/24'],
    autoAssign: true,
    avoidBuggyIPs: false,
    priority: 0,
    namespaces: undefined,
    namespaceSelectors: [],
    serviceSelectors: [],
    nodeSelectors: [],
    interfaces: [],
    moveOnShrink: false,
    conditions: [],
    figures: '',
    ...over,
  };
}

const shown = { type: 'LoadBalancer', ingress: [{ ip: address, ipMode: 'VIP' }] } as const;
const three = ['n1', 'n2', 'n3'].map((name) => aNode(name));

function facts(
  given: {
    nodes?: readonly NodeObject[];
    pool?: AddressPoolObject | undefined;
    services?: readonly ServiceObject[];
    slices?: readonly EndpointSliceObject[];
    object?: ServiceAddressObject;
  } = {},
) {
  const { nodes = three, services = [aService(shown)], slices = [] } = given;
  const one = 'pool' in given ? given.pool : pool();
  return factsOf(
    given.object ?? object(),
    {
      pool: () => one,
      service: (key) => services.find((service) => service.key === key),
      slices: (key) => slices.filter(({ service }) => service === key),
    },
    nodesOfPool(nodes, one),
  );
}

describe('which nodes may announce an address', () => {
  test('every node, where nothing is said', () => {
    expect(facts()).toMatchObject({ wanted: true, nodes: ['n1', 'n2', 'n3'], excluded: [] });
  });

  test.each<[string, Partial<NodeObject>, string]>([
    ['a node without network', { networkUnavailable: true }, 'NodeNetworkUnavailable'],
    [
      'a node that is excluded from external balancers',
      { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } },
      'NodeExcluded',
    ],
    ['a node that is being deleted', { deleting: true }, 'NodeDeleting'],
  ])('not %s', (_name, change, reason) => {
    const [n1, ...rest] = three;
    const nodes = [{ ...(n1 ?? aNode('n1')), ...change }, ...rest];
    const got = facts({ nodes });
    expect(got.nodes).toEqual(['n2', 'n3']);
    expect(got.excluded).toMatchObject([{ node: 'n1', reason }]);
  });

  test('only those that one of the selectors of the pool chooses', () => {
    const nodes = three.map((node, index) => ({ ...node, labels: { rack: `r${index}` } }));
    const nodeSelectors = ['r0', 'r2'].map((rack) => ({ matchLabels: { rack }, matchExpressions: [] }));
    const got = facts({ nodes, pool: pool({ nodeSelectors }) });
    expect(got.nodes).toEqual(['n1', 'n3']);
    expect(got.excluded).toMatchObject([{ node: 'n2', reason: 'NodeNotSelected' }]);
  });

  test('a pool that is gone restricts nothing: its addresses stay up while they drain', () => {
    expect(facts({ pool: undefined }).nodes).toEqual(['n1', 'n2', 'n3']);
  });

  test('policy Local: only nodes with a serving endpoint', () => {
    const services = [aService({ ...shown, externalTrafficPolicy: 'Local' })];
    const service = aService().key;
    const slices = [aSlice('s', [anEndpoint('10.0.0.1', 'n2')], { service })];
    const got = facts({ services, slices });
    expect(got.nodes).toEqual(['n2']);
    expect(got.poolNodes).toEqual(['n1', 'n2', 'n3']);
    expect(got.excluded.map(({ reason }) => reason)).toEqual(['NodeWithoutEndpoint', 'NodeWithoutEndpoint']);
  });

  test('policy Cluster needs no endpoint: a refusal is an answer too', () => {
    expect(facts({ slices: [] }).nodes).toHaveLength(3);
  });

  test('an address that two Services share goes where both can be served', () => {
    const one = aService({ ...shown, name: 'one', externalTrafficPolicy: 'Local' });
    const two = aService({ ...shown, name: 'two', externalTrafficPolicy: 'Local' });
    const slices = [
      aSlice('s1', [anEndpoint('10.0.0.1', 'n1'), anEndpoint('10.0.0.2', 'n2')], { service: one.key }),
      aSlice('s2', [anEndpoint('10.0.0.3', 'n2'), anEndpoint('10.0.0.4', 'n3')], { service: two.key }),
    ];
    const shared = object({ services: [one, two].map(({ key, uid }) => ({ key, uid })) });
    const got = facts({ services: [one, two], slices, object: shared });
    expect(got.nodes).toEqual(['n2']);
    expect(got.ports).toHaveLength(one.ports.length + two.ports.length);
  });

  test('where no node can serve both of two Services that share an address, none may hold it', () => {
    const one = aService({ ...shown, name: 'one', externalTrafficPolicy: 'Local' });
    const two = aService({ ...shown, name: 'two', externalTrafficPolicy: 'Local' });
    const slices = [
      aSlice('s1', [anEndpoint('10.0.0.1', 'n1')], { service: one.key }),
      aSlice('s2', [anEndpoint('10.0.0.4', 'n3')], { service: two.key }),
    ];
    const shared = object({ services: [one, two].map(({ key, uid }) => ({ key, uid })) });
    const got = facts({ services: [one, two], slices, object: shared });
    expect(got.nodes).toEqual([]);
    expect(got.excluded.map(({ node }) => node).toSorted()).toEqual(['n1', 'n2', 'n3']);
  });

  test.each<[string, Partial<ServiceObject>]>([
    ['does not stand in the status', { ingress: [] }],
    ['stands in the status of one that is being deleted', { deleting: true }],
  ])('an address is not announced that %s', (_name, change) => {
    expect(facts({ services: [aService({ ...shown, ...change })] }).wanted).toBe(false);
  });
});

describe('nodes that serve', () => {
  test('ready ones; those that end only where there is no other', () => {
    const ending = anEndpoint('10.0.0.1', 'n1', { ready: false, serving: true, terminating: true });
    const ready = anEndpoint('10.0.0.2', 'n2');
    const never = anEndpoint('10.0.0.3', 'n3', { ready: false, serving: false });
    expect([...nodesThatServe([aSlice('s', [ending, ready, never])])]).toEqual(['n2']);
    expect([...nodesThatServe([aSlice('s', [ending, never])])]).toEqual(['n1']);
    expect([...nodesThatServe([])]).toEqual([]);
  });
});

describe('a probe', () => {
  const probe = { node: 'n1', interface: 'eth0', outcome: 'free' } as const;
  test.each<[string, string | undefined, string | undefined, boolean]>([
    ['that nobody asks for', undefined, undefined, false],
    ['without an answer', '2026-01-01T00:00:00Z', undefined, true],
    ['with an older answer', '2026-01-01T00:00:00Z', '2025-12-31T23:59:59Z', true],
    ['with a later answer', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.001Z', false],
    ['with an answer that cannot be read', '2026-01-01T00:00:00Z', 'soon', true],
  ])('%s', (_name, probeAfter, at, asked) => {
    const record = at === undefined ? undefined : { ...probe, node: three[0]?.name ?? aNode('n').name, at };
    expect(isAsked({ probeAfter, probe: record })).toBe(asked);
  });
});
