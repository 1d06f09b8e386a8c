/** What becomes of packets to external and balancer IPs, with source ranges and without. */
import {
  type Case,
  E,
  L,
  np,
  on,
  type PacketRow,
  reaches,
  refused,
  silence,
  twoPorts,
  untouched,
  x1Only,
} from './row.ts';

export const addressCases: readonly Case[] = [
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
    name: 'two Services with the same endpoints, one of them guarded',
    world: [
      { name: 'guarded', balancerIPs: 1, sourceRanges: x1Only, endpoints: on('n1-a', 'n2-a') },
      { name: 'open', balancerIPs: 1, endpoints: on('n1-a', 'n2-a') },
    ],
    rows: [
      {
        rule: 'L3',
        says: 'the range guards the balancer IP that was asked',
        from: 'x2',
        to: L('guarded'),
        expect: silence,
      },
      {
        rule: 'L3',
        says: 'and not the endpoints behind it',
        from: 'x2',
        to: L('open'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
      {
        rule: 'L3',
        says: 'who is inside has both',
        from: 'x1',
        to: L('guarded'),
        expect: reaches('node', 'n1-a', 'n2-a'),
      },
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
];
