/** What of MetalLB's pools carries over, and what is said of the rest. */
import { expect, test } from 'vitest';
import { convertMetallb } from './metallb-pools.ts';

const pool = (name: string, spec: object) => ({ kind: 'IPAddressPool', metadata: { name }, spec });
const l2 = (name: string, spec: object) => ({ kind: 'L2Advertisement', metadata: { name }, spec });

test('a pool keeps its ranges and its choice of Services, and takes nodes and interfaces from its advertisement', () => {
  const { pools, notes } = convertMetallb([
    pool('a', {
      addresses: ['192.0.2.0/28'],
      autoAssign: false,
      avoidBuggyIPs: true,
      serviceAllocation: {
        priority: 50,
        namespaces: ['shop'],
        serviceSelectors: [{ matchLabels: { a: 'b' } }],
      },
    }),
    l2('one', {
      ipAddressPools: ['a'],
      nodeSelectors: [{ matchLabels: { rack: '1' } }],
      interfaces: ['eth1'],
    }),
  ]);
  expect(notes).toEqual([]);
  expect(pools).toEqual([
    {
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'AddressPool',
      metadata: { name: 'a' },
      spec: {
        addresses: ['192.0.2.0/28'],
        autoAssign: false,
        avoidBuggyIPs: true,
        priority: 50,
        namespaces: ['shop'],
        serviceSelectors: [{ matchLabels: { a: 'b' } }],
        nodeSelectors: [{ matchLabels: { rack: '1' } }],
        interfaces: ['eth1'],
      },
    },
  ]);
});

test('an advertisement without restriction beside one with some leaves none', () => {
  const { pools } = convertMetallb([
    pool('a', { addresses: ['192.0.2.0/28'] }),
    l2('all', {}),
    l2('some', { ipAddressPools: ['a'], interfaces: ['eth1'] }),
  ]);
  expect(pools[0]?.spec).toEqual({ addresses: ['192.0.2.0/28'] });
});

test.each([
  [l2('other', { ipAddressPools: ['b'] }), 'no L2Advertisement'],
  [l2('x', { serviceSelectors: [{}] }), 'selects Services'],
  [{ kind: 'BGPAdvertisement', metadata: { name: 'bgp' } }, 'no counterpart'],
])('what does not carry over is named: %#', (object, said) => {
  expect(convertMetallb([pool('a', { addresses: ['192.0.2.0/28'] }), object]).notes.join()).toContain(said);
});
