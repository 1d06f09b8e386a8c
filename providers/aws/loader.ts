/**
 * The reads that Services share: balancers, target groups, tags.
 *
 * AWS answers "all" in pages of hundreds at the price of one call each, so when several Services look at
 * the same time, one listing serves them all. A single one asks by name, which is also how an account with
 * thousands of groups stays cheap. A name that does not exist makes AWS refuse the whole call: for a single
 * name that is the answer "absent", for several the listing decides.
 */
import type * as Elb from './client-types.ts';
import { isGone } from './errors.ts';
import type { Tags } from './observed.ts';
import type { Door } from './door.ts';
import { SharedRead } from '../../src/core/shared-read.ts';
import { fromTagList } from './tags.ts';

const pageSize = 400;
const tagsPerCall = 20;

/** Some resources, found by name or ARN. */
export interface Found<Item> {
  /** True when `items` is everything that the account holds. */
  readonly complete: boolean;
  readonly items: readonly Item[];
  named(name: string): Item | undefined;
  withArn(arn: string): Item | undefined;
}

interface Question {
  /** Names that the asker cares about; empty together with `all`. */
  readonly names: readonly string[];
  /** The asker must see everything, not only what it can name. */
  readonly all: boolean;
}

interface Kind<Item> {
  page(
    marker: string | undefined,
    signal: AbortSignal,
  ): Promise<{ items: readonly Item[]; next: string | undefined }>;
  byNames(names: readonly string[], signal: AbortSignal): Promise<readonly Item[]>;
  arnOf(item: Item): string;
  nameOf(item: Item): string;
}

class Listing<Item> {
  readonly #kind: Kind<Item>;
  readonly #read: SharedRead<Question, Found<Item>>;
  /** Pages of the last full listing: what the next one will cost. */
  #pages = 1;

  constructor(kind: Kind<Item>) {
    this.#kind = kind;
    this.#read = new SharedRead((questions, signal) => this.#round(questions, signal));
  }

  find(question: Question, signal: AbortSignal): Promise<Found<Item>> {
    return this.#read.ask(question, signal);
  }

  async #round(questions: readonly Question[], signal: AbortSignal): Promise<Found<Item>> {
    // No names at all would mean "everything" to AWS, so whoever has none gets the listing.
    const everything = questions.some(({ all, names }) => all || names.length === 0);
    const mayName = !everything && questions.length <= this.#pages;
    if (mayName) {
      const parts = await Promise.all(questions.map((question) => this.#named(question.names, signal)));
      if (parts.every((part) => part !== undefined)) return index(parts.flat(), false, this.#kind);
    }
    return this.#everything(signal);
  }

  /** Undefined when AWS refused the call and more than one name may be the reason. */
  async #named(names: readonly string[], signal: AbortSignal): Promise<readonly Item[] | undefined> {
    try {
      return await this.#kind.byNames(names, signal);
    } catch (error) {
      if (!isGone(error)) throw error;
      return names.length === 1 ? [] : undefined;
    }
  }

  async #everything(signal: AbortSignal): Promise<Found<Item>> {
    const items: Item[] = [];
    let marker: string | undefined;
    let pages = 0;
    do {
      const page = await this.#kind.page(marker, signal);
      items.push(...page.items);
      marker = page.next;
      pages += 1;
    } while (marker !== undefined);
    this.#pages = pages;
    return index(items, true, this.#kind);
  }
}

function index<Item>(items: readonly Item[], complete: boolean, kind: Kind<Item>): Found<Item> {
  const byName = new Map(items.map((item) => [kind.nameOf(item), item]));
  const byArn = new Map(items.map((item) => [kind.arnOf(item), item]));
  return { complete, items, named: (name) => byName.get(name), withArn: (arn) => byArn.get(arn) };
}

/** Tags by ARN; an ARN that does not exist (any more) is missing. */
export type TagsByArn = ReadonlyMap<string, Tags>;

export class Loader {
  readonly #door: Door;
  readonly #balancers: Listing<Elb.LoadBalancer>;
  readonly #groups: Listing<Elb.TargetGroup>;
  readonly #tags: SharedRead<readonly string[], TagsByArn>;

