import { describe, expect, test } from 'vitest';
import type { EndpointSliceObject, NodeName } from '../core/objects.ts';
import { slimSlice } from '../kube/slim.ts';
import { testDecision } from './fixtures.ts';
import { readyOnNode, retiredBy, servedBy } from './slice-facts.ts';

interface Pod {
  readonly address: string;
  readonly node?: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

function slice(
  pods: readonly Pod[],
  over: { readonly port?: number; readonly type?: string } = {},
): EndpointSliceObject {
  return slimSlice(
    {
      metadata: { namespace: 'default', name: 's', labels: { 'kubernetes.io/service-name': 'dns' } },
      addressType: over.type ?? 'IPv4',
      ports: [
        { name: 'dns', port: over.port ?? 53, protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, protocol: 'TCP' },
      ],
      endpoints: pods.map(({ address, node, ...conditions }) => ({
        addresses: [address],
        ...(node === undefined ? {} : { nodeName: node }),
        conditions,
      })),
    },
    (text) => text,
  );
}

const n1 = 'n1' as NodeName;

describe('who may answer', () => {
  const udp = testDecision('dns', {
    portName: 'dns',
    protocol: 'UDP',
    port: 53,
    balancerIPs: ['203.0.113.1'],
  });

  test('a UDP flow: every endpoint that serves, terminating or not, at the number of its own slice', () => {
    const pods = [
      { address: '10.0.0.1' },
      { address: '10.0.0.2', ready: false, serving: true, terminating: true },
      { address: '10.0.0.3', ready: false, serving: false, terminating: true },
    ];
    const { answering, addresses } = servedBy(udp, [
      slice(pods),
      slice([{ address: '10.0.0.4' }], { port: 5353 }),
    ]);
    expect([...answering]).toEqual(['10.0.0.1|53', '10.0.0.2|53', '10.0.0.4|5353']);
    expect(addresses).toEqual(['10.96.0.10', '203.0.113.1']);
  });

  test('a TCP connection: every endpoint that is still there', () => {
    const tcp = testDecision('dns', { portName: 'dns-tcp', protocol: 'TCP', port: 53 });
    const served = servedBy(tcp, [slice([{ address: '10.0.0.3', ready: false, serving: false }])]);
    expect([...served.answering]).toEqual(['10.0.0.3|53']);
    expect(served.untranslated).toBe(false);
  });

  test('nobody of the other family', () => {
    expect(servedBy(udp, [slice([{ address: 'fd00::1' }], { type: 'IPv6' })]).answering.size).toBe(0);
  });
});

describe('what is served no more', () => {
  const before = testDecision('dns', { port: 53, externalIPs: ['192.0.2.1'], nodePort: 30053 });

  test.each([
    [
      'a deleted Service: everything',
      undefined,
      { addresses: ['10.96.0.10', '192.0.2.1'], port: 53, nodePort: 30053 },
    ],
    ['the same again: nothing', before, undefined],
    [
      'an external IP less: that one',
      { ...before, externalIPs: [] },
      { addresses: ['192.0.2.1'], port: 53, nodePort: 0 },
    ],
    [
      'another node port: the old one',
      { ...before, nodePort: 30054 },
      { addresses: [], port: 53, nodePort: 30053 },
    ],
    [
      'another port: all addresses at the old one',
      { ...before, port: 54 },
      { addresses: ['10.96.0.10', '192.0.2.1'], port: 53, nodePort: 0 },
    ],
  ])('%s', (_, after, retired) => {
    expect(retiredBy(before, after)).toEqual(retired);
  });
});

describe('the count of a health-check node port', () => {
  test('is of pods that are ready on this node, each once', () => {
    const pods = [
      { address: '10.0.0.1', node: 'n1' },
      { address: '10.0.0.2', node: 'n1', ready: false, serving: true, terminating: true },
      { address: '10.0.0.3', node: 'n2' },
      { address: '10.0.0.4' },
    ];
    expect(readyOnNode([slice(pods), slice([{ address: '10.0.0.1', node: 'n1' }])], n1, 'IPv4')).toBe(1);
    expect(readyOnNode([slice(pods)], n1, 'IPv6')).toBe(0);
  });
});
