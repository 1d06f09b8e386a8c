import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { aNode } from './fixtures.ts';
import { eligibility, eligibleNodes, excludeLabel } from './nodes.ts';

describe('eligibility', () => {
  const cases: readonly [string, Parameters<typeof aNode>[1], string | undefined][] = [
    ['an ordinary node', {}, undefined],
    ['a node that is being deleted', { deleting: true }, 'NodeDeleting'],
    ['the exclude label set to true', { labels: { [excludeLabel]: 'true' } }, 'NodeExcluded'],
    ['the exclude label without a value', { labels: { [excludeLabel]: '' } }, 'NodeExcluded'],
    ['the exclude label with an odd value', { labels: { [excludeLabel]: 'never' } }, 'NodeExcluded'],
    ['the exclude label set to false', { labels: { [excludeLabel]: 'False' } }, undefined],
    ["the autoscaler's taint", { taints: [taint('ToBeDeletedByClusterAutoscaler')] }, 'NodeToBeDeleted'],
    ['any other taint', { taints: [taint('node.kubernetes.io/unreachable')] }, undefined],
    ['not ready', { ready: 'False' }, undefined],
    ['readiness unknown', { ready: 'Unknown' }, undefined],
    ['cordoned', { unschedulable: true }, undefined],
    ['control plane', { labels: { 'node-role.kubernetes.io/control-plane': '' } }, undefined],
    ['no providerID yet: the provider says so itself', { providerID: '' }, undefined],
  ];
  test.each(cases)('%s', (_idea, change, reason) => {
    expect(eligibility(aNode('n1', change))?.reason).toBe(reason);
  });

  test('the message names the node and what was found on it', () => {
    expect(eligibility(aNode('n1', { labels: { [excludeLabel]: 'yes' } }))?.message).toBe(
      'node n1 carries the label node.kubernetes.io/exclude-from-external-load-balancers=yes',
    );
  });
});

describe('eligibleNodes', () => {
  test.prop([
    fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z0-9]{1,3}$/), fc.boolean()), { selector: ([n]) => n }),
  ])('puts every node on exactly one side, sorted by name whatever the order given', (drawn) => {
    const { nodes, excluded } = eligibleNodes(drawn.map(([name, deleting]) => aNode(name, { deleting })));
    const names = (wanted: boolean): string[] =>
      drawn
        .filter(([, deleting]) => deleting === wanted)
        .map(([name]) => name)
        .toSorted();
    expect(nodes.map((node) => node.name)).toEqual(names(false));
    expect(excluded.map(({ node }) => node)).toEqual(names(true));
  });

  test('is computed once for one array', () => {
    const nodes = [aNode('a')];
    expect(eligibleNodes(nodes)).toBe(eligibleNodes(nodes));
    expect(eligibleNodes([...nodes])).not.toBe(eligibleNodes(nodes));
  });
});

function taint(key: string): { key: string; value: string; effect: string } {
  return { key, value: '', effect: 'NoSchedule' };
}
