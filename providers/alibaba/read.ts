/** The API's answers as our own values: the only place that knows both forms. */
import type { TargetHealth } from '../../src/core/hand-over.ts';
import type { Owner } from '../../src/core/provider.ts';
import type { InstanceChargeType, InternetChargeType, LoadBalancer } from './client-types.ts';
import type { BackendServer, VServerGroup } from './client-types-groups.ts';
import type { BackendHealth, Listener, ListenerProtocol } from './client-types-listeners.ts';
import { settingOf, settingsOf } from './listener-settings.ts';
import { memberDescription } from './names.ts';
import { memberKey } from './observed.ts';
import type { ObservedBalancer, ObservedGroup, ObservedListener, ObservedMember } from './observed.ts';
import { clusterTag, describeOwner, fromFoundTags, isOwnedBy } from './tags.ts';
import type { ForeignNames } from './taken-over.ts';

export function toBalancer(
  owner: Owner,
  balancer: LoadBalancer,
  rest: Pick<ObservedBalancer, 'listeners' | 'groups'> & { readonly ordered: Partial<ObservedBalancer> },
): ObservedBalancer {
  const tags = fromFoundTags(balancer.Tags?.Tag);
  const internetChargeType = rest.ordered.internetChargeType ?? chargeOf(balancer);
  const instanceChargeType: InstanceChargeType =
    balancer.InstanceChargeType === 'PayByCLCU' ? 'PayByCLCU' : 'PayBySpec';
  const addressType = balancer.AddressType === 'intranet' ? 'intranet' : 'internet';
  const counts = internetChargeType === 'paybybandwidth' && addressType === 'internet';
  return {
    id: balancer.LoadBalancerId,
    name: balancer.LoadBalancerName ?? '',
    ours: isOwnedBy(owner, tags),
    owner: describeOwner(owner, tags),
    address: balancer.Address ?? '',
    addressType,
    ipVersion: balancer.AddressIPVersion ?? 'ipv4',
    status: balancer.LoadBalancerStatus ?? 'active',
    vpc: balancer.VpcId ?? '',
    vSwitch: balancer.VSwitchId ?? '',
    bandwidth: counts ? (rest.ordered.bandwidth ?? balancer.Bandwidth ?? 0) : 0,
    internetChargeType,
    instanceChargeType,
    spec: instanceChargeType === 'PayBySpec' ? (balancer.LoadBalancerSpec ?? '') : '',
    deleteProtection: balancer.DeleteProtection === 'on',
    modificationProtection: balancer.ModificationProtectionStatus === 'ConsoleProtection',
    masterZone: balancer.MasterZoneId ?? '',
    slaveZone: balancer.SlaveZoneId ?? '',
    resourceGroup: balancer.ResourceGroupId ?? '',
    tags,
    listeners: rest.listeners,
    groups: rest.groups,
  };
}

/** A word in one answer, a number in the other, with a word beside it. */
function chargeOf({
  InternetChargeTypeAlias: alias,
  InternetChargeType: type,
}: LoadBalancer): InternetChargeType {
  const said = alias ?? String(type ?? '');
  return said === 'paybybandwidth' || said === '3' ? 'paybybandwidth' : 'paybytraffic';
}

export function toListener(owner: Owner, listener: Listener, foreign: ForeignNames): ObservedListener {
  const protocol = listener.ListenerProtocol.toLowerCase() as ListenerProtocol;
  const tags = fromFoundTags((listener.Tags ?? []).map(({ TagKey, TagValue }) => ({ TagKey, TagValue })));
  const takenOver = foreign(listener.Description) === listener.ListenerPort;
  return {
    port: listener.ListenerPort,
    protocol,
    status: listener.Status ?? '',
    group: listener.VServerGroupId ?? '',
    ours: takenOver || isOwnedBy(owner, tags),
    ...(takenOver ? { takenOver } : {}),
    owner: describeOwner(owner, tags),
    settings: settingsOf(protocol, listener),
  };
}

export function toGroup(
  owner: Owner,
  group: VServerGroup,
  members: Readonly<Record<string, ObservedMember>> | undefined,
  foreign: ForeignNames,
): ObservedGroup {
  const tags = fromFoundTags(group.Tags?.Tag);
  const name = group.VServerGroupName ?? '';
  const takenOver = foreign(name);
  const ours = takenOver !== undefined || isOwnedBy(owner, tags);
  return {
    id: group.VServerGroupId,
    name,
    ours,
    ...(takenOver === undefined ? {} : { takenOver }),
    marked: !ours && (tags[clusterTag] !== undefined || name.startsWith('k8s/')),
    usedBy: (group.AssociatedObjects?.Listeners?.Listener ?? [])
      .map(({ Port, Protocol = '' }) => `${Port}/${Protocol.toLowerCase()}`)
      .toSorted(),
    members,
  };
}

/** Members with their health behind the listeners that use the group. */
export function toMembers(
  owner: Owner,
  servers: readonly BackendServer[],
  judge: (key: string) => Judgement,
  foreign: ForeignNames,
): Readonly<Record<string, ObservedMember>> {
  const description = memberDescription(owner);
  return Object.fromEntries(
    servers.map((server) => {
      const key = memberKey(server.ServerId, numeric(server.Port));
      return [
        key,
        {
          weight: numeric(server.Weight ?? 100),
          ours: server.Description === description || foreign(server.Description) !== undefined,
          ...judge(key),
        },
      ] as const;
    }),
  );
}

export type Judgement = Pick<ObservedMember, 'health' | 'reason'>;

const unused: Judgement = { health: 'unused', reason: 'no running listener' };
const starting: Judgement = { health: 'initial', reason: 'unavailable' };

/** What counts of a member that no report names: a listener that is starting will have it checked in a moment. */
export function unreported(users: readonly ObservedListener[]): Judgement {
  return users.some(({ status }) => status === 'starting') ? starting : unused;
}

/** Member → health, over the listeners given. */
export function healthOf(
  listeners: readonly ObservedListener[],
  report: readonly BackendHealth[],
): ReadonlyMap<string, Judgement> {
  const found = new Map<string, Judgement>();
  for (const { ServerId, Port, ListenerPort, Protocol, ServerHealthStatus } of report) {
    const listener = listeners.find(
      (one) =>
        one.port === numeric(ListenerPort) &&
        (Protocol === undefined || one.protocol === Protocol.toLowerCase()),
    );
    if (listener === undefined || Port === undefined) continue;
    found.set(memberKey(ServerId, numeric(Port)), { ...judged(listener, ServerHealthStatus ?? '') });
  }
  return found;
}

/** Where nothing is checked, all members get traffic: that counts as healthy. */
function judged(
  listener: ObservedListener,
  status: string,
): { readonly health: TargetHealth; readonly reason: string } {
  const flag =
    listener.protocol === 'tcp' || listener.protocol === 'udp' ? 'HealthCheckSwitch' : 'HealthCheck';
  if (settingOf(listener.settings, flag) === 'off' || status === 'normal')
    return { health: 'healthy', reason: '' };
  if (status === 'abnormal') return { health: 'unhealthy', reason: 'abnormal' };
  return status === 'unavailable'
    ? { health: 'initial', reason: 'unavailable' }
    : { health: 'unknown', reason: status };
}

/** Numbers of members come as text in some answers. */
function numeric(value: unknown): number {
  return Number(value);
}
