/**
 * Tags: the mark that decides whose a resource is, and the record of what we set on it.
 *
 * Ownership is the pair of cluster id and Service UID, passed in the very call that creates a resource; a
 * resource without the pair is never written to. The records exist because AWS cannot tell who set an
 * attribute or a tag: only what is recorded as ours is ever reset or taken away.
 *
 * Tag values may hold letters, digits, blanks and `+ - = . _ : / @`, 256 at most: no commas.
 */
import type * as Elb from './client-types.ts';
import { shortHash } from '../../src/core/names.ts';
import type { Owner } from '../../src/core/provider.ts';
import type { Tags } from './observed.ts';

export const clusterTag = 'sluice.dev/cluster';
export const serviceTag = 'sluice.dev/service';
export const uidTag = 'sluice.dev/uid';
const resourceTag = 'sluice.dev/resource';
/** Attributes that we set on a balancer or group, by their short names. */
export const attributesTag = 'sluice.dev/attributes';
/** Hashes of the keys of the user's tags that we wrote. */
export const keysTag = 'sluice.dev/tags';
/** Hashes of the certificates beyond the default one that we added to a listener. */
export const certificatesTag = 'sluice.dev/certificates';

/** Key prefixes that a user's own tags may not have. */
const reservedTagPrefixes: readonly string[] = ['aws:', 'sluice.dev/'];

/** Tags that a user may add: AWS allows 50 on a resource, and some are ours. */
export const maxUserTags = 40;

export type ResourceKind = 'balancer' | 'target-group' | 'listener';

/** The owner's mark. */
export function ownerTags(owner: Owner, resource: ResourceKind): Tags {
  return {
    [clusterTag]: owner.cluster.id,
    [serviceTag]: owner.service,
    [uidTag]: owner.uid,
    [resourceTag]: resource,
  };
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

export function toTagList(tags: Tags): Elb.Tag[] {
  return Object.entries(tags)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([Key, Value]) => ({ Key, Value }));
}

export function fromTagList(tags: readonly Elb.Tag[] | undefined): Tags {
  return Object.fromEntries((tags ?? []).map(({ Key, Value }) => [Key ?? '', Value ?? '']));
}

/** A set of short words as a tag's value, and back. */
export function joinRecord(words: Iterable<string>): string {
  return [...new Set(words)].toSorted().join(' ');
}

export function splitRecord(value: string | undefined): ReadonlySet<string> {
  return new Set((value ?? '').split(' ').filter((word) => word !== ''));
}

/** The word that stands for a long key or ARN in a record: 40 of them fit into one tag. */
export function recordWord(text: string): string {
  return shortHash(5, text);
}

/** What is wrong with a user's own tag, in words (API reference, Tag). */
export function tagMistake(key: string, value: string): string | undefined {
  const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
  if (reservedTagPrefixes.some((reserved) => key.toLowerCase().startsWith(reserved))) {
    return `the tag key "${key}" is reserved`;
  }
  if (key === '' || key.length > 128 || !allowed.test(key)) return `"${key}" is not a tag key that AWS takes`;
  return value.length <= 256 && allowed.test(value)
    ? undefined
    : `"${value}" is not a tag value that AWS takes`;
}
