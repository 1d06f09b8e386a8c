/**
 * Names of what we make at Alibaba Cloud.
 *
 * A name is made from what never changes (cluster id, UID, node port), so that a crash between "made" and
 * "remembered" finds it again; whose a thing is, its tags say. The names are not those of the cloud's own
 * controller, which looks for its balancers by name too and would take ours for its own.
 */
import { composeName, shortHash } from '../../src/core/names.ts';
import { splitKey } from '../../src/core/objects.ts';
import type { Owner } from '../../src/core/provider.ts';

/** Most characters of a balancer's name, a group's name and a member's description (SLB API reference). */
const limit = 80;

export function ownerHash(owner: Owner): string {
  return shortHash(16, owner.cluster.id, owner.uid);
}

/** `slc-<namespace>-<service>-<hash>`: the balancer's name unless the user chose one. */
export function balancerName(owner: Owner): string {
  const { namespace, name } = splitKey(owner.service);
  const parts = [
    { text: 'slc', max: 3 },
    { text: namespace, max: 28 },
    { text: name, max: 28 },
  ];
  return composeName({ parts, hash: ownerHash(owner), limit });
}

/** What makes a group another one: a listener of another family cannot use it, and another node port is handed over. */
export interface GroupIdentity {
  readonly family: 'tcp' | 'udp' | 'http';
  readonly nodePort: number;
}

/** `slc-<namespace>-<service>-<node port>-<family>-<hash>`. */
export function groupName(owner: Owner, { family, nodePort }: GroupIdentity): string {
  const { namespace, name } = splitKey(owner.service);
  const parts = [
    { text: 'slc', max: 3 },
    { text: namespace, max: 20 },
    { text: name, max: 20 },
    { text: String(nodePort), max: 5 },
    { text: family, max: 4 },
  ];
  return composeName({ parts, hash: ownerHash(owner), limit });
}

/** On each member: says that we put it there, also in a group that a user brought along. */
export function memberDescription(owner: Owner): string {
  return `sluice/${ownerHash(owner)}`;
}

/** Name of a balancer as the cloud's own controller gives it: made from the UID, at most 32 characters. */
export function foreignBalancerName(uid: string): string {
  return `a${uid.replaceAll('-', '')}`.slice(0, 32);
}

/** What the cloud's own controller writes on groups and members (`port` is the node port) and on listeners (the port). */
export function foreignName(port: number, { service }: Pick<Owner, 'service'>, cluster: string): string {
  const { namespace, name } = splitKey(service);
  return `k8s/${port}/${name}/${namespace}/${cluster}`;
}
