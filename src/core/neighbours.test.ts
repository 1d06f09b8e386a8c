/** Other controllers of a cluster, as they show on Services. */
import { describe, expect, test } from 'vitest';
import { claimOf, type ClaimRules } from './claim.ts';
import { aService } from './fixtures.ts';
import { Neighbourhood, strangerOn } from './neighbours.ts';

const plain = aService({ name: 'theirs' });
const written = { ingress: [{ ip: '192.0.2.1' }] };

describe('who shows on a Service without a class', () => {
  test.each([
    ['k3s ServiceLB', { ...written, ingressManagers: ['k3s'] }],
    ['cloud-provider-kind', { ...written, ingressManagers: ['cloud-provider-kind'] }],
    ['MetalLB', { annotations: { 'metallb.io/ip-allocated-from-pool': 'p' } }],
    ['kube-vip', { annotations: { 'kube-vip.io/vipHost': 'n1' } }],
    ['service controller', { finalizers: ['service.kubernetes.io/load-balancer-cleanup'] }],
  ])('%s', (name, change) => {
    expect(strangerOn({ ...plain, ...change })).toContain(name);
  });

  test.each([
    ['nobody', {}],
    ['ourselves', { ...written, ingressManagers: ['sluice-controller'] }],
    ['a person', { ...written, ingressManagers: ['kubectl'] }],
    ['a script that nobody knows', { ...written, ingressManagers: ['curl'] }],
    [
      'one of a class of its own',
      { ...written, ingressManagers: ['metallb'], loadBalancerClass: 'metallb.io/x' },
    ],
    ['one that is no balancer', { ...written, ingressManagers: ['k3s'], type: 'ClusterIP' as const }],
  ])('%s does not', (_name, change) => {
    expect(strangerOn({ ...plain, ...change })).toBeUndefined();
  });
});

describe('a cluster with a neighbour', () => {
  const theirs = { ...plain, ...written, ingressManagers: ['k3s'] };
  const mine = aService({ name: 'mine' });

  function rules(neighbours: Neighbourhood, change: Partial<ClaimRules> = {}): ClaimRules {
    return {
      providers: ['local'],
      defaultProvider: 'local',
      claimClassless: true,
      neighbour: () => neighbours.shown(),
      ...change,
    };
  }

  test('a new Service without a class is left alone, with the neighbour, where it shows, and the one command', () => {
    const claim = claimOf(mine, rules(Neighbourhood.of([theirs])));
    expect(claim).toMatchObject({ kind: 'foreign', reason: 'ClaimedElsewhere' });
    const message = 'message' in claim ? claim.message : '';
    expect(message).toContain('k3s ServiceLB (field manager "k3s" of its status) on default/theirs');
    expect(message).toContain(
      `kubectl -n default patch service mine --type merge -p '{"spec":{"type":"ClusterIP"}}'`,
    );
    expect(message).toContain('"loadBalancerClass":"sluice.dev/local"');
  });

  test.each([
    ['our class', { loadBalancerClass: 'sluice.dev/local' }],
    ['our word by annotation', { annotations: { 'sluice.dev/provider': 'local' } }],
    ['our finalizer', { finalizers: ['sluice.dev/balancer'] }],
  ])('one with %s is ours all the same', (_how, change) => {
    expect(claimOf({ ...mine, ...change }, rules(Neighbourhood.of([theirs])))).toEqual({
      kind: 'ours',
      provider: 'local',
    });
  });

  test('a cloud’s provider goes by each Service alone, as it did', () => {
    const neighbours = Neighbourhood.of([theirs]);
    const aws = rules(neighbours, { providers: ['aws'], defaultProvider: 'aws' });
    expect(claimOf(mine, aws)).toEqual({ kind: 'ours', provider: 'aws' });
  });

  test('it is told when the first comes and when the last goes, and not between', () => {
    const neighbours = new Neighbourhood();
    const second = { ...theirs, name: 'second', key: 'default/second' as typeof theirs.key };
    expect(neighbours.note(undefined, mine)).toBe(false);
    expect(neighbours.note(undefined, theirs)).toBe(true);
    expect(neighbours.note(undefined, second)).toBe(false);
    expect(neighbours.note(theirs, { ...theirs, ingress: [], ingressManagers: [] })).toBe(false);
    expect(neighbours.note(second, undefined)).toBe(true);
    expect(neighbours.shown()).toBeUndefined();
  });
});
