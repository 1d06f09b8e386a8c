import { describe, expect, test } from 'vitest';
import { anEndpoint, aNode, aService, aSlice } from './fixtures.ts';
import { excludeLabel } from './nodes.ts';
import type { World } from './provider.ts';
import { chooseNodes } from './targets.ts';

const nodes = [
  aNode('d', { labels: { [excludeLabel]: '' } }),
  aNode('b', { labels: { pool: 'edge' } }),
  aNode('a', { labels: { pool: 'edge' } }),
  aNode('c', { labels: { pool: 'batch' } }),
];
const slices = [aSlice('s', [anEndpoint('1', 'a'), anEndpoint('2', 'c'), anEndpoint('3', 'd')])];

function world(externalTrafficPolicy: 'Cluster' | 'Local'): World {
  const service = aService({ externalTrafficPolicy });
  return { cluster: { name: 'test', id: 'id' }, service, services: [service], nodes, slices };
}

describe('chooseNodes', () => {
  const cases: readonly [string, 'Cluster' | 'Local', Parameters<typeof chooseNodes>[1], string, string][] = [
    ['takes every eligible node', 'Cluster', { mode: 'all-nodes' }, 'a b c', 'd NodeExcluded'],
    [
      'does so under Cluster whatever the mode',
      'Cluster',
      { mode: 'local-nodes' },
      'a b c',
      'd NodeExcluded',
    ],
    [
      'narrows to nodes with an endpoint under Local',
      'Local',
      { mode: 'local-nodes' },
      'a c',
      'd NodeExcluded, b NodeWithoutEndpoint',
    ],
    [
      'leaves Local to the health check when asked to',
      'Local',
      { mode: 'all-nodes' },
      'a b c',
      'd NodeExcluded',
    ],
    [
      'narrows to the selected nodes',
      'Cluster',
      { mode: 'all-nodes', selector: { pool: 'edge' } },
      'a b',
      'd NodeExcluded, c NodeNotSelected',
    ],
    [
      'applies selector and endpoints together',
      'Local',
      { mode: 'local-nodes', selector: { pool: 'edge' } },
      'a',
      'd NodeExcluded, b NodeWithoutEndpoint, c NodeNotSelected',
    ],
  ];
  test.each(cases)('%s', (_idea, policy, choice, chosen, left) => {
    const answer = chooseNodes(world(policy), choice);
    expect(answer.nodes.map(({ name }) => name).join(' ')).toBe(chosen);
    expect(answer.excluded.map(({ node, reason }) => `${node} ${reason}`).join(', ')).toBe(left);
  });

  test('what the Service says by annotation goes before the mode', () => {
    const local = world('Local');
    const service = { ...local.service, annotations: { 'sluice.dev/targets': 'all-nodes' } };
    const { nodes: chosen } = chooseNodes({ ...local, service }, { mode: 'local-nodes' });
    expect(chosen.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });
});
