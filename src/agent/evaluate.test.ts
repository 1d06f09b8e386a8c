import { describe, expect, test } from 'vitest';
import type { IpFamily } from '../core/objects.ts';
import { indexDestinations } from './decide/destinations.ts';
import { decisionKey } from './decision.ts';
import type { Decision, Endpoint, NodeDecision } from './decision.ts';
import { evaluate, evaluateFully } from './evaluate.ts';
import type { Packet } from './packet.ts';

const here: Endpoint = { address: '10.244.1.2', port: 8080, local: true, weight: 1 };
const there: Endpoint = { address: '10.244.2.2', port: 8080, local: false, weight: 1 };

function aDecision(change: Partial<Decision> = {}): Decision {
  const { portName = '', protocol = 'TCP', family = 'IPv4' } = change;
  const service = change.service ?? ('default/web' as Decision['service']);
  return {
    service,
    portName,
    protocol,
    family,
    port: 80,
    clusterIP: '10.96.0.10',
    externalIPs: ['198.51.100.1'],
    balancerIPs: ['203.0.113.1'],
    nodePort: 30080,
    cluster: [here, there],
    local: [],
    internal: { kind: 'balance', to: 'cluster' },
    external: { kind: 'balance', to: 'cluster' },
    shortcut: undefined,
    affinitySeconds: undefined,
    sourceRanges: undefined,
    guardEverything: false,
    balancing: 'random',
    healthCheckNodePort: 0,
    ...change,
    key: decisionKey(service, portName, protocol, family),
  };
}

const clusterPolicy = aDecision();
const localPolicy = aDecision({
  local: [here],
  external: { kind: 'balance', to: 'local' },
  shortcut: { kind: 'balance', to: 'cluster' },
});
const localWithout = aDecision({
  cluster: [there],
  external: { kind: 'drop' },
  shortcut: { kind: 'balance', to: 'cluster' },
});
const nobody = aDecision({ cluster: [], internal: { kind: 'reject' }, external: { kind: 'reject' } });

function aNodeDecision(change: Partial<NodeDecision> = {}): NodeDecision {
  return {
    family: 'IPv4',
    nodePortAddresses: ['10.0.0.1'],
    localhostNodePorts: false,
    localSource: { kind: 'cidrs', cidrs: ['10.244.0.0/16'] },
    masqueradeAll: false,
    markBit: 13,
    serviceRanges: ['10.96.0.0/16'],
    dropInvalid: false,
    ...change,
  };
}

const who: Readonly<Record<'pod' | 'self' | 'process' | 'stranger', Pick<Packet, 'source' | 'from'>>> = {
  pod: { source: '10.244.1.9', from: { kind: 'interface', name: 'cni0' } },
  self: { source: here.address, from: { kind: 'interface', name: 'cni0' } },
  process: { source: '10.0.0.1', from: { kind: 'process' } },
  stranger: { source: '192.0.2.9', from: { kind: 'interface', name: 'eth0' } },
};

const V = '10.96.0.10';
const E = '198.51.100.1';
const L = '203.0.113.1';
const nIP = '10.0.0.1';

/** The outcome in short: `10.244.1.2+ 10.244.2.2` for delivered to both, to the first masqueraded. */
function meet(
  decisions: Decision | readonly Decision[],
  from: keyof typeof who | Pick<Packet, 'source' | 'from'>,
  destination: string,
  port: number,
  node: Partial<NodeDecision> = {},
  family: IpFamily = 'IPv4',
): string {
  const list = Array.isArray(decisions) ? decisions : [decisions];
  const packet: Packet = {
    family,
    protocol: 'TCP',
    destination,
    port,
    ...(typeof from === 'string' ? who[from] : from),
  };
  const outcome = evaluate(
    aNodeDecision(node),
    indexDestinations(list as readonly Decision[], 'IPv4'),
    { addresses: new Set([nIP, '192.168.7.1', '127.0.0.1']) },
    packet,
  );
  return outcome.kind === 'deliver'
    ? outcome.to.map(({ endpoint, masquerade }) => endpoint.address + (masquerade ? '+' : '')).join(' ')
    : outcome.kind;
}

const plain = '10.244.1.2 10.244.2.2';
const masked = '10.244.1.2+ 10.244.2.2+';

