/**
 * Balancers that the cloud's own controller made and that were handed to us (`sluice migrate`).
 *
 * Such a balancer bears our mark and, in one more tag, the id that the other controller had for the cluster. Its
 * groups, listeners and members bear that controller's names, which say port, Service, namespace and cluster: on
 * this balancer, and on no other, a name that says exactly this Service counts as the owner's mark. Nothing is
 * renamed, since a call about a listener or a group is a call about traffic. What is made anew is ours as usual.
 */
import type { Owner } from '../../src/core/provider.ts';
import { foreignName } from './names.ts';
import { isOwnedBy, takenOverTag } from './tags.ts';
import type { Tags } from './tags.ts';

/** Tells whether a name is one that the other controller gave for this Service, and for which port. */
export type ForeignNames = (name: string | undefined) => number | undefined;

const none: ForeignNames = () => undefined;

/** What counts on a balancer with these tags. */
export function foreignNames(owner: Owner, tags: Tags): ForeignNames {
  const cluster = tags[takenOverTag];
  if (cluster === undefined || cluster === '' || !isOwnedBy(owner, tags)) return none;
  return (name) => {
    const port = Number(/^k8s\/([1-9][0-9]{0,4})\//u.exec(name ?? '')?.[1]);
    return name === foreignName(port, owner, cluster) ? port : undefined;
  };
}
