/** Which Services are MetalLB's, what keeps one from being taken over, and the patch. */
import { describe, expect, test } from 'vitest';
import { aService } from '../core/fixtures.ts';
import { hindrance, isOfMetallb, takingOver } from './metallb-services.ts';

const mark = 'metallb.io/ip-allocated-from-pool';
const shown = {
  ingress: [{ ip: '192.0.2.1' }],
  ingressManagers: ['controller'],
  loadBalancerClass: undefined,
};

test.each([
  ['MetalLB’s mark', { annotations: { [mark]: 'p' } }, true],
  ['its old mark', { annotations: { 'metallb.universe.tf/ip-allocated-from-pool': 'p' } }, true],
  ['an address that its controller wrote', shown, true],
  ['an address that somebody else wrote', { ...shown, ingressManagers: ['k3s'] }, false],
  ['an address of ours', { ...shown, ingressManagers: ['sluice-controller'] }, false],
  [
    'the mark, and is no balancer any more',
    { annotations: { [mark]: 'p' }, type: 'ClusterIP' as const },
    false,
  ],
])('a Service that has %s', (_what, change, is) => {
  expect(isOfMetallb(aService(change))).toBe(is);
});

describe('what keeps it from being taken over', () => {
  test.each([
    ['nothing', {}, undefined],
    ['it goes', { deleting: true }, /being deleted/u],
    ['it waits', { ingress: [] }, /no address yet/u],
    [
      'a class of its own',
      { loadBalancerClass: 'x.y/z' },
      /annotate service web sluice\.dev\/addresses=192\.0\.2\.1 && kubectl/u,
    ],
    ['a third one', { ingressManagers: ['controller', 'k3s'] }, /"k3s" writes its address too/u],
    [
      'a foreign finalizer',
      { finalizers: ['service.kubernetes.io/load-balancer-cleanup'] },
      /another controller/u,
    ],
  ])('%s', (_what, change, why) => {
    const said = hindrance(aService({ name: 'web', ...shown, ...change }));
    if (why === undefined) expect(said).toBeUndefined();
    else expect(said).toMatch(why);
  });
});

test('the patch is tied to the version, adds ours, takes MetalLB’s mark, and names nobody else anew', () => {
  const owns = (path: object) => ({ 'f:status': path });
  const raw = {
    metadata: {
      uid: 'u',
      resourceVersion: '7',
      finalizers: ['example.com/keep'],
      annotations: { [mark]: 'p', 'example.com/other': 'x' },
      managedFields: [
        { manager: 'controller', subresource: 'status', fieldsV1: owns({ 'f:loadBalancer': {} }) },
        { manager: 'controller', fieldsV1: { 'f:metadata': {} } },
        { manager: 'mesh', subresource: 'status', fieldsV1: owns({ 'f:conditions': {} }) },
      ],
    },
  };
  const [address, ...others] = raw.metadata.managedFields;
  expect(takingOver(raw)).toEqual({
    metadata: {
      uid: 'u',
      resourceVersion: '7',
      finalizers: ['example.com/keep', 'sluice.dev/balancer'],
      annotations: { 'sluice.dev/served-by': 'local', [mark]: null },
      managedFields: [{ ...address, manager: 'sluice-controller' }, ...others],
    },
  });
});
