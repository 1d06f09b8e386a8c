/**
 * The allocator as one would write it who has all the time in the world: every question is answered by looking at every
 * address of every pool and at every Service. No index, nothing remembered but the bare facts.
 *
 * Written from the rules (which address, which pool, who first), not from the allocator: where the two differ one of
 * them is wrong.
 */
import { parseAddress } from '../../src/core/cidr.ts';
import type { IpFamily } from '../../src/core/objects.ts';
import type { Pool } from '../../providers/local/allocator/pools.ts';
import type { AddressRequest } from '../../providers/local/allocator/request.ts';

interface Spot {
  readonly pool: string;
  readonly family: IpFamily;
  readonly value: bigint;
  readonly text: string;
}

interface Owner {
  spot: Spot;
  request: AddressRequest;
}

interface KeptSpot {
  readonly text: string;
  readonly key: string;
  readonly until: number;
}

export class NaiveAllocator {
  pools: readonly Pool[] = [];
  refused: readonly string[] = [];
  owners: Owner[] = [];
  kept: KeptSpot[] = [];
  blocked: string[] = [];
  /** In the order of service. */
  queue: AddressRequest[] = [];
  served: string[] = [];

  setPools(pools: readonly Pool[], refused: readonly string[]): void {
    this.pools = pools.toSorted((a, b) => a.rank - b.rank);
    this.refused = refused;
    for (const owner of this.owners) {
      const now = this.pools.find((pool) => within(pool, owner.spot));
      if (now !== undefined) owner.spot = { ...owner.spot, pool: now.name };
    }
    this.#serveAll();
  }

  ask(request: AddressRequest): {
    readonly grants: readonly string[];
    readonly leaving: readonly string[];
    readonly lacks: boolean;
  } {
    const answer = this.#give(request);
    this.#serveAll();
    return answer;
  }

  release(uid: string): void {
    this.owners = this.owners.filter(({ request }) => request.uid !== uid);
    this.queue = this.queue.filter((one) => one.uid !== uid);
    this.#serveAll();
  }

  letGo(uid: string, text: string): void {
    this.owners = this.owners.filter(({ request, spot }) => request.uid !== uid || spot.text !== text);
    this.#serveAll();
  }

  remember(one: KeptSpot): void {
    this.kept = [...this.kept.filter(({ text }) => text !== one.text), one];
  }

  expire(now: number): void {
    this.kept = this.kept.filter(({ until }) => until > now);
    this.#serveAll();
  }

  block(text: string): void {
    if (!this.blocked.includes(text)) this.blocked.push(text);
  }

  unblock(text: string): void {
    this.blocked = this.blocked.filter((one) => one !== text);
    this.#serveAll();
  }

  /** `uid address`, sorted. */
  holdings(): readonly string[] {
    return this.owners.map(({ request, spot }) => `${request.uid} ${spot.text}`).toSorted();
  }

  waiting(): readonly string[] {
    return this.queue.map(({ key }) => key);
  }

