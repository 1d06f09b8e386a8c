/**
 * What AWS holds for one Service.
 *
 * Balancers and groups are found by name and by what points at them, then judged by their tags: only what
 * bears the owner's mark is observed. Reads that several Services need are shared (`loader.ts`), the rest run
 * side by side. A read that fails throws; what a read cannot see yet although we made it a moment ago is
 * taken from the previous observation.
 */
import type * as Elb from './client-types.ts';
import type { Clock } from '../../src/core/clock.ts';
import { SluiceError } from '../../src/core/errors.ts';
import type { ObserveRequest, Owner } from '../../src/core/provider.ts';
import { withoutDefaults } from './attributes.ts';
import { balancerAttributes, groupAttributesFor } from './attributes.ts';
import type { AttributeRow } from './attributes.ts';
import type { Door } from './door.ts';
import { isGone } from './errors.ts';
import type { Found, Loader, TagsByArn } from './loader.ts';
import { balancerName, groupNamesOf } from './names.ts';
import { withRecent } from './observe-recent.ts';
import type {
  Attributes,
  AwsObserved,
  ObservedBalancer,
  ObservedGroup,
  ObservedListener,
  ObservedTarget,
  Stranger,
  Tags,
} from './observed.ts';
import { sortGroups, sortListeners, toBalancer, toGroup, toListener, toTargets } from './read.ts';
import type { Recent } from './recent.ts';
import { attributesTag, describeOwner, isOwnedBy, splitRecord } from './tags.ts';
import type { AwsWanted } from './wanted.ts';

export interface Sources {
  readonly clock: Clock;
  readonly door: Door;
  readonly loader: Loader;
  readonly recent: Recent;
}

type Request = ObserveRequest<AwsWanted, AwsObserved>;

/** Shorter than the window in which a creation may stay unseen, so that what has shown itself goes soon. */
const doubtRecheckMs = 5_000;

