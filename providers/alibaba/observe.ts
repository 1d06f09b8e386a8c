/**
 * What Alibaba Cloud holds for one Service.
 *
 * The balancer is found by its mark, else by its name, and for a user's own one by its id; more than one with
 * the mark is told and never chosen from. A read that fails throws; what a read cannot see yet although we made
 * it a moment ago is taken from the previous observation.
 */
import { SluiceError } from '../../src/core/errors.ts';
import type { ObserveRequest, Owner } from '../../src/core/provider.ts';
import { certificatesOf } from './certificates.ts';
import type { CertificateState } from './certificate-state.ts';
import type { LoadBalancer } from './client-types.ts';
import type { VServerGroup } from './client-types-groups.ts';
import type { Loader } from './loader.ts';
import { balancerName } from './names.ts';
import { nothing, sortGroups, sortListeners } from './observed.ts';
import type {
  AlibabaObserved,
  ObservedBalancer,
  ObservedGroup,
  ObservedListener,
  ObservedMember,
} from './observed.ts';
import { healthOf, toBalancer, toGroup, toListener, toMembers, unreported } from './read.ts';
import type { Recent } from './recent.ts';
import { observeRoutinely } from './observe-routine.ts';
import type { Seen } from './seen.ts';
import { describeOwner, fromFoundTags, isOwnedBy, useTag } from './tags.ts';
import { foreignNames } from './taken-over.ts';
import type { ForeignNames } from './taken-over.ts';
import type { AlibabaWanted } from './wanted.ts';

interface Sources {
  readonly loader: Loader;
  readonly recent: Recent;
  readonly seen: Seen;
}

type Request = ObserveRequest<AlibabaWanted, AlibabaObserved>;

/** Shorter than the window in which a creation may stay unseen, so that what has shown itself goes soon. */
const doubtRecheckMs = 5_000;

export async function observe(sources: Sources, request: Request): Promise<AlibabaObserved> {
  const seen = await look(sources, request);
  const { loader, recent } = sources;
  const { depth, wanted, previous, signal } = request;
  if (depth === 'removal') return seen;
  const certificates: Record<string, CertificateState> = {};
  for (const id of certificatesOf(wanted)) {
    const before = depth === 'quick' ? previous?.certificates[id] : undefined;
    const found = before ?? (await loader.certificate(id, recent.wall(), signal));
    if (found !== undefined) certificates[id] = found;
  }
  return { ...seen, certificates };
}

async function look(sources: Sources, request: Request): Promise<AlibabaObserved> {
  const { owner, depth, wanted, previous, signal } = request;
  const { loader, recent } = sources;
  const known = await observeRoutinely(sources, request);
  if (known !== undefined) return known;
  const uses = depth === 'removal' || wanted?.reuse !== undefined || previous?.balancer?.ours === false;
  // A Service that shows no address is new, as a rule: then both looks are needed, and go out together.
  const isNew = previous === undefined && wanted?.reuse === undefined && wanted?.published.length === 0;
  const early = isNew ? byName(sources, request) : undefined;
  early?.catch(() => undefined);
  const listed = (await loader.balancersOf({ owner, uses }, signal)).filter(
    ({ LoadBalancerId }) => !recent.wasDeleted(LoadBalancerId),
  );
  const marked = unique(listed.filter((one) => isOwnedBy(owner, tagsOf(one))));
  const used = uses ? unique(listed.filter((one) => tagsOf(one)[useTag(owner)] !== undefined)) : [];
  const found = { mine: marked, strangers: [] as readonly LoadBalancer[] };
  if (marked.length === 0 && used.length === 0) {
    const remembered = await remember(sources, request);
    if (remembered === 'unseen') return { ...nothing, balancer: previous?.balancer };
    if (remembered !== undefined) found.mine = [remembered];
    else if (wanted?.reuse === undefined) Object.assign(found, await (early ?? byName(sources, request)));
  }
  const everyone = [...found.mine, ...used];
  if (everyone.length > 1) {
    return { ...nothing, doubles: everyone.map(({ LoadBalancerId }) => LoadBalancerId).toSorted() };
  }
  const strangers = found.strangers.map((one) => ({
    id: one.LoadBalancerId,
    name: one.LoadBalancerName ?? '',
    owner: describeOwner(owner, tagsOf(one)),
  }));
  const brought = wanted?.reuse === undefined ? undefined : await loader.balancer(wanted.reuse.id, signal);
  const balancer = everyone[0] ?? brought;
  if (balancer === undefined) {
    if (depth === 'removal') refuseDoubt(sources, owner);
    return { ...nothing, strangers };
  }
  return { ...nothing, balancer: await readBalancer(sources, request, balancer), strangers };
}

/**
 * A removal that cannot see what a creation without an answer has made would leave it behind for good: within
 * the window of that doubt nothing is known to be complete.
 */
function refuseDoubt({ recent }: Sources, { uid, service }: Owner): void {
  const ms = recent.doubtfulMs(uid);
  if (ms === 0) return;
  throw new SluiceError(
    'busy',
    `what was last created for ${service} had no answer and may not be visible yet`,
    {
      code: 'CreationUnanswered',
      retryAfterMs: Math.min(ms, doubtRecheckMs),
    },
  );
}

/** What we know of and the tags do not lead to (yet): asked for by its id. */
async function remember(
  { loader, recent }: Sources,
  { previous, owner, signal }: Request,
): Promise<LoadBalancer | 'unseen' | undefined> {
  const before = previous?.balancer;
  if (before?.ours !== true || recent.wasDeleted(before.id)) return undefined;
  const found = await loader.balancer(before.id, signal);
  if (found !== undefined) return isOwnedBy(owner, tagsOf(found)) ? found : undefined;
  return recent.wasCreated(before.id) ? 'unseen' : undefined;
}

