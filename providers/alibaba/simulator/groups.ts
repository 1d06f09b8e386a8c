/** VServer groups and calls about their members. Names are not unique. */
import type { Calls } from '../client-types.ts';
import {
  configure,
  findGroup,
  findLoadBalancer,
  groupsOf,
  listenersOf,
  newId,
  requireIdle,
} from './context.ts';
import type { Context } from './context.ts';
import { CloudError } from './errors.ts';
import { memberKey, readMembers, showMember, withAdded, wrong } from './members.ts';
import type { GroupRecord, Member } from './store.ts';
import { foundTags, readTags } from './tag-rules.ts';

type In<O extends keyof Calls> = Calls[O][0];
type Out<O extends keyof Calls> = Calls[O][1];

const busy = 'VServerGroupProcessing';

export function createGroup(context: Context, input: In<'CreateVServerGroup'>): Out<'CreateVServerGroup'> {
  const { store, now, settings } = context;
  findLoadBalancer(context, input.LoadBalancerId);
  requireIdle(context, input.LoadBalancerId, busy);
  if (groupsOf(context, input.LoadBalancerId).length >= settings.quotas.groupsPerLoadBalancer) {
    throw new CloudError('QuotaLimitExceeds.VServerGroup', 'The quota of groups is used up');
  }
  const empty: GroupRecord = {
    kind: 'group',
    id: newId(context, 'rsp'),
    seq: store.nextSeq(),
    createdAt: now,
    tags: readTags(input.Tag),
    loadBalancerId: input.LoadBalancerId,
    name: input.VServerGroupName,
    family: undefined,
    members: new Map(),
  };
  const group = { ...empty, members: withAdded(context, empty, readMembers(context, input.BackendServers)) };
  store.put(group, now);
  configure(context, input.LoadBalancerId);
  return { VServerGroupId: group.id, ...shown(group) };
}

function shown(group: GroupRecord): Pick<Out<'DescribeVServerGroupAttribute'>, 'BackendServers'> {
  return { BackendServers: { BackendServer: [...group.members.values()].map(showMember) } };
}

export function describeGroups(
  context: Context,
  input: In<'DescribeVServerGroups'>,
): Out<'DescribeVServerGroups'> {
  const balancer = findLoadBalancer(context, input.LoadBalancerId);
  const listeners = listenersOf(context, balancer.id);
  return {
    VServerGroups: {
      VServerGroup: groupsOf(context, balancer.id).map((group) => ({
        VServerGroupId: group.id,
        VServerGroupName: group.name,
        ServerCount: group.members.size,
        Tags: { Tag: foundTags(group.tags) },
        ...(input.IncludeListener === true && {
          AssociatedObjects: {
            Listeners: {
              Listener: listeners
                .filter(({ groupId }) => groupId === group.id)
                .map(({ port, protocol }) => ({ Port: port, Protocol: protocol })),
            },
          },
        }),
      })),
    },
  };
}

export function describeGroup(
  context: Context,
  input: In<'DescribeVServerGroupAttribute'>,
): Out<'DescribeVServerGroupAttribute'> {
  const group = findGroup(context, input.VServerGroupId);
  return {
    VServerGroupId: group.id,
    VServerGroupName: group.name,
    LoadBalancerId: group.loadBalancerId,
    Tags: { Tag: foundTags(group.tags) },
    ...shown(group),
  };
}

export function addMembers(
  context: Context,
  input: In<'AddVServerGroupBackendServers'>,
): Out<'AddVServerGroupBackendServers'> {
  return change(context, input.VServerGroupId, (group) => ({
    members: withAdded(context, group, readMembers(context, input.BackendServers)),
  }));
}

export function removeMembers(
  context: Context,
  input: In<'RemoveVServerGroupBackendServers'>,
): Out<'RemoveVServerGroupBackendServers'> {
  return change(context, input.VServerGroupId, (group) => ({
    members: without(group.members, readMembers(context, input.BackendServers)),
  }));
}

function without(
  members: ReadonlyMap<string, Member>,
  removed: readonly Member[],
): ReadonlyMap<string, Member> {
  const left = new Map(members);
  for (const { serverId, port, ip } of removed) left.delete(memberKey(serverId, port, ip));
  return left;
}

export function setGroup(
  context: Context,
  input: In<'SetVServerGroupAttribute'>,
): Out<'SetVServerGroupAttribute'> {
  return change(context, input.VServerGroupId, (group) => {
    const members = new Map(group.members);
    for (const { serverId, port, ip, weight, description } of readMembers(context, input.BackendServers)) {
      const key = memberKey(serverId, port, ip);
      const present = members.get(key);
      if (present === undefined)
        throw wrong('NotExist', `the server ${serverId} with port ${port} is not in the group`);
      members.set(key, { ...present, weight, ...(description !== '' && { description }) });
    }
    return { members, name: input.VServerGroupName ?? group.name };
  });
}

export function modifyMembers(
  context: Context,
  input: In<'ModifyVServerGroupBackendServers'>,
): Out<'ModifyVServerGroupBackendServers'> {
  return change(context, input.VServerGroupId, (group) => {
    const members = without(group.members, readMembers(context, input.OldBackendServers));
    return {
      members: withAdded(context, { ...group, members }, readMembers(context, input.NewBackendServers)),
    };
  });
}

export function deleteGroup(context: Context, input: In<'DeleteVServerGroup'>): Out<'DeleteVServerGroup'> {
  const group = findGroup(context, input.VServerGroupId);
  requireIdle(context, group.loadBalancerId, busy);
  const user = listenersOf(context, group.loadBalancerId).find(({ groupId }) => groupId === group.id);
  if (user !== undefined) {
    throw new CloudError('RspoolVipExist', `The listener on port ${user.port} uses the group`);
  }
  context.store.remove(group, context.now);
  configure(context, group.loadBalancerId);
  return {};
}

function change(
  context: Context,
  id: string,
  next: (group: GroupRecord) => Partial<GroupRecord>,
): Out<'AddVServerGroupBackendServers'> {
  const group = findGroup(context, id);
  requireIdle(context, group.loadBalancerId, busy);
  const changed = { ...group, ...next(group) };
  context.store.put(changed, context.now);
  configure(context, group.loadBalancerId);
  return { VServerGroupId: id, ...shown(changed) };
}
