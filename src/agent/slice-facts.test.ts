import { describe, expect, test } from 'vitest';
import type { EndpointSliceObject } from '../core/objects.ts';
import { slimSlice } from '../kube/slim.ts';
import { testDecision } from './fixtures.ts';
import { destinations, retiredBy, servedByTcp } from './slice-facts.ts';

interface Pod {
  readonly address: string;
  readonly node?: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

function slice(pods: readonly Pod[], over: { readonly type?: string } = {}): EndpointSliceObject {
  return slimSlice(
    {
      metadata: { namespace: 'default', name: 's', labels: { 'kubernetes.io/service-name': 'dns' } },
      addressType: over.type ?? 'IPv4',
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
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

describe('who may answer', () => {
  test('a TCP connection: every endpoint that is still there', () => {
    const tcp = testDecision('dns', { portName: 'dns-tcp', protocol: 'TCP', port: 53 });
    const served = servedByTcp(tcp, [slice([{ address: '10.0.0.3', ready: false, serving: false }])]);
    expect([...served.answering]).toEqual(['10.0.0.3 53']);
    expect(served.untranslated).toBe(false);
  });

  test('nobody of the other family', () => {
    const tcp = testDecision('dns', { portName: 'dns-tcp', protocol: 'TCP', port: 53 });
    expect(servedByTcp(tcp, [slice([{ address: 'fd00::1' }], { type: 'IPv6' })]).answering.size).toBe(0);
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
    expect(retiredBy(destinations(before), after && destinations(after))).toEqual(retired);
  });
});