  /** Again and again from the head of the queue, until nobody gets anything any more. */
  #serveAll(): void {
    for (let again = true; again;) {
      again = false;
      for (const request of this.queue) {
        const before = this.holdings().join();
        const waited = this.queue.length;
        this.#give(request);
        if (this.holdings().join() !== before || this.queue.length !== waited) {
          this.served.push(request.key);
          again = true;
          break;
        }
      }
    }
  }

  /** Until giving once more changes nothing. */
  #give(request: AddressRequest): ReturnType<NaiveAllocator['ask']> {
    let answer = this.#giveOnce(request);
    for (let before = ''; before !== answer.grants.join();) {
      before = answer.grants.join();
      answer = this.#giveOnce(request);
    }
    return answer;
  }

  #giveOnce(request: AddressRequest): ReturnType<NaiveAllocator['ask']> {
    const mine = (): Owner[] => this.owners.filter((owner) => owner.request.uid === request.uid);
    for (const owner of mine()) {
      if (this.blocked.includes(owner.spot.text) || this.#refuses(owner.spot.text, request))
        this.owners = this.owners.filter((one) => one !== owner);
      else owner.request = request;
    }
    const all = mine();
    const held = this.#ofOnePool(request, all);
    const chosen = new Map<IpFamily, Spot>();
    let lacks = false;
    let short = false;
    const pair = this.#pair(request, held);
    for (const spot of pair?.spots ?? []) chosen.set(spot.family, spot);
    if (pair?.stays === true) {
      lacks = true;
      short = true;
    }
    for (const family of pair === undefined ? request.families : []) {
      const own = held.filter(({ spot }) => spot.family === family).map(({ spot }) => spot);
      const [first] = own;
      if (first === undefined) continue;
      const good = own.find((spot) => this.#isRight(spot, request));
      const other = good === undefined ? this.#newSet(request, [family], true)?.[0] : undefined;
      chosen.set(family, good ?? other ?? first);
      if (good === undefined && other === undefined) {
        lacks = true;
        short = true;
      }
    }
    const open = request.families.filter((family) => !chosen.has(family));
    const [anchor] = chosen.values();
    if (anchor !== undefined) {
      for (const family of open) {
        const found = this.#named(request, family)
          ? this.#takeable(request).find(
              (spot) => spot.text === this.#named(request, family) && !this.#avoids(spot),
            )
          : this.#best(this.#takeable(request), anchor.pool, family, request);
        if (found) chosen.set(family, found);
        else {
          short = true;
          if (request.needsAll || this.#named(request, family)) lacks = true;
        }
      }
    } else {
      const set = this.#newSet(request, request.families, request.needsAll) ?? [];
      for (const spot of set) chosen.set(spot.family, spot);
      if (set.length === 0) lacks = true;
      if (set.length < request.families.length) short = true;
    }
    for (const spot of chosen.values()) {
      if (all.some((owner) => owner.spot.text === spot.text)) continue;
      this.owners.push({ spot, request });
      this.kept = this.kept.filter(({ text }) => text !== spot.text);
    }
    const had = this.queue.findIndex(({ uid }) => uid === request.uid);
    const before = this.queue[had];
    if (!short) {
      this.queue = this.queue.filter(({ uid }) => uid !== request.uid);
    } else if (before === undefined) {
      // Behind everybody who has waited as long or longer.
      const at = this.queue.findIndex(({ since }) => since > request.since);
      this.queue.splice(at === -1 ? this.queue.length : at, 0, request);
    } else {
      this.queue[had] = { ...request, since: before.since };
    }
    const grants = request.families.flatMap((family) => chosen.get(family)?.text ?? []);
    const leaving = all.map(({ spot }) => spot.text).filter((text) => !grants.includes(text));
    return { grants, leaving, lacks };
  }

  /** All families are there from one pool, beside others: then those count, of several pools the one got last. */
  #ofOnePool(request: AddressRequest, all: readonly Owner[]): readonly Owner[] {
    if (all.length <= request.families.length) return all;
    const right = all.filter(({ spot }) => this.#isRight(spot, request));
    const sets = [...new Set(right.map(({ spot }) => spot.pool))]
      .map((pool) => right.filter(({ spot }) => spot.pool === pool))
      .filter((set) => request.families.every((family) => set.some(({ spot }) => spot.family === family)));
    return sets.at(-1) ?? all;
  }

  /** Both families are there and one may and has to move: within the pool of the other, or both, or none. */
  #pair(
    request: AddressRequest,
    held: readonly Owner[],
  ): { readonly spots: readonly Spot[]; readonly stays: boolean } | undefined {
    if (request.families.length < 2 || request.addresses.length > 0) return undefined;
    const first = new Map<IpFamily, Spot>();
    const right = new Map<IpFamily, Spot>();
    for (const { spot } of held) {
      if (!request.families.includes(spot.family)) continue;
      if (!first.has(spot.family)) first.set(spot.family, spot);
      if (!right.has(spot.family) && this.#isRight(spot, request)) right.set(spot.family, spot);
    }
    if (first.size < request.families.length || right.size === request.families.length) return undefined;
    const [anchor] = right.values();
    if (anchor !== undefined) {
      const [lost] = request.families.filter((family) => !right.has(family));
      const found = lost && this.#best(this.#takeable(request), anchor.pool, lost, request);
      if (found) return { spots: [anchor, found], stays: false };
    }
    const agreed =
      anchor === undefined ||
      request.mayMove ||
      this.pools.find(({ name }) => name === anchor.pool)?.moveOnShrink === true;
    const both = agreed ? this.#newSet(request, request.families, true) : undefined;
    if (both !== undefined) return { spots: both, stays: false };
    return {
      spots: request.families.flatMap((family) => right.get(family) ?? first.get(family) ?? []),
      stays: true,
    };
  }

  #named(request: AddressRequest, family: IpFamily): string | undefined {
    return request.addresses.find((one) => one.family === family)?.text;
  }

  /** Every address of every pool that the request may have now, by name or not. */
  #takeable(request: AddressRequest): readonly Spot[] {
    return this.pools
      .filter((pool) => request.pool === undefined || request.pool === pool.name)
      .flatMap((pool) => spotsOf(pool))
      .filter(({ text }) => !this.blocked.includes(text) && !this.#refuses(text, request))
      .filter(({ pool }) => this.#serves(pool, request));
  }

  #avoids({ pool, family, text }: Spot): boolean {
    const avoids = this.pools.find(({ name }) => name === pool)?.avoidEdges === true;
    return avoids && family === 'IPv4' && /\.(?:0|255)$/u.test(text);
  }

  #serves(name: string, request: AddressRequest): boolean {
    const pool = this.pools.find((one) => one.name === name);
    if (pool === undefined) return false;
    return pool.namespaces === undefined || pool.namespaces.includes(request.namespace);
  }

  /** Somebody has the address and would not have the request beside him. */
  #refuses(text: string, request: AddressRequest): boolean {
    return this.owners.some(({ spot, request: other }) => {
      if (spot.text !== text || other.uid === request.uid) return false;
      return (
        request.sharing === undefined ||
        other.sharing === undefined ||
        other.sharing.key !== request.sharing.key ||
        other.sharing.backend !== request.sharing.backend ||
        other.ports.some((port) => request.ports.includes(port))
      );
    });
  }

  #isRight(spot: Spot, request: AddressRequest): boolean {
    const named = this.#named(request, spot.family);
    if (named !== undefined) return named === spot.text;
    if (request.pool !== undefined && request.pool !== spot.pool) return false;
    if (this.refused.includes(spot.pool)) return true;
    const now = this.pools.find((pool) => within(pool, spot));
    if (now !== undefined && this.#serves(now.name, request)) return true;
    return !request.mayMove && this.pools.find(({ name }) => name === spot.pool)?.moveOnShrink !== true;
  }

  #newSet(request: AddressRequest, families: readonly IpFamily[], all: boolean): readonly Spot[] | undefined {
    const takeable = this.#takeable(request);
    const wantedNames = request.addresses.filter(({ family }) => families.includes(family));
    if (wantedNames.length > 0) {
      const named = wantedNames.map(({ text }) =>
        takeable.find((spot) => spot.text === text && !this.#avoids(spot)),
      );
      if (!named.every((spot) => spot !== undefined)) return undefined;
      const [first] = named;
      const rest = families
        .filter((family) => !named.some((spot) => spot.family === family))
        .map((family) => this.#best(this.#takeable(request), first?.pool ?? '', family, request));
      const found = rest.filter((spot) => spot !== undefined);
      return all && found.length < rest.length ? undefined : [...named, ...found];
    }
    const names = this.pools
      .filter((pool) => request.pool === pool.name || (request.pool === undefined && pool.autoAssign))
      .map(({ name }) => name);
    const known = (pool: string): number => {
      const spots = spotsOf(this.pools.find(({ name }) => name === pool));
      if (request.pool !== undefined) return 0;
      const own = this.kept.filter(({ key }) => key === request.key);
      if (this.pools.some((one) => one.name === pool && own.some(({ text }) => within(one, addressOf(text)))))
        return 0;
      const canJoin = this.owners.some(
        (owner) =>
          owner.spot.pool === pool &&
          request.sharing !== undefined &&
          owner.request.sharing?.key === request.sharing.key &&
          !this.#refuses(owner.spot.text, request),
      );
      return canJoin ? 1 : spots.length >= 0 ? 2 : 3;
    };
    const order = names.toSorted((a, b) => known(a) - known(b));
    const best = (pool: string, family: IpFamily): Spot | undefined =>
      this.#best(takeable, pool, family, request);
    if (families.length > 1) {
      for (const pool of order) {
        const spots = families.map((family) => best(pool, family));
        if (spots.every((spot) => spot !== undefined)) return spots;
      }
      if (all) return undefined;
    }
    for (const family of families)
      for (const pool of order) {
        const spot = best(pool, family);
        if (spot) return [spot];
      }
    return undefined;
  }

  #best(
    takeable: readonly Spot[],
    pool: string,
    family: IpFamily,
    request: AddressRequest,
  ): Spot | undefined {
    const spots = takeable.filter(
      (spot) =>
        spot.pool === pool &&
        spot.family === family &&
        (!this.#avoids(spot) || this.owners.some((owner) => owner.spot.text === spot.text)),
    );
    const keeping = (spot: Spot): KeptSpot | undefined => this.kept.find(({ text }) => text === spot.text);
    const used = (spot: Spot): boolean => this.owners.some((owner) => owner.spot.text === spot.text);
    const usedByMe = (spot: Spot): boolean =>
      this.owners.some((owner) => owner.spot.text === spot.text && owner.request.uid === request.uid);
    const own = spots.find((spot) => !used(spot) && keeping(spot)?.key === request.key);
    const shared = spots.find((spot) => used(spot) && !usedByMe(spot));
    const free = spots.find((spot) => !used(spot) && keeping(spot) === undefined);
    const others = spots
      .filter((spot) => !used(spot) && keeping(spot) !== undefined)
      .toSorted((a, b) => (keeping(a)?.until ?? 0) - (keeping(b)?.until ?? 0));
    return own ?? shared ?? free ?? others[0];
  }
}

function addressOf(text: string): { readonly family: IpFamily; readonly value: bigint } {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

function within(
  pool: Pool,
  { family, value }: { readonly family: IpFamily; readonly value: bigint },
): boolean {
  return pool.ranges.some((range) => range.family === family && range.first <= value && value <= range.last);
}

/** Lowest first. */
function spotsOf(pool: Pool | undefined): readonly Spot[] {
  const spots: Spot[] = [];
  for (const { family, first, last } of pool?.ranges ?? []) {
    for (let value = first; value <= last; value += 1n) {
      const text =
        family === 'IPv4' ? `192.0.2.${value & 255n}` : `2001:db8::${(value & 0xffffn).toString(16)}`;
      spots.push({ pool: pool?.name ?? '', family, value, text });
    }
  }
  return spots.toSorted((a, b) => (a.value < b.value ? -1 : 1));
}
