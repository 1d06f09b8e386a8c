/**
 * A full look that only its time asks for, at the price of one read.
 *
 * The balancer and its listeners are as surveys saw them since our last write; the report on health, one call for
 * all ports, says which members there are and how they do. Weights are read now and then only. Whatever does not
 * fit what we know is a reason for an ordinary look at everything.
 */
import type { ObserveRequest, Owner } from '../../src/core/provider.ts';
import type { BackendHealth } from './client-types-listeners.ts';
import type { Loader } from './loader.ts';
import { sortListeners } from './observed.ts';
import type { AlibabaObserved, ObservedGroup, ObservedListener, ObservedMember } from './observed.ts';
import { healthOf, toBalancer, toListener, toMembers, unreported } from './read.ts';
import type { Judgement } from './read.ts';
import type { Recent } from './recent.ts';
import type { Seen } from './seen.ts';
import { fromFoundTags, isOwnedBy } from './tags.ts';
import { foreignNames } from './taken-over.ts';
import type { ForeignNames } from './taken-over.ts';
import type { AlibabaWanted } from './wanted.ts';

interface Sources {
  readonly loader: Loader;
  readonly recent: Recent;
  readonly seen: Seen;
}

/** Undefined: an ordinary look is needed. */
export async function observeRoutinely(
  { loader, recent, seen }: Sources,
  { owner, depth, wanted, previous, routine, signal }: ObserveRequest<AlibabaWanted, AlibabaObserved>,
): Promise<AlibabaObserved | undefined> {
  const before = previous?.balancer;
  if (routine !== true || depth !== 'full' || before?.ours !== true) return undefined;
  // Domains of https listeners are read for each.
  if (wanted?.listeners.some(({ domains }) => domains !== undefined)) return undefined;
  const known = seen.find(before.id);
  if (known === undefined || !isOwnedBy(owner, fromFoundTags(known.balancer.Tags?.Tag))) return undefined;
  const tags = fromFoundTags(known.balancer.Tags?.Tag);
  const foreign = foreignNames(owner, tags);
  const listeners = sortListeners(known.listeners.map((one) => toListener(owner, one, foreign)));
  const report = await loader.health(before.id, signal);
  if (report === undefined) return undefined;
  const groups = before.groups.map((group) => withHealth(group, listeners, report));
  if (!groups.every((group) => group !== undefined)) return undefined;
  const weighed = seen.weightsDue(before.id)
    ? await Promise.all(
        groups.map(
          async (group) =>
            await weigh(loader, { owner, foreign, signal }, group, usersOf(group, listeners), report),
        ),
      )
    : groups;
  if (!weighed.every((group) => group !== undefined)) return undefined;
  const ordered = recent.ordered(before.id, tags);
  const balancer = toBalancer(owner, known.balancer, { listeners, groups: weighed, ordered });
  return { balancer, strangers: [], doubles: [], certificates: {} };
}

/** Undefined where its members are not those that we know of, or cannot be told. */
function withHealth(
  group: ObservedGroup,
  listeners: readonly ObservedListener[],
  report: readonly BackendHealth[],
): ObservedGroup | undefined {
  const users = usersOf(group, listeners);
  if (users.length === 0 || group.members === undefined) return undefined;
  const health = healthOf(users, report);
  const keys = Object.keys(group.members);
  if (keys.length !== health.size || !keys.every((key) => health.has(key))) return undefined;
  const members = Object.entries(group.members).map(([key, member]): readonly [string, ObservedMember] => [
    key,
    { ...member, ...health.get(key) },
  ]);
  return { ...group, members: Object.fromEntries(members) };
}

async function weigh(
  loader: Loader,
  {
    owner,
    foreign,
    signal,
  }: { readonly owner: Owner; readonly foreign: ForeignNames; readonly signal: AbortSignal },
  group: ObservedGroup,
  users: readonly ObservedListener[],
  report: readonly BackendHealth[],
): Promise<ObservedGroup | undefined> {
  const servers = await loader.members(group.id, signal);
  const health = healthOf(users, report);
  const judge = (key: string): Judgement => health.get(key) ?? unreported(users);
  return servers && { ...group, members: toMembers(owner, servers, judge, foreign) };
}

function usersOf({ id }: ObservedGroup, listeners: readonly ObservedListener[]): readonly ObservedListener[] {
  return listeners.filter(({ group }) => group === id);
}
