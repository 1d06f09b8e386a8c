/**
 * Small random clusters as a node agent sees them, random histories of changes, and random packets aimed at what is
 * interesting there: for properties of the decision layer, of the writers' tracers and of real rules.
 *
 * Everything is drawn from small pools of names, addresses and ports, so that objects meet: two Services that want one
 * address, an external IP that is the node's own with the number of another's node port, one pod in two slices, a
 * balancer IP that the node holds. The own node is always `n1`.
 */
import { fc } from '@fast-check/vitest';
import { aNode, aNodeName, aService, aSlice, anEndpoint } from '../../src/core/fixtures.ts';
import type {
  EndpointSliceObject,
  IpFamily,
  NodeObject,
  ObjectKey,
  ServiceObject,
  ServicePort,
  SliceEndpoint,
  TransportProtocol,
} from '../../src/core/objects.ts';
import { objectKey } from '../../src/core/objects.ts';
import { familyOf, isLoopback } from '../../src/agent/decide/addresses.ts';
import type { Conflict } from '../../src/agent/decide/claims.ts';
import { indexDestinations } from '../../src/agent/decide/destinations.ts';
import type { DestinationIndex } from '../../src/agent/decide/destinations.ts';
import { decideNode } from '../../src/agent/decide/node.ts';
import { headlessLabel, proxyNameLabel } from '../../src/agent/decide/service.ts';
import { defaultSettings } from '../../src/agent/decide/settings.ts';
import type { AgentSettings, DetectLocal, NodePortAddresses } from '../../src/agent/decide/settings.ts';
import { viewNode } from '../../src/agent/decide/view.ts';
import { decideWorld } from '../../src/agent/decide/world.ts';
import type { Decision, NodeDecision } from '../../src/agent/decision.ts';
import type { NodeFacts, Packet } from '../../src/agent/packet.ts';

export interface AgentWorld {
  readonly settings: AgentSettings;
  /** The own Node object. */
  readonly node: NodeObject;
  /** Of the node's interfaces. */
  readonly addresses: readonly string[];
  /** Unique by key. */
  readonly services: readonly ServiceObject[];
  /** Unique by key. */
  readonly slices: readonly EndpointSliceObject[];
}

// ── the pools ──

/** Addresses that the own node always has. */
export const nodeAddresses = {
  IPv4: ['10.0.0.1', '192.168.7.1'],
  IPv6: ['fd00:10::1', 'fd00:7::1'],
} as const satisfies Record<IpFamily, readonly string[]>;

const loopbacks = ['127.0.0.1', '::1'];
/** Addresses that it may have besides: a bridge's inside the pod range, a balancer IP, an external IP. */
const moreAddresses = ['10.244.1.1', 'fd00:244:1::1', '203.0.113.1', '198.51.100.1', '2001:db8:b::1'];

const clusterIPs = {
  IPv4: ['10.96.0.10', '10.96.0.11', '10.96.0.12', '10.96.0.13', '10.96.0.14'],
  IPv6: ['fd00:96::10', 'fd00:96::11', 'fd00:96::12', 'fd00:96::13', 'fd00:96::14'],
};
const externalIPs = [
  '198.51.100.1',
  '198.51.100.2',
  '10.0.0.1',
  '203.0.113.1',
  '2001:db8:e::1',
  'fd00:10::1',
];
const balancerIPs = ['203.0.113.1', '203.0.113.2', '198.51.100.1', '2001:db8:b::1'];
const ports = [53, 80, 443, 30080];
const nodePorts = [30080, 30081, 30053];
const ranges = [
  '198.18.0.0/15',
  '10.0.0.0/8',
  '10.244.1.0/24',
  ' 192.0.2.0/24 ',
  '10.0.0.1/32',
  '0.0.0.0/0',
  '2001:db8:c::/48',
  'fd00:10::/32',
  'not a range',
];

