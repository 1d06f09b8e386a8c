import { describe, expect, test } from 'vitest';
import { aNode, aNodeName, aService } from '../../core/fixtures.ts';
import { serviceProblems } from './service-check.ts';
import { checkSettings } from './settings-check.ts';
import { defaultSettings } from './settings.ts';
import type { AgentSettings } from './settings.ts';
import { viewNode } from './view.ts';

const good = defaultSettings(aNodeName('n1'));

function found(change: Partial<AgentSettings>): readonly string[] {
  return checkSettings({ ...good, ...change }).map(
    ({ severity, field, message }) => `${severity} ${field}: ${message}`,
  );
}

describe('settings', () => {
  test('the defaults are in order, for both backends and scopes', () => {
    for (const backend of ['nftables', 'iptables'] as const) {
      for (const scope of ['labelled', 'all'] as const) expect(found({ backend, scope })).toStrictEqual([]);
    }
  });

  test.each<[string, Partial<AgentSettings>, string]>([
    [
      'a node name with blanks',
      { nodeName: aNodeName(' n1') },
      'error nodeName: " n1" cannot be the name of a node',
    ],
    ['an empty node name', { nodeName: aNodeName('') }, 'error nodeName: "" cannot be'],
    ['no family', { families: [] }, 'error families: no address family'],
    ['a family twice', { families: ['IPv4', 'IPv4'] }, 'error families: a family is given twice'],
    ['a mark bit beyond the mark', { markBit: 32 }, 'error markBit: "32" is not'],
    ['kube-proxy’s mark bit beside it', { markBit: 14 }, "error markBit: bit 14 is kube-proxy's"],
    ['kubelet’s mark bit', { markBit: 15, scope: 'all' }, 'warning markBit: bit 15'],
    [
      'a pod range with a leading zero',
      { detectLocal: { kind: 'cluster-cidr', cidrs: ['010.0.0.0/8'] } },
      'error detectLocal.cidrs: "010.0.0.0/8" is not an address range',
    ],
    [
      'a pod range with host bits',
      { families: ['IPv4'], detectLocal: { kind: 'cluster-cidr', cidrs: ['10.1.2.3/8'] } },
      'warning detectLocal.cidrs: "10.1.2.3/8" has bits beyond its prefix and means 10.0.0.0/8',
    ],
    [
      'no pod range',
      { detectLocal: { kind: 'cluster-cidr', cidrs: [] } },
      'error detectLocal.cidrs: no pod range is given',
    ],
    [
      'no pod range of a family',
      { detectLocal: { kind: 'cluster-cidr', cidrs: ['10.0.0.0/8'] } },
      'warning detectLocal.cidrs: no range is of IPv6',
    ],
    [
      'a bridge without a name',
      { detectLocal: { kind: 'bridge', name: '' } },
      'error detectLocal.name: "" cannot be',
    ],
    [
      'an interface name that is too long',
      { detectLocal: { kind: 'interface-prefix', prefix: 'abcdefghijklmnop' } },
      'error detectLocal.prefix:',
    ],
    [
      'an empty list of node-port ranges',
      { nodePortAddresses: [] },
      'error nodePortAddresses: the list is empty',
    ],
    [
      'a node-port range with a blank',
      { nodePortAddresses: [' 10.0.0.0/8'] },
      'error nodePortAddresses: " 10.0.0.0/8" is not',
    ],
    [
      'N1: node-port ranges of one family only',
      { nodePortAddresses: ['10.0.0.0/8'] },
      'warning nodePortAddresses: no range is of IPv6, so its node ports answer at every local address',
    ],
    [
      'N3: localhost node ports with nftables',
      { localhostNodePorts: true },
      'warning localhostNodePorts: the nftables backend has no',
    ],
    [
      'N3: localhost node ports without IPv4',
      { localhostNodePorts: true, backend: 'iptables', families: ['IPv6'] },
      'warning localhostNodePorts: they exist over IPv4 only',
    ],
    [
      'N3: localhost outside the ranges',
      {
        localhostNodePorts: true,
        backend: 'iptables',
        families: ['IPv4'],
        nodePortAddresses: ['10.0.0.0/8'],
      },
      'warning localhostNodePorts: the addresses of node ports leave 127.0.0.1 out',
    ],
    [
      'service ranges beside kube-proxy',
      { serviceRanges: ['10.96.0.0/16'] },
      'warning serviceRanges: beside kube-proxy',
    ],
    [
      'service ranges that hold pods',
      {
        scope: 'all',
        families: ['IPv4'],
        serviceRanges: ['10.0.0.0/8'],
        detectLocal: { kind: 'cluster-cidr', cidrs: ['10.244.0.0/16'] },
      },
      'error serviceRanges: 10.0.0.0/8 shares addresses with the pod range',
    ],
  ])('%s', (_what, change, problem) => {
    const problems = found(change);

    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test('all problems come at once', () => {
    expect(found({ markBit: -1, families: [], nodePortAddresses: ['x', 'y'] })).toHaveLength(4);
  });
});

describe('what a Service says', () => {
  const view = viewNode(aNode('n1'), { ...good, scope: 'all' });

  test.each<[string, Parameters<typeof aService>[0], readonly string[]]>([
    ['nothing wrong', {}, []],
    [
      'an unknown way of balancing',
      { annotations: { 'sluice.dev/balancing': 'hsah' } },
      ['metadata.annotations["sluice.dev/balancing"]: "hsah" is not one of random, hash'],
    ],
    [
      'weights: every mistake',
      { annotations: { 'sluice.dev/weights': 'zone:a=0,pod:b=2,x' } },
      ['"x" is not of the form', 'weight "0" of "zone:a" is not a number', '"pod:b" is neither'],
    ],
    [
      'a guard that cannot be read',
      { annotations: { 'sluice.dev/guard-everything': 'ture' } },
      ['"ture" is not one of true, false, and counts as true'],
    ],
    [
      'O12: a malformed range',
      { sourceRanges: ['192.0.2.0/24', '010.0.0.0/8'] },
      ['spec.loadBalancerSourceRanges[1]: "010.0.0.0/8" is not an address range'],
    ],
    [
      'O12: only malformed ranges',
      { sourceRanges: ['x'] },
      ['spec.loadBalancerSourceRanges[0]', 'nobody is let in'],
    ],
    [
      'case 9: ranges of the other family only',
      { sourceRanges: ['2001:db8::/32'] },
      ['no range is of IPv4, so over IPv4 everybody is let in'],
    ],
    [
      'an external IP that is none',
      { externalIPs: ['198.51.100'] },
      ['spec.externalIPs[0]: "198.51.100" is not an address'],
    ],
    [
      'a published address that is none',
      { ingress: [{ ip: '1.2.3' }] },
      ['status.loadBalancer.ingress[0].ip'],
    ],
    [
      'O12: an external IP of a family that the Service is not in',
      { externalIPs: ['198.51.100.1', '2001:db8::1'] },
      ['spec.externalIPs[1]: "2001:db8::1" is of IPv6, in which the Service has no cluster IP'],
    ],
    [
      'O12: such an external IP where the Service is in both',
      { clusterIPs: ['10.96.0.10', 'fd00::10'], externalIPs: ['198.51.100.1', '2001:db8::1'] },
      [],
    ],
    [
      'O11: a published address of a family that the Service is not in, and one that a proxy answers for',
      { ingress: [{ ip: '2001:db8::1' }, { ip: '2001:db8::2', ipMode: 'Proxy' }] },
      ['status.loadBalancer.ingress[0].ip: "2001:db8::1" is of IPv6'],
    ],
  ])('%s', (_what, change, parts) => {
    const problems = serviceProblems(aService(change), view).map(
      ({ field, message }) => `${field}: ${message}`,
    );

    expect(problems).toHaveLength(parts.length);
    parts.forEach((part, i) => {
      expect(problems[i]).toContain(part);
    });
  });
});
