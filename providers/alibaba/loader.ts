/**
 * The reads that Services share: balancers by their tags, ids and names, and listeners, of up to ten a call.
 *
 * Services that look at the same time are asked for by their own tags (which combine with OR), very many by the
 * tag of the cluster, a hundred balancers a page. Entries carry their tags, so whose they are is checked here
 * and not left to the filter.
 */
import { isSluiceError } from '../../src/core/errors.ts';
import type { Owner } from '../../src/core/provider.ts';
import { SharedRead } from '../../src/core/shared-read.ts';
import { stateOf } from './certificate-state.ts';
import type { CertificateState } from './certificate-state.ts';
import type { LoadBalancer } from './client-types.ts';
import type { FoundTag } from './client-types-common.ts';
import type { BackendServer, VServerGroup } from './client-types-groups.ts';
import type { BackendHealth, Listener } from './client-types-listeners.ts';
import type { Door } from './door.ts';
import { isGone } from './errors.ts';
import type { ObservedListener } from './observed.ts';
import { chunks } from './steps.ts';
import { clusterTag, uidTag, useTag } from './tags.ts';

const pageSize = 100;
const tagsPerCall = 10;
/** Ids or names. */
const idsPerCall = 10;
/** From so many on, pages of the whole cluster cost less. */
const mostTags = 50;
const listenersPerPage = 100;

interface Question {
  readonly owner: Owner;
  /** It may have something on a balancer that a user brought along. */
  readonly uses: boolean;
}

export class Loader {
  readonly #door: Door;
  readonly #balancers: SharedRead<Question, readonly LoadBalancer[]>;
  readonly #named: SharedRead<string, readonly LoadBalancer[]>;
  readonly #listeners: SharedRead<string, ReadonlyMap<string, readonly Listener[]>>;

  constructor(door: Door) {
    this.#door = door;
    this.#balancers = new SharedRead((questions, signal) => this.#findBalancers(questions, signal));
    this.#named = new SharedRead((names, signal) => this.#findNamed([...new Set(names)], signal));
    this.#listeners = new SharedRead((ids, signal) => this.#readListeners([...new Set(ids)], signal));
  }

  /** Balancers that bear the mark of the owner, and perhaps others. */
  balancersOf(question: Question, signal: AbortSignal): Promise<readonly LoadBalancer[]> {
    return this.#balancers.ask(question, signal);
  }

  /** All balancers with a tag of the cluster. */
  balancersIn(cluster: string, signal: AbortSignal): Promise<readonly LoadBalancer[]> {
    return this.balancersWithTags([{ TagKey: clusterTag, TagValue: cluster }], signal);
  }

  /** With any one of the tags, of which a call takes ten. */
  balancersWithTags(Tags: readonly FoundTag[], signal: AbortSignal): Promise<readonly LoadBalancer[]> {
    return this.#pages({ Tags }, signal);
  }

  /** With exactly this name: the cloud may find longer ones too. */
  async balancersNamed(name: string, signal: AbortSignal): Promise<readonly LoadBalancer[]> {
    const found = await this.#named.ask(name, signal);
    return found.filter(({ LoadBalancerName }) => LoadBalancerName === name);
  }

  async balancersWithIds(ids: readonly string[], signal: AbortSignal): Promise<readonly LoadBalancer[]> {
    const found: LoadBalancer[] = [];
    for (const part of chunks(ids, idsPerCall)) {
      const listed = await this.#pages({ LoadBalancerId: part.join(',') }, signal);
      found.push(...listed.filter(({ LoadBalancerId }) => part.includes(LoadBalancerId)));
    }
    return found;
  }

  async balancer(id: string, signal: AbortSignal): Promise<LoadBalancer | undefined> {
    return (await this.balancersWithIds([id], signal))[0];
  }