export async function observe(sources: Sources, request: Request): Promise<AwsObserved> {
  if (request.depth === 'removal') refuseDoubt(sources, request.owner);
  return new Observation(sources, request).run();
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

/** One look: what its parts share. */
class Observation {
  readonly #sources: Sources;
  readonly #request: Request;
  readonly #owner: Owner;

  constructor(sources: Sources, request: Request) {
    this.#sources = sources;
    this.#request = request;
    this.#owner = request.owner;
  }

  async run(): Promise<AwsObserved> {
    const { wanted, previous, depth, signal } = this.#request;
    const { loader } = this.#sources;
    const removal = depth === 'removal';
    const wantedNames = new Set((wanted?.listeners ?? []).map(({ group }) => group.name));
    const groupNames = new Set([...wantedNames, ...(previous?.groups ?? []).map(({ name }) => name)]);
    const balancerNames = new Set([
      balancerName(this.#owner),
      ...(wanted === undefined ? [] : [wanted.name]),
    ]);
    const [balancers, allGroups] = await Promise.all([
      loader.balancers({ names: [...balancerNames], all: removal }, signal),
      loader.groups({ names: [...groupNames], all: depth !== 'quick' || groupNames.size === 0 }, signal),
    ]);
    const groups = await this.#candidates(allGroups, groupNames);
    const balancer = await this.#findBalancer(balancers, [...balancerNames], groups);
    const [listeners, targets] = await Promise.all([
      balancer === undefined || removal ? [] : this.#listeners(balancer.LoadBalancerArn ?? ''),
      removal
        ? new Map<string, Readonly<Record<string, ObservedTarget>>>()
        : this.#targets(groups, wantedNames),
    ]);
    const arns = [
      balancer?.LoadBalancerArn,
      ...groups.map(({ TargetGroupArn }) => TargetGroupArn),
      ...listeners.map(({ ListenerArn }) => ListenerArn),
    ].filter((arn) => arn !== undefined);
    const tags = await loader.tags(arns, signal);

    const observed = await this.#assemble({ balancer, groups, listeners, targets, tags });
    return removal && observed.balancer === undefined ? this.#findByTags(observed, balancers) : observed;
  }

  /**
   * Groups that may be the owner's: by a name that we want, or of the form that all of them have. One that we
   * know of and that a listing misses is asked about by itself.
   */
  async #candidates(
    found: Found<Elb.TargetGroup>,
    names: ReadonlySet<string>,
  ): Promise<readonly Elb.TargetGroup[]> {
    const { loader, recent } = this.#sources;
    const alive = (arn = ''): boolean => !recent.wasDeleted(arn);
    const missed = (this.#request.previous?.groups ?? [])
      .map(({ arn }) => arn)
      .filter((arn) => found.complete && found.withArn(arn) === undefined && alive(arn));
    const confirmed = await Promise.all(missed.map((arn) => loader.groupByArn(arn, this.#request.signal)));
    const isOurs = groupNamesOf(this.#owner);
    return [...found.items, ...confirmed.filter((group) => group !== undefined)].filter(
      ({ TargetGroupName: name = '', TargetGroupArn: arn }) =>
        (names.has(name) || isOurs(name)) && alive(arn),
    );
  }

  /**
   * By name; else through a group of ours, since a balancer may have been made under a name that the Service
   * no longer asks for.
   */
  async #findBalancer(
    found: Found<Elb.LoadBalancer>,
    names: readonly string[],
    groups: readonly Elb.TargetGroup[],
  ): Promise<Elb.LoadBalancer | undefined> {
    const { loader, recent } = this.#sources;
    const { signal } = this.#request;
    const named = names.map((name) => found.named(name)).filter((one) => one !== undefined);
    const alive = named.filter(({ LoadBalancerArn }) => !recent.wasDeleted(LoadBalancerArn ?? ''));
    const arns = [
      this.#request.previous?.balancer?.arn,
      ...groups.flatMap(({ LoadBalancerArns }) => LoadBalancerArns ?? []),
    ].filter((arn) => arn !== undefined && !recent.wasDeleted(arn));
    if (alive.length > 0) {
      return alive.find(({ LoadBalancerArn }) => arns.includes(LoadBalancerArn)) ?? alive[0];
    }
    for (const arn of new Set(arns)) {
      // Even where a listing was complete: one that misses what we know of is worth a question of its own.
      const one =
        arn === undefined ? undefined : (found.withArn(arn) ?? (await loader.balancerByArn(arn, signal)));
      if (one !== undefined) return one;
    }
    return undefined;
  }

  async #listeners(balancerArn: string): Promise<readonly Elb.Listener[]> {
    const listeners: Elb.Listener[] = [];
    let Marker: string | undefined;
    do {
      const answer = await this.#orGone(() =>
        this.#sources.door.call(
          'DescribeListeners',
          { LoadBalancerArn: balancerArn, Marker },
          this.#request.signal,
        ),
      );
      listeners.push(...(answer?.Listeners ?? []));
      Marker = answer?.NextMarker === '' ? undefined : answer?.NextMarker;
    } while (Marker !== undefined);
    return listeners.filter(({ ListenerArn }) => !this.#sources.recent.wasDeleted(ListenerArn ?? ''));
  }

  /** By group ARN. Groups that no listener of the Service wants are not asked: they are only deleted. */
  async #targets(
    groups: readonly Elb.TargetGroup[],
    wantedNames: ReadonlySet<string>,
  ): Promise<ReadonlyMap<string, Readonly<Record<string, ObservedTarget>>>> {
    const asked = groups.filter(({ TargetGroupName }) => wantedNames.has(TargetGroupName ?? ''));
    const entries = await Promise.all(
      asked.map(async ({ TargetGroupArn: arn = '' }) => {
        const answer = await this.#orGone(() =>
          this.#sources.door.call('DescribeTargetHealth', { TargetGroupArn: arn }, this.#request.signal),
        );
        return [
          arn,
          this.#sources.recent.judgeHealth(arn, toTargets(answer?.TargetHealthDescriptions)),
        ] as const;
      }),
    );
    return new Map(entries);
  }

  async #assemble(parts: {
    readonly balancer: Elb.LoadBalancer | undefined;
    readonly groups: readonly Elb.TargetGroup[];
    readonly listeners: readonly Elb.Listener[];
    readonly targets: ReadonlyMap<string, Readonly<Record<string, ObservedTarget>>>;
    readonly tags: TagsByArn;
  }): Promise<AwsObserved> {
    const strangers: Stranger[] = [];
    const [balancer, groups] = await Promise.all([
      this.#judgeBalancer(parts.balancer, parts.listeners, parts.tags, strangers),
      Promise.all(
        parts.groups.map((group) =>
          this.#judgeGroup(group, parts.targets.get(group.TargetGroupArn ?? ''), parts.tags, strangers),
        ),
      ),
    ]);
    const judged: AwsObserved = {
      balancer,
      groups: sortGroups(groups.filter((group) => group !== undefined)),
      strangers: strangers.toSorted((a, b) => (a.arn < b.arn ? -1 : 1)),
    };
    return withRecent(this.#sources.recent, judged, this.#request.previous);
  }

  async #judgeBalancer(
    balancer: Elb.LoadBalancer | undefined,
    listeners: readonly Elb.Listener[],
    tagsByArn: TagsByArn,
    strangers: Stranger[],
  ): Promise<ObservedBalancer | undefined> {
    const arn = balancer?.LoadBalancerArn;
    if (balancer === undefined || arn === undefined) return undefined;
    const before = this.#request.previous?.balancer;
    const tags = tagsByArn.get(arn) ?? this.#remembered(arn, before);
    if (tags === undefined) return undefined;
    if (!isOwnedBy(this.#owner, tags)) {
      const name = balancer.LoadBalancerName ?? '';
      strangers.push({ kind: 'balancer', name, arn, owner: describeOwner(this.#owner, tags) });
      return undefined;
    }
    const [attributes, judged] = await Promise.all([
      this.#attributes(arn, this.#request.wanted?.attributes, tags, balancerAttributes, before, () =>
        this.#sources.door.call(
          'DescribeLoadBalancerAttributes',
          { LoadBalancerArn: arn },
          this.#request.signal,
        ),
      ),
      Promise.all(listeners.map((listener) => this.#judgeListener(listener, tagsByArn))),
    ]);
    return toBalancer(balancer, tags, this.#sources.clock.wall(), {
      attributes,
      listeners: sortListeners(judged),
    });
  }

  async #judgeListener(listener: Elb.Listener, tagsByArn: TagsByArn): Promise<ObservedListener> {
    const arn = listener.ListenerArn ?? '';
    const before = this.#request.previous?.balancer?.listeners.find((one) => one.arn === arn);
    const tags = tagsByArn.get(arn) ?? this.#remembered(arn, before) ?? {};
    const ours = isOwnedBy(this.#owner, tags);
    return toListener(listener, {
      ours,
      tags,
      moreCertificates: ours ? await this.#moreCertificates(listener, before) : undefined,
    });
  }

  async #moreCertificates(
    listener: Elb.Listener,
    before: ObservedListener | undefined,
  ): Promise<readonly string[] | undefined> {
    if (listener.Protocol !== 'TLS') return [];
    if (this.#request.depth === 'quick' && before?.moreCertificates !== undefined) {
      return before.moreCertificates;
    }
    const found: string[] = [];
    let Marker: string | undefined;
    do {
      const answer = await this.#orGone(() =>
        this.#sources.door.call(
          'DescribeListenerCertificates',
          { ListenerArn: listener.ListenerArn, Marker },
          this.#request.signal,
        ),
      );
      for (const { CertificateArn: certificate, IsDefault } of answer?.Certificates ?? []) {
        if (certificate !== undefined && IsDefault !== true) found.push(certificate);
      }
      Marker = answer?.NextMarker === '' ? undefined : answer?.NextMarker;
    } while (Marker !== undefined);
    return found.toSorted();
  }

  async #judgeGroup(
    group: Elb.TargetGroup,
    targets: Readonly<Record<string, ObservedTarget>> | undefined,
    tagsByArn: TagsByArn,
    strangers: Stranger[],
  ): Promise<ObservedGroup | undefined> {
    const arn = group.TargetGroupArn ?? '';
    const name = group.TargetGroupName ?? '';
    const before = this.#request.previous?.groups.find((one) => one.arn === arn);
    const tags = tagsByArn.get(arn) ?? this.#remembered(arn, before);
    if (tags === undefined) return undefined;
    const listener = this.#request.wanted?.listeners.find((one) => one.group.name === name);
    if (!isOwnedBy(this.#owner, tags)) {
      const stands = listener !== undefined;
      if (stands) strangers.push({ kind: 'group', name, arn, owner: describeOwner(this.#owner, tags) });
      return undefined;
    }
    const table = groupAttributesFor(group.Protocol ?? '');
    const attributes = await this.#attributes(arn, listener?.group.attributes, tags, table, before, () =>
      this.#sources.door.call('DescribeTargetGroupAttributes', { TargetGroupArn: arn }, this.#request.signal),
    );
    return toGroup(group, tags, { attributes, targets });
  }

  /**
   * Attributes are read only where a plan could change some: the Service asks for them, or we once set them.
   * A quick look trusts the last one.
   */
  async #attributes(
    arn: string,
    wanted: Attributes | undefined,
    tags: Tags,
    table: readonly AttributeRow[],
    before: { readonly arn: string; readonly attributes: Attributes | undefined } | undefined,
    read: () => Promise<{
      readonly Attributes?: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined;
    }>,
  ): Promise<Attributes | undefined> {
    const { depth } = this.#request;
    const known = before?.arn === arn ? before.attributes : undefined;
    const asked = Object.keys(wanted ?? {}).length > 0 || splitRecord(tags[attributesTag]).size > 0;
    const balancerRemoval = depth === 'removal' && table === balancerAttributes;
    if (!asked && !balancerRemoval) return known;
    if (depth === 'quick' && known !== undefined) return known;
    const answer = await this.#orGone(read);
    if (answer === undefined) return known;
    const kept = new Set([...table.map(({ key }) => key), ...Object.keys(wanted ?? {})]);
    const values = (answer.Attributes ?? [])
      .filter(({ Key = '' }) => kept.has(Key))
      .map(({ Key = '', Value = '' }) => [Key, Value] as const);
    return withoutDefaults(table, Object.fromEntries(values));
  }

  /** Tags of what we made moments ago, which AWS may not be able to tell yet. */
  #remembered(
    arn: string,
    before: { readonly arn: string; readonly tags: Tags } | undefined,
  ): Tags | undefined {
    return before?.arn === arn && this.#sources.recent.wasCreated(arn) ? before.tags : undefined;
  }

  /** Undefined when what is asked about is gone, or not to be seen yet. */
  async #orGone<Answer>(read: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await read();
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /**
   * Removal only: a balancer under a name of the user's, to which no group leads (a crash right after it was
   * made), has nothing but its tags.
   */
  async #findByTags(observed: AwsObserved, found: Found<Elb.LoadBalancer>): Promise<AwsObserved> {
    const { loader, recent } = this.#sources;
    const candidates = found.items.filter(
      ({ Type, LoadBalancerArn: arn = '' }) => Type === 'network' && !recent.wasDeleted(arn),
    );
    const tags = await loader.tags(
      candidates.map(({ LoadBalancerArn }) => LoadBalancerArn ?? ''),
      this.#request.signal,
    );
    const mine = candidates.find(({ LoadBalancerArn: arn = '' }) =>
      isOwnedBy(this.#owner, tags.get(arn) ?? {}),
    );
    if (mine === undefined) return observed;
    return { ...observed, balancer: await this.#judgeBalancer(mine, [], tags, []) };
  }
}
