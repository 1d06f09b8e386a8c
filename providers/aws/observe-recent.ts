/**
 * What was made moments ago and AWS does not show yet: taken from the previous observation, so that nothing is made
 * twice.
 */
import type { AwsObserved } from './observed.ts';
import { sortGroups, sortListeners } from './read.ts';
import type { Recent } from './recent.ts';

/** Adds back what we made moments ago and AWS does not show yet, and notes which it is. */
export function withRecent(
  recent: Recent,
  observed: AwsObserved,
  previous: AwsObserved | undefined,
): AwsObserved {
  const merged = previous === undefined ? observed : mergeRecent(recent, observed, previous);
  const seen = new Set(arnsOf(observed));
  const unseen = arnsOf(merged).filter((arn) => !seen.has(arn));
  recent.looked([...seen], unseen);
  return merged;
}

function mergeRecent(recent: Recent, observed: AwsObserved, previous: AwsObserved): AwsObserved {
  const made = (one: { readonly arn: string }): boolean => recent.wasCreated(one.arn);
  const seenGroups = new Set(observed.groups.map(({ arn }) => arn));
  const groups = sortGroups([
    ...observed.groups,
    ...previous.groups.filter((group) => made(group) && !seenGroups.has(group.arn)),
  ]);
  const { balancer } = observed;
  if (balancer === undefined) {
    const standsInTheWay = observed.strangers.some(({ kind }) => kind === 'balancer');
    const before = previous.balancer;
    const remembered = before !== undefined && made(before) && !standsInTheWay ? before : undefined;
    return { ...observed, groups, balancer: remembered };
  }
  const seen = new Set(balancer.listeners.map(({ arn }) => arn));
  const hidden = previous.balancer?.arn === balancer.arn ? previous.balancer.listeners : [];
  const listeners = sortListeners([
    ...balancer.listeners,
    ...hidden.filter((listener) => made(listener) && !seen.has(listener.arn)),
  ]);
  return { ...observed, groups, balancer: { ...balancer, listeners } };
}

function arnsOf({ balancer, groups }: AwsObserved): readonly string[] {
  const parts = balancer === undefined ? [] : [balancer, ...balancer.listeners];
  return [...parts, ...groups].map(({ arn }) => arn);
}
