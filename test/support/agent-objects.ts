/**
 * Random objects that a node agent sees: settings, the own node, Services and slices.
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
  ServiceObject,
  ServicePort,
  SliceEndpoint,
  TransportProtocol,
} from '../../src/core/objects.ts';
import { objectKey } from '../../src/core/objects.ts';
import { headlessLabel, proxyNameLabel } from '../../src/agent/decide/service.ts';
import { defaultSettings } from '../../src/agent/decide/settings.ts';
import type { AgentSettings, DetectLocal, NodePortAddresses } from '../../src/agent/decide/settings.ts';

// ── the pools ──

/** Addresses that the own node always has. */
export const nodeAddresses = {
  IPv4: ['10.0.0.1', '192.168.7.1'],
  IPv6: ['fd00:10::1', 'fd00:7::1'],
} as const satisfies Record<IpFamily, readonly string[]>;

const loopbacks = ['127.0.0.1', '::1'];
/** Addresses that it may have besides: a bridge's inside the pod range, a balancer IP, an external IP. */
const moreAddresses = ['10.244.1.1', 'fd00:244:1::1', '203.0.113.1', '198.51.100.1', '2001:db8:b::1'];

export const clusterIPs = {
  IPv4: ['10.96.0.10', '10.96.0.11', '10.96.0.12', '10.96.0.13', '10.96.0.14'],
  IPv6: ['fd00:96::10', 'fd00:96::11', 'fd00:96::12', 'fd00:96::13', 'fd00:96::14'],
};
export const externalIPs = [
  '198.51.100.1',
  '198.51.100.2',
  '10.0.0.1',
  '203.0.113.1',
  '2001:db8:e::1',
  'fd00:10::1',
];
export const balancerIPs = ['203.0.113.1', '203.0.113.2', '198.51.100.1', '2001:db8:b::1'];
export const ports = [53, 80, 443, 30080];
export const nodePorts = [30080, 30081, 30053];
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

export const pods: readonly Pod[] = [
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
export const families: readonly IpFamily[] = ['IPv4', 'IPv6'];
export const names = ['api', 'dns', 'old', 'web'];
export const sliceNumbers = [1, 2, 3];

/** Mostly the first value. */
export function mostly<T>(first: T, ...others: readonly T[]): fc.Arbitrary<T> {
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

export const interfaceAddresses: fc.Arbitrary<readonly string[]> = fc
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

export function serviceNamed(name: string): fc.Arbitrary<ServiceObject> {
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
        { 'sluice.dev/drain': 'node:n2, 10.244.1.0/31' },
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

export function sliceNamed(service: string, number: number): fc.Arbitrary<EndpointSliceObject> {
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
