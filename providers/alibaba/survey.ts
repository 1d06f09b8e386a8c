/**
 * One cheap look at the whole account: is what we know of still there, and does anything bear our cluster's mark
 * that nobody knows of?
 *
 * One listing by the cluster's tag, a hundred balancers a call, with tags, protection and billing in it; those
 * that users brought along are asked for by id, ten a call. Listeners are looked at ten balancers a call, of many
 * balancers a third at each survey. Groups cannot be read for several balancers together: full looks see them.
 */
import type { ObjectKey, Uid } from '../../src/core/objects.ts';
import type { ClusterIdentity, Owner, Stray, Survey } from '../../src/core/provider.ts';
import type { LoadBalancer } from './client-types.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { Listener } from './client-types-listeners.ts';
import type { Loader } from './loader.ts';
import { sortListeners } from './observed.ts';
import type { AlibabaObserved, ObservedBalancer, ObservedListener } from './observed.ts';
import { toBalancer, toListener } from './read.ts';
import type { Recent } from './recent.ts';
import type { Seen } from './seen.ts';
import { foreignNames } from './taken-over.ts';
import { fromFoundTags, serviceTag, uidTag } from './tags.ts';

interface Sources {
  readonly loader: Loader;
  readonly recent: Recent;
  readonly seen: Seen;
  readonly clock: Clock;
}

export async function survey(
  { loader, recent, seen, clock }: Sources,
  cluster: ClusterIdentity,
  known: ReadonlyMap<Uid, AlibabaObserved>,
  signal: AbortSignal,
): Promise<Survey> {
  const brought = [...known.values()].flatMap(({ balancer }) =>
    balancer?.ours === false ? [balancer.id] : [],
  );
  const at = clock.now();
  const [ours, theirs] = await Promise.all([
    loader.balancersIn(cluster.id, signal),
    brought.length === 0 ? [] : loader.balancersWithIds([...new Set(brought)], signal),
  ]);
  const listed = new Map([...ours, ...theirs].map((one) => [one.LoadBalancerId, one]));
  seen.balancers(ours, at);
  const inMotion = (id: string): boolean => recent.wasCreated(id) || recent.wasDeleted(id);
  const disturbed = new Set<Uid>();
  const familiar = new Set<string>();
  for (const [uid, { balancer }] of known) {
    if (balancer === undefined) continue;
    familiar.add(balancer.id);
    const found = listed.get(balancer.id);
    const same =
      found === undefined
        ? inMotion(balancer.id)
        : isSame(balancer, found, recent, { cluster, service: '' as ObjectKey, uid });
    if (!same) disturbed.add(uid);
  }
  const calm = [...known].flatMap(([uid, { balancer }]) =>
    balancer?.ours === true && listed.has(balancer.id) && !disturbed.has(uid) ? [{ uid, balancer }] : [],
  );
  const chosen = new Set(seen.turn(calm.map(({ balancer }) => balancer.id).toSorted()));
  await Promise.all(
    calm.map(async ({ uid, balancer }) => {
      if (!chosen.has(balancer.id)) return;
      const started = clock.now();
      const found = await loader.listeners(balancer.id, signal);
      if (found === undefined) return disturbed.add(uid);
      seen.listeners(balancer.id, found, started);
      const owner = { cluster, service: '' as ObjectKey, uid };
      if (seen.isSettled(balancer.id, started) && !sameListeners(balancer, found, owner)) disturbed.add(uid);
      return undefined;
    }),
  );
  const strays = new Map<Uid, Stray>();
  for (const one of ours) {
    const id = one.LoadBalancerId;
    if (familiar.has(id) || inMotion(id)) continue;
    const tags = fromFoundTags(one.Tags?.Tag);
    const uid = (tags[uidTag] ?? '') as Uid;
    if (known.has(uid)) {
      disturbed.add(uid);
      continue;
    }
    const service = (tags[serviceTag] ?? 'unknown/unknown') as ObjectKey;
    const resources = [...(strays.get(uid)?.resources ?? []), `balancer ${one.LoadBalancerName ?? id}`];
    strays.set(uid, { uid, service, resources });
  }
  return { disturbed: [...disturbed], strays: [...strays.values()] };
}

/** A listener that was starting may run by now: that is no disturbance. */
function comparable({ port, protocol, group, ours, status, settings }: ObservedListener): unknown {
  const sorted = Object.entries(settings).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [port, protocol, group, ours, status === 'stopped', sorted];
}

function sameListeners(
  { listeners, tags }: ObservedBalancer,
  found: readonly Listener[],
  owner: Owner,
): boolean {
  const now = sortListeners(found.map((one) => toListener(owner, one, foreignNames(owner, tags))));
  return JSON.stringify(now.map(comparable)) === JSON.stringify(listeners.map(comparable));
}

function isSame(known: ObservedBalancer, found: LoadBalancer, recent: Recent, owner: Owner): boolean {
  const now = toBalancer(owner, found, {
    listeners: [],
    groups: [],
    ordered: recent.ordered(known.id, fromFoundTags(found.Tags?.Tag)),
  });
  if (!known.ours) return now.address === known.address && now.status === known.status;
  return (
    now.ours &&
    now.status === known.status &&
    now.address === known.address &&
    now.name === known.name &&
    now.bandwidth === known.bandwidth &&
    now.internetChargeType === known.internetChargeType &&
    now.instanceChargeType === known.instanceChargeType &&
    now.spec === known.spec &&
    now.deleteProtection === known.deleteProtection &&
    now.modificationProtection === known.modificationProtection &&
    Object.entries(known.tags).every(([key, value]) => now.tags[key] === value)
  );
}
