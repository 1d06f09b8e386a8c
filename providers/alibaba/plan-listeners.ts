/**
 * Listeners: one for each port and protocol.
 *
 * A listener is made stopped and then started; one of ours that is found stopped is started. What is obsolete
 * goes before what is new comes, since TCP, HTTP and HTTPS share the port, and one that forwards goes before and
 * comes after the one that it forwards to. Listeners of others are left alone.
 */
import type { Parameters, Step } from '../../src/core/plan.ts';
import type { ListenerProtocol } from './client-types-listeners.ts';
import { hasSetting, isChangeable, settingOf } from './listener-settings.ts';
import { listenerKey } from './observed.ts';
import type { ListenerSettings, ObservedBalancer, ObservedGroup, ObservedListener } from './observed.ts';
import type { BalancerHandle } from './plan-balancer.ts';
import type { GroupHandle } from './plan-groups.ts';
import { addStep } from './steps.ts';
import type { Planning } from './steps.ts';
import { toTagList } from './tags.ts';
import { listenerLabel } from './wanted.ts';
import type { AlibabaWanted, WantedListener } from './wanted.ts';

interface Filled {
  readonly wanted: WantedListener;
  readonly group: GroupHandle;
  readonly observed: ObservedListener | undefined;
}

/** Listeners whose port is free or ours; the others are reported. */
export function splitByOwner(
  planning: Planning,
  wanted: AlibabaWanted,
  balancer: ObservedBalancer | undefined,
  groups: readonly ObservedGroup[],
): readonly WantedListener[] {
  const ourGroups = new Set(groups.filter(({ ours }) => ours).map(({ id }) => id));
  return wanted.listeners.filter((listener) => {
    const other = balancer?.listeners.find(
      (one) =>
        one.port === listener.port &&
        isUdp(one) === isUdp(listener) &&
        !one.ours &&
        !ourGroups.has(one.group),
    );
    if (other === undefined) return true;
    planning.problems.push({
      severity: 'error',
      reason: 'PortConflict',
      field: 'spec.ports',
      message: `port ${listenerLabel(listener)} of balancer ${balancer?.name ?? ''} has a ${other.protocol} listener that is not this Service's: ${other.owner}`,
      cure: 'remove that listener, or use another port; the other ports go on',
    });
    return false;
  });
}

function isUdp({ protocol }: { readonly protocol: string }): boolean {
  return protocol === 'udp';
}

/**
 * Takes away what is not wanted, or not in this form.
 *
 * @param withheld TCP ports on which what is wanted cannot be made: there nothing is taken away.
 * @returns keys of listeners that have to be made anew.
 */
export function removeListeners(
  planning: Planning,
  balancer: BalancerHandle,
  wanted: AlibabaWanted,
  listeners: readonly ObservedListener[],
  withheld: ReadonlySet<number>,
): ReadonlySet<string> {
  const removed = new Set<string>();
  const inOrder = listeners
    .filter(({ ours }) => ours)
    .toSorted((a, b) => Number(forwards(b)) - Number(forwards(a)));
  for (const listener of inOrder) {
    const next = wanted.listeners.find(
      (one) => one.port === listener.port && one.protocol === listener.protocol,
    );
    const reason = next === undefined ? 'no port of the Service asks for it' : reformed(next, listener);
    const { port, protocol } = listener;
    if (reason === undefined || (protocol !== 'udp' && withheld.has(port))) continue;
    removed.add(listenerKey(listener));
    addStep(planning, 'DeleteLoadBalancerListener', {
      id: `deleteListener.${port}-${protocol}`,
      parameters: { LoadBalancerId: balancer.id, ListenerPort: port, ListenerProtocol: protocol },
      subject: `listener ${listenerKey(listener)} of ${balancer.name}`,
      reason,
      risk: 'disruptive',
    });
  }
  return removed;
}

function forwards({ settings }: ObservedListener): boolean {
  return settingOf(settings, 'ListenerForward') === 'on';
}

/** Why a listener cannot become what is wanted by a change. */
function reformed(wanted: WantedListener, observed: ObservedListener): string | undefined {
  const before = forwards(observed) ? observed.settings['ForwardPort'] : undefined;
  if (before === wanted.forward) return undefined;
  return 'forwarding cannot be changed on an existing listener';
}

export function planListeners(
  planning: Planning,
  balancer: BalancerHandle,
  listeners: readonly Filled[],
  removed: ReadonlySet<string>,
): void {
  // Whoever forwards comes after what it forwards to.
  const inOrder = listeners.toSorted(
    (a, b) => Number(a.wanted.forward !== undefined) - Number(b.wanted.forward !== undefined),
  );
  for (const { wanted, group, observed } of inOrder) {
    if (!group.usable) continue;
    if (observed === undefined || removed.has(listenerKey(observed)))
      create(planning, balancer, wanted, group);
    else change(planning, balancer, wanted, group, observed);
  }
}

