/** How many targets a group and a balancer can hold. A target in several groups of a balancer counts in each. */

import { attribute } from './attributes.ts';
import type { Context } from './context.ts';
import { CloudError } from './errors.ts';
import { loadBalancerAttributes } from './load-balancer-attributes.ts';
import type { TargetGroupRecord, TargetRecord } from './store.ts';

/**
 * Throws TooManyTargets or TooManyRegistrationsForTargetId if `group`, as it would be, is too big for itself
 * or for the balancer that uses it or is about to.
 */
export function checkTargetQuotas(
  context: Context,
  group: TargetGroupRecord,
  loadBalancerArn: string | undefined,
): void {
  const quotas = context.settings.quotas;
  const own = active(group, context.now);
  if (own.length > quotas.targetsPerTargetGroup) {
    throw tooMany(`Target group '${group.arn}' can have at most ${quotas.targetsPerTargetGroup} targets`);
  }
  if (loadBalancerArn === undefined) return;
  const all = [...own];
  for (const other of context.store.all('target-group')) {
    if (other.arn !== group.arn && other.usedBy?.loadBalancerArn === loadBalancerArn) {
      all.push(...active(other, context.now));
    }
  }
  if (all.length > quotas.targetsPerLoadBalancer) {
    throw tooMany(`A load balancer can have at most ${quotas.targetsPerLoadBalancer} targets`);
  }
  // The smaller quotas cannot be broken by fewer targets than they allow.
  if (all.length <= Math.min(quotas.targetsPerZonePerLoadBalancer, quotas.registrationsPerTarget)) return;
  const registrations = count(all, (target) => target.id);
  for (const [id, times] of registrations) {
    if (times > quotas.registrationsPerTarget) {
      throw new CloudError('TooManyRegistrationsForTargetId', `Target '${id}' is registered too many times`);
    }
  }
  const balancer = context.store.get('load-balancer', loadBalancerArn);
  const crossZone =
    attribute(loadBalancerAttributes, balancer?.attributes ?? {}, 'load_balancing.cross_zone.enabled') ===
    'true';
  const perZone = count(all, (target) =>
    crossZone ? 'all zones' : (context.world.instances.get(target.id)?.zone ?? target.zone),
  );
  for (const [zone, targets] of perZone) {
    if (targets > quotas.targetsPerZonePerLoadBalancer) {
      throw tooMany(
        `A load balancer can have at most ${quotas.targetsPerZonePerLoadBalancer} targets in ${zone}`,
      );
    }
  }
}

function active(group: TargetGroupRecord, now: number): readonly TargetRecord[] {
  return [...group.targets.values()].filter(
    (target) => target.drainingUntil === undefined || now < target.drainingUntil,
  );
}

function count(
  targets: readonly TargetRecord[],
  key: (target: TargetRecord) => string | undefined,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const target of targets) {
    const name = key(target);
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function tooMany(message: string): CloudError {
  return new CloudError('TooManyTargets', message);
}
