import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { nodesWithEndpoints } from './endpoints.ts';
import { anEndpoint, aSlice } from './fixtures.ts';
import type { EndpointSliceObject } from './objects.ts';

describe('nodesWithEndpoints', () => {
  const cases: readonly [string, readonly EndpointSliceObject[], Readonly<Record<string, number>>][] = [
    [
      'counts endpoints by node',
      [aSlice('s', [anEndpoint('1', 'a'), anEndpoint('2', 'a'), anEndpoint('3', 'b')])],
      {
        a: 2,
        b: 1,
      },
    ],
    [
      'merges all slices',
      [aSlice('s', [anEndpoint('1', 'a')]), aSlice('t', [anEndpoint('2', 'b')])],
      { a: 1, b: 1 },
    ],
    [
      'counts one that is listed in two slices once',
      [aSlice('s', [anEndpoint('1', 'a')]), aSlice('t', [anEndpoint('1', 'a')])],
      { a: 1 },
    ],
    [
      'counts a pod of two families once',
      [aSlice('s', [anEndpoint('1', 'a')]), aSlice('t', [anEndpoint('f::1', 'a')], { addressType: 'IPv6' })],
      { a: 1 },
    ],
    [
      'counts one that is not ready',
      [aSlice('s', [anEndpoint('1', 'a', { ready: false, serving: false })])],
      { a: 1 },
    ],
    [
      'leaves out one that terminates, serving or not',
      [
        aSlice('s', [
          anEndpoint('1', 'a', { terminating: true, ready: false }),
          anEndpoint('2', 'b', { terminating: true, ready: false, serving: false }),
        ]),
      ],
      {},
    ],
    [
      'keeps one whose older copy terminates',
      [aSlice('s', [anEndpoint('1', 'a', { terminating: true })]), aSlice('t', [anEndpoint('1', 'a')])],
      { a: 1 },
    ],
    ['leaves out one without a node', [aSlice('s', [anEndpoint('1', undefined)])], {}],
    [
      'leaves out slices of names',
      [aSlice('s', [anEndpoint('x.example', 'a')], { addressType: 'FQDN' })],
      {},
    ],
    ['is empty without slices', [], {}],
  ];
  test.each(cases)('%s', (_idea, slices, expected) => {
    expect(Object.fromEntries(nodesWithEndpoints(slices))).toEqual(expected);
  });

  const endpoint = fc
    .tuple(fc.nat({ max: 5 }), fc.constantFrom('a', 'b', undefined), fc.boolean(), fc.boolean())
    .map(([n, node, ready, terminating]) => anEndpoint(`10.0.0.${n}`, node, { ready, terminating }));
  test.prop([fc.array(endpoint), fc.nat({ max: 3 })])(
    'does not depend on how endpoints are spread over slices, nor on their order',
    (endpoints, at) => {
      const one = nodesWithEndpoints([aSlice('s', endpoints)]);
      const two = nodesWithEndpoints([
        aSlice('t', endpoints.slice(at).toReversed()),
        aSlice('u', endpoints.slice(0, at)),
      ]);
      expect(new Map(two)).toEqual(new Map(one));
    },
  );
});
