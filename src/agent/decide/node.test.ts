import { describe, expect, test } from 'vitest';
import { aNode, aNodeName } from '../../core/fixtures.ts';
import type { NodeDecision } from '../decision.ts';
import { awaited, decideNode } from './node.ts';
import { defaultSettings } from './settings.ts';
import type { AgentSettings } from './settings.ts';

const node = aNode('n1', {
  internalIPs: ['10.0.0.1', 'fd00::1'],
  podCIDRs: ['10.244.1.0/24', 'fd00:244:1::/64'],
});
const addresses = ['127.0.0.1', '::1', '10.0.0.1', '192.168.7.1', 'FD00::1', '2001:db8::7'];

function of(
  change: Partial<AgentSettings>,
  from = node as Parameters<typeof decideNode>[0],
): readonly NodeDecision[] {
  return decideNode(from, addresses, { ...defaultSettings(aNodeName('n1')), ...change });
}

describe('where node ports answer (N1)', () => {
  test.each<[string, AgentSettings['nodePortAddresses'], NodeDecision['nodePortAddresses'][]]>([
    ['by default at the primary address of each family', 'primary', [['10.0.0.1'], ['fd00::1']]],
    ['at all', 'all', ['all', 'all']],
    [
      'at those in ranges, without loopback',
      ['10.0.0.0/8', '127.0.0.0/8', '192.168.0.0/16', 'fd00::/8'],
      [['10.0.0.1', '192.168.7.1'], ['fd00::1']],
    ],
    ['ranges of the other family only mean all', ['fd00::/8'], ['all', ['fd00::1']]],
    ['ranges that hold none of the addresses mean none', ['172.31.0.0/16', '2001:db9::/32'], [[], []]],
    ['the whole family means all', ['0.0.0.0/0', 'fd00::/8'], ['all', ['fd00::1']]],
  ])('%s', (_rule, nodePortAddresses, wanted) => {
    expect(of({ nodePortAddresses }).map((one) => one.nodePortAddresses)).toStrictEqual(wanted);
  });

  test('before the node is known there is no primary address', () => {
    const unknown = decideNode(undefined, addresses, defaultSettings(aNodeName('n1')));

    expect(unknown.map((one) => one.nodePortAddresses)).toStrictEqual([[], []]);
  });

  test('a node with external addresses only has those for primary ones', () => {
    const outside = aNode('n1', { internalIPs: [], externalIPs: ['192.0.2.1'] });

    expect(of({ families: ['IPv4'] }, outside)[0]?.nodePortAddresses).toStrictEqual(['192.0.2.1']);
  });
});

describe('node ports at localhost (N3)', () => {
  const on = { localhostNodePorts: true, backend: 'iptables' } as const;

  test.each<[string, Partial<AgentSettings>, boolean]>([
    ['off by default', { backend: 'iptables' }, false],
    ['with the iptables backend, where asked for', on, true],
    ['never with nftables', { ...on, backend: 'nftables' }, false],
    ['with ranges that hold 127.0.0.1', { ...on, nodePortAddresses: ['127.0.0.0/8'] }, true],
    ['with the range of everything', { ...on, nodePortAddresses: ['0.0.0.0/0'] }, true],
    ['not with ranges that do not', { ...on, nodePortAddresses: ['10.0.0.0/8'] }, false],
    ['with ranges of the other family', { ...on, nodePortAddresses: ['fd00::/8'] }, true],
  ])('%s', (_rule, settings, wanted) => {
    expect(of(settings).map((one) => one.localhostNodePorts)).toStrictEqual([wanted, false]);
  });
});

test.each<[string, AgentSettings['detectLocal'], NodeDecision['localSource'][]]>([
  [
    'by range of the cluster',
    { kind: 'cluster-cidr', cidrs: ['10.244.0.0/16'] },
    [{ kind: 'cidrs', cidrs: ['10.244.0.0/16'] }, { kind: 'none' }],
  ],
  [
    'by range of the node',
    { kind: 'node-cidr' },
    [
      { kind: 'cidrs', cidrs: ['10.244.1.0/24'] },
      { kind: 'cidrs', cidrs: ['fd00:244:1::/64'] },
    ],
  ],
  [
    'by bridge',
    { kind: 'bridge', name: 'cni0' },
    [
      { kind: 'interface', name: 'cni0' },
      { kind: 'interface', name: 'cni0' },
    ],
  ],
  [
    'by interface prefix',
    { kind: 'interface-prefix', prefix: 'veth' },
    [
      { kind: 'interface-prefix', prefix: 'veth' },
      { kind: 'interface-prefix', prefix: 'veth' },
    ],
  ],
  ['not at all', { kind: 'none' }, [{ kind: 'none' }, { kind: 'none' }]],
])('§1.14: pods are told %s', (_rule, detectLocal, wanted) => {
  expect(of({ detectLocal }).map(({ localSource }) => localSource)).toStrictEqual(wanted);
});

test('C3: service ranges are heeded only instead of kube-proxy, each in its family', () => {
  const serviceRanges = ['10.96.0.0/16', 'fd00:96::/112'];

  expect(of({ serviceRanges, scope: 'all' }).map((one) => one.serviceRanges)).toStrictEqual([
    ['10.96.0.0/16'],
    ['fd00:96::/112'],
  ]);
  expect(of({ serviceRanges }).map((one) => one.serviceRanges)).toStrictEqual([[], []]);
});

test('M5: INVALID packets are dropped by default, with the iptables backend', () => {
  expect(of({ backend: 'iptables' })[0]?.dropInvalid).toBe(true);
  expect(of({ backend: 'nftables' })[0]?.dropInvalid).toBe(false);
  expect(of({ backend: 'iptables', dropInvalid: false })[0]?.dropInvalid).toBe(false);
});

test('the node is awaited, and its pod ranges where pods are told by them', () => {
  const settings: AgentSettings = { ...defaultSettings(aNodeName('n1')), detectLocal: { kind: 'node-cidr' } };

  expect(awaited(undefined, settings)).toContain('n1');
  expect(awaited(aNode('n1'), settings)).toContain('podCIDRs');
  expect(awaited(node, settings)).toBeUndefined();
  expect(awaited(aNode('n1'), { ...settings, detectLocal: { kind: 'none' } })).toBeUndefined();
});