interface Pod {
  readonly IPv4: string;
  readonly IPv6: string;
  readonly node: string | undefined;
  readonly zone: string | undefined;
}

const pods: readonly Pod[] = [
  { IPv4: '10.244.1.2', IPv6: 'fd00:244:1::2', node: 'n1', zone: 'z1' },
  { IPv4: '10.244.1.3', IPv6: 'fd00:244:1::3', node: 'n1', zone: 'z1' },
  { IPv4: '10.244.2.2', IPv6: 'fd00:244:2::2', node: 'n2', zone: 'z1' },
  { IPv4: '10.244.2.3', IPv6: 'fd00:244:2::3', node: 'n2', zone: 'z1' },
  { IPv4: '10.244.3.2', IPv6: 'fd00:244:3::2', node: 'n3', zone: 'z2' },
  // In the node's own network namespace, and outside the cluster.
  { IPv4: '10.0.0.1', IPv6: 'fd00:10::1', node: 'n1', zone: 'z1' },
  { IPv4: '192.0.2.50', IPv6: '2001:db8:50::1', node: undefined, zone: undefined },
];

const protocols: readonly TransportProtocol[] = ['TCP', 'UDP', 'SCTP'];
const families: readonly IpFamily[] = ['IPv4', 'IPv6'];
const names = ['api', 'dns', 'old', 'web'];
const sliceNumbers = [1, 2, 3];

/** Mostly the first value. */
function mostly<T>(first: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(first) },
    { weight: 1, arbitrary: fc.constantFrom<T>(first, ...others) },
  );
}

// ── settings and node ──

const detectLocal: fc.Arbitrary<DetectLocal> = fc.constantFrom<DetectLocal>(
  { kind: 'cluster-cidr', cidrs: ['10.244.0.0/16', 'fd00:244::/32'] },
  { kind: 'node-cidr' },
  { kind: 'bridge', name: 'cni0' },
  { kind: 'interface-prefix', prefix: 'veth' },
  { kind: 'none' },
);

const nodePortAddresses: fc.Arbitrary<NodePortAddresses> = fc.constantFrom<NodePortAddresses>(
  'primary',
  'all',
  ['192.168.0.0/16'],
  ['127.0.0.0/8', '10.0.0.0/8', 'fd00:7::/64'],
  ['fd00::/16'],
  ['172.31.0.0/16'],
);

export const agentSettings: fc.Arbitrary<AgentSettings> = fc
  .record({
    backend: fc.constantFrom<AgentSettings['backend']>('nftables', 'iptables'),
    scope: mostly<AgentSettings['scope']>('all', 'labelled'),
    families: fc.constantFrom<readonly IpFamily[]>(['IPv4', 'IPv6'], ['IPv4', 'IPv6'], ['IPv4'], ['IPv6']),
    detectLocal,
    masqueradeAll: mostly(false, true),
    nodePortAddresses,
    localhostNodePorts: fc.boolean(),
    markBit: mostly(13, 14, 31),
    serviceRanges: fc.constantFrom<readonly string[]>([], ['10.96.0.0/16', 'fd00:96::/112']),
    guardEverything: mostly(false, true),
    strictSourceRanges: mostly(false, true),
  })
  .map((some) => ({ ...defaultSettings(aNodeName('n1')), ...some }));

export const ownNode: fc.Arbitrary<NodeObject> = mostly('z1', '', 'z2').map((zone) =>
  aNode('n1', {
    zone,
    internalIPs: [nodeAddresses.IPv4[0], nodeAddresses.IPv6[0]],
    podCIDRs: ['10.244.1.0/24', 'fd00:244:1::/64'],
  }),
);

const interfaceAddresses: fc.Arbitrary<readonly string[]> = fc
  .subarray(moreAddresses)
  .map((more) => [...loopbacks, ...nodeAddresses.IPv4, ...nodeAddresses.IPv6, ...more]);

// ── Services and slices ──

const portName = ['', 'a', 'b'];