/** The index of tags may lag; names do not. Strangers of the name are told. */
async function byName(
  { loader, recent }: Sources,
  { owner, wanted, signal }: Request,
): Promise<{ readonly mine: readonly LoadBalancer[]; readonly strangers: readonly LoadBalancer[] }> {
  const named = (await loader.balancersNamed(wanted?.name ?? balancerName(owner), signal)).filter(
    ({ LoadBalancerId }) => !recent.wasDeleted(LoadBalancerId),
  );
  const mine = named.filter((one) => isOwnedBy(owner, tagsOf(one)));
  return { mine, strangers: named.filter((one) => !mine.includes(one)) };
}

export async function readBalancer(
  sources: Omit<Sources, 'seen'>,
  request: Request,
  balancer: LoadBalancer,
): Promise<ObservedBalancer> {
  const { owner, depth, signal } = request;
  const { loader, recent } = sources;
  const id = balancer.LoadBalancerId;
  const ordered = recent.ordered(id, tagsOf(balancer));
  const ours = isOwnedBy(owner, tagsOf(balancer));
  recent.prove(id);
  if (ours) recent.own(id, owner.uid);
  const foreign = foreignNames(owner, tagsOf(balancer));
  // What we made goes with all that is on it: there is nothing more to know.
  if (depth === 'removal' && ours) return toBalancer(owner, balancer, { listeners: [], groups: [], ordered });
  const [listed, groups] = await Promise.all([loader.listeners(id, signal), loader.groups(id, signal)]);
  if (listed === undefined || groups === undefined) throw vanished(id);
  const unseen = (request.previous?.balancer?.groups ?? []).filter(
    (one) => recent.wasCreated(one.id) && groups.every(({ VServerGroupId }) => VServerGroupId !== one.id),
  );
  const plain = sortListeners(listed.map((one) => toListener(owner, one, foreign)));
  const listeners = await withDomains(sources, request, id, plain);
  const health = depth === 'removal' || listeners.length === 0 ? [] : await loader.health(id, signal);
  if (health === undefined) throw vanished(id);
  const read = await Promise.all(
    groups.map((group) => readGroup(sources, request, group, { ours, listeners, health, foreign })),
  );
  return toBalancer(owner, balancer, {
    listeners,
    groups: sortGroups([...read.filter((group) => group !== undefined), ...unseen]),
    ordered,
  });
}

/** Certificates for single domains, where the Service names any: one read for each such listener. */
async function withDomains(
  { loader }: Omit<Sources, 'seen'>,
  { depth, wanted, previous, signal }: Request,
  id: string,
  listeners: readonly ObservedListener[],
): Promise<readonly ObservedListener[]> {
  const asked = new Set(
    (wanted?.listeners ?? []).filter((one) => one.domains !== undefined).map(({ port }) => port),
  );
  return await Promise.all(
    listeners.map(async (listener) => {
      if (listener.protocol !== 'https' || !asked.has(listener.port)) return listener;
      const before = previous?.balancer?.listeners.find(
        (one) => one.port === listener.port && one.protocol === 'https',
      )?.domains;
      const domains =
        depth === 'quick' && before !== undefined ? before : await loader.domains(id, listener.port, signal);
      if (domains === undefined) throw vanished(id);
      return { ...listener, domains };
    }),
  );
}

/** Undefined for one that went away meanwhile. */
async function readGroup(
  { loader }: Omit<Sources, 'seen'>,
  { owner, depth, wanted, previous, signal }: Request,
  group: VServerGroup,
  balancer: {
    readonly ours: boolean;
    readonly listeners: readonly ObservedListener[];
    readonly health: Parameters<typeof healthOf>[1];
    readonly foreign: ForeignNames;
  },
): Promise<ObservedGroup | undefined> {
  const plain = toGroup(owner, group, undefined, balancer.foreign);
  const asked = (wanted?.listeners ?? []).some(
    (one) =>
      one.group !== undefined &&
      (one.group.nodePort === plain.takenOver ||
        (one.group.id ?? one.group.name) === (one.group.id === undefined ? plain.name : plain.id)),
  );
  const brought = depth === 'removal' && !plain.ours;
  if (!asked && !brought) return plain;
  const users = balancer.listeners.filter((listener) => listener.group === plain.id);
  const health = healthOf(users, balancer.health);
  const before = previous?.balancer?.groups.find((one) => one.id === plain.id)?.members;
  if (depth === 'quick' && before !== undefined && Object.keys(before).length === group.ServerCount) {
    const known = Object.entries(before).map(([key, member]): readonly [string, ObservedMember] => [
      key,
      { ...member, ...(health.get(key) ?? unreported(users)) },
    ]);
    return { ...plain, members: Object.fromEntries(known) };
  }
  const members = await loader.members(plain.id, signal);
  return members === undefined
    ? undefined
    : {
        ...plain,
        members: toMembers(owner, members, (key) => health.get(key) ?? unreported(users), balancer.foreign),
      };
}

function vanished(id: string): SluiceError {
  return new SluiceError('busy', `balancer ${id} went away while it was looked at`, {
    code: 'ChangedMeanwhile',
    retryAfterMs: 1_000,
  });
}

function tagsOf(balancer: LoadBalancer): Readonly<Record<string, string>> {
  return fromFoundTags(balancer.Tags?.Tag);
}

function unique(balancers: readonly LoadBalancer[]): readonly LoadBalancer[] {
  return [...new Map(balancers.map((one) => [one.LoadBalancerId, one])).values()];
}
