/**
 * The plan of a bed, as plain data: places, addresses, and the commands of ip(8) and bridge(8) that build it.
 *
 *     x1  x2            outside clients, whose default route is a node
 *      └──┴──┬───────── underlay: a bridge in the namespace `net`, also the nodes' default route
 *      n1    n2    n3   nodes: eth0 with two addresses, VXLAN devices flannel.1 and flannel-v6.1, bridge cni0
 *     ┌┴┐   ┌┴┐   ┌┴┐
 *    n1-a …             pods on cni0, whose ports are in hairpin mode
 *
 * Every device is made where it belongs: the machine's own namespace never sees one. The overlay is built as flannel
 * does it (its vxlan backend): no learning; a route, a permanent neighbour and a forwarding entry for each other node.
 * What nobody has a route for comes back from `net` as "prohibited", so that a packet which a node did not
 * translate can be told from one that it dropped (silence) or rejected (port unreachable).
 */
import type { IpFamily } from '../../core/objects.ts';

export interface TopologyOptions {
  /** By default 3. */
  readonly nodes?: number;
  /** On each node; by default 2. */
  readonly podsPerNode?: number;
  /** By default 2. Client k has node k as its default route. */
  readonly clients?: number;
  /** Of the underlay and of the clients; by default 1,500. */
  readonly mtu?: number;
  /** Of the pods' own interfaces; by default what the overlay leaves to both families (70 less). */
  readonly podMtu?: number;
  /** A pod may reach itself through its bridge port; by default true, as CNI plugins set it. */
  readonly hairpin?: boolean;
}

export type Addresses = Readonly<Record<IpFamily, string>>;

interface PlaceBase {
  readonly name: string;
  readonly address: Addresses;
}

export interface NodePlace extends PlaceBase {
  readonly kind: 'node';
  readonly index: number;
  readonly second: Addresses;
  /** Pods of this node have addresses from these. */
  readonly podRange: Addresses;
  /** The bridge's own addresses. */
  readonly gateway: Addresses;
  readonly vtep: { readonly address: Addresses; readonly mac: Addresses };
}

export interface PodPlace extends PlaceBase {
  readonly kind: 'pod';
  readonly node: string;
}

export interface ClientPlace extends PlaceBase {
  readonly kind: 'client';
  /** The node that is its default route. */
  readonly via: string;
}

export interface Topology {
  readonly options: Required<TopologyOptions>;
  readonly nodes: readonly NodePlace[];
  readonly pods: readonly PodPlace[];
  readonly clients: readonly ClientPlace[];
}

/** The namespace of the underlay. */
export const underlay = 'net';

/** All pods of all nodes, as `--cluster-cidr` is told. */
export const clusterRange: Addresses = { IPv4: '10.244.0.0/16', IPv6: 'fd00:10:244::/48' };

const underlayGateway: Addresses = { IPv4: '172.31.0.1', IPv6: 'fd00:172:31::1' };
/** Default routes by name: in a batch, ip(8) tells the family by the address. */
const everything: Addresses = { IPv4: '0.0.0.0/0', IPv6: '::/0' };
const underlayLength = { IPv4: 24, IPv6: 64 } as const;
const families: readonly IpFamily[] = ['IPv4', 'IPv6'];
const vxlan = {
  IPv4: { device: 'flannel.1', overhead: 50 },
  IPv6: { device: 'flannel-v6.1', overhead: 70 },
} as const;

export function planTopology(given: TopologyOptions = {}): Topology {
  const mtu = given.mtu ?? 1500;
  const options = {
    nodes: 3,
    podsPerNode: 2,
    clients: 2,
    hairpin: true,
    podMtu: mtu - vxlan.IPv6.overhead,
    ...given,
    mtu,
  };
  const nodes = numbers(options.nodes).map(nodePlace);
  const pods = nodes.flatMap((node) =>
    numbers(options.podsPerNode).map((number): PodPlace => ({
      kind: 'pod',
      name: `${node.name}-${letter(number)}`,
      node: node.name,
      address: {
        IPv4: `10.244.${node.index}.${9 + number}`,
        IPv6: `fd00:10:244:${node.index}::${(9 + number).toString(16)}`,
      },
    })),
  );
  const clients = numbers(options.clients).map((number): ClientPlace => ({
    kind: 'client',
    name: `x${number}`,
    address: underlayAddress(200 + number),
    via: nodes[(number - 1) % nodes.length]?.name ?? 'n1',
  }));
  return { options, nodes, pods, clients };
}

function nodePlace(index: number): NodePlace {
  const mac = (kind: number): string => `02:5c:00:00:0${kind}:${index.toString(16).padStart(2, '0')}`;
  return {
    kind: 'node',
    name: `n${index}`,
    index,
    address: underlayAddress(10 + index),
    second: underlayAddress(110 + index),
    podRange: { IPv4: `10.244.${index}.0/24`, IPv6: `fd00:10:244:${index}::/64` },
    gateway: { IPv4: `10.244.${index}.1`, IPv6: `fd00:10:244:${index}::1` },
    vtep: {
      address: { IPv4: `10.244.${index}.0`, IPv6: `fd00:10:244:${index}::` },
      mac: { IPv4: mac(4), IPv6: mac(6) },
    },
  };
}

