/**
 * Which addresses a Service is to have, given who has what: the decision of the allocator, which changes nothing.
 */
import type { IpFamily } from '../../../src/core/objects.ts';
import { clash, type Book, type Entry } from './book.ts';
import type { Kept, Memory } from './memory.ts';
import { refusal } from './pools.ts';
import { isEdge, textOf } from './ranges.ts';
import type { AddressRequest, Lack } from './request.ts';
import type { Shelf, Shelves } from './shelf.ts';

export interface Place {
  readonly family: IpFamily;
  readonly value: bigint;
  readonly text: string;
  readonly pool: string;
}

export interface Decision {
  /** What it is to have, in the order of its families. */
  readonly grants: readonly Place[];
  /** Those of them that it does not hold yet. */
  readonly taken: readonly Place[];
  readonly lack: Lack | undefined;
  /** Where something would have to become free for it to have more (`WaitingList`); it waits where there are any. */
  readonly missing: readonly string[];
}

interface Found {
  readonly places: readonly Place[];
  readonly lack: Lack | undefined;
  readonly missing: readonly string[];
}

/** Where nothing but a change of pools helps: nothing is filed there. */
const anyPool = '*';

export class Choice {
  readonly #book: Book;
  readonly #memory: Memory;
  readonly #blocked: ReadonlyMap<string, string>;
  readonly #shelves: Shelves;

  constructor(parts: {
    readonly book: Book;
    readonly memory: Memory;
    readonly blocked: ReadonlyMap<string, string>;
    readonly shelves: Shelves;
  }) {
    this.#book = parts.book;
    this.#memory = parts.memory;
    this.#blocked = parts.blocked;
    this.#shelves = parts.shelves;
  }