const servicePorts: fc.Arbitrary<readonly ServicePort[]> = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom(...portName),
    protocol: mostly<TransportProtocol>('TCP', 'UDP', 'SCTP'),
    port: fc.constantFrom(...ports),
    targetPort: fc.constant(8080),
    nodePort: fc.constantFrom(0, ...nodePorts),
    appProtocol: fc.constant(undefined),
  }),
  {
    minLength: 1,
    maxLength: 3,
    selector: ({ protocol, port }) => `${protocol} ${port}`,
  },
);

function serviceNamed(name: string): fc.Arbitrary<ServiceObject> {
  const index = names.indexOf(name);
  const clusterIP = (family: IpFamily): fc.Arbitrary<string> =>
    mostly(clusterIPs[family][index] ?? '', clusterIPs[family][index + 1] ?? '');
  return fc
    .record({
      type: mostly<ServiceObject['type']>('LoadBalancer', 'NodePort', 'ClusterIP', 'ExternalName'),
      createdAt: fc.constantFrom(1, 2, 3),
      labels: mostly<Readonly<Record<string, string>>>(
        {},
        { [proxyNameLabel]: 'sluice' },
        { [proxyNameLabel]: '' },
        { [headlessLabel]: '' },
      ),
      annotations: mostly<Readonly<Record<string, string>>>(
        {},
        { 'sluice.dev/balancing': 'hash' },
        { 'sluice.dev/weights': 'zone:z1=3,node:n3=2' },
        { 'sluice.dev/guard-everything': 'true' },
        { 'sluice.dev/guard-everything': 'false' },
      ),
      ports: servicePorts,
      externalTrafficPolicy: fc.constantFrom<ServiceObject['externalTrafficPolicy']>('Cluster', 'Local'),
      internalTrafficPolicy: mostly<ServiceObject['internalTrafficPolicy']>('Cluster', 'Local'),
      sessionAffinity: mostly<ServiceObject['sessionAffinity']>('None', 'ClientIP'),
      sessionAffinityTimeout: fc.constantFrom(10, 10_800),
      healthCheckNodePort: fc.constantFrom(0, 31000 + index),
      sourceRanges: fc.oneof(fc.constant<string[]>([]), fc.subarray(ranges, { maxLength: 3 })),
      externalIPs: fc.subarray(externalIPs, { maxLength: 2 }),
      headless: mostly(false, true),
      four: clusterIP('IPv4'),
      six: clusterIP('IPv6'),
      stack: mostly<readonly IpFamily[]>(['IPv4', 'IPv6'], ['IPv4'], ['IPv6']),
      ingress: fc.subarray(balancerIPs, { maxLength: 2 }),
      ipMode: mostly<'VIP' | 'Proxy' | undefined>('VIP', 'Proxy', undefined),
    })
    .map(({ four, six, stack, ingress, ipMode, headless, type, ...rest }) => {
      const published = type === 'LoadBalancer' ? ingress : [];
      return aService({
        ...rest,
        ports: rest.ports.map((port) => (type === 'ClusterIP' ? { ...port, nodePort: 0 } : port)),
        name,
        type,
        headless,
        clusterIPs: headless ? [] : stack.map((family) => (family === 'IPv4' ? four : six)),
        ipFamilies: stack,
        ingress: [
          ...published.map((ip) => (ipMode === undefined ? { ip } : { ip, ipMode })),
          ...(published.length === 1 ? [{ hostname: 'lb.example' }] : []),
        ],
      });
    });
}

export const agentService: fc.Arbitrary<ServiceObject> = fc.constantFrom(...names).chain(serviceNamed);

