/**
 * What Services mean, as packets: worlds in terms of the bed, and for each what becomes of packets of the first
 * node's neighbourhood. Only n1 is programmed; every client has it as its default route.
 *
 * Rules are named as in the field notes of the data plane: C cluster IP, N node port, E external IP, L balancer IP,
 * M masquerade, T external traffic policy, Z no endpoints, A affinity, R eligibility and topology, P protocols and
 * kinds of packets. Where the real kube-proxy does something else on purpose, the row says what and why.
 * What takes time or several worlds stands in stories.ts.
 */
import type { IpFamily } from '../../src/core/objects.ts';
import type { Spot, World, WorldEndpoint } from './world.ts';

/** What holds for the node, whatever the world. */
export interface Settings {
  /** Which sources count as pods; by default all pods of the cluster, by their ranges. */
  readonly local?:
    | { readonly kind: 'cluster' }
    | { readonly kind: 'none' }
    | { readonly kind: 'bridge'; readonly name: string }
    | { readonly kind: 'prefix'; readonly prefix: string };
  readonly masqueradeAll?: boolean;
  /** CIDRs; by default the node's primary addresses. */
  readonly nodePortAddresses?: readonly string[];
}

export type Target =
  /** A Service's cluster IP, external IP or balancer IP. `port` is an index into its ports. */
  | { readonly at: Spot; readonly of: string; readonly port?: number; readonly portNumber?: number }
  /** A Service's node port, by default at n1's primary address. */
  | {
      readonly at: 'node port';
      readonly of: string;
      readonly port?: number;
      readonly node?: string;
      readonly address?: string;
    }
  /** An address of the service range that no Service has. */
  | { readonly at: 'free cluster IP' };

export type Expectation =
  /**
   * Each of these and nothing else. The server sees the client's own address (`kept`) or one of n1's (`node`); a pod
   * that answers itself sees n1's in any case (M3), and n1 itself sees the client's: what stays on the node is not
   * masqueraded.
   */
  | { readonly kind: 'reaches'; readonly who: readonly string[]; readonly source: 'kept' | 'node' }
  /** One of these, the same each time. */
  | { readonly kind: 'sticks'; readonly who: readonly string[] }
  /** Told at once that nobody is there. */
  | { readonly kind: 'refused' }
  /** Dropped. */
  | { readonly kind: 'silence' }
  /** Not translated: it goes the way of any packet, to where the bed answers "unreachable". */
  | { readonly kind: 'untouched' };

export type Reference = 'kube-proxy iptables' | 'kube-proxy nftables';

export interface PacketRow {
  readonly rule: string;
  readonly says: string;
  readonly from: string;
  readonly to: Target;
  readonly expect: Expectation;
  /** By default TCP over both families. */
  readonly protocol?: 'TCP' | 'UDP';
  readonly families?: readonly IpFamily[];
  /** Size of the datagram. */
  readonly size?: number;
  /** The client's source address, a place: `n1/second`. */
  readonly source?: string;
  readonly differs?: Readonly<
    Partial<Record<Reference, { readonly expect: Expectation; readonly why: string }>>
  >;
}

export interface Case {
  readonly name: string;
  readonly settings?: Settings;
  readonly world: World;
  /** Addresses of the world that n1 owns for the time of the case. */
  readonly owns?: readonly { readonly at: 'E' | 'L'; readonly of: string }[];
  readonly rows: readonly PacketRow[];
}

const reaches = (source: 'kept' | 'node', ...who: readonly string[]): Expectation => ({
  kind: 'reaches',
  who,
  source,
});
const sticks = (...who: readonly string[]): Expectation => ({ kind: 'sticks', who });
const refused: Expectation = { kind: 'refused' };
const silence: Expectation = { kind: 'silence' };
const untouched: Expectation = { kind: 'untouched' };