function underlayAddress(host: number): Addresses {
  return { IPv4: `172.31.0.${host}`, IPv6: `fd00:172:31::${host.toString(16)}` };
}

const both = (key: string, value: string): [string, string][] => [
  [`net/ipv4/conf/all/${key}`, value],
  [`net/ipv4/conf/default/${key}`, value],
];

/** Settings of a place, before it has any device; a key that begins with "-" may be missing in older kernels. */
export function sysctls(kind: 'net' | 'node' | 'pod' | 'client'): [string, string][] {
  const common: [string, string][] = [
    ...both('rp_filter', '0'),
    ...both('send_redirects', '0'),
    ...both('accept_redirects', '0'),
    ['net/ipv6/conf/all/accept_dad', '0'],
    ['net/ipv6/conf/default/accept_dad', '0'],
    ['net/ipv6/conf/default/accept_ra', '0'],
    ['net/ipv6/conf/default/accept_redirects', '0'],
    // ICMP errors are outcomes here: none may be left out for coming too often.
    ['net/ipv4/icmp_ratelimit', '0'],
    ['net/ipv6/icmp/ratelimit', '0'],
    ['-net/ipv4/icmp_msgs_per_sec', '1000000'],
    ['-net/ipv4/icmp_msgs_burst', '1000000'],
  ];
  if (kind === 'pod') return common;
  // A load makes more connections than the usual ports last for.
  if (kind === 'client') return [...common, ['net/ipv4/ip_local_port_range', '10000 65000']];
  return [
    ...common,
    ['net/ipv4/ip_forward', '1'],
    ['net/ipv6/conf/all/forwarding', '1'],
    // Replies between pods of one bridge pass the NAT that their requests passed.
    ...(kind === 'net'
      ? ([
          ['-net/bridge/bridge-nf-call-iptables', '0'],
          ['-net/bridge/bridge-nf-call-ip6tables', '0'],
        ] as [string, string][])
      : ([
          ['net/bridge/bridge-nf-call-iptables', '1'],
          ['net/bridge/bridge-nf-call-ip6tables', '1'],
          ['-net/netfilter/nf_conntrack_tcp_timeout_close', '1'],
        ] as [string, string][])),
  ];
}

export interface Batch {
  readonly program: 'ip' | 'bridge';
  /** The place in whose namespace the lines are run. */
  readonly place: string;
  readonly lines: readonly string[];
}

/**
 * What builds the bed once its namespaces exist: in phases, whose batches may run at
 * once: devices, then their addresses and routes, then the forwarding entries of the overlay.
 *
 * @param nameOf the namespace of a place
 */
export function buildSteps(
  topology: Topology,
  nameOf: (place: string) => string,
): readonly (readonly Batch[])[] {
  const { nodes, pods, clients } = topology;
  return [
    [
      underlayBatch(topology, nameOf),
      ...nodes.map((node): Batch => ({
        program: 'ip',
        place: node.name,
        lines: nodeDevices(
          node,
          pods.filter((pod) => pod.node === node.name),
          topology,
          nameOf,
        ),
      })),
    ],
    [
      ...nodes.map((node): Batch => ({ program: 'ip', place: node.name, lines: nodeLines(node, topology) })),
      ...clients.map((client): Batch => ({
        program: 'ip',
        place: client.name,
        lines: clientLines(client, topology),
      })),
      ...pods.map((pod): Batch => ({ program: 'ip', place: pod.name, lines: podLines(pod, topology) })),
    ],
    // Of devices that the batches before have made.
    nodes
      .filter(() => nodes.length > 1)
      .map((node): Batch => ({ program: 'bridge', place: node.name, lines: forwarding(node, nodes) })),
  ];
}

/**
 * Rules of the underlay: what nobody has a route for is answered with "administratively prohibited", which UDP clients
 * hear of too. A route of type `unreachable` would answer only about once a second (net.ipv4.route.error_cost, which is
 * not per namespace), and with a code that is no error to UDP.
 */
export const underlayRules = `table inet underlay {
  chain prerouting {
    type filter hook prerouting priority 0
    ip daddr != { 172.31.0.0/24, 10.244.0.0/16, 127.0.0.0/8, 255.255.255.255, 224.0.0.0/4 } reject with icmp type admin-prohibited
    ip6 daddr != { fd00:172:31::/64, fd00:10:244::/48, fe80::/10, ff00::/8, ::1 } reject with icmpv6 type admin-prohibited
  }
}
`;

/** A client's way to everything but the underlay: through one node. */
export function defaultRoutes(via: NodePlace): string[] {
  return families.map((family) => `route replace ${everything[family]} via ${via.address[family]} dev eth0`);
}