describe('the cluster IP', () => {
  test.each<[string, keyof typeof who, Partial<NodeDecision>, string]>([
    ['C1, C2: a pod keeps its source', 'pod', {}, plain],
    ['C2: a process of the node is masqueraded', 'process', {}, masked],
    ['C2: a stranger is masqueraded', 'stranger', {}, masked],
    ['C2: masquerade-all masquerades a pod', 'pod', { masqueradeAll: true }, masked],
    ['C2: without a detector nobody is masqueraded', 'stranger', { localSource: { kind: 'none' } }, plain],
    [
      'C2: without a detector masquerade-all holds all the same',
      'stranger',
      { localSource: { kind: 'none' }, masqueradeAll: true },
      masked,
    ],
    ['§1.14: pods told by their bridge', 'pod', { localSource: { kind: 'interface', name: 'cni0' } }, plain],
    [
      '§1.14: what comes by another interface is no pod',
      'stranger',
      { localSource: { kind: 'interface', name: 'cni0' } },
      masked,
    ],
    [
      '§1.14: pods told by how their interface begins',
      'pod',
      { localSource: { kind: 'interface-prefix', prefix: 'cni' } },
      plain,
    ],
    [
      '§1.14: a process has no interface and is no pod',
      'process',
      { localSource: { kind: 'interface-prefix', prefix: '' } },
      masked,
    ],
    ['M3: who reaches itself is masqueraded, and only then', 'self', {}, '10.244.1.2+ 10.244.2.2'],
    ['M3: without a detector too', 'self', { localSource: { kind: 'none' } }, '10.244.1.2+ 10.244.2.2'],
  ])('%s', (_rule, from, node, outcome) => {
    expect(meet(clusterPolicy, from, V, 80, node)).toBe(outcome);
  });

  test.each<[string, keyof typeof who, string]>([
    ['C3: a port that is not defined is rejected for a pod', 'pod', 'reject'],
    ['C3: for a process', 'process', 'reject'],
    ['C3: for a stranger', 'stranger', 'reject'],
  ])('%s', (_rule, from, outcome) => {
    expect(meet(clusterPolicy, from, V, 81)).toBe(outcome);
  });

  test('C3: a cluster IP that the node itself holds is let alone at other ports, from outside', () => {
    const decision = aDecision({ clusterIP: '192.168.7.1' });

    expect(meet(decision, 'pod', '192.168.7.1', 81)).toBe('untouched');
    expect(meet(decision, 'process', '192.168.7.1', 81)).toBe('reject');
  });

  test('C3: an address of a service range that nobody has is dropped; outside the ranges nothing is', () => {
    expect(meet(clusterPolicy, 'pod', '10.96.0.99', 80)).toBe('drop');
    expect(meet(clusterPolicy, 'process', '10.96.0.99', 80)).toBe('drop');
    expect(meet(clusterPolicy, 'pod', '10.96.0.99', 80, { serviceRanges: [] })).toBe('untouched');
    expect(meet(clusterPolicy, 'pod', '10.97.0.99', 80)).toBe('untouched');
  });

  test.each<[string, Decision, keyof typeof who, string]>([
    [
      'C5: dropped for a pod where no endpoint is local',
      aDecision({ internal: { kind: 'drop' } }),
      'pod',
      'drop',
    ],
    ['C5: dropped for a process as well', aDecision({ internal: { kind: 'drop' } }), 'process', 'drop'],
    ['§1.7: rejected where there is none anywhere', nobody, 'pod', 'reject'],
    ['§1.7: rejected for a process as well', nobody, 'process', 'reject'],
  ])('%s', (_rule, decision, from, outcome) => {
    expect(meet(decision, from, V, 80)).toBe(outcome);
  });
});

describe.each([
  ['an external IP (E1, E2)', E, 80],
  ['a balancer IP (L1)', L, 80],
  ['a node port (N1)', nIP, 30080],
])('%s', (_kind, address, port) => {
  test.each<[string, Decision, keyof typeof who, string]>([
    ['T(1): policy Cluster masquerades a stranger', clusterPolicy, 'stranger', masked],
    ['T(1): a pod too', clusterPolicy, 'pod', masked],
    ['T(1), E1: a process too', clusterPolicy, 'process', masked],
    ['T(a): policy Local gives a pod all endpoints, and its source stays', localPolicy, 'pod', plain],
    ['T(b): a process gets all endpoints, masqueraded', localPolicy, 'process', masked],
    ['T(c): a stranger gets local ones, and the source stays', localPolicy, 'stranger', '10.244.1.2'],
    ['T(d): a stranger is dropped where none is local', localWithout, 'stranger', 'drop'],
    ['T1: a pod still gets there', localWithout, 'pod', '10.244.2.2'],
    ['T1: a process still gets there', localWithout, 'process', '10.244.2.2+'],
    [
      'M3: a pod that reaches itself by the short cut is masqueraded',
      localPolicy,
      'self',
      '10.244.1.2+ 10.244.2.2',
    ],
    ['§1.7: rejected where there is none anywhere', nobody, 'stranger', 'reject'],
    ['§1.7: for a process as well', nobody, 'process', 'reject'],
  ])('%s', (_rule, decision, from, outcome) => {
    expect(meet(decision, from, address, port)).toBe(outcome);
  });

  test('T2: without a detector a pod is like any other client', () => {
    expect(meet(localPolicy, 'pod', address, port, { localSource: { kind: 'none' } })).toBe('10.244.1.2');
    expect(meet(localWithout, 'pod', address, port, { localSource: { kind: 'none' } })).toBe('drop');
  });

  test('T2, M3: a pod that is not known as one and reaches itself is masqueraded', () => {
    expect(meet(localPolicy, 'self', address, port, { localSource: { kind: 'none' } })).toBe('10.244.1.2+');
  });
});

