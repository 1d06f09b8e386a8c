/**
 * What one call sees: the state it works on, the time, the settings and the world around the account.
 *
 * A read may be given an earlier state (stale reads); a write always works on the present one. Whether a record
 * can be seen, and whether its balancer can be written to, is decided here, for all operations alike.
 */
import type { Random } from '../../../src/core/clock.ts';
import { CloudError } from './errors.ts';
import type { Settings } from './settings.ts';
import type { AnyRecord, GroupRecord, ListenerRecord, LoadBalancerRecord, Protocol, Store } from './store.ts';
import type { World } from './world.ts';

export interface Context {
  /** Milliseconds on the account's clock; for a stale read, the moment it looks at. */
  readonly now: number;
  /** Milliseconds since the epoch. */
  readonly wall: number;
  readonly settings: Settings;
  readonly store: Store;
  readonly world: World;
  readonly random: Random;
}

/** False for a record that an ordered fault hides. */
export function isVisible(context: Context, record: AnyRecord): boolean {
  const until = context.world.hidden.get(record.id);
  return until === undefined || context.now >= until;
}

/** Throws InvalidLoadBalancerId.NotFound. */
export function findLoadBalancer(context: Context, id: string): LoadBalancerRecord {
  const found = context.store.get('load-balancer', id);
  if (found !== undefined && isVisible(context, found)) return inForce(context, found);
  throw new CloudError('InvalidLoadBalancerId.NotFound', `The specified LoadBalancerId ${id} does not exist`);
}

/** With what was ordered and counts by now. */
export function inForce({ wall }: Context, record: LoadBalancerRecord): LoadBalancerRecord {
  const { ordered, ...rest } = record;
  if (ordered === undefined || wall < ordered.from) return record;
  return { ...rest, internetChargeType: ordered.internetChargeType, bandwidth: ordered.bandwidth };
}

/** Throws ResourceNotFound.VServerGroup. */
export function findGroup(context: Context, id: string): GroupRecord {
  const found = context.store.get('group', id);
  if (found !== undefined && isVisible(context, found)) return found;
  throw new CloudError('ResourceNotFound.VServerGroup', `The specified VServerGroupId ${id} does not exist`);
}

export function listenerId(loadBalancerId: string, protocol: Protocol, port: number): string {
  return `${loadBalancerId}_${protocol}_${port}`;
}

/** Throws ListenerNotFound; TooManyListeners where the protocol is not said and two share the port. */
export function findListener(
  context: Context,
  loadBalancerId: string,
  port: number,
  protocol: Protocol | undefined,
): ListenerRecord {
  findLoadBalancer(context, loadBalancerId);
  const found = listenersOf(context, loadBalancerId).filter(
    (listener) => listener.port === port && (protocol === undefined || listener.protocol === protocol),
  );
  if (found.length > 1) {
    throw new CloudError('TooManyListeners', `More than one listener has port ${port}: specify the protocol`);
  }
  const [listener] = found;
  if (listener !== undefined) return listener;
  throw new CloudError('ListenerNotFound', `The listener ${port} of ${loadBalancerId} does not exist`);
}

export function listenersOf(context: Context, loadBalancerId: string): readonly ListenerRecord[] {
  return context.store
    .all('listener')
    .filter((listener) => listener.loadBalancerId === loadBalancerId && isVisible(context, listener));
}

export function groupsOf(context: Context, loadBalancerId: string): readonly GroupRecord[] {
  return context.store
    .all('group')
    .filter((group) => group.loadBalancerId === loadBalancerId && isVisible(context, group));
}

/** Throws the busy code of what is written to while its balancer is configured, or refuses a locked one. */
export function requireIdle(context: Context, loadBalancerId: string, busyCode: string): void {
  const balancer = findLoadBalancer(context, loadBalancerId);
  if (balancer.status === 'locked') {
    throw new CloudError(
      'LbStatusNotSupport',
      'The status of the load balancer does not support the operation',
    );
  }
  if (context.now < (context.world.configuring.get(loadBalancerId) ?? Number.NEGATIVE_INFINITY)) {
    throw new CloudError(
      busyCode,
      'A previous configuration of the load balancer is pending; try again later',
    );
  }
}

/** From now on the balancer is configured for a while. */
export function configure(context: Context, loadBalancerId: string): void {
  const { configuringMs } = context.settings.delays;
  if (configuringMs > 0) context.world.configuring.set(loadBalancerId, context.now + configuringMs);
}

/** An id in the cloud's form. */
export function newId(context: Context, prefix: string): string {
  let text = '';
  while (text.length < 14) text += Math.floor(context.random() * 36).toString(36);
  return `${prefix}-${text}`;
}
