/** Members of a group: what may be one, and how many. */
import type { BackendServer } from '../client-types-groups.ts';
import type { Context } from './context.ts';
import { findLoadBalancer, groupsOf } from './context.ts';
import { CloudError } from './errors.ts';
import type { GroupRecord, Member } from './store.ts';

/** An ECS server is one by id and port, a network interface also by its address. */
export function memberKey(serverId: string, port: number, ip: string): string {
  return `${serverId}|${port}|${ip}`;
}

const known: ReadonlySet<string> = new Set(['ServerId', 'Port', 'Weight', 'Type', 'ServerIp', 'Description']);

/** Numbers may come as text, as the API's own examples have them. Throws InvalidBackendServers…, TooManyBackendServers. */
export function readMembers(
  context: Context,
  given: readonly BackendServer[] | undefined,
): readonly Member[] {
  const list = given ?? [];
  const { backendsPerCall } = context.settings.quotas;
  if (list.length > backendsPerCall) {
    throw new CloudError('TooManyBackendServers', `More than ${backendsPerCall} servers in one call`);
  }
  const members = list.map((entry) =>
    readMember(entry as unknown as Readonly<Record<string, unknown>>, context.now),
  );
  const keys = new Set(members.map((member) => memberKey(member.serverId, member.port, member.ip)));
  if (keys.size < members.length) throw wrong('Duplicate', 'a server appears twice');
  return members;
}

function readMember(entry: Readonly<Record<string, unknown>>, now: number): Member {
  const strange = Object.keys(entry).find((name) => !known.has(name));
  if (strange !== undefined) throw wrong('MalFormed', `a server has no '${strange}'`);
  const { ServerId, Type = 'ecs', ServerIp = '', Description = '' } = entry;
  if (typeof ServerId !== 'string' || ServerId === '') throw wrong('MalFormed', 'a server has no ServerId');
  const port = numberOf(entry['Port'], 1, 65_535);
  if (port === undefined) throw wrong('Port', `the port ${String(entry['Port'])} is not 1 to 65535`);
  const weight = numberOf(entry['Weight'] ?? 100, 0, 100);
  if (weight === undefined) throw wrong('Weight', `the weight ${String(entry['Weight'])} is not 0 to 100`);
  if (typeof Description !== 'string' || Description.length > 80)
    throw wrong('Description', 'it is too long');
  return {
    serverId: ServerId,
    port,
    weight,
    type: String(Type),
    ip: Type === 'ecs' ? '' : String(ServerIp),
    description: Description,
    addedAt: now,
  };
}

function numberOf(value: unknown, min: number, max: number): number | undefined {
  const number = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max
    ? number
    : undefined;
}

export function wrong(what: string, why: string): CloudError {
  return new CloudError(`InvalidBackendServers.${what}`, `The BackendServers are not valid: ${why}`);
}

/** The group's members with new ones. Throws for servers that cannot be added, and for quotas. */
export function withAdded(
  context: Context,
  group: GroupRecord,
  added: readonly Member[],
): ReadonlyMap<string, Member> {
  const { settings } = context;
  const members = new Map(group.members);
  for (const member of added) {
    const key = memberKey(member.serverId, member.port, member.ip);
    if (members.has(key)) {
      if (settings.addExisting === 'ignored') continue;
      throw wrong('Existed', `the server ${member.serverId} with port ${member.port} is in the group`);
    }
    requireServer(context, group, member.serverId);
    members.set(key, member);
  }
  requireQuota(context, group, members);
  return members;
}

function requireServer(context: Context, group: GroupRecord, id: string): void {
  const server = context.world.servers.get(id);
  if (server === undefined) {
    if (context.settings.acceptUnknownServers) return;
    throw new CloudError('InvalidServerId.NotFound', `The server ${id} does not exist`);
  }
  if (server.state !== 'Running') throw new CloudError('ObtainIpFail', `The server ${id} is ${server.state}`);
  const { vpcId } = findLoadBalancer(context, group.loadBalancerId);
  if (server.vpcId !== undefined && vpcId !== '' && server.vpcId !== vpcId) {
    throw new CloudError('NetworkConflict', `The server ${id} is in another VPC`);
  }
}

function requireQuota(context: Context, group: GroupRecord, members: ReadonlyMap<string, Member>): void {
  const { backendsPerLoadBalancer, attachmentsPerServer } = context.settings.quotas;
  let count = members.size;
  for (const other of groupsOf(context, group.loadBalancerId)) {
    if (other.id !== group.id) count += other.members.size;
  }
  if (count > backendsPerLoadBalancer) {
    throw new CloudError('InstanceBackendServerNumberOverLimit', 'The quota of backend servers is used up');
  }
  const attached = new Map<string, number>();
  // A group in the making is not in the store yet.
  const others = context.store.all('group').filter(({ id }) => id !== group.id);
  for (const held of [...others.map((other) => other.members), members]) {
    for (const { serverId } of held.values()) attached.set(serverId, (attached.get(serverId) ?? 0) + 1);
  }
  for (const [serverId, times] of attached) {
    if (times > attachmentsPerServer) {
      throw new CloudError(
        'QuotaLimitExceeds.BackendServerAttached',
        `The server ${serverId} is attached too often`,
      );
    }
  }
}

export function showMember(member: Member): BackendServer {
  return {
    ServerId: member.serverId,
    Port: member.port,
    Weight: member.weight,
    Type: member.type as 'ecs',
    Description: member.description,
    ...(member.ip !== '' && { ServerIp: member.ip }),
  };
}
