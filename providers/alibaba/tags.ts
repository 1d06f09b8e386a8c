/**
 * Tags: the mark that decides whose a resource is, and the record of what we set on it.
 *
 * Ownership is the pair of cluster id and Service UID, part of the very call that makes a balancer, a group or
 * a listener; what does not bear the pair is never written to. The records exist because the cloud cannot tell
 * who set a tag or a protection: only what is recorded as ours is ever taken back.
 *
 * Keys have 1 to 64 characters, values up to 128, a resource at most 20 tags (SLB API reference).
 */
import { shortHash } from '../../src/core/names.ts';
import type { Owner } from '../../src/core/provider.ts';
import type { FoundTag, Tag } from './client-types-common.ts';
import { ownerHash } from './names.ts';

export type Tags = Readonly<Record<string, string>>;

export const clusterTag = 'sluice.dev/cluster';
export const serviceTag = 'sluice.dev/service';
export const uidTag = 'sluice.dev/uid';
const resourceTag = 'sluice.dev/resource';
/** Hashes of the keys of the user's tags that we wrote. */
export const keysTag = 'sluice.dev/tags';
/** Hashes of the ports and domains that we gave certificates of their own. */
export const domainsTag = 'sluice.dev/domains';
/** We switched deletion protection on: we may switch it off. */
export const protectionTag = 'sluice.dev/protection';

/**
 * What was ordered for a balancer and counts from the next day: charge type, bandwidth, and when (`ordered.ts`). The
 * cloud shows the old values until then.
 */
export const orderedTag = 'sluice.dev/ordered';
/**
 * On a balancer that another controller made and that was handed to us: the cluster's id in the names which that
 * controller gave to groups, listeners and members. They cannot be tagged after their creation, so on this one
 * balancer those names count as the mark (`taken-over.ts`).
 */
export const takenOverTag = 'sluice.dev/taken-over';

/** Tags that a user may add: a resource holds 20, and some are ours. */
export const maxUserTags = 12;

/** By which the cloud's own controller finds a balancer: the value is the balancer's first name. */
export const foreignNameTag = 'kubernetes.do.not.delete';
/** The id that the cloud's own controller has for the cluster. */
export const foreignClusterTag = 'ack.aliyun.com';

/** Keys that the cloud's own controller marks balancers with. */
export const foreignMarks: readonly string[] = [foreignNameTag, foreignClusterTag];

export type ResourceKind = 'balancer' | 'vserver-group' | 'listener';

export function ownerTags(owner: Owner, resource: ResourceKind): Tags {
  return {
    [clusterTag]: owner.cluster.id,
    [serviceTag]: owner.service,
    [uidTag]: owner.uid,
    [resourceTag]: resource,
  };
}

/** Our mark on a balancer that a user brought along: this Service has groups or listeners on it. */
export function useTag(owner: Owner): string {
  return `sluice.dev/used-by-${ownerHash(owner)}`;
}

export function isOwnedBy(owner: Owner, tags: Tags): boolean {
  return tags[clusterTag] === owner.cluster.id && tags[uidTag] === owner.uid;
}

/** Whose a resource says it is, for people. */
export function describeOwner(owner: Owner, tags: Tags): string {
  const cluster = tags[clusterTag];
  if (cluster === undefined) return 'not made by Sluice';
  if (cluster !== owner.cluster.id) return 'made by Sluice in another cluster';
  return `made for Service ${tags[serviceTag] ?? 'unknown'} (uid ${tags[uidTag] ?? 'unknown'})`;
}

export function toTagList(tags: Tags): Tag[] {
  return Object.entries(tags)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([Key, Value]) => ({ Key, Value }));
}

export function fromTagList(tags: readonly Tag[] | undefined): Tags {
  return Object.fromEntries((tags ?? []).map(({ Key, Value }) => [Key, Value ?? '']));
}

/** Without the cloud's own, which begin with `acs:`. */
export function fromFoundTags(tags: readonly FoundTag[] | undefined): Tags {
  return Object.fromEntries(
    (tags ?? [])
      .filter(({ TagKey }) => !TagKey.startsWith('acs:'))
      .map(({ TagKey, TagValue }) => [TagKey, TagValue ?? '']),
  );
}

export function joinRecord(words: Iterable<string>): string {
  return [...new Set(words)].toSorted().join(' ');
}

export function splitRecord(value: string | undefined): ReadonlySet<string> {
  return new Set((value ?? '').split(' ').filter((word) => word !== ''));
}

/** The word that stands for a key in a record. */
export function recordWord(text: string): string {
  return shortHash(5, text);
}

/** What is wrong with a user's own tag, in words (SLB API reference, TagResources). */
export function tagMistake(key: string, value: string): string | undefined {
  const lower = key.toLowerCase();
  if (['sluice.dev/', 'aliyun', 'acs:'].some((reserved) => lower.startsWith(reserved)))
    return `the tag key "${key}" is reserved`;
  if (key === '' || key.length > 64 || /https?:\/\//.test(key))
    return `"${key}" is not a tag key that SLB takes`;
  return value.length <= 128 && !/https?:\/\//.test(value)
    ? undefined
    : `"${value}" is not a tag value that SLB takes`;
}