const endpoint: fc.Arbitrary<{ readonly pod: Pod; readonly rest: Partial<SliceEndpoint> }> = fc.record({
  pod: fc.constantFrom(...pods),
  rest: fc
    .record({
      state: mostly<'ready' | 'not-ready' | 'terminating' | 'ending'>(
        'ready',
        'not-ready',
        'terminating',
        'ending',
      ),
      hints: mostly<'none' | 'zone' | 'node'>('none', 'zone', 'node'),
      zone: fc.constantFrom('z1', 'z2'),
      node: fc.constantFrom('n1', 'n2'),
    })
    .map(({ state, hints, zone, node }) => ({
      ready: state === 'ready',
      serving: state === 'ready' || state === 'terminating',
      terminating: state === 'terminating' || state === 'ending',
      hintZones: hints === 'none' ? [] : [zone],
      hintNodes: hints === 'node' ? [node] : [],
    })),
});

function sliceNamed(service: string, number: number): fc.Arbitrary<EndpointSliceObject> {
  return fc
    .record({
      family:
        number === 2
          ? mostly<EndpointSliceObject['addressType']>('IPv6', 'IPv4', 'FQDN')
          : mostly<EndpointSliceObject['addressType']>('IPv4', 'IPv6', 'FQDN'),
      endpoints: fc.oneof(
        { weight: 8, arbitrary: fc.array(endpoint, { minLength: 1, maxLength: 4 }) },
        { weight: 1, arbitrary: fc.array(endpoint, { maxLength: 0 }) },
      ),
      // All hinted now and then: hints count only where they are complete.
      hinted: mostly<'as-is' | 'zones' | 'nodes'>('as-is', 'zones', 'nodes'),
      counts: mostly<'yes' | 'hidden' | 'orphan'>('yes', 'yes', 'hidden', 'orphan'),
      numbers: fc.array(mostly<number | undefined>(8080, 9090, undefined), { minLength: 9, maxLength: 9 }),
    })
    .map(({ family, endpoints, hinted, counts, numbers }) =>
      aSlice(
        `${service}-${number}`,
        endpoints.map(({ pod, rest }) => ({
          ...anEndpoint(family === 'FQDN' ? 'pod.example' : pod[family], pod.node, rest),
          zone: pod.zone,
          ...(hinted === 'as-is' ? {} : { hintZones: [pod.zone ?? 'z1'] }),
          ...(hinted === 'nodes' ? { hintNodes: [pod.node ?? 'n1'] } : {}),
        })),
        {
          service: counts === 'orphan' ? undefined : objectKey('default', service),
          headless: counts === 'hidden',
          addressType: family,
          ports: portName.flatMap((name, i) =>
            protocols.map((protocol, j) => ({
              name,
              protocol,
              port: numbers[3 * i + j],
              appProtocol: undefined,
            })),
          ),
        },
      ),
    );
}

export const agentSlice: fc.Arbitrary<EndpointSliceObject> = fc
  .tuple(fc.constantFrom(...names), fc.constantFrom(...sliceNumbers))
  .chain(([service, number]) => sliceNamed(service, number));

/** There in all but one of `times` cases. */
function sometimes<T>(arbitrary: fc.Arbitrary<T>, times: number): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined, freq: times - 1 });
}

function present<T>(list: readonly (T | undefined)[]): readonly T[] {
  return list.filter((one) => one !== undefined);
}

export const agentWorld: fc.Arbitrary<AgentWorld> = fc.record({
  settings: agentSettings,
  node: ownNode,
  addresses: interfaceAddresses,
  services: fc.tuple(...names.map((name) => sometimes(serviceNamed(name), 4))).map(present),
  slices: fc
    .tuple(...names.flatMap((name) => sliceNumbers.map((number) => sometimes(sliceNamed(name, number), 6))))
    .map(present),
});

// ── changes ──

export type WorldChange =
  | { readonly kind: 'service'; readonly object: ServiceObject }
  | { readonly kind: 'service-gone'; readonly key: ObjectKey }
  | { readonly kind: 'slice'; readonly object: EndpointSliceObject }
  | { readonly kind: 'slice-gone'; readonly key: ObjectKey }
  | { readonly kind: 'node'; readonly object: NodeObject }
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] };

