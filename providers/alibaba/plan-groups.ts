/**
 * VServer groups and their members.
 *
 * A group belongs to one node port and one family of protocols, both part of its name: where one of them
 * changes, another group is made and filled, the listener is turned to it, and the old one goes last. Members
 * are added before any is removed, and weighed at the end.
 */
import { handOver } from '../../src/core/hand-over.ts';
import type { RegisteredTarget, TargetHealth, UnwantedCause } from '../../src/core/hand-over.ts';
import { ref } from '../../src/core/plan.ts';
import type { Ref } from '../../src/core/plan.ts';
import type { PlanContext } from '../../src/core/provider.ts';
import type { BackendServer } from './client-types-groups.ts';
import { listenerKey, newMembers, splitMemberKey } from './observed.ts';
import type { ObservedGroup, ObservedListener, ObservedMember } from './observed.ts';
import type { BalancerHandle } from './plan-balancer.ts';
import { addStep, chunkId, chunks } from './steps.ts';
import type { Planning } from './steps.ts';
import { toTagList } from './tags.ts';
import { groupOf, listenerLabel } from './wanted.ts';
import type { AlibabaWanted, WantedGroup, WantedListener, WantedMember } from './wanted.ts';

/** A group as the rest of a plan refers to it: it may have to be made first. */
export interface GroupHandle {
  /** Undefined: the listener has none, or it cannot be used. */
  readonly id: string | Ref | undefined;
  /** False: its listener cannot be made. */
  readonly usable: boolean;
  /** Steps that put members in. */
  readonly additions: readonly string[];
  /** Plans what comes after the listener: removals, then weights. */
  readonly finish: () => void;
}

type Members = Readonly<Record<string, ObservedMember>>;

const none: GroupHandle = { id: undefined, usable: true, additions: [], finish: () => undefined };

export function planGroup(
  planning: Planning,
  wanted: AlibabaWanted,
  listener: WantedListener,
  groups: readonly ObservedGroup[],
  balancer: BalancerHandle,
  context: PlanContext,
): GroupHandle {
  const { group } = listener;
  if (group === undefined) return none;
  if (group.id !== undefined) {
    const brought = groupOf(listener, groups);
    if (brought === undefined || brought.marked || brought.ours) {
      planning.problems.push({
        severity: 'error',
        reason: 'NameConflict',
        field: 'metadata.annotations["service.beta.kubernetes.io/alibaba-cloud-loadbalancer-vgroup-port"]',
        message:
          brought === undefined
            ? `balancer ${balancer.name} has no group ${group.id}`
            : `group ${group.id} was made by a controller`,
        cure: 'name a group of that balancer that you made',
      });
      return { ...none, usable: false };
    }
    return planMembers(
      planning,
      wanted,
      listener,
      { ...group, name: brought.name },
      brought.members ?? {},
      brought.id,
      context,
    );
  }
  const present = groupOf(listener, groups);
  if (present !== undefined)
    return planMembers(planning, wanted, listener, group, present.members ?? {}, present.id, context);
  // As many as one call takes come with the group.
  const first = group.members.slice(0, wanted.backendsPerCall);
  const id = addStep(planning, 'CreateVServerGroup', {
    id: `createVServerGroup.${listener.key}`,
    parameters: {
      LoadBalancerId: balancer.id,
      VServerGroupName: group.name,
      Tag: toTagList(group.tags),
      BackendServers:
        first.length === 0
          ? undefined
          : first.map(({ key, weight }) => described(key, weight, wanted.description)),
    },
    subject: `group ${group.name}`,
    reason: `port ${listener.port} has no group${first.length === 0 ? '' : `, and ${named(first.map(({ key }) => key))} should be a member`}`,
    risk: 'none',
  });
  const made = newMembers(first.map(({ key, weight }) => [key, weight]));
  return planMembers(planning, wanted, listener, group, made, ref(id, 'VServerGroupId'), context);
}

