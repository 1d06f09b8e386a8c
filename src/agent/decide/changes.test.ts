import { describe, expect, test } from 'vitest';
import { aNode, aNodeName, anEndpoint, aService, aSlice } from '../../core/fixtures.ts';
import type { Decision } from '../decision.ts';
import { diffDecisions, sameDecision } from './changes.ts';
import { decideService } from './service.ts';
import { defaultSettings } from './settings.ts';
import { viewNode } from './view.ts';

function decideOnce(): Decision {
  const view = viewNode(aNode('n1'), { ...defaultSettings(aNodeName('n1')), scope: 'all' });
  const service = aService({
    externalTrafficPolicy: 'Local',
    ingress: [{ ip: '203.0.113.1' }],
    sourceRanges: ['192.0.2.0/24'],
  });
  const slices = [aSlice('s', [anEndpoint('10.244.1.2', 'n1'), anEndpoint('10.244.2.2', 'n2')])];
  const [decision] = decideService(service, slices, view);
  if (decision === undefined) throw new Error('a decision was expected');
  return decision;
}

const one = decideOnce();
const other = { address: '10.244.1.9', port: 8080, local: true, weight: 1 };

describe('equality', () => {
  test('two decisions made from equal objects are equal', () => {
    expect(sameDecision(one, decideOnce())).toBe(true);
  });

  const different: { readonly [Field in keyof Decision]?: Decision[Field] } = {
    port: 81,
    clusterIP: undefined,
    externalIPs: ['198.51.100.1'],
    balancerIPs: ['203.0.113.2'],
    nodePort: 0,
    cluster: [other],
    local: [other],
    internal: { kind: 'drop' },
    external: { kind: 'balance', to: 'cluster' },
    shortcut: { kind: 'reject' },
    affinitySeconds: 10,
    sourceRanges: undefined,
    guardEverything: true,
    balancing: 'hash',
    healthCheckNodePort: 31000,
  };

  test('every field that can differ on its own is in the table', () => {
    const fixed = ['key', 'service', 'portName', 'protocol', 'family'];

    expect([...Object.keys(different), ...fixed].toSorted()).toStrictEqual(Object.keys(one).toSorted());
  });

  test.each(Object.entries(different))('%s alone makes a difference', (field, value) => {
    expect(sameDecision(one, { ...one, [field]: value })).toBe(false);
  });

  test.each([
    ['address', { ...other, address: '10.244.1.8' }],
    ['port', { ...other, port: 1 }],
    ['local', { ...other, local: false }],
    ['weight', { ...other, weight: 2 }],
  ])('%s of an endpoint alone makes a difference', (_field, endpoint) => {
    expect(sameDecision({ ...one, cluster: [other] }, { ...one, cluster: [endpoint] })).toBe(false);
  });
});

test('a difference names what goes first, then what is new or not equal', () => {
  const renamed = { ...one, key: 'default/new:/tcp/ipv4' as Decision['key'] };
  const changed = { ...one, nodePort: 1 };

  expect(diffDecisions([one], [renamed])).toStrictEqual([
    { key: one.key, before: one, after: undefined },
    { key: renamed.key, before: undefined, after: renamed },
  ]);
  expect(diffDecisions([one], [changed])).toStrictEqual([{ key: one.key, before: one, after: changed }]);
  expect(diffDecisions([one], [decideOnce()])).toStrictEqual([]);
});
