/** The Service's side of a take-over: always somebody's, never half of two. */
import { describe, expect, test } from 'vitest';
import { finalizer, type ClaimRules } from '../core/claim.ts';
import { aService } from '../core/fixtures.ts';
import type { ServiceObject } from '../core/objects.ts';
import {
  changed,
  handing,
  holding,
  isPausedByUser,
  isServedByOther,
  obstacle,
  otherFinalizer,
} from './migrate-alibaba-service.ts';

const rules: ClaimRules = {
  providers: ['aws', 'alibaba'],
  defaultProvider: 'aws',
  classes: {},
  claimClassless: false,
};
const theirs = (change: Partial<Omit<ServiceObject, 'key'>> = {}): ServiceObject =>
  aService({ finalizers: [otherFinalizer], ...change });

function held(service: ServiceObject): ServiceObject {
  const change = holding(service);
  return change === undefined ? service : changed(service, change);
}

test('first it bears both finalizers and is paused, in the end ours alone, with the class for the other controller', () => {
  const between = held(theirs());
  expect(between.finalizers).toEqual([otherFinalizer, finalizer]);
  expect(between.annotations).toEqual({ 'sluice.dev/served-by': 'alibaba', 'sluice.dev/paused': 'true' });
  expect(holding(between)).toBeUndefined();
  const hand = handing(between, false);
  const after = changed(between, hand);
  expect(after.finalizers).toEqual([finalizer]);
  expect(after.annotations).toEqual({
    'sluice.dev/served-by': 'alibaba',
    'service.beta.kubernetes.io/class': 'sluice.dev/alibaba',
  });
  expect(hand.labels).toEqual({ 'service.beta.kubernetes.io/hash': null });
});

test('what its user paused stays paused; a pause of a take-over that was broken off is over', () => {
  const paused = theirs({ annotations: { 'sluice.dev/paused': 'true' } });
  expect(isPausedByUser(paused)).toBe(true);
  expect(isPausedByUser(held(theirs()))).toBe(false);
  expect(changed(held(paused), handing(held(paused), true)).annotations).toHaveProperty(
    ['sluice.dev/paused'],
    'true',
  );
});

test.each([
  [theirs(), true],
  [theirs({ finalizers: ['service.k8s.alibaba/nlb'] }), true],
  [aService(), false],
  [theirs({ type: 'ClusterIP' }), false],
])('whose it is, its finalizer says (%#)', (service, expected) => {
  expect(isServedByOther(service)).toBe(expected);
});

describe('what keeps it from being taken over', () => {
  test.each<[string, ServiceObject, string | undefined]>([
    ['nothing, whatever the default provider', theirs(), undefined],
    ['nothing, where it was begun', held(theirs()), undefined],
    ['deletion', theirs({ deleting: true }), 'ClaimedElsewhere'],
    ['an NLB', theirs({ finalizers: ['service.k8s.alibaba/nlb'] }), 'UnsupportedAnnotation'],
    ['a class that is not ours', theirs({ loadBalancerClass: 'x.io/clb' }), 'ClassNotServed'],
    ['another provider named', theirs({ annotations: { 'sluice.dev/provider': 'aws' } }), 'ClassNotServed'],
  ])('%s', (_what, service, reason) => {
    expect(obstacle(service, rules)?.reason).toBe(reason);
  });

  test('a class of the settings is ours', () => {
    const service = theirs({ loadBalancerClass: 'x.io/clb' });
    expect(obstacle(service, { ...rules, classes: { alibaba: ['x.io/clb'] } })).toBeUndefined();
  });
});