  constructor(door: Door) {
    this.#door = door;
    this.#balancers = new Listing({
      page: async (Marker, signal) => {
        const answer = await door.call('DescribeLoadBalancers', { PageSize: pageSize, Marker }, signal);
        return { items: answer.LoadBalancers ?? [], next: more(answer.NextMarker) };
      },
      byNames: async (names, signal) =>
        (await door.call('DescribeLoadBalancers', { Names: [...names] }, signal)).LoadBalancers ?? [],
      arnOf: (item) => item.LoadBalancerArn ?? '',
      nameOf: (item) => item.LoadBalancerName ?? '',
    });
    this.#groups = new Listing({
      page: async (Marker, signal) => {
        const answer = await door.call('DescribeTargetGroups', { PageSize: pageSize, Marker }, signal);
        return { items: answer.TargetGroups ?? [], next: more(answer.NextMarker) };
      },
      byNames: async (names, signal) =>
        (await door.call('DescribeTargetGroups', { Names: [...names] }, signal)).TargetGroups ?? [],
      arnOf: (item) => item.TargetGroupArn ?? '',
      nameOf: (item) => item.TargetGroupName ?? '',
    });
    this.#tags = new SharedRead((questions, signal) => this.#readTags(questions.flat(), signal));
  }

  balancers(question: Question, signal: AbortSignal): Promise<Found<Elb.LoadBalancer>> {
    return this.#balancers.find(question, signal);
  }

  groups(question: Question, signal: AbortSignal): Promise<Found<Elb.TargetGroup>> {
    return this.#groups.find(question, signal);
  }

  /** A balancer that no name leads to. */
  async balancerByArn(arn: string, signal: AbortSignal): Promise<Elb.LoadBalancer | undefined> {
    try {
      const answer = await this.#door.call('DescribeLoadBalancers', { LoadBalancerArns: [arn] }, signal);
      return answer.LoadBalancers?.[0];
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  async groupByArn(arn: string, signal: AbortSignal): Promise<Elb.TargetGroup | undefined> {
    try {
      const answer = await this.#door.call('DescribeTargetGroups', { TargetGroupArns: [arn] }, signal);
      return answer.TargetGroups?.[0];
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Twenty ARNs a call, filled up with those of other Services that ask at the same time. */
  async tags(arns: readonly string[], signal: AbortSignal): Promise<TagsByArn> {
    return arns.length === 0 ? new Map() : this.#tags.ask(arns, signal);
  }

  async #readTags(arns: readonly string[], signal: AbortSignal): Promise<TagsByArn> {
    const unique = [...new Set(arns)];
    const calls: string[][] = [];
    for (let i = 0; i < unique.length; i += tagsPerCall) calls.push(unique.slice(i, i + tagsPerCall));
    const parts = await Promise.all(calls.map((call) => this.#someTags(call, signal)));
    return new Map(parts.flat());
  }

  /** One missing ARN fails the whole call, so a refused one is halved until the missing are alone. */
  async #someTags(
    arns: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly (readonly [string, Tags])[]> {
    try {
      const answer = await this.#door.call('DescribeTags', { ResourceArns: [...arns] }, signal);
      return (answer.TagDescriptions ?? []).map(
        ({ ResourceArn = '', Tags: list }) => [ResourceArn, fromTagList(list)] as const,
      );
    } catch (error) {
      if (!isGone(error)) throw error;
      if (arns.length === 1) return [];
      const half = Math.ceil(arns.length / 2);
      const halves = [arns.slice(0, half), arns.slice(half)];
      return (await Promise.all(halves.map((part) => this.#someTags(part, signal)))).flat();
    }
  }
}

function more(next: string | undefined): string | undefined {
  return next === undefined || next === '' ? undefined : next;
}