const words: Readonly<Record<ListenerProtocol, 'TCP' | 'UDP' | 'HTTP' | 'HTTPS'>> = {
  tcp: 'TCP',
  udp: 'UDP',
  http: 'HTTP',
  https: 'HTTPS',
};

function create(
  planning: Planning,
  balancer: BalancerHandle,
  wanted: WantedListener,
  group: GroupHandle,
): void {
  const { port, protocol, key, settings } = wanted;
  const web = protocol === 'http' || protocol === 'https';
  const { HealthCheckInterval: interval, ...rest } = settings;
  const forward = wanted.forward === undefined ? {} : { ListenerForward: 'on', ForwardPort: wanted.forward };
  // The small letter is the API's, for tcp and udp at creation only.
  const interval2 =
    interval === undefined ? {} : { [web ? 'HealthCheckInterval' : 'healthCheckInterval']: interval };
  const id = push(planning, {
    id: `createListener.${key}`,
    operation: `CreateLoadBalancer${words[protocol]}Listener`,
    parameters: {
      LoadBalancerId: balancer.id,
      ListenerPort: port,
      ...(protocol === 'http' ? {} : { Bandwidth: -1 }),
      ...(web ? { HealthCheck: 'off', StickySession: 'off' } : {}),
      ...rest,
      ...interval2,
      ...forward,
      ...(group.id === undefined ? {} : { VServerGroupId: group.id }),
      Description: wanted.description,
      Tag: toTagList(wanted.tags).map(({ Key, Value = '' }) => ({ Key, Value })),
    },
    subject: `listener ${port}/${protocol} of ${balancer.name}`,
    reason: `port ${listenerLabel(wanted)} has no listener`,
    risk: 'none',
    needs: planning.steps.some((step) => step.id === `deleteListener.${key}`)
      ? [`deleteListener.${key}`]
      : [],
  });
  start(planning, balancer, wanted, [id]);
}

function change(
  planning: Planning,
  balancer: BalancerHandle,
  wanted: WantedListener,
  group: GroupHandle,
  observed: ObservedListener,
): void {
  const { port, protocol, key } = wanted;
  const settings = observed.takenOver ? withoutChosen(wanted) : wanted.settings;
  const different = Object.entries(settings)
    .filter(([name, value]) => isChangeable(name) && settingOf(observed.settings, name) !== value)
    .map(([name]) => name);
  const regroup = group.id !== undefined && group.id !== observed.group;
  if (regroup || different.length > 0) {
    const reasons = [
      ...(regroup ? ['it shall send its traffic to another group'] : []),
      ...(different.length > 0 ? [`settings differ: ${different.join(', ')}`] : []),
    ];
    push(planning, {
      id: `${regroup ? 'regroupListener' : 'setListener'}.${key}`,
      operation: `SetLoadBalancer${words[protocol]}ListenerAttribute`,
      parameters: {
        LoadBalancerId: balancer.id,
        ListenerPort: port,
        ...merged(protocol, observed.settings, settings),
        ...(group.id === undefined ? {} : { VServerGroup: 'on', VServerGroupId: group.id }),
      },
      subject: `listener ${port}/${protocol} of ${balancer.name}`,
      reason: reasons.join('; '),
      risk: 'disruptive',
      needs: group.additions,
    });
  }
  if (observed.status === 'stopped') start(planning, balancer, wanted, []);
}

/** What another controller made keeps what that chose: only what the user asks for is put right. */
function withoutChosen({ settings, chosen }: WantedListener): ListenerSettings {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => !chosen.includes(name)));
}

/** The whole set: what is there, and over it what is asked for. */
function merged(
  protocol: ListenerProtocol,
  observed: ListenerSettings,
  wanted: ListenerSettings,
): ListenerSettings {
  return Object.fromEntries(
    Object.entries({ ...observed, ...wanted }).filter(
      ([name]) => hasSetting(protocol, name) && isChangeable(name),
    ),
  );
}

function start(
  planning: Planning,
  balancer: BalancerHandle,
  { port, protocol, key }: WantedListener,
  needs: readonly string[],
): void {
  addStep(planning, 'StartLoadBalancerListener', {
    id: `startListener.${key}`,
    parameters: { LoadBalancerId: balancer.id, ListenerPort: port, ListenerProtocol: protocol },
    subject: `listener ${port}/${protocol} of ${balancer.name}`,
    reason: 'it is stopped',
    risk: 'none',
    needs,
  });
}

/** Operations whose parameters come from the table of settings, which the compiler cannot hold against their types. */
function push(
  planning: Planning,
  step: Omit<Step, 'effect' | 'parameters'> & { readonly parameters: object },
): string {
  planning.steps.push({
    ...step,
    parameters: JSON.parse(JSON.stringify(step.parameters)) as Parameters,
    effect: { kind: 'other' },
  });
  return step.id;
}
