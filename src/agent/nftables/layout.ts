/**
 * One decision as elements of the shared maps (pure).
 *
 * A destination is one element with the number of its shape, which leads to a chain, and one row for each bucket.
 * Rows of the cluster list and of the local list stand in different maps, because one destination may need both:
 * everybody else gets the local endpoints, while pods and processes of the node get all (rules T1 to T3).
 */
import { asSluiceError, SluiceError, unreachable } from '../../core/errors.ts';
import type { Quarantined } from '../backend.ts';
import type { Decision, DecisionKey, Endpoint, Fate, NodeDecision } from '../decision.ts';
import { hashOrder, numberSlots, place as placeInBuckets, plainOrder } from './buckets.ts';
import { Chains, dispatchMaps, guardSet, refuse, rowMaps, silence } from './chains.ts';
import type { Chain, List, Masquerade, Place } from './chains.ts';
import { StickyPorts } from './sticky-ports.ts';
import {
  checkedAddress,
  checkedPort,
  disjointRanges,
  protocolNumbers,
  wordsOf,
  type Words,
} from './words.ts';

/**
 * Takes one element; `value` is empty in a set. `shared`: several decisions may have this element, which is about that
 * address; the string is the decision's own, so that who remembers it needs no memory for it.
 */
export type Emit = (set: string, key: string, value: string, shared?: string) => void;

/** What stands in each bucket of a list. */
export type Order = readonly (string | undefined)[];

/** What the kernel's memory of clients holds of a port with affinity. */
export interface Sticky {
  /** The port's own number (`StickyPorts`). */
  readonly port: number;
  /** By endpoint, of both lists: one that is in both has one number, so a client keeps it whichever list serves. */
  readonly slots: ReadonlyMap<string, number>;
}

/** Where the endpoints of a decision stand: an order only where it is not what a cold start would choose. */
export type Placements = Readonly<Partial<Record<List, Order>>> & { readonly sticky?: Sticky };

/** The settings of a node, read once. */
export interface Layout {
  readonly node: NodeDecision;
  readonly words: Words;
  readonly chains: Chains;
  readonly stickyPorts: StickyPorts;
}

export function layoutOf(node: NodeDecision): Layout {
  const words = wordsOf(node.family);
  return { node, words, chains: new Chains(node), stickyPorts: new StickyPorts() };
}

/**
 * Tells every element of a decision, and returns where its endpoints came to stand: undefined where that is what a
 * cold start chooses.
 *
 * @throws SluiceError `invalid` where a value of the decision cannot stand in a rule.
 */
export function elements(
  layout: Layout,
  decision: Decision,
  before: Placements | undefined,
  emit: Emit,
): Placements | undefined {
  return new Pen(layout, decision, before, emit).write();
}

/** What stands against writing a decision, before the kernel is asked. */
export function unwritable(layout: Layout, decision: Decision): Quarantined | undefined {
  try {
    elements(layout, decision, undefined, () => undefined);
    return undefined;
  } catch (error) {
    return { key: decision.key, message: asSluiceError(error).message };
  }
}

/** Decisions that claim an element of an earlier one with another value: the kernel would refuse them all together. */
export function clashes(layout: Layout, decisions: Iterable<Decision>): Quarantined[] {
  const owners = new Map<string, { readonly key: DecisionKey; readonly value: string }>();
  const found: Quarantined[] = [];
  for (const decision of decisions) {
    const own: [string, string][] = [];
    let message: string | undefined;
    try {
      elements(layout, decision, undefined, (set, key, value, shared) => {
        if (shared !== undefined) return;
        const id = `${set} { ${key} }`;
        const owner = owners.get(id);
        if (owner === undefined) own.push([id, value]);
        else if (owner.value !== value) message ??= `${id} is taken by ${owner.key}`;
      });
    } catch (error) {
      // It cannot be written at all, which is told where it is written.
      if (!(error instanceof SluiceError)) throw error;
      continue;
    }
    if (message !== undefined) found.push({ key: decision.key, message });
    else for (const [id, value] of own) owners.set(id, { key: decision.key, value });
  }
  return found;
}

/** What is worked out once for all destinations of a decision. */
class Pen {
  readonly #layout: Layout;
  readonly #decision: Decision;
  readonly #before: Placements | undefined;
  readonly #emit: Emit;
  readonly #lists = new Map<List, readonly string[]>();
  readonly #orders: Partial<Record<List, Order>> = {};
  #sticky: Sticky | undefined;

  constructor(layout: Layout, decision: Decision, before: Placements | undefined, emit: Emit) {
    this.#layout = layout;
    this.#decision = decision;
    this.#before = before;
    this.#emit = emit;
  }

