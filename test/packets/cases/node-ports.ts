/** What becomes of packets to node ports, at each choice of addresses. */
import { type Case, np, on, onlyPrimary, type PacketRow, reaches, refused, twoPorts } from './row.ts';

export const nodePortCases: readonly Case[] = [
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
];