function planMembers(
  planning: Planning,
  wanted: AlibabaWanted,
  listener: WantedListener,
  group: WantedGroup,
  members: Members,
  id: string | Ref,
  context: PlanContext,
): GroupHandle {
  const label = listenerLabel(listener);
  const subject = `group ${group.name}`;
  const idle = new Set(wanted.idle);
  const servers = new Set(group.members.map(({ key }) => splitMemberKey(key).server));
  const causeOf = (key: string): UnwantedCause => {
    const { server } = splitMemberKey(key);
    if (servers.has(server)) return 'port';
    return idle.has(server) ? 'endpoint' : 'gone';
  };
  const result = handOver({
    group: label,
    wanted: group.members,
    // A member that somebody else put in is theirs, also where we would want the same one.
    registered: Object.entries(members)
      .filter(([key, { ours }]) => ours || group.members.some((one) => one.key === key))
      .map(([key, { health }]): RegisteredTarget => ({ key, health: served(health), cause: causeOf(key) })),
    now: context.now,
    memory: context.memory,
  });
  Object.assign(planning.memory, result.memory);
  planning.waits.push(...result.waits);
  const weightOf = new Map(group.members.map(({ key, weight }) => [key, weight]));

  const additions = chunks(result.add, wanted.backendsPerCall).map((part, i) =>
    addStep(planning, 'AddVServerGroupBackendServers', {
      id: chunkId(`addMembers.${listener.key}`, i),
      parameters: {
        VServerGroupId: id,
        BackendServers: part.map((key) => described(key, weightOf.get(key) ?? 100, wanted.description)),
      },
      subject,
      reason: `${named(part)} should be a member`,
      risk: 'none',
      effect: { kind: 'addTargets', group: label, count: part.length },
    }),
  );
  const finish = (): void => {
    const healthyRemoved = new Set(result.healthyRemoved);
    for (const [i, part] of chunks(result.remove, wanted.backendsPerCall).entries()) {
      addStep(planning, 'RemoveVServerGroupBackendServers', {
        id: chunkId(`removeMembers.${listener.key}`, i),
        parameters: { VServerGroupId: id, BackendServers: part.map(plain) },
        subject,
        reason: `${named(part)} should no longer be a member`,
        risk: 'disruptive',
        effect: {
          kind: 'removeTargets',
          group: label,
          healthyRemoved: part.filter((key) => healthyRemoved.has(key)).length,
          healthyBefore: result.healthyBefore,
        },
      });
    }
    const changed = wanted.ignoreWeights ? [] : group.members.filter((one) => differs(one, members));
    for (const [i, part] of chunks(changed, wanted.backendsPerCall).entries()) {
      addStep(planning, 'SetVServerGroupAttribute', {
        id: chunkId(`setWeights.${listener.key}`, i),
        parameters: {
          VServerGroupId: id,
          BackendServers: part.map(({ key, weight }) => described(key, weight, wanted.description)),
        },
        subject,
        reason: `weights follow: ${part
          .slice(0, 3)
          .map(({ key, weight }) => `${key} ${weight}`)
          .join(', ')}`,
        risk: part.some(({ weight }) => weight === 0) ? 'disruptive' : 'none',
        effect: { kind: 'addTargets', group: label, count: 0 },
      });
    }
  };
  return { id, usable: true, additions, finish };
}

/** Nobody uses a wanted group for now, but its listener comes: what is in it may be healthy a moment later. */
function served(health: TargetHealth): TargetHealth {
  return health === 'unused' ? 'unknown' : health;
}

function differs({ key, weight }: WantedMember, members: Members): boolean {
  const member = members[key];
  return member?.ours === true && member.weight !== weight;
}

function described(key: string, Weight: number, Description: string): BackendServer {
  return { ...plain(key), Weight, Type: 'ecs', Description };
}

function plain(key: string): BackendServer {
  const { server, port } = splitMemberKey(key);
  return { ServerId: server, Port: port };
}

function named(keys: readonly string[]): string {
  const some = keys.slice(0, 3).join(', ');
  return keys.length > 3 ? `${some} and ${keys.length - 3} more` : some;
}

/** Groups of ours that no port asks for any more, as soon as no listener uses them. */
export function removeGroups(
  planning: Planning,
  wanted: AlibabaWanted,
  groups: readonly ObservedGroup[],
  listeners: readonly ObservedListener[],
  managesListeners: boolean,
): void {
  const kept = new Set(wanted.listeners.map((listener) => groupOf(listener, groups)?.id));
  for (const group of groups) {
    if (!group.ours || kept.has(group.id)) continue;
    const users = listeners.filter((one) => one.group === group.id);
    // Somebody turned a listener of their own to it: deleting it would break theirs.
    if (users.some((one) => !one.ours || !managesListeners)) continue;
    const needs = users.map((one) => freedBy(planning, one)).filter((id) => id !== undefined);
    if (needs.length < users.length) continue;
    const isTwin = groups.some(({ name, id }) => name === group.name && id !== group.id);
    addStep(planning, 'DeleteVServerGroup', {
      id: `deleteVServerGroup.${group.name}${isTwin ? `.${group.id}` : ''}`,
      parameters: { VServerGroupId: group.id },
      subject: `group ${group.name}`,
      reason: 'no port of the Service uses it any more',
      risk: 'disruptive',
      needs,
    });
  }
}

/** The step that takes a listener off its group. */
function freedBy({ steps }: Planning, listener: ObservedListener): string | undefined {
  const key = listenerKey(listener).replace('/', '-');
  return steps.find(({ id }) => id === `deleteListener.${key}` || id === `regroupListener.${key}`)?.id;
}
