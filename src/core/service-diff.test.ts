import { describe, expect, test } from 'vitest';
import { finalizer } from './claim.ts';
import { aNode, aNodeName, aPort, aService, aUid } from './fixtures.ts';
import { excludeLabel } from './nodes.ts';
import { endpointsMatter, nodeMatters, serviceMatters } from './service-diff.ts';

describe('serviceMatters', () => {
  type Change = Parameters<typeof aService>[0];
  const needed: readonly [string, Change][] = [
    ['type', { type: 'ClusterIP' }],
    ['class', { loadBalancerClass: 'sluice.dev/aws' }],
    ['deletion', { deleting: true }],
    ['UID', { uid: aUid('another') }],
    ['port name', { ports: [aPort({ name: 'http' })] }],
    ['port protocol', { ports: [aPort({ protocol: 'UDP' })] }],
    ['port number', { ports: [aPort({ port: 81 })] }],
    ['node port', { ports: [aPort({ nodePort: 30081 })] }],
    ['target port', { ports: [aPort({ targetPort: 'http' })] }],
    ['application protocol', { ports: [aPort({ appProtocol: 'http' })] }],
    ['one more port', { ports: [aPort(), aPort({ name: 'b', port: 81 })] }],
    ['session affinity', { sessionAffinity: 'ClientIP' }],
    ['affinity time-out', { sessionAffinityTimeout: 60 }],
    ['source ranges', { sourceRanges: ['10.0.0.0/8'] }],
    ['balancer IP', { loadBalancerIP: '10.0.0.1' }],
    ['external IPs', { externalIPs: ['10.0.0.1'] }],
    ['traffic policy', { externalTrafficPolicy: 'Local' }],
    ['health check port', { healthCheckNodePort: 31000 }],
    ['address families', { ipFamilies: ['IPv4', 'IPv6'] }],
    ['an annotation of ours', { annotations: { 'sluice.dev/paused': 'true' } }],
    [
      'an annotation of a dialect',
      { annotations: { 'service.beta.kubernetes.io/aws-load-balancer-scheme': 'internal' } },
    ],
    [
      'source ranges by annotation',
      { annotations: { 'service.beta.kubernetes.io/load-balancer-source-ranges': '::/0' } },
    ],
  ];
  test.each(needed)('a change of %s needs a pass, and so does taking it back', (_what, change) => {
    expect(serviceMatters(aService(), aService(change))).toBe(true);
    expect(serviceMatters(aService(change), aService())).toBe(true);
  });

  test('the order of ports needs a pass', () => {
    const [a, b] = [aPort({ name: 'a' }), aPort({ name: 'b', port: 81 })];
    expect(serviceMatters(aService({ ports: [a, b] }), aService({ ports: [b, a] }))).toBe(true);
  });

  const idle: readonly [string, Change][] = [
    ['nothing', {}],
    ['resource version', { resourceVersion: '2' }],
    ['generation', { generation: 2 }],
    ['labels', { labels: { a: 'b' } }],
    [
      "other people's annotations",
      { annotations: { 'example.com/touched': 'now', 'kubectl.kubernetes.io/x': 'y' } },
    ],
    ['our record', { annotations: { 'sluice.dev/served-by': 'aws' } }],
    ['our finalizer coming', { finalizers: [finalizer] }],
    ['the address', { ingress: [{ hostname: 'x' }], ingressManagers: ['sluice-controller'] }],
    [
      'conditions',
      {
        conditions: [
          { type: 'InSync', status: 'True', reason: 'InSync', message: '', lastTransitionTime: '' },
        ],
      },
    ],
  ];
  test.each(idle)('a change of %s does not', (_what, change) => {
    expect(serviceMatters(aService(), aService(change))).toBe(false);
  });

  test('annotations in another order are the same', () => {
    const [a, b] = [
      { 'sluice.dev/a': '1', 'sluice.dev/b': '2' },
      { 'sluice.dev/b': '2', 'sluice.dev/a': '1' },
    ];
    expect(serviceMatters(aService({ annotations: a }), aService({ annotations: b }))).toBe(false);
  });

  test('our finalizer taken off by somebody needs a pass', () => {
    expect(serviceMatters(aService({ finalizers: [finalizer] }), aService())).toBe(true);
  });
});

describe('nodeMatters', () => {
  type Change = Parameters<typeof aNode>[1];
  const taint = { value: '', effect: 'NoSchedule' };
  const needed: readonly [string, Change][] = [
    ['providerID', { providerID: 'aws:///zone-a/i-other' }],
    ['UID', { uid: aUid('another') }],
    ['internal address', { internalIPs: ['10.0.0.2'] }],
    ['zone', { zone: 'zone-b' }],
    ['deletion', { deleting: true }],
    ['the exclude label', { labels: { [excludeLabel]: '' } }],
    ["the autoscaler's taint", { taints: [{ ...taint, key: 'ToBeDeletedByClusterAutoscaler' }] }],
    ['a label that may be selected by', { labels: { pool: 'edge' } }],
  ];
  test.each(needed)('a change of %s wakes Services', (_what, change) => {
    expect(nodeMatters(aNode('a'), aNode('a', change))).toBe(true);
  });

  const idle: readonly [string, Change][] = [
    ['heartbeat', { resourceVersion: '2' }],
    ['readiness', { ready: 'Unknown' }],
    ['cordon', { unschedulable: true, taints: [{ ...taint, key: 'node.kubernetes.io/unschedulable' }] }],
    ['annotations', { annotations: { 'volumes.kubernetes.io/x': 'y' } }],
    ['pod ranges', { podCIDRs: ['10.1.0.0/24'] }],
  ];
  test.each(idle)('a change of %s does not', (_what, change) => {
    expect(nodeMatters(aNode('a'), aNode('a', change))).toBe(false);
  });
});

describe('endpointsMatter', () => {
  const on = (...nodes: readonly [string, number][]): Map<ReturnType<typeof aNodeName>, number> =>
    new Map(nodes.map(([node, count]) => [aNodeName(node), count]));
  test.each([
    ['a node more', on(['a', 1]), on(['a', 1], ['b', 1]), true],
    ['a node less', on(['a', 1], ['b', 1]), on(['a', 1]), true],
    ['another node', on(['a', 1]), on(['b', 1]), true],
    ['more endpoints on the same nodes', on(['a', 1]), on(['a', 3]), false],
    ['nothing and nothing', on(), on(), false],
  ])('%s', (_idea, before, after, matters) => {
    expect(endpointsMatter(before, after)).toBe(matters);
  });
});
