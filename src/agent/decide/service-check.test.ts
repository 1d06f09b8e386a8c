/** Which annotations the agent warns of, and who tells it. */
import { describe, expect, test } from 'vitest';
import { aNodeName, aService } from '../../core/fixtures.ts';
import type { Condition } from '../../core/objects.ts';
import { agentProblems, serviceProblems } from './service-check.ts';
import { defaultSettings } from './settings.ts';
import { viewNode } from './view.ts';

const view = viewNode(undefined, defaultSettings(aNodeName('n1')));
const proxy = 'service.kubernetes.io/service-proxy-name';
const accepted: Condition = {
  type: 'Accepted',
  status: 'False',
  reason: 'InvalidAnnotation',
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
};

describe('annotations that nobody knows', () => {
  const labelled = { [proxy]: 'sluice' };
  const misspelt = { 'sluice.dev/wieghts': 'zone:a=2', 'sluice.dev/zzz': '', 'example.com/wieghts': '' };

  test('each of ours is a warning with the one that was meant; those that are read by others of ours are known', () => {
    const known = {
      'sluice.dev/weights': 'zone:a=2',
      'sluice.dev/address-pool': 'x',
      'sluice.dev/paused': 'true',
    };
    const problems = serviceProblems(
      aService({ labels: labelled, annotations: { ...known, ...misspelt } }),
      view,
    );

    expect(problems).toEqual([
      {
        severity: 'warning',
        reason: 'UnknownAnnotation',
        field: 'metadata.annotations["sluice.dev/wieghts"]',
        message: 'this annotation is not known and has no effect',
        cure: 'did you mean "sluice.dev/weights"?',
      },
      expect.objectContaining({ cure: 'remove it or correct its spelling' }),
    ]);
  });

  test.each<[string, Parameters<typeof aService>[0], number]>([
    ['a Service of type ClusterIP', { type: 'ClusterIP' }, 2],
    ['a balancer’s Service that nobody has taken up', {}, 2],
    ['one that a controller serves tells of it itself', { finalizers: ['sluice.dev/balancer'] }, 0],
    ['one that a controller refuses', { conditions: [accepted] }, 0],
    ['one that is no balancer’s any more', { type: 'NodePort', conditions: [accepted] }, 2],
    ['one that another proxy serves', { type: 'ClusterIP', labels: { ...labelled, [proxy]: 'cilium' } }, 0],
    ['a headless one', { type: 'ClusterIP', headless: true, clusterIPs: [] }, 0],
  ])('%s: %#', (_what, change, count) => {
    const service = aService({ labels: labelled, annotations: misspelt, ...change });

    expect(agentProblems(service, view)).toHaveLength(count);
  });
});
