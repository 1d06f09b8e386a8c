/** An endpoint that is drained gets nothing new while there are others, and everything else stays as it was. */
import { describe, expect, test } from 'vitest';
import { aNode, aNodeName, anEndpoint, aService, aSlice } from '../../core/fixtures.ts';
import type { SliceEndpoint } from '../../core/objects.ts';
import { explainEndpoints } from './explain.ts';
import { localReady, udpFact } from './facts.ts';
import { decideService, frameOf } from './service.ts';
import { defaultSettings } from './settings.ts';
import { viewNode } from './view.ts';

const view = viewNode(aNode('n1'), {
  ...defaultSettings(aNodeName('n1')),
  scope: 'all',
  families: ['IPv4'],
});

const here = anEndpoint('10.244.1.2', 'n1');
const alsoHere = anEndpoint('10.244.1.3', 'n1');
const there = anEndpoint('10.244.2.2', 'n2');

function seen(
  drain: string,
  endpoints: readonly SliceEndpoint[],
): { cluster: readonly string[]; local: readonly string[]; healthy: number; reasons: readonly string[] } {
  const service = aService({
    type: 'LoadBalancer',
    annotations: { 'sluice.dev/drain': drain },
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 30_999,
    ingress: [{ ip: '203.0.113.1' }],
  });
  const slices = [aSlice('s1', endpoints)];
  const [decision] = decideService(service, slices, view);
  const frame = frameOf(service, view);
  if (decision === undefined || frame === undefined) throw new Error('it is served');
  const [port] = explainEndpoints(service, slices, view).ports;
  return {
    cluster: decision.cluster.map(({ address }) => address),
    local: decision.local.map(({ address }) => address),
    healthy: localReady(frame, slices, 'IPv4', view),
    reasons: port?.endpoints.map(({ cluster, local }) => `${cluster} ${local}`) ?? [],
  };
}

describe('a drained endpoint', () => {
  test('gets nothing new while others are ready, and health checks do not count it', () => {
    expect(seen('10.244.1.2', [here, alsoHere, there])).toEqual({
      cluster: ['10.244.1.3', '10.244.2.2'],
      local: ['10.244.1.3'],
      healthy: 1,
      reasons: ['DrainingOthersReady DrainingOthersReady', 'Used Used', 'Used NotLocal'],
    });
  });

  test('that is the last one of the node serves on there, while balancers are sent elsewhere', () => {
    expect(seen('10.244.1.2', [here, there])).toEqual({
      cluster: ['10.244.2.2'],
      local: ['10.244.1.2'],
      healthy: 0,
      reasons: ['DrainingOthersReady UsedDraining', 'Used NotLocal'],
    });
  });

  test('that is the last one of all serves on', () => {
    expect(seen('10.244.1.0/24', [here, alsoHere]).cluster).toEqual(['10.244.1.2', '10.244.1.3']);
  });

  test('by the name of its node', () => {
    expect(seen('node:n2', [here, there])).toMatchObject({ cluster: ['10.244.1.2'], healthy: 1 });
  });

  test('that is not ready gets nothing all the same', () => {
    expect(seen('10.244.1.2', [{ ...here, ready: false, serving: false }, there]).reasons[0]).toBe(
      'NotReady NotReady',
    );
  });

  test('keeps its UDP flows: its answers are good', () => {
    const service = aService({ annotations: { 'sluice.dev/drain': '10.244.1.2' } });
    const slices = [aSlice('s1', [here, there])];
    const [decision] = decideService(service, slices, view);
    expect(decision && udpFact(decision, slices, view).serving).toHaveLength(2);
  });
});
