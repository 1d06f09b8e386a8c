import { describe, expect, test } from 'vitest';
import { ownAnnotations } from '../../core/annotations.ts';
import { agentAnnotation, agentAnnotationDocs } from '../../core/agent-annotations.ts';
import { anEndpoint } from '../../core/fixtures.ts';
import { serviceOptions, weightOf } from './annotations.ts';

const { balancing, weights, guardEverything } = agentAnnotation;

describe('annotations of the agent', () => {
  test('the controller knows them all', () => {
    const all = Object.fromEntries(agentAnnotationDocs.map(({ key }) => [key, 'x']));

    expect(ownAnnotations(all).problems).toStrictEqual([]);
  });

  test.each<[string, Readonly<Record<string, string>>, object]>([
    [
      'none: random, no weights, the setting guards',
      {},
      { balancing: 'random', weights: [], guardEverything: undefined },
    ],
    ['a stable hash', { [balancing.key]: 'hash' }, { balancing: 'hash' }],
    ['an unknown way is random', { [balancing.key]: 'HASH' }, { balancing: 'random' }],
    ['guarded', { [guardEverything.key]: 'true' }, { guardEverything: true }],
    ['not guarded, whatever the setting', { [guardEverything.key]: 'false' }, { guardEverything: false }],
    ['what cannot be read guards', { [guardEverything.key]: 'flase' }, { guardEverything: true }],
    ['one bad weight, and there are none', { [weights.key]: 'zone:a=2,zone:b=65' }, { weights: [] }],
    ['a weight twice, and there are none', { [weights.key]: 'zone:a=2,zone:a=3' }, { weights: [] }],
    [
      'addresses before nodes before zones',
      { [weights.key]: 'default=4,zone:a=3,node:n=2,10.0.0.1=1' },
      {
        weights: [
          { by: 'range', value: '10.0.0.1/32', weight: 1 },
          { by: 'node', value: 'n', weight: 2 },
          { by: 'zone', value: 'a', weight: 3 },
          { by: 'default', value: '', weight: 4 },
        ],
      },
    ],
  ])('%s', (_what, annotations, options) => {
    expect(serviceOptions({ annotations }).options).toMatchObject(options);
  });

  test.each([
    ['10.244.1.2', 5],
    ['10.244.1.3', 4],
    ['10.9.9.9', 2],
  ])('%s weighs %d', (address, weight) => {
    const { options } = serviceOptions({
      annotations: {
        [weights.key]: 'node:n2=2,10.244.1.0/24=4,10.244.1.2=5',
      },
    });

    expect(weightOf(options.weights, address, anEndpoint(address, 'n2'))).toBe(weight);
    expect(weightOf(options.weights, 'fd00::1', anEndpoint('fd00::1', 'n1'))).toBe(1);
  });
});