  decide(request: AddressRequest, all: readonly Entry[]): Decision {
    const held = this.#pair(request, all);
    const slots = new Map<IpFamily, Place>();
    const taken: Place[] = [];
    const missing: string[] = [];
    let lack: Lack | undefined;
    const together = this.#together(request, held);
    if (together !== undefined) return together;
    for (const family of request.families) {
      const mine = held.filter((entry) => entry.family === family);
      const [first] = mine;
      if (first === undefined) continue;
      const fitting = mine.find((entry) => this.#misfit(entry, request) === undefined);
      if (fitting !== undefined) {
        slots.set(family, fitting);
        continue;
      }
      // It stays where it is until there is something else for it.
      const found = this.#fresh({ ...request, families: [family], needsAll: true });
      const [place] = found.places;
      slots.set(family, place ?? first);
      if (place === undefined) {
        lack ??= found.lack;
        missing.push(...found.missing);
      } else if (!mine.some(({ text }) => text === place.text)) {
        taken.push(place);
      }
    }
    const open = request.families.filter((family) => !slots.has(family));
    if (open.length > 0) {
      const beside = [...slots.values()][0];
      const found = beside === undefined ? this.#fresh(request) : this.#beside(beside, open, request);
      for (const place of found.places) slots.set(place.family, place);
      taken.push(...found.places);
      lack ??= found.lack;
      missing.push(...found.missing);
    }
    const grants = request.families.map((family) => slots.get(family)).filter((place) => place !== undefined);
    // With what it gets now, the one that stayed behind may have somewhere to go.
    const settled = taken.length > 0 ? this.#together(request, [...held, ...taken]) : undefined;
    if (settled !== undefined)
      return {
        ...settled,
        taken: settled.grants.filter(({ text }) => !held.some((one) => one.text === text)),
      };
    return { grants, taken, lack, missing: [...new Set(missing)] };
  }

  /**
   * It has both families, and one has to move: the other's pool gives it another one, or both move to a pool that has
   * both, or both stay. Undefined where this is not the question.
   */
  #together(request: AddressRequest, held: readonly Place[]): Decision | undefined {
    const { families } = request;
    if (families.length < 2 || request.addresses.length > 0) return undefined;
    const mine = families.map((family) => held.filter((entry) => entry.family === family));
    const fitting = mine.map((list) => list.find((entry) => this.#misfit(entry, request) === undefined));
    if (mine.some(([first]) => first === undefined) || fitting.every((entry) => entry !== undefined))
      return undefined;
    const settle = (places: readonly Place[], lack?: Lack, missing: readonly string[] = []): Decision => ({
      grants: places,
      taken: places.filter(({ text }) => !held.some((entry) => entry.text === text)),
      lack,
      missing: [...new Set(missing)],
    });
    const anchor = fitting.find((entry) => entry !== undefined);
    const shelf = anchor && this.#shelves.named(anchor.pool);
    const serves = shelf !== undefined && refusal(shelf.pool, request) === undefined;
    const beside = families.map(
      (family, index) => fitting[index] ?? (serves ? this.#pick(shelf, family, request) : undefined),
    );
    if (beside.every((place) => place !== undefined)) return settle(beside);
    const whole = this.#fromPools({ ...request, needsAll: true });
    const agreed = anchor === undefined || this.#mayMove(anchor, request);
    if (agreed && whole.lack === undefined) return settle(whole.places);
    const stay = mine.flatMap(([first], index) => fitting[index] ?? first ?? []);
    const missing = anchor === undefined ? [] : families.map((family) => `${anchor.pool}|${family}`);
    const lack = whole.lack ?? {
      reason: 'FamilyMissing' as const,
      message: `pool ${anchor?.pool ?? ''} has no other address of one family to give, and nobody agreed to other addresses of both`,
    };
    return settle(stay, lack, [...missing, ...whole.missing]);
  }

  /** While it moves it holds two of a family: where it has all families from one pool, those are the ones to keep. */
  #pair(request: AddressRequest, held: readonly Entry[]): readonly Entry[] {
    if (held.length <= request.families.length) return held;
    const fits = held.filter((entry) => this.#misfit(entry, request) === undefined);
    const pools = [...new Set(fits.map(({ pool }) => pool))];
    const whole = pools.findLast((pool) =>
      request.families.every((family) => fits.some((one) => one.family === family && one.pool === pool)),
    );
    return whole === undefined ? held : fits.filter(({ pool }) => pool === whole);
  }

  #mayMove({ pool }: Place, request: AddressRequest): boolean {
    return request.mayMove || this.#shelves.named(pool)?.pool.moveOnShrink === true;
  }

  /** Why a held address is not the one to have, where another can be had; undefined when it is. */
  #misfit(entry: Place, request: AddressRequest): string | undefined {
    const named = request.addresses.find(({ family }) => family === entry.family);
    if (named !== undefined) return named.text === entry.text ? undefined : 'another is named';
    if (request.pool !== undefined && request.pool !== entry.pool) return 'another pool is named';
    if (this.#shelves.isRefused(entry.pool)) return undefined;
    const shelf = this.#shelves.at(entry);
    const settled = shelf !== undefined && refusal(shelf.pool, request) === undefined;
    return settled || !this.#mayMove(entry, request) ? undefined : 'its pool does not have it any more';
  }

  /** More families beside an address that it has: from the same pool. */
  #beside(place: Place, open: readonly IpFamily[], request: AddressRequest): Found {
    const places: Place[] = [];
    const missing: string[] = [];
    let lack: Lack | undefined;
    for (const family of open) {
      const named = request.addresses.find((one) => one.family === family);
      if (named !== undefined) {
        const found = this.#named(named, request);
        if ('place' in found) places.push(found.place);
        else {
          lack ??= found.lack;
          missing.push(`@${named.text}`);
        }
        continue;
      }
      const shelf = this.#shelves.named(place.pool);
      const serves =
        shelf !== undefined &&
        refusal(shelf.pool, request) === undefined &&
        (request.pool === undefined || request.pool === place.pool);
      const found = serves ? this.#pick(shelf, family, request) : undefined;
      if (found !== undefined) {
        places.push(found);
        continue;
      }
      missing.push(`${place.pool}|${family}`);
      if (request.needsAll)
        lack ??= {
          reason: shelf?.pool.ranges.some((range) => range.family === family)
            ? 'PoolExhausted'
            : 'FamilyMissing',
          message: `pool ${place.pool}, which the ${place.family} address is from, has no ${family} address to give`,
        };
    }
    return { places, lack, missing };
  }

  #fresh(request: AddressRequest): Found {
    return request.addresses.length > 0 ? this.#asNamed(request) : this.#fromPools(request);
  }