describe('node ports', () => {
  test.each<[string, string, Partial<NodeDecision>, keyof typeof who, string]>([
    ['N1: not at an address that is not chosen', '192.168.7.1', {}, 'stranger', 'untouched'],
    ['N1: at every local address', '192.168.7.1', { nodePortAddresses: 'all' }, 'stranger', masked],
    [
      'N1: never at an address that is not local',
      '192.0.2.77',
      { nodePortAddresses: 'all' },
      'stranger',
      'untouched',
    ],
    ['N6: not at another node’s address', '10.0.0.2', { nodePortAddresses: 'all' }, 'pod', 'untouched'],
    ['N6: from a pod at this node’s', nIP, {}, 'pod', masked],
  ])('%s', (_rule, address, node, from, outcome) => {
    expect(meet(clusterPolicy, from, address, 30080, node)).toBe(outcome);
  });

  const inside = { source: '127.0.0.1', from: { kind: 'process' } } as const;

  test('N3: 127.0.0.1 answers where asked for, to processes, masqueraded', () => {
    const on = { nodePortAddresses: 'all', localhostNodePorts: true } as const;

    expect(meet(clusterPolicy, inside, '127.0.0.1', 30080, { nodePortAddresses: 'all' })).toBe('untouched');
    expect(meet(clusterPolicy, inside, '127.0.0.1', 30080, on)).toBe(masked);
    expect(meet(localWithout, inside, '127.0.0.1', 30080, on)).toBe('10.244.2.2+');
    const another = { ...inside, source: '127.0.0.7' };
    expect(meet(localWithout, another, '127.0.0.7', 30080, on)).toBe('10.244.2.2+');
    expect(meet(clusterPolicy, 'stranger', '127.0.0.1', 30080, on)).toBe('untouched');
  });

  test('N2: an external IP that is the node’s own address wins over another’s node port', () => {
    const other = aDecision({
      service: 'default/other' as Decision['service'],
      port: 30080,
      clusterIP: '10.96.0.11',
      externalIPs: [nIP],
      balancerIPs: [],
      nodePort: 0,
      cluster: [there],
    });

    expect(meet([clusterPolicy, other], 'stranger', nIP, 30080)).toBe('10.244.2.2+');
  });

  test('O13: the protocol is part of the destination', () => {
    expect(meet(aDecision({ protocol: 'UDP' }), 'stranger', nIP, 30080)).toBe('untouched');
    expect(meet(aDecision({ protocol: 'UDP' }), 'pod', V, 80)).toBe('reject');
  });
});

describe('source ranges', () => {
  const guarded = aDecision({ sourceRanges: ['198.18.0.0/15'] });
  const inside = { source: '198.18.0.9', from: { kind: 'interface', name: 'eth0' } } as const;

  test.each<[string, Decision, keyof typeof who | typeof inside, string, number, string]>([
    ['L2: who is inside gets through', guarded, inside, L, 80, masked],
    ['L2: a stranger outside is dropped', guarded, 'stranger', L, 80, 'drop'],
    ['L2: a pod outside is dropped', guarded, 'pod', L, 80, 'drop'],
    ['L2: a process outside is dropped', guarded, 'process', L, 80, 'drop'],
    [
      'L3: outside comes before no endpoints',
      { ...nobody, sourceRanges: ['198.18.0.0/15'] },
      'stranger',
      L,
      80,
      'drop',
    ],
    [
      'L2: no endpoints are told to who is inside',
      { ...nobody, sourceRanges: ['198.18.0.0/15'] },
      inside,
      L,
      80,
      'reject',
    ],
    ['L2: no range at all lets nobody in', { ...guarded, sourceRanges: [] }, inside, L, 80, 'drop'],
    ['N7: node ports are open', guarded, 'stranger', nIP, 30080, masked],
    ['N7: external IPs are open', guarded, 'stranger', E, 80, masked],
    ['N7: the cluster IP is open', guarded, 'stranger', V, 80, masked],
    [
      'guarding everything, the node port is not',
      { ...guarded, guardEverything: true },
      'stranger',
      nIP,
      30080,
      'drop',
    ],
    [
      'guarding everything, the external IP is not',
      { ...guarded, guardEverything: true },
      'stranger',
      E,
      80,
      'drop',
    ],
    [
      'guarding everything, the cluster IP still is',
      { ...guarded, guardEverything: true },
      'stranger',
      V,
      80,
      masked,
    ],
  ])('%s', (_rule, decision, from, address, port, outcome) => {
    expect(meet(decision, from, address, port)).toBe(outcome);
  });
});

test('a packet of the other family is not ours', () => {
  expect(meet(clusterPolicy, 'pod', V, 80, {}, 'IPv6')).toBe('untouched');
});

test('the full answer names the clause and what was hit', () => {
  const index = indexDestinations([localPolicy], 'IPv4');
  const packet: Packet = { family: 'IPv4', protocol: 'TCP', destination: L, port: 80, ...who.stranger };

  expect(evaluateFully(aNodeDecision(), index, { addresses: new Set() }, packet)).toMatchObject({
    branch: 'local-other',
    hit: { kind: 'balancer', decision: { key: localPolicy.key } },
  });
});
