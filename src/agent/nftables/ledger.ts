/**
 * What has been written, and what a change of decisions means in elements (in memory, no I/O).
 *
 * Only the decisions are kept, and where their endpoints stand if history moved them; the elements are worked out again
 * from the decision when it changes, so a change costs what it touches and the memory is that of the decisions. A plan
 * leaves the ledger as it is until `commit`: a transaction that failed has changed nothing here either.
 */
import type { Decision, DecisionKey } from '../decision.ts';
import { plainOrder } from './buckets.ts';
import { dispatchMaps, gotoText, shapeMap, type Chain } from './chains.ts';
import { elements, type Emit, type Layout, type Order, type Placements } from './layout.ts';

/** One transaction, ordered so that it can be written as it stands: chains, deletions, additions. */
export interface Transaction {
  /** Chains to make, each after those that it leads to. */
  readonly chains: readonly Chain[];
  /** By set: keys to delete, then elements to add (`key` or `key : value`). */
  readonly sets: ReadonlyMap<
    string,
    { readonly deletes: readonly string[]; readonly adds: readonly string[] }
  >;
  readonly operations: number;
}

/** Of an element as a transaction has it; the value is empty in a set. */
export function keyAndValue(element: string): readonly [key: string, value: string] {
  const middle = element.indexOf(' : ');
  return middle < 0 ? [element, ''] : [element.slice(0, middle), element.slice(middle + ' : '.length)];
}

export interface Plan {
  readonly transaction: Transaction;
  /** Call when the transaction has been written. */
  commit(): void;
}

export interface Entry {
  readonly decision: Decision;
  readonly placements: Placements | undefined;
}

/** The decision that a key shall have from now on; undefined: none. */
export interface Wish {
  readonly key: DecisionKey;
  readonly after: Decision | undefined;
}

/** Uses that a plan adds to (or takes from) a shared element. */
interface SharedStep {
  readonly set: string;
  readonly address: string;
  readonly step: number;
}

export class Ledger {
  readonly layout: Layout;
  readonly entries = new Map<DecisionKey, Entry>();
  /** Uses of each shared element, by set and address: there may be one for each endpoint. */
  readonly #shared = new Map<string, Map<string, number>>();
  /** Uses of each chain by destinations. */
  readonly #uses = new Map<string, number>();
  /** Chains that are in the kernel. */
  readonly #present = new Set<string>();

  constructor(layout: Layout) {
    this.layout = layout;
  }

  /** The elements of a decision as they are written. */
  elementsOf(entry: Entry): { set: string; key: string; value: string }[] {
    const found: { set: string; key: string; value: string }[] = [];
    elements(this.layout, entry.decision, entry.placements, (set, key, value) => {
      found.push({ set, key, value });
    });
    return found;
  }

  /**
   * Puts a decision into the ledger as written, telling its elements on the way. Elements that it shares with earlier
   * ones are not told again.
   *
   * @throws SluiceError `invalid` where the decision cannot be written; the ledger then does not know it.
   */
  adopt(
    decision: Decision,
    before: Placements | undefined,
    tell: (set: string, key: string, value: string) => void,
  ): void {
    const items: Parameters<Emit>[] = [];
    const placements = elements(this.layout, decision, before, (...item) => {
      items.push(item);
    });
    const seen = new Set<string>();
    for (const [set, key, value, shared] of items) {
      if (shared !== undefined) {
        if (seen.has(key)) continue;
        seen.add(key);
        const counts = this.#sharedIn(set);
        const count = counts.get(shared) ?? 0;
        counts.set(shared, count + 1);
        if (count > 0) continue;
      } else {
        this.#use(set, value, 1);
      }
      tell(set, key, value);
    }
    this.entries.set(decision.key, { decision, placements });
  }

  /** The chain that an element needs, with those that it leads to, where they are not in the kernel yet. */
  missingChains(set: string, value: string): Chain[] {
    const chain = this.chainOf(set, value);
    return chain === undefined ? [] : this.missing(chain);
  }

