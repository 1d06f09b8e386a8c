/**
 * What an observation means for people and for the Service's status. Pure.
 */
import type { Ingress, IngressPort } from '../../src/core/objects.ts';
import type { Address, TargetsReport } from '../../src/core/provider.ts';
import type { AwsObserved, ObservedGroup } from './observed.ts';
import { targetKey } from './target-key.ts';
import { listenerLabel } from './wanted.ts';
import type { AwsWanted, WantedListener } from './wanted.ts';

/** AWS takes minutes as a rule, a simulated account moments: the longer it lasts, the rarer we ask. */
const firstRecheckMs = 1_500;
const lastRecheckMs = 15_000;

export function addresses(wanted: AwsWanted, { balancer }: AwsObserved): Address {
  if (balancer === undefined) return { kind: 'none' };
  const ingress: readonly Ingress[] = [
    // AWS answers in mixed case, and a name that differs in case only would be written again and again.
    { hostname: balancer.dnsName.toLowerCase(), ports: ingressPorts(wanted) },
  ];
  switch (balancer.state) {
    case 'active':
    case 'active_impaired':
      return { kind: 'ready', ingress };
    case 'provisioning':
      return {
        kind: 'pending',
        ingress,
        message: `balancer ${balancer.name} is being provisioned`,
        recheckMs: Math.min(lastRecheckMs, Math.max(firstRecheckMs, balancer.provisioningMs / 4)),
      };
    case 'failed':
      return {
        kind: 'failed',
        message: `balancer ${balancer.name} has failed: ${balancer.stateReason || 'AWS gives no reason'}`,
      };
  }
}

function ingressPorts(wanted: AwsWanted): readonly IngressPort[] {
  return wanted.listeners.flatMap(({ port, transports }) =>
    transports.map((protocol): IngressPort => ({ port, protocol })),
  );
}

export function targets(wanted: AwsWanted, observed: AwsObserved): TargetsReport {
  const groups = new Map(observed.groups.map((group) => [group.name, group]));
  return {
    groups: wanted.listeners
      .filter((listener) => groups.get(listener.group.name)?.targets !== undefined)
      .map((listener) => groupReport(listener, groups.get(listener.group.name))),
  };
}

function groupReport(
  wantedListener: WantedListener,
  observed: ObservedGroup | undefined,
): TargetsReport['groups'][number] {
  const wanted = new Set(wantedListener.group.targets.map(targetKey));
  const present = Object.entries(observed?.targets ?? {})
    .filter(([key]) => wanted.has(key))
    .map(([, target]) => target);
  const healthy = present.filter(({ health }) => health === 'healthy').length;
  const reasons = present
    .filter(({ health }) => health !== 'healthy')
    .map(({ health, reason }) => reason || health);
  return {
    listener: listenerLabel(wantedListener),
    healthy,
    total: present.length,
    reason: mostFrequent(reasons),
    settling: present.some(({ health }) => health === 'initial'),
  };
}

function mostFrequent(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))[0]?.[0] ?? '';
}

/** Nothing of the owner's is left. */
export function isGone({ balancer, groups }: AwsObserved): boolean {
  return balancer === undefined && groups.length === 0;
}
