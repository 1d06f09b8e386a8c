/**
 * Names of what we make at AWS.
 *
 * A name is made from what never changes (cluster id, UID, port), so a crash between "made" and "remembered"
 * finds it again. Names only help to find: whose a resource is, its tags say.
 *
 * AWS allows 32 characters of `[A-Za-z0-9-]`, no hyphen at either end, and no balancer name that begins
 * with `internal-` (API reference, CreateLoadBalancer and CreateTargetGroup).
 */
import { composeName, shortHash } from '../../src/core/names.ts';
import { splitKey } from '../../src/core/objects.ts';
import type { Owner } from '../../src/core/provider.ts';

const limit = 32;
const uidHashLength = 10;
const groupHashLength = 8;

function uidHash(owner: Owner): string {
  return shortHash(uidHashLength, owner.cluster.id, owner.uid);
}

/** `slc-<namespace>-<service>-<hash>`: the balancer's name unless the user chose one. */
export function balancerName(owner: Owner): string {
  const { namespace, name } = splitKey(owner.service);
  return composeName({
    parts: [
      { text: 'slc', max: 3 },
      { text: namespace, max: 8 },
      { text: name, max: 8 },
    ],
    hash: uidHash(owner),
    limit,
  });
}

/** What makes a target group another one: none of it can be changed on an existing group. */
export interface GroupIdentity {
  readonly port: number;
  readonly protocol: string;
  readonly targetType: string;
}

/**
 * `<service>-<hash of the owner>-<hash of the identity>`.
 *
 * The middle part is the same for all groups of a Service, which finds those that no port asks for any more.
 */
export function groupName(owner: Owner, identity: GroupIdentity): string {
  const { name } = splitKey(owner.service);
  const readable = composeName({ parts: [{ text: name, max: 10 }], hash: uidHash(owner), limit: 22 });
  return `${readable}-${shortHash(groupHashLength, String(identity.port), identity.protocol, identity.targetType)}`;
}

/** Whether a target group's name is of the form that `groupName` gives for this owner; asked for all of an account. */
export function groupNamesOf(owner: Owner): (name: string) => boolean {
  const hash = uidHash(owner);
  return (name) => name.slice(0, -1 - groupHashLength).endsWith(hash);
}
