import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { claimOf, finalizer } from './claim.ts';
import type { Claim, ClaimRules } from './claim.ts';
import { aService } from './fixtures.ts';

const rules: ClaimRules = {
  providers: ['aws', 'local'],
  defaultProvider: 'aws',
  classes: { local: ['example.com/metal'] },
  claimClassless: true,
};
type Change = Parameters<typeof aService>[0];
const held = { finalizers: [finalizer] };
const servedBy = (provider: string): Change => ({ annotations: { 'sluice.dev/served-by': provider } });

/** In one line, for tables. */
function line(claim: Claim): string {
  switch (claim.kind) {
    case 'ours':
      return `ours: ${claim.provider}`;
    case 'released':
      return `released (${claim.cause}): ${claim.providers.join(' ')}`;
    case 'foreign':
      return claim.reason;
    case 'none':
      return 'none';
  }
}

describe('claimOf', () => {
  const rows: readonly [string, Change, string][] = [
    ['class-less: the default provider', {}, 'ours: aws'],
    ['class-less with a provider named', { annotations: { 'sluice.dev/provider': 'local' } }, 'ours: local'],
    [
      'class-less, naming a provider that is not configured',
      { annotations: { 'sluice.dev/provider': 'alibaba' } },
      'ClassNotServed',
    ],
    ['our class', { loadBalancerClass: 'sluice.dev/local' }, 'ours: local'],
    ['a class of the settings', { loadBalancerClass: 'example.com/metal' }, 'ours: local'],
    [
      'the class goes before the annotation',
      { loadBalancerClass: 'sluice.dev/aws', annotations: { 'sluice.dev/provider': 'local' } },
      'ours: aws',
    ],
    [
      'our class of a provider that is not configured',
      { loadBalancerClass: 'sluice.dev/alibaba' },
      'ClassNotServed',
    ],
    ['our class with a typo', { loadBalancerClass: 'sluice.dev/asw' }, 'ClassNotServed'],
    ["another's class", { loadBalancerClass: 'service.k8s.aws/nlb' }, 'none'],
    ['no load balancer', { type: 'ClusterIP' }, 'none'],
    ['an external name', { type: 'ExternalName', ports: [], clusterIPs: [] }, 'none'],
    ['headless', { headless: true, clusterIPs: [] }, 'ours: aws'],
    [
      'labelled for another proxy',
      { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } },
      'ours: aws',
    ],
    ['being deleted without our finalizer', { deleting: true }, 'none'],
    ['being deleted with it', { ...held, ...servedBy('aws'), deleting: true }, 'released (deleted): aws'],
    [
      'being deleted, without a record: all may hold something',
      { ...held, deleting: true },
      'released (deleted): aws local',
    ],
    [
      'being deleted, with a record that is not ours',
      { ...held, ...servedBy('x'), deleting: true },
      'released (deleted): aws local',
    ],
    [
      'another type, class wiped',
      { ...held, ...servedBy('local'), type: 'ClusterIP' },
      'released (type): local',
    ],
    [
      "another's class now",
      { ...held, ...servedBy('aws'), loadBalancerClass: 'x.io/lb' },
      'released (class): aws',
    ],
    [
      'deletion goes before type',
      { ...held, ...servedBy('aws'), type: 'NodePort', deleting: true },
      'released (deleted): aws',
    ],
    [
      'came back without an address, handed to another controller',
      {
        ...held,
        annotations: {
          'sluice.dev/served-by': 'aws',
          'service.beta.kubernetes.io/aws-load-balancer-type': 'external',
        },
      },
      'released (class): aws',
    ],
    [
      'handed to another controller while it shows our address: its balancer stays',
      {
        ...held,
        annotations: {
          'sluice.dev/served-by': 'aws',
          'service.beta.kubernetes.io/aws-load-balancer-type': 'external',
        },
        ingress: [{ hostname: 'a.example.com' }],
        ingressManagers: ['sluice-controller'],
      },
      'ours: aws',
    ],
    ['the record goes before the default', { ...held, ...servedBy('local') }, 'ours: local'],
    [
      'the annotation goes before the record',
      { ...held, annotations: { 'sluice.dev/served-by': 'aws', 'sluice.dev/provider': 'local' } },
      'ours: local',
    ],
    ['a record without our finalizer says nothing', servedBy('local'), 'ours: aws'],
    [
      'a held one whose annotation names nobody stays where it is',
      { ...held, annotations: { 'sluice.dev/served-by': 'local', 'sluice.dev/provider': 'x' } },
      'ours: local',
    ],
  ];
  test.each(rows)('%s', (_idea, change, expected) => {
    expect(line(claimOf(aService(change), rules))).toBe(expected);
  });

  const signs: readonly [string, Change, string][] = [
    [
      'service controller',
      { finalizers: ['service.kubernetes.io/load-balancer-cleanup'] },
      'finalizer service.kubernetes.io/load-balancer-cleanup',
    ],
    [
      'AWS controller',
      { finalizers: ['service.k8s.aws/resources'] },
      'aws-load-balancer-controller serves it',
    ],
    [
      'Alibaba controller',
      { finalizers: ['service.k8s.alibaba/resources'] },
      'Alibaba cloud controller manager',
    ],
    ['MetalLB', { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } }, 'MetalLB'],
    [
      'a field manager',
      { ingressManagers: ['sluice-controller', 'cilium-operator'] },
      '"cilium-operator" writes its address',
    ],
    [
      'type external',
      { annotations: { 'service.beta.kubernetes.io/aws-load-balancer-type': 'external' } },
      'aws-load-balancer-type: external',
    ],
    [
      'type nlb-ip',
      { annotations: { 'service.beta.kubernetes.io/aws-load-balancer-type': 'nlb-ip' } },
      'aws-load-balancer-type: nlb-ip',
    ],
  ];
  describe.each(signs)('another controller shows: %s', (_sign, change, words) => {
    test('a class-less Service is left alone, and the message names the sign', () => {
      const claim = claimOf(aService(change), rules);
      expect(claim).toMatchObject({ kind: 'foreign', reason: 'ClaimedElsewhere' });
      expect(claim.kind === 'foreign' && claim.message).toContain(words);
      expect(claim.kind === 'foreign' && claim.message).toContain('default/web');
    });
    test('a Service of our class is ours all the same', () => {
      expect(line(claimOf(aService({ ...change, loadBalancerClass: 'sluice.dev/aws' }), rules))).toBe(
        'ours: aws',
      );
    });
    test('a Service that we hold, and that shows our address, stays ours', () => {
      const both = {
        ...change,
        finalizers: [finalizer, ...(change?.finalizers ?? [])],
        ingress: [{ hostname: 'a.example.com' }],
        ingressManagers: ['sluice-controller', ...(change?.ingressManagers ?? [])],
      };
      expect(line(claimOf(aService(both), rules))).toBe('ours: aws');
    });
    test('says nothing where class-less Services are not claimed', () => {
      expect(line(claimOf(aService(change), { ...rules, claimClassless: false }))).toBe('none');
    });
  });

  test.each([
    ['our own writes', ['sluice-controller']],
    ['a person', ['kubectl-edit', 'kubectl']],
  ])('%s in the status are no sign of another controller', (_who, ingressManagers) => {
    expect(line(claimOf(aService({ ingressManagers }), rules))).toBe('ours: aws');
  });

  test('type nlb, which the service controller used to read, is accepted', () => {
    const annotations = { 'service.beta.kubernetes.io/aws-load-balancer-type': 'nlb' };
    expect(line(claimOf(aService({ annotations }), rules))).toBe('ours: aws');
  });

  describe('on Alibaba Cloud an annotation is a class, too', () => {
    const cloud: ClaimRules = { ...rules, providers: ['alibaba', 'aws'], defaultProvider: 'alibaba' };
    const classed = (name: string, change: Change = {}): Change => ({
      ...change,
      annotations: { ...change?.annotations, 'service.beta.kubernetes.io/class': name },
    });
    const served = { ...held, ...servedBy('alibaba') };
    const shown = { ingress: [{ ip: '192.0.2.1' }], ingressManagers: ['sluice-controller'] };
    test.each<[string, Change, string, Partial<ClaimRules>]>([
      ['ours', classed('sluice.dev/alibaba'), 'ours: alibaba', {}],
      [
        'ours, whatever the default',
        classed('sluice.dev/alibaba'),
        'ours: alibaba',
        { defaultProvider: 'aws' },
      ],
      [
        'ours, and class-less ones are not claimed',
        classed('sluice.dev/alibaba'),
        'ours: alibaba',
        { claimClassless: false },
      ],
      ['one of the settings', classed('x.io/clb'), 'ours: alibaba', { classes: { alibaba: ['x.io/clb'] } }],
      [
        'ours, of a provider that is not configured',
        classed('sluice.dev/alibaba'),
        'ClassNotServed',
        { providers: ['aws'], defaultProvider: 'aws' },
      ],
      ["another's", classed('x.io/lb'), 'ClaimedElsewhere', {}],
      [
        "another's, beside our class",
        classed('x.io/lb', { loadBalancerClass: 'sluice.dev/alibaba' }),
        'ClaimedElsewhere',
        {},
      ],
      [
        "another's, put on a live Service",
        classed('x.io/lb', { ...served, ...shown }),
        'released (class): alibaba',
        {},
      ],
      [
        "another's, put on a live Service of our class",
        classed('x.io/lb', { ...served, loadBalancerClass: 'sluice.dev/alibaba' }),
        'released (class): alibaba',
        {},
      ],
      ['empty: no opinion', classed('', served), 'ours: alibaba', {}],
      [
        "another's, on a Service of another cloud",
        classed('x.io/lb', { ...held, ...servedBy('aws') }),
        'ours: aws',
        {},
      ],
      [
        'a tunnel, in the older spelling',
        { annotations: { 'service.beta.kubernetes.io/alicloud-loadbalancer-tunnel-type': 'x' } },
        'ClaimedElsewhere',
        {},
      ],
      [
        "ours, and the cloud's own controller holds it",
        classed('sluice.dev/alibaba', { finalizers: ['service.k8s.alibaba/resources'] }),
        'ClaimedElsewhere',
        {},
      ],
    ])('%s', (_idea, change, expected, more) => {
      expect(line(claimOf(aService(change), { ...cloud, ...more }))).toBe(expected);
    });
  });

  test.each<[string, Partial<ClaimRules>]>([
    ['class-less Services are not claimed any more', { claimClassless: false }],
    ['another default is set', { defaultProvider: 'local' }],
    ['the provider is not configured any more', { providers: ['local'], defaultProvider: 'local' }],
  ])('a balancer is not taken down because %s', (_idea, change) => {
    const service = aService({ ...held, ...servedBy('aws') });
    expect(line(claimOf(service, { ...rules, ...change }))).toBe('ours: aws');
  });

  test('a balancer is not taken down because its class went from the settings', () => {
    const service = aService({
      ...held,
      ...servedBy('local'),
      loadBalancerClass: 'example.com/metal',
      ingress: [{ ip: '192.0.2.1' }],
      ingressManagers: ['sluice-controller'],
    });
    expect(line(claimOf(service, rules))).toBe('ours: local');
    expect(claimOf(service, { ...rules, classes: {} })).toMatchObject({
      reason: 'ClassNotServed',
      message:
        'service default/web: class "example.com/metal" is not in the settings any more; its balancer is left as it is',
    });
    const taken = { ...service, ingressManagers: ['other-controller'] };
    expect(line(claimOf(taken, { ...rules, classes: {} }))).toBe('released (class): local');
  });

  test('a single provider needs no default; several without one ask for a choice', () => {
    const { defaultProvider: _none, ...open } = rules;
    expect(line(claimOf(aService(), { ...open, providers: ['local'] }))).toBe('ours: local');
    expect(claimOf(aService(), open)).toMatchObject({
      reason: 'ClassNotServed',
      message:
        'service default/web has no class and there is no default provider; name one of aws, local by annotation sluice.dev/provider',
    });
  });

  test.prop([
    fc.record({
      deleting: fc.boolean(),
      type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
      loadBalancerClass: fc.constantFrom(undefined, 'sluice.dev/aws', 'sluice.dev/x', 'other.io/lb'),
      finalizers: fc.subarray([finalizer, 'service.k8s.aws/resources', 'x.io/y']),
      annotations: fc.dictionary(
        fc.constantFrom('sluice.dev/served-by', 'sluice.dev/provider'),
        fc.constantFrom('aws', 'local', 'x'),
      ),
    }),
    fc.boolean(),
  ])(
    'clean-up follows our finalizer: without it never, with it whenever the Service is not ours to serve',
    (drawn, claimClassless) => {
      const { kind } = claimOf(aService(drawn), { ...rules, claimClassless });
      const ours = drawn.finalizers.includes(finalizer);
      if (!ours) expect(kind).not.toBe('released');
      if (ours && (drawn.deleting || drawn.type !== 'LoadBalancer')) expect(kind).toBe('released');
      if (!drawn.deleting && drawn.type !== 'LoadBalancer') expect(kind).not.toBe('ours');
    },
  );
});