  write(): Placements | undefined {
    const { words, node } = this.#layout;
    const { clusterIP, balancerIPs, externalIPs, nodePort, port, protocol, sourceRanges, guardEverything } =
      this.#decision;
    const number = protocolNumbers[protocol];
    const taken = new Set<string>();
    const keyAt = (address: string): string | undefined => {
      const key = `${checkedAddress(words, address)} . ${number} . ${checkedPort(port)}`;
      if (taken.has(key)) return undefined;
      taken.add(key);
      return key;
    };
    if (clusterIP !== undefined) {
      const key = keyAt(clusterIP) ?? '';
      this.#emit('cluster-ips', clusterIP, '', clusterIP);
      const masquerade: Masquerade = node.masqueradeAll
        ? 'always'
        : node.localSource.kind === 'none'
          ? 'never'
          : 'unless-pod';
      const { internal } = this.#decision;
      this.#emit(dispatchMaps.address, key, this.#meet('address', internal, masquerade).number);
      this.#rows('address', key, [internal]);
    }
    for (const [addresses, guarded] of [
      [balancerIPs, sourceRanges !== undefined],
      [externalIPs, sourceRanges !== undefined && guardEverything],
    ] as const) {
      for (const address of addresses) {
        const key = keyAt(address);
        if (key !== undefined) this.#external('address', key, guarded);
      }
    }
    if (nodePort !== 0) {
      const key = `${number} . ${checkedPort(nodePort)}`;
      this.#external('port', key, sourceRanges !== undefined && guardEverything);
    }
    const sticky = this.#sticky;
    if ((sticky ?? this.#orders.cluster ?? this.#orders.local) === undefined) return undefined;
    return sticky === undefined ? this.#orders : { ...this.#orders, sticky };
  }

  #external(place: Place, key: string, guarded: boolean): void {
    const { chains, words } = this.#layout;
    const { external, shortcut, sourceRanges } = this.#decision;
    const target =
      shortcut === undefined
        ? this.#meet(place, external, 'always')
        : chains.split(
            this.#meet(place, shortcut, 'never'),
            this.#meet(place, shortcut, 'always'),
            this.#meet(place, external, 'never'),
          );
    this.#emit(dispatchMaps[place], key, (guarded ? chains.guarded(place, target) : target).number);
    this.#rows(place, key, shortcut === undefined ? [external] : [external, shortcut]);
    if (!guarded) return;
    for (const range of disjointRanges(words, sourceRanges ?? [])) {
      this.#emit(guardSet(place), `${key} . ${range}`, '');
    }
  }

  #meet(place: Place, fate: Fate, masquerade: Masquerade): Chain {
    const { balancing, affinitySeconds } = this.#decision;
    switch (fate.kind) {
      case 'reject':
        return refuse;
      case 'drop':
        return silence;
      case 'balance': {
        const buckets = this.#list(fate.to).length;
        // Endpoints that the decision promises but does not hold: what has no row must not leak.
        if (buckets === 0) return silence;
        return this.#layout.chains.balance({
          place,
          list: fate.to,
          buckets,
          masquerade,
          hash: balancing === 'hash',
          affinitySeconds,
        });
      }
      default:
        return unreachable(fate);
    }
  }

  #rows(place: Place, key: string, fates: readonly Fate[]): void {
    const written = new Set<List>();
    for (const fate of fates) {
      if (fate.kind !== 'balance' || written.has(fate.to)) continue;
      written.add(fate.to);
      const { rows, draws, slots: slotMap } = rowMaps(place, fate.to);
      const order = this.#list(fate.to);
      if (this.#decision.affinitySeconds === undefined) {
        for (const [bucket, id] of order.entries()) this.#emit(rows, `${key} . ${numberText(bucket)}`, id);
        continue;
      }
      const { port, slots } = this.#stickiness();
      const slotOf = (id: string): string => slotText(port, slots.get(id) ?? 0);
      for (const [bucket, id] of order.entries()) {
        this.#emit(draws, `${key} . ${numberText(bucket)}`, slotOf(id));
      }
      for (const id of new Set(order)) this.#emit(slotMap, `${key} . ${slotOf(id)}`, id);
    }
  }

  #list(list: List): readonly string[] {
    const known = this.#lists.get(list);
    if (known !== undefined) return known;
    const { balancing, [list]: endpoints } = this.#decision;
    const ids = this.#ids(list);
    const hash = balancing === 'hash';
    const cold = (hash && ids.length > 0 ? hashOrder(endpoints) : plainOrder(endpoints)).map(
      (index) => ids[index] ?? '',
    );
    const before = this.#before?.[list];
    const order = before === undefined || hash ? cold : placeInBuckets(before, cold);
    if (order !== cold && order.some((id, bucket) => id !== cold[bucket])) this.#orders[list] = order;
    this.#lists.set(list, order);
    return order;
  }

  #ids(list: List): string[] {
    return this.#decision[list].map((endpoint) => endpointText(this.#layout.words, endpoint));
  }

  #stickiness(): Sticky {
    const before = this.#before?.sticky;
    this.#sticky ??= {
      port: this.#layout.stickyPorts.allot(this.#decision.key, before?.port),
      slots: numberSlots(before?.slots ?? new Map(), [
        ...new Set([...this.#ids('cluster'), ...this.#ids('local')]),
      ]),
    };
    return this.#sticky;
  }
}

function endpointText(words: Words, { address, port }: Endpoint): string {
  return `${checkedAddress(words, address)} . ${checkedPort(port)}`;
}

/** A bucket, below 65,536, as nft lists a traffic class. */
export function numberText(number: number): string {
  return number === 0 ? 'none' : `0:${number.toString(16)}`;
}

/** A slot of a port with affinity, as nft lists a traffic class: the port's number, then the slot's, neither 0. */
function slotText(port: number, slot: number): string {
  return `${port.toString(16)}:${slot.toString(16)}`;
}