  missing(chain: Chain): Chain[] {
    const missing: Chain[] = [];
    collect(chain, this.#present, missing);
    return missing;
  }

  /** The chain that an element leads to. */
  chainOf(set: string, value: string): Chain | undefined {
    return set === dispatchMaps.address || set === dispatchMaps.port
      ? this.layout.chains.numbered(value)
      : undefined;
  }

  markPresent(name: string): void {
    this.#present.add(name);
  }

  /** Chains of ours that are in the kernel. */
  get presentChains(): ReadonlySet<string> {
    return this.#present;
  }

  /** Chains that nothing leads to any more, each before those that it leads to. */
  unusedChains(): string[] {
    // Hooked chains refer to it.
    const needed = new Set<string>(['refuse']);
    for (const [name, count] of this.#uses) {
      if (count > 0) reach(this.layout.chains.get(name), needed);
    }
    const unused = [...this.#present].filter((name) => !needed.has(name));
    const depth = (name: string): number => {
      const chain = this.layout.chains.get(name);
      return chain === undefined ? 9 : 1 + Math.max(0, ...chain.leadsTo.map((next) => depth(next.name)));
    };
    return unused.toSorted((a, b) => depth(b) - depth(a));
  }

  forgetChains(names: readonly string[]): void {
    for (const name of names) this.#present.delete(name);
  }

  /** @throws SluiceError `invalid` where one of the decisions cannot be written. */
  plan(wishes: readonly Wish[]): Plan {
    const gone = new Map<string, Map<string, string>>();
    const fresh = new Map<string, Map<string, string>>();
    const shared = new Map<string, SharedStep>();
    const uses = new Map<string, number>();
    const entries = new Map<DecisionKey, Entry | undefined>();
    const count = (of: Map<string, Map<string, string>>, step: 1 | -1) => {
      const seen = new Set<string>();
      return (set: string, key: string, value: string, address?: string): void => {
        if (address !== undefined) {
          if (!seen.has(key)) shared.set(key, { set, address, step: (shared.get(key)?.step ?? 0) + step });
          seen.add(key);
          return;
        }
        const chain = this.chainOf(set, value)?.name;
        if (chain !== undefined) uses.set(chain, (uses.get(chain) ?? 0) + step);
        let keys = of.get(set);
        if (keys === undefined) of.set(set, (keys = new Map<string, string>()));
        keys.set(key, value);
      };
    };
    for (const { key, after } of wishes) {
      const before = entries.has(key) ? entries.get(key) : this.entries.get(key);
      if (before === undefined && after === undefined) continue;
      if (before !== undefined) elements(this.layout, before.decision, before.placements, count(gone, -1));
      if (after === undefined) {
        entries.set(key, undefined);
        continue;
      }
      const hints = before === undefined ? undefined : hintsOf(before);
      entries.set(key, {
        decision: after,
        placements: elements(this.layout, after, hints, count(fresh, 1)),
      });
    }
    return {
      transaction: this.#transaction(gone, fresh, shared, uses),
      commit: () => {
        for (const [key, entry] of entries) {
          if (entry === undefined) this.entries.delete(key);
          else this.entries.set(key, entry);
          if (entry?.placements?.sticky === undefined) this.layout.stickyPorts.release(key);
        }
        for (const { set, address, step } of shared.values()) bump(this.#sharedIn(set), address, step);
        for (const [name, step] of uses) {
          bump(this.#uses, name, step);
          if (step > 0) reach(this.layout.chains.get(name), this.#present);
        }
      },
    };
  }

  #transaction(
    gone: ReadonlyMap<string, ReadonlyMap<string, string>>,
    fresh: ReadonlyMap<string, ReadonlyMap<string, string>>,
    shared: ReadonlyMap<string, SharedStep>,
    uses: ReadonlyMap<string, number>,
  ): Transaction {
    const sets = new Map<string, { deletes: string[]; adds: string[] }>();
    const of = (set: string): { deletes: string[]; adds: string[] } => {
      let found = sets.get(set);
      if (found === undefined) sets.set(set, (found = { deletes: [], adds: [] }));
      return found;
    };
    let operations = 0;
    for (const [set, keys] of gone) {
      const now = fresh.get(set);
      for (const [key, value] of keys) {
        if (now?.get(key) === value) continue;
        of(set).deletes.push(key);
        operations += 1;
      }
    }
    for (const [set, keys] of fresh) {
      const old = gone.get(set);
      for (const [key, value] of keys) {
        if (old?.get(key) === value) continue;
        of(set).adds.push(value === '' ? key : `${key} : ${value}`);
        operations += 1;
      }
    }
    for (const [key, { set, address, step }] of shared) {
      const before = this.#sharedIn(set).get(address) ?? 0;
      if (before === 0 && step > 0) of(set).adds.push(key);
      else if (before > 0 && before + step <= 0) of(set).deletes.push(key);
      else continue;
      operations += 1;
    }
    const chains: Chain[] = [];
    for (const [name, step] of uses) {
      if (step > 0) collect(this.layout.chains.get(name), this.#present, chains);
    }
    for (const chain of chains) of(shapeMap).adds.push(`${chain.number} : ${gotoText(chain)}`);
    return { chains, sets, operations: operations + chains.length };
  }

  #sharedIn(set: string): Map<string, number> {
    let counts = this.#shared.get(set);
    if (counts === undefined) this.#shared.set(set, (counts = new Map<string, number>()));
    return counts;
  }

  #use(set: string, value: string, step: number): void {
    const chain = this.chainOf(set, value);
    if (chain !== undefined) bump(this.#uses, chain.name, step);
  }
}

/** Where the endpoints of a decision stand, spelled out also where it is the order of a cold start. */
function hintsOf({ decision, placements }: Entry): Placements {
  const orderOf = (list: 'cluster' | 'local'): Order => {
    const endpoints = decision[list];
    return (
      placements?.[list] ??
      (endpoints.every(({ weight }) => weight === 1)
        ? endpoints.map(({ address, port }) => `${address} . ${port}`)
        : weighted(endpoints))
    );
  };
  const sticky = placements?.sticky;
  const orders = { cluster: orderOf('cluster'), local: orderOf('local') };
  return sticky === undefined ? orders : { ...orders, sticky };
}

function weighted(endpoints: Decision['cluster']): string[] {
  return plainOrder(endpoints).map((index) => {
    const endpoint = endpoints[index];
    return endpoint === undefined ? '' : `${endpoint.address} . ${endpoint.port}`;
  });
}

function bump(counts: Map<string, number>, id: string, step: number): void {
  const count = (counts.get(id) ?? 0) + step;
  if (count > 0) counts.set(id, count);
  else counts.delete(id);
}

function collect(chain: Chain | undefined, present: ReadonlySet<string>, into: Chain[]): void {
  if (chain === undefined || present.has(chain.name) || into.includes(chain)) return;
  for (const next of chain.leadsTo) collect(next, present, into);
  into.push(chain);
}

function reach(chain: Chain | undefined, into: Set<string>): void {
  if (chain === undefined || into.has(chain.name)) return;
  into.add(chain.name);
  for (const next of chain.leadsTo) reach(next, into);
}
