/**
 * What one call sees: the state it works on, the time, the settings and the world around the account.
 *
 * A read may be given an earlier state (stale reads); a write always works on the present one. Whether a
 * record can be seen at all is decided here, so that every operation hides the same ones.
 */

import type { Random } from '../../../src/core/clock.ts';
import { requireKind } from './arns.ts';
import { CloudError } from './errors.ts';
import type { Settings } from './settings.ts';
import type {
  AnyRecord,
  ListenerRecord,
  LoadBalancerRecord,
  ResourceKind,
  Store,
  TargetGroupRecord,
} from './store.ts';
import type { World } from './world.ts';

export interface Context {
  /** Milliseconds on the account's clock; for a stale read, the moment it looks at. */
  readonly now: number;
  /** Milliseconds since the epoch. */
  readonly wall: number;
  readonly mutating: boolean;
  /** The look of who runs the simulator: nothing is hidden from it. */
  readonly seesAll?: true;
  readonly settings: Settings;
  readonly store: Store;
  readonly world: World;
  readonly random: Random;
}

/** False for a record that an ordered fault or the eventual-consistency window hides from this call. */
export function isVisible(context: Context, record: AnyRecord): boolean {
  if (context.seesAll) return true;
  const hiddenUntil = context.world.hidden.get(record.arn);
  if (hiddenUntil !== undefined && context.now < hiddenUntil) return false;
  const lag = context.settings.consistency.referenceLagMs;
  return !(context.mutating && lag > 0 && context.now < record.createdAt + lag);
}

/** Throws LoadBalancerNotFound, or ValidationError when it is no balancer's ARN. */
export function findLoadBalancer(context: Context, arn: string): LoadBalancerRecord {
  requireKind(arn, 'load-balancer');
  const found = context.store.get('load-balancer', arn);
  if (found === undefined || !isVisible(context, found)) throw notFound('load-balancer', arn);
  return found;
}

/** Throws TargetGroupNotFound, or ValidationError when it is no target group's ARN. */
export function findTargetGroup(context: Context, arn: string): TargetGroupRecord {
  requireKind(arn, 'target-group');
  const found = context.store.get('target-group', arn);
  if (found === undefined || !isVisible(context, found)) throw notFound('target-group', arn);
  return found;
}

/** Throws ListenerNotFound, or ValidationError when it is no listener's ARN. */
export function findListener(context: Context, arn: string): ListenerRecord {
  requireKind(arn, 'listener');
  const found = context.store.get('listener', arn);
  if (found === undefined || !isVisible(context, found)) throw notFound('listener', arn);
  return found;
}

export function notFound(kind: ResourceKind, what: string): CloudError {
  const [code, name] = NOT_FOUND[kind];
  return new CloudError(code, `${name} '${what}' not found`);
}

const NOT_FOUND: Readonly<Record<ResourceKind, readonly [code: string, name: string]>> = {
  'load-balancer': ['LoadBalancerNotFound', 'Load balancer'],
  'target-group': ['TargetGroupNotFound', 'Target group'],
  listener: ['ListenerNotFound', 'Listener'],
};

/** The balancer's listeners, in order of creation. */
export function listenersOf(context: Context, loadBalancerArn: string): readonly ListenerRecord[] {
  const found: ListenerRecord[] = [];
  for (const listener of context.store.all('listener')) {
    if (listener.loadBalancerArn === loadBalancerArn) found.push(listener);
  }
  return found;
}
