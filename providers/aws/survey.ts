/**
 * One cheap look at the whole account: is what we know of still there, and does anything bear our cluster's
 * mark that nobody knows of?
 *
 * Two listings, a call for some hundreds of resources each. Tags are asked only about resources that were not
 * seen before and are not known, and the answer "not this cluster's" is kept, because a resource's cluster
 * never changes: in a steady account a survey costs its listings and nothing else.
 */
import type * as Elb from './client-types.ts';
import type { ObjectKey, Uid } from '../../src/core/objects.ts';
import type { ClusterIdentity, Stray, Survey } from '../../src/core/provider.ts';
import type { Loader } from './loader.ts';
import type { AwsObserved, ObservedBalancer, ObservedGroup, Tags } from './observed.ts';
import { healthCheckDifferences, toBalancer, toGroup } from './read.ts';
import type { Recent } from './recent.ts';
import { clusterTag, serviceTag, uidTag } from './tags.ts';

interface Resource {
  readonly arn: string;
  /** `balancer NAME`, `target group NAME`. */
  readonly label: string;
}

export class Surveyor {
  readonly #loader: Loader;
  readonly #recent: Recent;
  /** ARNs that are known not to be of the cluster. */
  #foreign: ReadonlySet<string> = new Set();

  constructor(loader: Loader, recent: Recent) {
    this.#loader = loader;
    this.#recent = recent;
  }

  async survey(
    cluster: ClusterIdentity,
    known: ReadonlyMap<Uid, AwsObserved>,
    signal: AbortSignal,
  ): Promise<Survey> {
    const everything = { names: [], all: true };
    const [balancers, groups] = await Promise.all([
      this.#loader.balancers(everything, signal),
      this.#loader.groups(everything, signal),
    ]);
    const disturbed = new Set<Uid>();
    const familiar = new Set<string>();
    for (const [uid, observed] of known) {
      for (const { arn } of [
        ...(observed.balancer === undefined ? [] : [observed.balancer]),
        ...observed.groups,
      ]) {
        familiar.add(arn);
      }
      const same =
        this.#sameBalancer(observed.balancer, balancers.withArn(observed.balancer?.arn ?? '')) &&
        observed.groups.every((group) => this.#sameGroup(group, groups.withArn(group.arn)));
      if (!same) disturbed.add(uid);
    }

    const listed: readonly Resource[] = [
      ...balancers.items
        .filter(({ Type }) => Type === 'network')
        .map((one): Resource => ({
          arn: one.LoadBalancerArn ?? '',
          label: `balancer ${one.LoadBalancerName ?? ''}`,
        })),
      ...groups.items.map((one): Resource => ({
        arn: one.TargetGroupArn ?? '',
        label: `target group ${one.TargetGroupName ?? ''}`,
      })),
    ];
    // What a pass that is under way has just made is not in the picture that we were given.
    const inMotion = (arn: string): boolean => this.#recent.wasCreated(arn) || this.#recent.wasDeleted(arn);
    const doubtful = listed.filter(
      ({ arn }) => !familiar.has(arn) && !this.#foreign.has(arn) && !inMotion(arn),
    );
    const tags = await this.#loader.tags(
      doubtful.map(({ arn }) => arn),
      signal,
    );
    const foreign = new Set(listed.map(({ arn }) => arn).filter((arn) => this.#foreign.has(arn)));
    const strays = new Map<Uid, Stray>();
    for (const { arn, label } of doubtful) {
      const marks = tags.get(arn);
      // Gone, or made too recently to have its tags told: the next survey asks again.
      if (marks === undefined) continue;
      if (marks[clusterTag] !== cluster.id) {
        foreign.add(arn);
        continue;
      }
      const uid = (marks[uidTag] ?? '') as Uid;
      if (known.has(uid)) disturbed.add(uid);
      else strays.set(uid, addStray(strays.get(uid), uid, marks, label));
    }
    this.#foreign = foreign;
    return { disturbed: [...disturbed], strays: [...strays.values()] };
  }

  #sameBalancer(known: ObservedBalancer | undefined, listed: Elb.LoadBalancer | undefined): boolean {
    if (known === undefined) return true;
    if (listed === undefined) return this.#recent.wasCreated(known.arn) || this.#recent.wasDeleted(known.arn);
    const { state, dnsName, scheme, subnets, securityGroups } = toBalancer(listed, {}, 0, empty);
    return (
      state === known.state &&
      dnsName === known.dnsName &&
      scheme === known.scheme &&
      subnets.map(({ subnet }) => subnet).join() === known.subnets.map(({ subnet }) => subnet).join() &&
      securityGroups.join() === known.securityGroups.join()
    );
  }

  #sameGroup(known: ObservedGroup, listed: Elb.TargetGroup | undefined): boolean {
    if (listed === undefined) return this.#recent.wasCreated(known.arn) || this.#recent.wasDeleted(known.arn);
    const { balancers, healthCheck } = toGroup(listed, {}, { attributes: undefined, targets: undefined });
    return (
      balancers.join() === known.balancers.join() &&
      healthCheckDifferences(healthCheck, known.healthCheck).length === 0
    );
  }
}

const empty: Pick<ObservedBalancer, 'attributes' | 'listeners'> = { attributes: undefined, listeners: [] };

function addStray(before: Stray | undefined, uid: Uid, tags: Tags, label: string): Stray {
  const service = (tags[serviceTag] ?? 'unknown/unknown') as ObjectKey;
  return { uid, service, resources: [...(before?.resources ?? []), label] };
}
