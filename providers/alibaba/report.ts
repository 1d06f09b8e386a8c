/** What an observation means for people and for the Service's status. Pure. */
import type { Ingress, IngressPort } from '../../src/core/objects.ts';
import type { Address, TargetsReport } from '../../src/core/provider.ts';
import type { AlibabaObserved, ObservedBalancer, ObservedListener, ObservedMember } from './observed.ts';
import { groupOf, listenerLabel } from './wanted.ts';
import type { AlibabaWanted, WantedListener } from './wanted.ts';

/** A listener starts within seconds. */
const recheckMs = 2_000;

export function addresses(wanted: AlibabaWanted, { balancer }: AlibabaObserved): Address {
  if (balancer === undefined) return { kind: 'none' };
  const ports = wanted.listeners.map(({ port, transport }): IngressPort => ({ port, protocol: transport }));
  const ingress: readonly Ingress[] = [
    wanted.hostname === undefined
      ? { ip: balancer.address, ipMode: 'VIP', ports }
      : { hostname: wanted.hostname, ports },
  ];
  if (balancer.status === 'locked')
    return {
      kind: 'failed',
      message: `balancer ${balancer.name} is locked, as a rule for unpaid bills; settle them at Alibaba Cloud`,
    };
  if (balancer.status === 'active' && carries(wanted, balancer)) return { kind: 'ready', ingress };
  return {
    kind: 'pending',
    ingress,
    message: `no listener of balancer ${balancer.name} is running yet`,
    recheckMs,
  };
}

/**
 * Where listeners are the user's own business, the balancer is enough. Settings that cannot be understood may
 * ask for no listener at all: then those that are there count.
 */
function carries({ reuse, listeners }: AlibabaWanted, balancer: ObservedBalancer): boolean {
  if (reuse?.listeners === false) return true;
  const asked = (one: ObservedListener): boolean =>
    listeners.length === 0 ||
    listeners.some(({ port, protocol }) => one.port === port && one.protocol === protocol);
  return balancer.listeners.some(
    (one) => asked(one) && one.ours && one.status !== 'stopped' && one.status !== 'starting',
  );
}

export function targets(wanted: AlibabaWanted, { balancer }: AlibabaObserved): TargetsReport {
  return {
    groups: wanted.listeners.flatMap((listener) => {
      const members = membersOf(listener, balancer);
      return members === undefined ? [] : [groupReport(listener, members)];
    }),
  };
}

function membersOf(
  listener: WantedListener,
  balancer: ObservedBalancer | undefined,
): Readonly<Record<string, ObservedMember>> | undefined {
  return groupOf(listener, balancer?.groups ?? [])?.members;
}

function groupReport(
  listener: WantedListener,
  members: Readonly<Record<string, ObservedMember>>,
): TargetsReport['groups'][number] {
  const wanted = new Set((listener.group?.members ?? []).map(({ key }) => key));
  const present = Object.entries(members)
    .filter(([key]) => wanted.has(key))
    .map(([, member]) => member);
  const ill = present.filter(({ health }) => health !== 'healthy');
  return {
    listener: listenerLabel(listener),
    healthy: present.length - ill.length,
    total: present.length,
    reason: mostFrequent(ill.map(({ reason, health }) => reason || health)),
    settling: present.some(({ health }) => health === 'initial'),
  };
}

function mostFrequent(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))[0]?.[0] ?? '';
}

/** Nothing of the owner's is left. */
export function isGone({ balancer, doubles }: AlibabaObserved): boolean {
  return balancer === undefined && doubles.length === 0;
}