export const worldChange: fc.Arbitrary<WorldChange> = fc.oneof(
  { weight: 4, arbitrary: agentService.map((object): WorldChange => ({ kind: 'service', object })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...names)
      .map((name): WorldChange => ({ kind: 'service-gone', key: objectKey('default', name) })),
  },
  { weight: 6, arbitrary: agentSlice.map((object): WorldChange => ({ kind: 'slice', object })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...names), fc.constantFrom(...sliceNumbers))
      .map(([name, number]): WorldChange => ({
        kind: 'slice-gone',
        key: objectKey('default', `${name}-${number}`),
      })),
  },
  { weight: 1, arbitrary: ownNode.map((object): WorldChange => ({ kind: 'node', object })) },
  {
    weight: 1,
    arbitrary: interfaceAddresses.map((addresses): WorldChange => ({ kind: 'addresses', addresses })),
  },
);

/** The world after a change; deleting what is not there changes nothing. */
export function changed(world: AgentWorld, change: WorldChange): AgentWorld {
  switch (change.kind) {
    case 'service':
      return { ...world, services: upsert(world.services, change.object) };
    case 'service-gone':
      return { ...world, services: world.services.filter(({ key }) => key !== change.key) };
    case 'slice':
      return { ...world, slices: upsert(world.slices, change.object) };
    case 'slice-gone':
      return { ...world, slices: world.slices.filter(({ key }) => key !== change.key) };
    case 'node':
      return { ...world, node: change.object };
    case 'addresses':
      return { ...world, addresses: change.addresses };
  }
}

function upsert<T extends { readonly key: ObjectKey }>(list: readonly T[], object: T): readonly T[] {
  return [...list.filter(({ key }) => key !== object.key), object];
}

// ── what is decided there ──

export interface DecidedWorld {
  readonly node: NodeDecision;
  readonly decisions: readonly Decision[];
  readonly index: DestinationIndex;
  readonly facts: NodeFacts;
  readonly conflicts: readonly Conflict[];
}

/** Undefined where the settings do not name the family. */
export function decided(world: AgentWorld, family: IpFamily): DecidedWorld | undefined {
  const node = decideNode(world.node, world.addresses, world.settings).find((one) => one.family === family);
  if (node === undefined) return undefined;
  const view = viewNode(world.node, world.settings);
  const { decisions, conflicts } = decideWorld(world.services, world.slices, view);
  const mine = decisions.filter((decision) => decision.family === family);
  return {
    node,
    decisions: mine,
    index: indexDestinations(mine, family),
    facts: { addresses: new Set(world.addresses) },
    conflicts: conflicts.filter((one) => one.family === family),
  };
}

// ── packets ──

interface Source {
  readonly address: string;
  readonly from: Packet['from'];
}

const sources: Readonly<Record<IpFamily, readonly Source[]>> = {
  IPv4: sourcesOf('IPv4', ['198.18.0.9', '192.0.2.9', '203.0.113.200']),
  IPv6: sourcesOf('IPv6', ['2001:db8:c::9', '2001:db8:d::9', '2001:db8:b::9']),
};

/** By the interface that a source of this kind really comes in by. */
function sourcesOf(family: IpFamily, strangers: readonly string[]): readonly Source[] {
  return [
    ...nodeAddresses[family].map((address): Source => ({ address, from: { kind: 'process' } })),
    ...pods.slice(0, 5).flatMap((pod): Source[] =>
      (pod.node === 'n1' ? ['cni0', 'veth1'] : ['vxlan0']).map((name) => ({
        address: pod[family],
        from: { kind: 'interface', name },
      })),
    ),
    ...strangers.map((address): Source => ({ address, from: { kind: 'interface', name: 'eth0' } })),
  ];
}