  /** The addresses that the user names, and for a family without one an address of the same pool. */
  #asNamed(request: AddressRequest): Found {
    const places: Place[] = [];
    const missing: string[] = [];
    let lack: Lack | undefined;
    for (const named of request.addresses) {
      if (!request.families.includes(named.family)) continue;
      const found = this.#named(named, request);
      if ('place' in found) places.push(found.place);
      else {
        lack ??= found.lack;
        missing.push(`@${named.text}`);
      }
    }
    const [first] = places;
    // All that is named or nothing: a part of it would have to be given back.
    if (lack !== undefined) return { places: [], lack, missing };
    if (first === undefined) return this.#fromPools(request);
    const open = request.families.filter((family) => !places.some((place) => place.family === family));
    if (open.length === 0) return { places, lack: undefined, missing: [] };
    const more = this.#beside(first, open, request);
    if (request.needsAll && more.lack !== undefined) return { ...more, places: [] };
    return { ...more, places: [...places, ...more.places] };
  }

  #named(
    named: AddressRequest['addresses'][number],
    request: AddressRequest,
  ): { readonly place: Place } | { readonly lack: Lack } {
    const { family, value, text } = named;
    const shelf = this.#shelves.at(named);
    if (shelf === undefined)
      return { lack: { reason: 'AddressOutsidePools', message: `${text} is asked for and is in no pool` } };
    const refused = refusal(shelf.pool, request);
    if (refused !== undefined)
      return { lack: { reason: 'PoolNotAllowed', message: `${text} is asked for, and ${refused}` } };
    if (request.pool !== undefined && request.pool !== shelf.pool.name)
      return {
        lack: {
          reason: 'AddressOutsidePools',
          message: `${text} is asked for and is of pool ${shelf.pool.name}, not of pool ${request.pool}, which is asked for too`,
        },
      };
    if (shelf.pool.avoidEdges && isEdge(named))
      return {
        lack: {
          reason: 'AddressOutsidePools',
          message: `${text} is asked for, and pool ${shelf.pool.name} avoids addresses that end in .0 or .255`,
        },
      };
    const blocked = this.#blocked.get(text);
    if (blocked !== undefined)
      return { lack: { reason: 'AddressTaken', message: `${text} is asked for, and ${blocked}` } };
    const why = clash(this.#book.get(text), request);
    if (why !== undefined)
      return { lack: { reason: 'AddressInUse', message: `${text} is asked for, and ${why}` } };
    return { place: { family, value, text, pool: shelf.pool.name } };
  }

  #fromPools(request: AddressRequest): Found {
    const candidates = this.#candidates(request);
    if ('lack' in candidates) return { places: [], lack: candidates.lack, missing: [anyPool] };
    const { shelves } = candidates;
    const { families } = request;
    if (families.length > 1) {
      for (const shelf of shelves) {
        const places = families.map((family) => this.#pick(shelf, family, request));
        if (places.every((place) => place !== undefined)) return { places, lack: undefined, missing: [] };
      }
    }
    if (families.length === 1 || !request.needsAll) {
      for (const family of families) {
        for (const shelf of shelves) {
          const place = this.#pick(shelf, family, request);
          if (place === undefined) continue;
          const others = families.filter((one) => one !== family);
          return {
            places: [place],
            lack: undefined,
            missing: others.map((one) => `${shelf.pool.name}|${one}`),
          };
        }
      }
    }
    const missing = shelves.flatMap((shelf) => families.map((family) => `${shelf.pool.name}|${family}`));
    return { places: [], lack: lackOf(shelves, request), missing };
  }

  /** The pools to search, in order; or why there is none. */
  #candidates(request: AddressRequest): { readonly shelves: readonly Shelf[] } | { readonly lack: Lack } {
    if (request.pool !== undefined) {
      const shelf = this.#shelves.named(request.pool);
      if (shelf === undefined) {
        const refused = this.#shelves.isRefused(request.pool);
        return {
          lack: {
            reason: refused ? 'PoolRefused' : 'PoolUnknown',
            message: refused
              ? `pool ${request.pool} is asked for and has mistakes of its own: see its condition`
              : `there is no pool ${request.pool}`,
          },
        };
      }
      const why = refusal(shelf.pool, request);
      return why === undefined ? { shelves: [shelf] } : { lack: { reason: 'PoolNotAllowed', message: why } };
    }
    const shelves = this.#shelves.ordered.filter(
      ({ pool }) => pool.autoAssign && refusal(pool, request) === undefined,
    );
    if (shelves.length > 0) return { shelves: this.#familiarFirst(shelves, request) };
    const count = this.#shelves.ordered.length;
    const message =
      count === 0
        ? 'there is no pool to take an address from'
        : `none of the ${count === 1 ? 'pool' : `${count} pools`} gives addresses by itself to Services of namespace ${request.namespace} with these labels`;
    return { lack: { reason: 'NoPool', message } };
  }

  /** Where the Service was before, then where it can share, then by rank. */
  #familiarFirst(shelves: readonly Shelf[], request: AddressRequest): readonly Shelf[] {
    const kept = new Set(this.#memory.of(request.key).map((one) => this.#shelves.at(one)?.pool.name));
    const shared = new Set<string>();
    if (request.sharing !== undefined) {
      for (const entry of this.#book.sharedBy(request.sharing.key)) {
        if (clash(entry, request) === undefined) shared.add(entry.pool);
      }
    }
    if (kept.size === 0 && shared.size === 0) return shelves;
    const place = ({ pool: { name } }: Shelf): number => (kept.has(name) ? 0 : shared.has(name) ? 1 : 2);
    return shelves.toSorted((a, b) => place(a) - place(b) || a.pool.rank - b.pool.rank);
  }

  #pick(shelf: Shelf, family: IpFamily, request: AddressRequest): Place | undefined {
    const { name } = shelf.pool;
    const own = this.#memory
      .of(request.key)
      .filter(
        (kept) => kept.family === family && this.#isGivable(kept, shelf) && this.#shelves.at(kept) === shelf,
      )
      .toSorted((a, b) => (a.value < b.value ? -1 : 1))[0];
    if (own !== undefined) return { family, value: own.value, text: own.text, pool: name };
    const shared = this.#shareable(shelf, family, request);
    if (shared !== undefined) return shared;
    const value = this.#shelves.lowest(shelf, family);
    if (value !== undefined) return { family, value, text: textOf(family, value), pool: name };
    const given = this.#shelves.firstToEnd(
      shelf,
      family,
      (kept) => this.#memory.get(kept.text) === kept && this.#isGivable(kept, shelf),
    );
    return given && { family, value: given.value, text: given.text, pool: name };
  }

  #isGivable(kept: Kept, { pool }: Shelf): boolean {
    if (this.#blocked.has(kept.text) || this.#book.get(kept.text) !== undefined) return false;
    return !(pool.avoidEdges && isEdge(kept));
  }

  #shareable(shelf: Shelf, family: IpFamily, request: AddressRequest): Place | undefined {
    if (request.sharing === undefined) return undefined;
    let best: Entry | undefined;
    for (const entry of this.#book.sharedBy(request.sharing.key)) {
      if (entry.family !== family || entry.holders.has(request.uid)) continue;
      if (best !== undefined && best.value < entry.value) continue;
      if (this.#shelves.at(entry) !== shelf || this.#blocked.has(entry.text)) continue;
      if (clash(entry, request) === undefined) best = entry;
    }
    return best && { family, value: best.value, text: best.text, pool: shelf.pool.name };
  }
}

function has(shelf: Shelf, family: IpFamily): boolean {
  return shelf.free[family].length > 0;
}

function lackOf(shelves: readonly Shelf[], { families, needsAll }: AddressRequest): Lack {
  const names = shelves.map(({ pool }) => pool.name).join(', ');
  const which = shelves.length === 1 ? `pool ${names} has` : `pools ${names} have`;
  const able = shelves.some((shelf) =>
    needsAll ? families.every((family) => has(shelf, family)) : families.some((family) => has(shelf, family)),
  );
  const what = families.join(needsAll ? ' and ' : ' or ');
  if (!able)
    return {
      reason: 'FamilyMissing',
      message:
        families.length > 1 && needsAll
          ? `both families are required, and no one pool has both: ${which} not`
          : `${which} no ${what} addresses`,
    };
  return { reason: 'PoolExhausted', message: `${which} no free ${what} address` };
}
