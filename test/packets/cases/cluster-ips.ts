/** What becomes of packets to cluster IPs, under either internal policy and without endpoints. */
import {
  type Case,
  looksAway,
  noOutput,
  np,
  on,
  type PacketRow,
  reaches,
  refused,
  silence,
  twoPorts,
  untouched,
  V,
} from './row.ts';

export const clusterIPCases: readonly Case[] = [
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
];