  /** Undefined: there is no such balancer (any more). */
  async listeners(id: string, signal: AbortSignal): Promise<readonly Listener[] | undefined> {
    return (await this.#listeners.ask(id, signal)).get(id);
  }

  async groups(LoadBalancerId: string, signal: AbortSignal): Promise<readonly VServerGroup[] | undefined> {
    const answer = await orGone(() =>
      this.#door.call('DescribeVServerGroups', { LoadBalancerId, IncludeListener: true }, signal),
    );
    return answer === undefined ? undefined : (answer.VServerGroups?.VServerGroup ?? []);
  }

  async members(VServerGroupId: string, signal: AbortSignal): Promise<readonly BackendServer[] | undefined> {
    const answer = await orGone(() =>
      this.#door.call('DescribeVServerGroupAttribute', { VServerGroupId }, signal),
    );
    return answer === undefined ? undefined : (answer.BackendServers?.BackendServer ?? []);
  }

  async health(LoadBalancerId: string, signal: AbortSignal): Promise<readonly BackendHealth[] | undefined> {
    const answer = await orGone(() => this.#door.call('DescribeHealthStatus', { LoadBalancerId }, signal));
    return answer === undefined ? undefined : (answer.BackendServers?.BackendServer ?? []);
  }

  /** Undefined: the listener is gone. */
  async domains(
    LoadBalancerId: string,
    ListenerPort: number,
    signal: AbortSignal,
  ): Promise<NonNullable<ObservedListener['domains']> | undefined> {
    const answer = await orGone(() =>
      this.#door.call('DescribeDomainExtensions', { LoadBalancerId, ListenerPort }, signal),
    );
    const found = answer?.DomainExtensions?.DomainExtension ?? [];
    return answer === undefined
      ? undefined
      : Object.fromEntries(
          found.map((one) => [
            one.Domain,
            { id: one.DomainExtensionId, certificate: one.ServerCertificateId },
          ]),
        );
  }

  /**
   * How a server certificate stands at `wall` (milliseconds since the epoch). Undefined where we may not look: an
   * account that does not let us is none the worse served.
   */
  async certificate(
    ServerCertificateId: string,
    wall: number,
    signal: AbortSignal,
  ): Promise<CertificateState | undefined> {
    try {
      const answer = await this.#door.call('DescribeServerCertificates', { ServerCertificateId }, signal);
      const found = answer.ServerCertificates?.ServerCertificate ?? [];
      return stateOf(
        found.find((one) => one.ServerCertificateId === ServerCertificateId),
        wall,
      );
    } catch (error) {
      if (isSluiceError(error) && error.kind === 'denied') return undefined;
      if (isGone(error) || (isSluiceError(error) && error.code === 'CertificateNotExist'))
        return { kind: 'missing' };
      throw error;
    }
  }

  async #findBalancers(
    questions: readonly Question[],
    signal: AbortSignal,
  ): Promise<readonly LoadBalancer[]> {
    const tags = questions.flatMap(({ owner, uses }): FoundTag[] => [
      { TagKey: uidTag, TagValue: owner.uid },
      ...(uses ? [{ TagKey: useTag(owner) }] : []),
    ]);
    if (tags.length <= mostTags) {
      const parts = chunks(tags, tagsPerCall).map((part) => this.balancersWithTags(part, signal));
      return (await Promise.all(parts)).flat();
    }
    const clusters = [...new Set(questions.map(({ owner }) => owner.cluster.id))];
    const uses = questions
      .filter((one) => one.uses)
      .map(({ owner }): FoundTag => ({ TagKey: useTag(owner) }));
    const found = await this.balancersWithTags(
      clusters.map((id) => ({ TagKey: clusterTag, TagValue: id })),
      signal,
    );
    const used: LoadBalancer[] = [];
    for (const part of chunks(uses, tagsPerCall)) used.push(...(await this.balancersWithTags(part, signal)));
    return [...found, ...used];
  }

  /** A comma separates names, and no name holds one. */
  async #findNamed(names: readonly string[], signal: AbortSignal): Promise<readonly LoadBalancer[]> {
    const read = chunks(names, idsPerCall).map((part) =>
      this.#pages({ LoadBalancerName: part.join(',') }, signal),
    );
    return (await Promise.all(read)).flat();
  }

  async #pages(
    filter: {
      readonly Tags?: readonly FoundTag[];
      readonly LoadBalancerName?: string;
      readonly LoadBalancerId?: string;
    },
    signal: AbortSignal,
  ): Promise<readonly LoadBalancer[]> {
    const found: LoadBalancer[] = [];
    for (let PageNumber = 1; ; PageNumber++) {
      const answer = await this.#door.call(
        'DescribeLoadBalancers',
        { ...filter, PageNumber, PageSize: pageSize },
        signal,
      );
      const page = answer.LoadBalancers?.LoadBalancer ?? [];
      found.push(...page);
      if (page.length < (answer.PageSize ?? pageSize) || found.length >= (answer.TotalCount ?? 0))
        return found;
    }
  }

  /** One balancer that is gone fails the call for all: then halves lead to it. */
  async #readListeners(
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly Listener[]>> {
    const read = await Promise.all(chunks(ids, idsPerCall).map((part) => this.#someListeners(part, signal)));
    return new Map(read.flatMap((one) => [...one]));
  }

  async #someListeners(
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly Listener[]>> {
    const found = new Map<string, Listener[]>(ids.map((id) => [id, []]));
    let NextToken: string | undefined;
    try {
      do {
        const answer = await this.#door.call(
          'DescribeLoadBalancerListeners',
          {
            LoadBalancerId: ids,
            MaxResults: listenersPerPage,
            ...(NextToken === undefined ? {} : { NextToken }),
          },
          signal,
        );
        for (const listener of answer.Listeners ?? []) found.get(listener.LoadBalancerId)?.push(listener);
        NextToken = answer.NextToken === '' ? undefined : answer.NextToken;
      } while (NextToken !== undefined);
      return found;
    } catch (error) {
      if (!isGone(error)) throw error;
      if (ids.length === 1) return new Map();
      const half = Math.ceil(ids.length / 2);
      const halves = [ids.slice(0, half), ids.slice(half)];
      const read = await Promise.all(halves.map((part) => this.#someListeners(part, signal)));
      return new Map(read.flatMap((one) => [...one]));
    }
  }
}

/** Undefined when what is asked about is gone. */
async function orGone<Answer>(read: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
