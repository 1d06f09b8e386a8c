/** Which balancer uses a target group: through the actions of its listeners, and one balancer only. */

import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import { listenersOf } from './context.ts';
import type { Context } from './context.ts';

/** ARNs of the target groups that the actions forward to, each once. */
export function targetGroupsOf(actions: readonly Action[]): readonly string[] {
  const found = new Set<string>();
  for (const action of actions) {
    if (action.TargetGroupArn !== undefined) found.add(action.TargetGroupArn);
    for (const tuple of action.ForwardConfig?.TargetGroups ?? []) {
      if (tuple.TargetGroupArn !== undefined) found.add(tuple.TargetGroupArn);
    }
  }
  return [...found];
}

/** Brings the association of target groups in line with the listeners of one balancer. */
export function refreshUsage(context: Context, loadBalancerArn: string): void {
  const used = new Set<string>();
  for (const listener of listenersOf(context, loadBalancerArn)) {
    for (const arn of targetGroupsOf(listener.actions)) used.add(arn);
  }
  for (const group of context.store.all('target-group')) {
    if (group.usedBy?.loadBalancerArn === loadBalancerArn) {
      if (used.has(group.arn)) continue;
      const releasedAt = context.now + context.settings.delays.targetGroupReleaseMs;
      context.store.put({ ...group, usedBy: undefined, releasedAt }, context.now);
    } else if (used.has(group.arn)) {
      context.store.put({ ...group, usedBy: { loadBalancerArn, since: context.now } }, context.now);
    }
  }
}