const destinations: Readonly<Record<IpFamily, readonly string[]>> = {
  IPv4: [
    ...clusterIPs.IPv4,
    ...externalIPs.filter((text) => !text.includes(':')),
    ...balancerIPs.filter((text) => !text.includes(':')),
    ...nodeAddresses.IPv4,
    '10.96.9.9',
    '10.244.2.2',
    '10.244.1.1',
    '192.0.2.200',
  ],
  IPv6: [
    ...clusterIPs.IPv6,
    ...externalIPs.filter((text) => text.includes(':')),
    ...balancerIPs.filter((text) => text.includes(':')),
    ...nodeAddresses.IPv6,
    'fd00:96::999',
    'fd00:244:2::2',
    'fd00:244:1::1',
    '2001:db8:ffff::1',
  ],
};

/** A first packet that could really arrive: processes have the node's addresses, pods come in by pod interfaces. */
export function agentPacket(family: IpFamily): fc.Arbitrary<Packet> {
  const rest = {
    protocol: mostly<TransportProtocol>('TCP', 'UDP', 'SCTP'),
    port: fc.constantFrom(...ports, ...nodePorts, 9999),
  };
  const usual = fc
    .record({
      ...rest,
      source: fc.constantFrom(...sources[family]),
      destination: fc.constantFrom(...destinations[family]),
    })
    .map(({ source, ...packet }): Packet => ({
      ...packet,
      family,
      source: source.address,
      from: source.from,
    }));
  const loopback = family === 'IPv4' ? '127.0.0.1' : '::1';
  const inside = fc.record(rest).map((packet): Packet => ({
    ...packet,
    family,
    source: loopback,
    destination: loopback,
    from: { kind: 'process' },
  }));
  return fc.oneof({ weight: 19, arbitrary: usual }, { weight: 1, arbitrary: inside });
}

/** A packet to a destination that some decision of this world holds, or just beside it. */
export function aimedPacket({ node: { family }, decisions, facts }: DecidedWorld): fc.Arbitrary<Packet> {
  const targets = decisions.flatMap(
    ({ protocol, port, nodePort, clusterIP, balancerIPs: l, externalIPs: e }) => [
      ...[...(clusterIP === undefined ? [] : [clusterIP]), ...l, ...e].map((destination) => ({
        protocol,
        destination,
        port,
      })),
      ...(nodePort === 0
        ? []
        : [...nodeAddresses[family], ...l, ...e].map((destination) => ({
            protocol,
            destination,
            port: nodePort,
          }))),
    ],
  );
  const any = agentPacket(family);
  if (targets.length === 0) return any;
  // A process may have any address of its node as its source, also a balancer IP that the node holds.
  const own = [...facts.addresses].filter((text) => familyOf(text) === family && !isLoopback(text));
  const aimed = fc
    .record({ packet: any, target: fc.constantFrom(...targets), source: fc.constantFrom(...own) })
    .map(({ packet, target, source }): Packet => {
      if (isLoopback(packet.source)) return packet;
      return packet.from.kind === 'process' ? { ...packet, ...target, source } : { ...packet, ...target };
    });
  return fc.oneof({ weight: 4, arbitrary: aimed }, { weight: 1, arbitrary: any });
}

export interface WorldWithPackets {
  readonly world: AgentWorld;
  readonly at: DecidedWorld;
  readonly packets: readonly Packet[];
}

/** A world, one family of it, and packets that mostly meet its Services. */
export function worldWithPackets(count: number): fc.Arbitrary<WorldWithPackets> {
  return fc
    .tuple(agentWorld, fc.constantFrom(...families))
    .map(([world, family]) => {
      const [only = family] = world.settings.families;
      return { world, at: decided(world, world.settings.families.includes(family) ? family : only) };
    })
    .chain(({ world, at }) =>
      at === undefined
        ? fc.constant<never[]>([]).map(() => {
            throw new Error('the settings of a world name at least one family');
          })
        : fc
            .array(aimedPacket(at), { minLength: count, maxLength: count })
            .map((packets): WorldWithPackets => ({ world, at, packets })),
    );
}