const on = (...places: readonly string[]): WorldEndpoint[] => places.map((at) => ({ at }));
const V = (of: string, port = 0): Target => ({ at: 'V', of, port });
const E = (of: string, port = 0): Target => ({ at: 'E', of, port });
const L = (of: string, port = 0): Target => ({ at: 'L', of, port });
const np = (of: string, node = 'n1', port = 0): Target => ({ at: 'node port', of, node, port });

const twoPorts = [
  { name: 'http', port: 80 },
  { name: 'dns', port: 53, protocol: 'UDP' as const },
];
const x1Only = ['172.31.0.201/32', 'fd00:172:31::c9/128'];

const onlyPrimary = 'kube-proxy in iptables mode answers node ports at every local address';
const noOutput = 'kube-proxy in iptables mode does not reject at external and balancer IPs in OUTPUT';
const looksAway = 'kube-proxy in iptables mode leaves undefined ports and free cluster IPs to routing';

export const cases: readonly Case[] = [
  {
    name: 'a cluster IP with endpoints on three nodes',
    world: [{ name: 'web', ports: twoPorts, endpoints: on('n1-a', 'n2-a', 'n3-a') }],
    rows: [
      {
        rule: 'C1 C2',
        says: 'a pod reaches every endpoint and keeps its source',
        from: 'n1-b',
        to: V('web'),
        expect: reaches('kept', 'n1-a', 'n2-a', 'n3-a'),
      },
      {
        rule: 'C1 C2',
        says: 'a process of the node is masqueraded',
        from: 'n1',
        to: V('web'),
        expect: reaches('node', 'n1-a', 'n2-a', 'n3-a'),
      },
      {
        rule: 'C1 C2',
        says: 'a client from outside is masqueraded',
        from: 'x1',
        to: V('web'),
        expect: reaches('node', 'n1-a', 'n2-a', 'n3-a'),
      },
      {
        rule: 'C1 O13',
        says: 'UDP on its own port',
        from: 'n1-b',
        to: V('web', 1),
        protocol: 'UDP',
        expect: reaches('kept', 'n1-a', 'n2-a', 'n3-a'),
      },
      {
        rule: 'M3',
        says: 'a pod that reaches itself sees the node, the other endpoints see the pod',
        from: 'n1-a',
        to: V('web'),
        expect: reaches('kept', 'n1-a', 'n2-a', 'n3-a'),
      },
      ...['n1-b', 'n1', 'x1'].map((from): PacketRow => ({
        rule: 'C3',
        says: `${from} is refused at a port that the Service does not have`,
        from,
        to: { at: 'V', of: 'web', portNumber: 81 },
        expect: refused,
        differs: { 'kube-proxy iptables': { expect: untouched, why: looksAway } },
      })),
      {
        rule: 'C3 O13',
        says: 'a port of the other protocol is not defined',
        from: 'n1-b',
        to: { at: 'V', of: 'web', portNumber: 53 },
        expect: refused,
        differs: { 'kube-proxy iptables': { expect: untouched, why: looksAway } },
      },
      {
        rule: 'C3',
        says: 'an address of the service range that no Service has is dropped',
        from: 'n1-b',
        to: { at: 'free cluster IP' },
        expect: silence,
        differs: { 'kube-proxy iptables': { expect: untouched, why: looksAway } },
      },
      {
        rule: 'P fragments',
        says: 'a datagram of 3,000 bytes arrives whole at each endpoint',
        from: 'x1',
        to: V('web', 1),
        protocol: 'UDP',
        size: 3000,
        expect: reaches('node', 'n1-a', 'n2-a', 'n3-a'),
      },
    ],
  },
  {
    name: 'a cluster IP where everything is masqueraded',
    settings: { masqueradeAll: true },
    world: [{ name: 'web', endpoints: on('n1-a', 'n2-a') }],
    rows: [
      { rule: 'C2', says: 'a pod too', from: 'n1-b', to: V('web'), expect: reaches('node', 'n1-a', 'n2-a') },
    ],
  },
  {
    name: 'internal traffic policy Local with an endpoint here',
    world: [
      {
        name: 'near',
        type: 'NodePort',
        internalTrafficPolicy: 'Local',
        endpoints: on('n1-a', 'n2-a'),
      },
    ],
    rows: [
      {
        rule: 'C5',
        says: 'a pod gets the local one',
        from: 'n1-b',
        to: V('near'),
        expect: reaches('kept', 'n1-a'),
      },
      { rule: 'C5', says: 'the node too', from: 'n1', to: V('near'), expect: reaches('node', 'n1-a') },
      {
        rule: 'C5 T3',
        says: 'the node port has all of them',
        from: 'x1',
        to: np('near'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
    ],
  },
  {
    name: 'internal traffic policy Local without an endpoint here',
    world: [
      { name: 'far', type: 'NodePort', internalTrafficPolicy: 'Local', endpoints: on('n2-a', 'n3-a') },
      { name: 'none', internalTrafficPolicy: 'Local', endpoints: [] },
    ],
    rows: [
      { rule: 'C5', says: 'a pod is dropped', from: 'n1-b', to: V('far'), expect: silence },
      { rule: 'C5', says: 'the node is dropped', from: 'n1', to: V('far'), expect: silence },
      {
        rule: 'C5 T3',
        says: 'the node port serves',
        from: 'x1',
        to: np('far'),
        expect: reaches('node', 'n2-a', 'n3-a'),
      },
      {
        rule: 'Z',
        says: 'with no endpoint anywhere it is refused',
        from: 'n1-b',
        to: V('none'),
        expect: refused,
      },
    ],
  },
  {
    name: 'a node port',
    world: [{ name: 'web', type: 'NodePort', ports: twoPorts, endpoints: on('n1-a', 'n2-a') }],
    rows: [
      {
        rule: 'N1',
        says: 'from outside',
        from: 'x1',
        to: np('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'N1 O13',
        says: 'UDP from outside',
        from: 'x1',
        to: np('web', 'n1', 1),
        protocol: 'UDP',
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'N1 O13',
        says: 'TCP at the node port of UDP is nobody',
        from: 'x1',
        to: np('web', 'n1', 1),
        expect: refused,
      },
      {
        rule: 'N1',
        says: 'from the node',
        from: 'n1',
        to: np('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'N1',
        says: 'not at the second address',
        from: 'x1',
        to: np('web', 'n1/second'),
        expect: refused,
        differs: { 'kube-proxy iptables': { expect: reaches('node', 'n1-a', 'n2-a'), why: onlyPrimary } },
      },
      {
        rule: 'N3',
        says: 'not at the loopback address',
        from: 'n1',
        to: { at: 'node port', of: 'web', address: '127.0.0.1' },
        families: ['IPv4'],
        expect: refused,
        differs: {
          'kube-proxy iptables': {
            expect: reaches('node', 'n1-a', 'n2-a'),
            why: 'kube-proxy in iptables mode has node ports at 127.0.0.1 unless told not to',
          },
        },
      },
      {
        rule: 'N3',
        says: 'never at ::1',
        from: 'n1',
        to: { at: 'node port', of: 'web', address: '::1' },
        families: ['IPv6'],
        expect: refused,
      },
      {
        rule: 'N6',
        says: 'a pod at its own node',
        from: 'n1-b',
        to: np('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'N6',
        says: 'a pod at another node is ordinary traffic',
        from: 'n1-b',
        to: np('web', 'n2'),
        expect: refused,
      },
      {
        rule: 'M3',
        says: 'a pod that is its own endpoint',
        from: 'n1-a',
        to: np('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'P fragments',
        says: 'a datagram of 3,000 bytes',
        from: 'x1',
        to: np('web', 'n1', 1),
        protocol: 'UDP',
        size: 3000,
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
    ],
  },
  {
    name: 'node ports at every address',
    settings: { nodePortAddresses: ['0.0.0.0/0', '::/0'] },
    world: [{ name: 'web', type: 'NodePort', endpoints: on('n1-a', 'n2-a') }],
    rows: [
      ...['n1', 'n1/second'].map((node): PacketRow => ({
        rule: 'N1',
        says: `at ${node}`,
        from: 'x1',
        to: np('web', node),
        expect: reaches('node', 'n1-a', 'n2-a'),
      })),
      {
        rule: 'N1',
        says: "at the bridge's address, from a pod",
        from: 'n1-b',
        to: { at: 'node port', of: 'web', address: '10.244.1.1' },
        families: ['IPv4'],
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
    ],
  },
  {
    name: 'node ports at a chosen range',
    settings: { nodePortAddresses: ['172.31.0.111/32', 'fd00:172:31::6f/128'] },
    world: [{ name: 'web', type: 'NodePort', endpoints: on('n1-a', 'n2-a') }],
    rows: [
      {
        rule: 'N1',
        says: 'at the address of the range',
        from: 'x1',
        to: np('web', 'n1/second'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      { rule: 'N1', says: 'not at the primary address', from: 'x1', to: np('web'), expect: refused },
    ],
  },
  {
    name: "an external IP that is a node's, at the node port of another Service",
    world: [
      { name: 'port', type: 'NodePort', nodePort: 32_700, endpoints: on('n1-a') },
      {
        name: 'address',
        ports: [{ port: 32_700 }],
        externalIPsAt: ['172.31.0.11', 'fd00:172:31::b'],
        endpoints: on('n2-a'),
      },
    ],
    rows: [
      {
        rule: 'N2',
        says: 'the external IP wins',
        from: 'x1',
        to: np('port'),
        expect: reaches('node', 'n2-a'),
      },
      { rule: 'N2', says: 'from the node too', from: 'n1', to: np('port'), expect: reaches('node', 'n2-a') },
    ],
  },
  {
    name: 'external and balancer IPs under policy Cluster',
    world: [
      { name: 'web', balancerIPs: 1, externalIPs: 1, ports: twoPorts, endpoints: on('n1-a', 'n2-a') },
      {
        name: 'other',
        balancerIPs: 1,
        balancerIPsOf: 'web',
        ports: [{ port: 8443 }],
        endpoints: on('n3-a'),
      },
      { name: 'proxied', balancerIPs: 1, ipMode: 'Proxy', endpoints: on('n1-a') },
    ],
    rows: [
      ...(['E', 'L'] as const).flatMap((at) =>
        ['x1', 'n1', 'n1-b'].map((from): PacketRow => ({
          rule: at === 'E' ? 'E1 E2' : 'L1',
          says: `${from} is masqueraded`,
          from,
          to: { at, of: 'web' },
          expect: reaches('node', 'n1-a', 'n2-a'),
        })),
      ),
      {
        rule: 'E1 O13',
        says: 'UDP',
        from: 'x1',
        to: E('web', 1),
        protocol: 'UDP',
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'L4',
        says: 'another Service at another port of the same address',
        from: 'x1',
        to: { at: 'L', of: 'web', portNumber: 8443 },
        expect: reaches('node', 'n3-a'),
      },
      {
        rule: 'L1 O11',
        says: 'an address of a proxy is left alone, by pods',
        from: 'n1-b',
        to: L('proxied'),
        expect: untouched,
      },
      { rule: 'L1 O11', says: 'and from outside', from: 'x1', to: L('proxied'), expect: untouched },
    ],
  },
  {
    name: 'external and balancer IPs that the node owns',
    world: [{ name: 'web', balancerIPs: 1, externalIPs: 1, endpoints: on('n1-a', 'n2-a') }],
    owns: [
      { at: 'E', of: 'web' },
      { at: 'L', of: 'web' },
    ],
    rows: (['E', 'L'] as const).flatMap((at) =>
      ['x1', 'n1', 'n1-b'].map((from): PacketRow => ({
        rule: at === 'E' ? 'E1' : 'L1',
        says: `${from} is served all the same`,
        from,
        to: { at, of: 'web' },
        expect: reaches('node', 'n1-a', 'n2-a'),
      })),
    ),
  },
  {
    name: 'source ranges that hold one client',
    world: [
      { name: 'web', balancerIPs: 1, externalIPs: 1, sourceRanges: x1Only, endpoints: on('n1-a', 'n2-a') },
      { name: 'none', balancerIPs: 1, sourceRanges: x1Only, endpoints: [] },
    ],
    rows: [
      {
        rule: 'L2',
        says: 'who is inside is served',
        from: 'x1',
        to: L('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      { rule: 'L2', says: 'who is outside is dropped', from: 'x2', to: L('web'), expect: silence },
      { rule: 'L2', says: 'a pod is outside', from: 'n1-b', to: L('web'), expect: silence },
      { rule: 'L2', says: 'the node is outside', from: 'n1', to: L('web'), expect: silence },
      {
        rule: 'N7',
        says: 'not at the node port',
        from: 'x2',
        to: np('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'N7',
        says: 'not at external IPs',
        from: 'x2',
        to: E('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'L2 Z',
        says: 'without endpoints who is inside is refused',
        from: 'x1',
        to: L('none'),
        expect: refused,
      },
      {
        rule: 'L2 Z',
        says: 'and who is outside is dropped',
        from: 'x2',
        to: L('none'),
        expect: silence,
        differs: {
          'kube-proxy iptables': {
            expect: refused,
            why: 'kube-proxy in iptables mode lifts the ranges while there are no endpoints',
          },
        },
      },
    ],
  },
  {
    name: 'source ranges that hold the node, which owns the balancer IP',
    world: [
      {
        name: 'web',
        balancerIPs: 1,
        sourceRanges: ['172.31.0.11/32', 'fd00:172:31::b/128'],
        endpoints: on('n2-a'),
      },
    ],
    owns: [{ at: 'L', of: 'web' }],
    rows: [
      {
        rule: 'L2',
        says: 'the node may use the address as its own source',
        from: 'n1',
        to: L('web'),
        expect: reaches('node', 'n2-a'),
      },
      { rule: 'L2', says: 'a client is dropped', from: 'x1', to: L('web'), expect: silence },
    ],
  },
  {
    name: 'external traffic policy Local with an endpoint here',
    world: [
      {
        name: 'web',
        balancerIPs: 1,
        externalIPs: 1,
        externalTrafficPolicy: 'Local',
        ports: twoPorts,
        endpoints: on('n1-a', 'n2-a'),
      },
    ],
    rows: [
      ...(['node port', 'E', 'L'] as const).flatMap((at): PacketRow[] => [
        {
          rule: 'T c',
          says: `a client gets the local one at the ${at} and is seen as itself`,
          from: 'x1',
          to: { at, of: 'web' },
          expect: reaches('kept', 'n1-a'),
        },
        {
          rule: 'T a',
          says: `a local pod gets all of them at the ${at} and is seen as itself`,
          from: 'n1-b',
          to: { at, of: 'web' },
          expect: reaches('kept', 'n1-a', 'n2-a'),
        },
        {
          rule: 'T b',
          says: `a process of the node gets all of them at the ${at}, masqueraded`,
          from: 'n1',
          to: { at, of: 'web' },
          expect: reaches('node', 'n1-a', 'n2-a'),
        },
      ]),
      {
        rule: 'T c O13',
        says: 'UDP',
        from: 'x1',
        to: np('web', 'n1', 1),
        protocol: 'UDP',
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'T3',
        says: 'the cluster IP has all of them',
        from: 'n1-b',
        to: V('web'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
    ],
  },
  {
    name: 'external traffic policy Local without an endpoint here',
    world: [
      {
        name: 'web',
        balancerIPs: 1,
        externalIPs: 1,
        externalTrafficPolicy: 'Local',
        ports: twoPorts,
        endpoints: on('n2-a', 'n3-a'),
      },
    ],
    rows: [
      ...(['node port', 'E', 'L'] as const).flatMap((at): PacketRow[] => [
        {
          rule: 'T d',
          says: `a client is dropped at the ${at}`,
          from: 'x1',
          to: { at, of: 'web' },
          expect: silence,
        },
        {
          rule: 'T1 a',
          says: `a local pod gets all of them at the ${at}`,
          from: 'n1-b',
          to: { at, of: 'web' },
          expect: reaches('kept', 'n2-a', 'n3-a'),
        },
        {
          rule: 'T1 b',
          says: `a process of the node gets all of them at the ${at}`,
          from: 'n1',
          to: { at, of: 'web' },
          expect: reaches('node', 'n2-a', 'n3-a'),
        },
      ]),
      {
        rule: 'T d O13',
        says: 'UDP is dropped',
        from: 'x1',
        to: np('web', 'n1', 1),
        protocol: 'UDP',
        expect: silence,
      },
      {
        rule: 'T3',
        says: 'the cluster IP serves',
        from: 'n1-b',
        to: V('web'),
        expect: reaches('kept', 'n2-a', 'n3-a'),
      },
    ],
  },
  {
    name: 'where nobody is known to be a pod',
    settings: { local: { kind: 'none' } },
    world: [
      { name: 'web', type: 'NodePort', externalTrafficPolicy: 'Local', endpoints: on('n1-a', 'n2-a') },
      { name: 'one', endpoints: on('n1-a') },
    ],
    rows: [
      {
        rule: 'T2',
        says: 'a pod is a client like others',
        from: 'n1-b',
        to: np('web'),
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'T2 b',
        says: 'a process of the node is not',
        from: 'n1',
        to: np('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'C2',
        says: 'nobody is masqueraded at a cluster IP',
        from: 'x1',
        to: V('one'),
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'M3',
        says: 'but who reaches itself',
        from: 'n1-a',
        to: V('one'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  },
  ...(
    [
      { kind: 'bridge', name: 'cni0' },
      { kind: 'prefix', prefix: 'cni' },
    ] as const
  ).map((local): Case => ({
    name: `where pods are known by ${local.kind === 'bridge' ? 'their bridge' : 'the name of an interface'}`,
    settings: { local },
    world: [{ name: 'web', type: 'NodePort', externalTrafficPolicy: 'Local', endpoints: on('n1-a', 'n2-a') }],
    rows: [
      {
        rule: 'C2',
        says: 'a pod keeps its source',
        from: 'n1-b',
        to: V('web'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
      {
        rule: 'C2',
        says: 'a client is masqueraded',
        from: 'x1',
        to: V('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'C2',
        says: 'a process of the node too',
        from: 'n1',
        to: V('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'T a',
        says: 'a pod gets all',
        from: 'n1-b',
        to: np('web'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
      {
        rule: 'T c',
        says: 'a client the local one',
        from: 'x1',
        to: np('web'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  })),
  {
    name: 'no endpoints anywhere',
    world: [{ name: 'none', balancerIPs: 1, externalIPs: 1, ports: twoPorts, endpoints: [] }],
    rows: [
      ...['n1-b', 'n1', 'x1'].map((from): PacketRow => ({
        rule: 'Z',
        says: `${from} is refused at the cluster IP`,
        from,
        to: V('none'),
        expect: refused,
      })),
      { rule: 'Z', says: 'UDP too', from: 'n1-b', to: V('none', 1), protocol: 'UDP', expect: refused },
      ...['n1-b', 'n1', 'x1'].map((from): PacketRow => ({
        rule: 'Z',
        says: `${from} is refused at the node port`,
        from,
        to: np('none'),
        expect: refused,
      })),
      ...(['E', 'L'] as const).flatMap((at) =>
        ['n1-b', 'n1', 'x1'].map((from): PacketRow => ({
          rule: 'Z',
          says: `${from} is refused at the ${at}`,
          from,
          to: { at, of: 'none' },
          expect: refused,
          ...(from === 'n1'
            ? { differs: { 'kube-proxy iptables': { expect: untouched, why: noOutput } } }
            : {}),
        })),
      ),
    ],
  },
  {
    name: 'affinity by client',
    world: [
      {
        name: 'sticky',
        type: 'NodePort',
        affinitySeconds: 60,
        ports: [...twoPorts, { name: 'alt', port: 81, targetPort: 8081 }],
        endpoints: on('n1-a', 'n2-a', 'n3-a'),
      },
    ],
    rows: [
      ...['n1-b', 'n1-a', 'n1', 'x1', 'x2'].map((from): PacketRow => ({
        rule: 'A1',
        says: `${from} stays with one endpoint of the cluster IP`,
        from,
        to: V('sticky'),
        expect: sticks('n1-a', 'n2-a', 'n3-a'),
      })),
      {
        rule: 'A1',
        says: 'and of the node port',
        from: 'x1',
        to: np('sticky'),
        expect: sticks('n1-a', 'n2-a', 'n3-a'),
      },
      {
        rule: 'A1',
        says: 'and over UDP',
        from: 'x1',
        to: V('sticky', 1),
        protocol: 'UDP',
        expect: sticks('n1-a', 'n2-a', 'n3-a'),
      },
      {
        rule: 'A1',
        says: 'and of another port',
        from: 'x2',
        to: V('sticky', 2),
        expect: sticks('n1-a:8081', 'n2-a:8081', 'n3-a:8081'),
      },
    ],
  },
  {
    name: 'which endpoints are usable',
    world: [
      { name: 'ready', endpoints: [...on('n1-a'), { at: 'n2-a', ready: false }] },
      {
        name: 'leaving',
        endpoints: [
          { at: 'n1-a', ready: false, serving: false, terminating: true },
          { at: 'n2-a', ready: false, serving: true, terminating: true },
        ],
      },
      {
        name: 'mixed',
        endpoints: [...on('n1-a'), { at: 'n2-a', ready: false, serving: true, terminating: true }],
      },
      {
        name: 'rolling',
        type: 'NodePort',
        externalTrafficPolicy: 'Local',
        endpoints: [{ at: 'n1-a', ready: false, serving: true, terminating: true }, ...on('n2-a')],
      },
      { name: 'unready', endpoints: [{ at: 'n1-a', ready: false, serving: false }] },
      { name: 'kept', endpoints: [{ at: 'n1-a', terminating: true }] },
    ],
    rows: [
      { rule: 'R1', says: 'ready ones', from: 'n1-b', to: V('ready'), expect: reaches('kept', 'n1-a') },
      {
        rule: 'R1',
        says: 'where none is ready, those that still serve while they leave',
        from: 'n1-b',
        to: V('leaving'),
        expect: reaches('kept', 'n2-a'),
      },
      { rule: 'R3', says: 'never both', from: 'n1-b', to: V('mixed'), expect: reaches('kept', 'n1-a') },
      {
        rule: 'R2',
        says: 'the local list by itself',
        from: 'x1',
        to: np('rolling'),
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'R2',
        says: 'the cluster list by itself',
        from: 'n1-b',
        to: V('rolling'),
        expect: reaches('kept', 'n2-a'),
      },
      { rule: 'R1 Z', says: 'unready ones do not count', from: 'n1-b', to: V('unready'), expect: refused },
      {
        rule: 'R4',
        says: 'ready wins over leaving',
        from: 'n1-b',
        to: V('kept'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  },
  {
    name: 'slices',
    world: [
      {
        name: 'numbers',
        endpoints: [{ at: 'n1-a' }, { at: 'n2-a', slice: '2', port: 9090 }],
      },
      { name: 'twice', endpoints: [{ at: 'n1-a' }, { at: 'n2-a' }, { at: 'n2-a', slice: '2' }] },
    ],
    rows: [
      {
        rule: 'O6',
        says: 'each slice has its own number for the same port name',
        from: 'n1-b',
        to: V('numbers'),
        expect: reaches('kept', 'n1-a', 'n2-a:9090'),
      },
      {
        rule: 'O9',
        says: 'a pod in two slices',
        from: 'n1-b',
        to: V('twice'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
    ],
  },
  {
    name: 'an endpoint whose node nobody knows',
    world: [
      {
        name: 'web',
        type: 'NodePort',
        externalTrafficPolicy: 'Local',
        endpoints: [{ at: 'n1-a', nodeless: true }],
      },
    ],
    rows: [
      { rule: 'O10', says: 'it is not local', from: 'x1', to: np('web'), expect: silence },
      { rule: 'O10', says: 'but it serves', from: 'n1-b', to: V('web'), expect: reaches('kept', 'n1-a') },
    ],
  },
  {
    name: 'source ranges of one family only, with blanks',
    world: [
      { name: 'web', balancerIPs: 1, sourceRanges: [' 172.31.0.201/32 '], endpoints: on('n1-a', 'n2-a') },
    ],
    rows: [
      {
        rule: 'O12',
        says: 'who is inside is served',
        from: 'x1',
        to: L('web'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'O12',
        says: 'who is outside is dropped',
        from: 'x2',
        to: L('web'),
        families: ['IPv4'],
        expect: silence,
      },
      {
        rule: 'O12',
        says: 'the other family is open',
        from: 'x2',
        to: L('web'),
        families: ['IPv6'],
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
    ],
  },
  {
    name: 'topology hints',
    world: [
      {
        name: 'zones',
        type: 'NodePort',
        endpoints: [
          { at: 'n1-a', hintZones: ['zone-n1'] },
          { at: 'n2-a', hintZones: ['zone-n2'] },
        ],
      },
      { name: 'partly', endpoints: [{ at: 'n1-a', hintZones: ['zone-n1'] }, { at: 'n2-a' }] },
      {
        name: 'elsewhere',
        endpoints: [
          { at: 'n2-a', hintZones: ['zone-n2'] },
          { at: 'n3-a', hintZones: ['zone-n3'] },
        ],
      },
      {
        name: 'nodes',
        endpoints: [
          { at: 'n1-a', hintZones: ['zone-n1'], hintNodes: ['n1'] },
          { at: 'n2-a', hintZones: ['zone-n1'], hintNodes: ['n2'] },
        ],
      },
    ],
    rows: [
      {
        rule: 'R zones',
        says: 'those of the own zone',
        from: 'n1-b',
        to: V('zones'),
        expect: reaches('kept', 'n1-a'),
      },
      {
        rule: 'R zones',
        says: 'at the node port too',
        from: 'x1',
        to: np('zones'),
        expect: reaches('node', 'n1-a'),
      },
      {
        rule: 'R zones',
        says: 'one missing hint, and all of them',
        from: 'n1-b',
        to: V('partly'),
        expect: reaches('kept', 'n1-a', 'n2-a'),
      },
      {
        rule: 'R zones',
        says: 'none for the own zone, and all of them',
        from: 'n1-b',
        to: V('elsewhere'),
        expect: reaches('kept', 'n2-a', 'n3-a'),
      },
      {
        rule: 'R nodes',
        says: 'the own node first',
        from: 'n1-b',
        to: V('nodes'),
        expect: reaches('kept', 'n1-a'),
      },
    ],
  },
  {
    name: 'endpoints in the network of nodes',
    world: [
      { name: 'host', type: 'NodePort', endpoints: on('n1', 'n2') },
      { name: 'near', type: 'NodePort', externalTrafficPolicy: 'Local', endpoints: on('n1', 'n2') },
    ],
    rows: [
      {
        rule: 'P host',
        says: 'from outside',
        from: 'x1',
        to: np('host'),
        expect: reaches('node', 'n1', 'n2'),
      },
      {
        rule: 'P host',
        says: 'from a pod',
        from: 'n1-b',
        to: V('host'),
        expect: reaches('kept', 'n1', 'n2'),
      },
      {
        rule: 'P host',
        says: 'from the node',
        from: 'n1',
        to: V('host'),
        expect: reaches('node', 'n1', 'n2'),
      },
      { rule: 'P host T c', says: 'policy Local', from: 'x1', to: np('near'), expect: reaches('kept', 'n1') },
    ],
  },
];