function underlayBatch(topology: Topology, nameOf: (place: string) => string): Batch {
  const { nodes, clients } = topology;
  const { mtu } = topology.options;
  const ports = [...nodes, ...clients].map(({ name }) => name);
  return {
    program: 'ip',
    place: underlay,
    lines: [
      'link set lo up',
      `link add br0 mtu ${mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      'link set br0 up',
      ...families.map(
        (family) => `addr add ${underlayGateway[family]}/${underlayLength[family]} dev br0${noDad(family)}`,
      ),
      ...ports.flatMap((port) => [
        `link add p-${port} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${nameOf(port)}`,
        `link set p-${port} master br0 up`,
      ]),
      ...families.flatMap((family) => [
        `route add unreachable ${everything[family]}`,
        ...nodes.map((node) => `route add ${node.podRange[family]} via ${node.address[family]} dev br0`),
      ]),
    ],
  };
}

function nodeDevices(
  node: NodePlace,
  pods: readonly PodPlace[],
  { options }: Topology,
  nameOf: (place: string) => string,
): string[] {
  return [
    'link set lo up',
    `link add cni0 mtu ${options.mtu - vxlan.IPv6.overhead} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    'link set cni0 up',
    ...families.map(
      (family) =>
        `addr add ${node.gateway[family]}/${node.podRange[family].split('/')[1] ?? ''} dev cni0${noDad(family)}`,
    ),
    ...pods.flatMap((pod) => {
      const port = `veth-${pod.name.split('-')[1] ?? ''}`;
      return [
        `link add ${port} mtu ${options.podMtu} type veth peer name eth0 mtu ${options.podMtu} netns ${nameOf(pod.name)}`,
        `link set ${port} master cni0 up`,
        `link set ${port} type bridge_slave hairpin ${options.hairpin ? 'on' : 'off'}`,
      ];
    }),
  ];
}

function nodeLines(node: NodePlace, { nodes, options }: Topology): string[] {
  const others = nodes.filter((other) => other !== node);
  return [
    'link set eth0 up',
    ...families.flatMap((family) => [
      `addr add ${node.address[family]}/${underlayLength[family]} dev eth0${noDad(family)}`,
      // Of two IPv6 addresses the younger is taken as source unless it is marked so.
      `addr add ${node.second[family]}/${underlayLength[family]} dev eth0${noDad(family)}${family === 'IPv6' ? ' preferred_lft 0' : ''}`,
      `route add ${everything[family]} via ${underlayGateway[family]} dev eth0`,
    ]),
    ...families.flatMap((family) => {
      const { device, overhead } = vxlan[family];
      const { address, mac } = node.vtep;
      return [
        `link add ${device} address ${mac[family]} mtu ${options.mtu - overhead} type vxlan id 1 dev eth0 ` +
          `local ${node.address[family]} dstport 8472 nolearning${family === 'IPv6' ? ' udp6zerocsumrx' : ''}`,
        `addr add ${address[family]}/${family === 'IPv4' ? 32 : 128} dev ${device}${noDad(family)}`,
        `link set ${device} up`,
        ...others.flatMap((other) => [
          `route add ${other.podRange[family]} via ${other.vtep.address[family]} dev ${device} onlink`,
          `neigh add ${other.vtep.address[family]} lladdr ${other.vtep.mac[family]} dev ${device} nud permanent`,
        ]),
      ];
    }),
  ];
}

function forwarding(node: NodePlace, nodes: readonly NodePlace[]): string[] {
  return nodes
    .filter((other) => other !== node)
    .flatMap((other) =>
      families.map(
        (family) =>
          `fdb append ${other.vtep.mac[family]} dev ${vxlan[family].device} dst ${other.address[family]} self permanent`,
      ),
    );
}

function clientLines(client: ClientPlace, { nodes }: Topology): string[] {
  const via = nodes.find((node) => node.name === client.via);
  return [
    'link set lo up',
    'link set eth0 up',
    ...families.map(
      (family) => `addr add ${client.address[family]}/${underlayLength[family]} dev eth0${noDad(family)}`,
    ),
    ...(via === undefined ? [] : defaultRoutes(via)),
  ];
}

function podLines(pod: PodPlace, { nodes }: Topology): string[] {
  const node = nodes.find((each) => each.name === pod.node);
  return [
    'link set lo up',
    'link set eth0 up',
    ...families.flatMap((family) => [
      `addr add ${pod.address[family]}/${family === 'IPv4' ? 24 : 64} dev eth0${noDad(family)}`,
      ...(node === undefined ? [] : [`route add ${everything[family]} via ${node.gateway[family]} dev eth0`]),
    ]),
  ];
}

const noDad = (family: IpFamily): string => (family === 'IPv6' ? ' nodad' : '');
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const letter = (number: number): string => String.fromCharCode('a'.charCodeAt(0) + number - 1);
