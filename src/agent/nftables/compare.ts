/**
 * Holds what the kernel lists against what is wanted (pure): for the start, where what is right is adopted and only
 * differences are written, and for `verify`.
 */
import type { Quarantined } from '../backend.ts';
import type { Decision, DecisionKey } from '../decision.ts';
import { asSluiceError } from '../../core/errors.ts';
import type { Chain, List, Place } from './chains.ts';
import { gotoText, refuse, rowMaps, shapeMap } from './chains.ts';
import { numberText, type Order, type Placements } from './layout.ts';
import type { Ledger, Transaction } from './ledger.ts';
import type { Listed } from './listing.ts';
import { sameRules } from './normal.ts';
import type { TableShape } from './table.ts';
import { protocolNumbers } from './words.ts';

/** Whether sets and hooks are as they should be: elements and rules can then be mended one by one. */
export function sameFrame(listed: Listed, shape: TableShape): boolean {
  return (
    shape.sets.every(({ name, kind, lines }) => {
      const found = listed.sets.get(name);
      return found !== undefined && found.kind === kind && sameRules(found.lines, lines);
    }) &&
    shape.chains.every(({ name, hook }) => {
      const [first] = listed.chains.get(name) ?? [];
      return hook === undefined || first === hook;
    })
  );
}

export interface Mending {
  readonly transaction: Transaction;
  /** Chains whose rules are replaced; new ones stand in the transaction. */
  readonly rewrite: readonly Pick<Chain, 'name' | 'rules'>[];
  /** Chains that nothing needs. */
  readonly surplus: readonly string[];
  readonly operations: number;
}

/**
 * Adopts what is there into a fresh ledger and tells what must be written. Uses `listed` up.
 */
export function mend(
  listed: Listed,
  shape: TableShape,
  ledger: Ledger,
  decisions: Iterable<Decision>,
  onRefused: (refused: Quarantined) => void,
): Mending {
  const sets = new Map<string, { deletes: string[]; adds: string[] }>();
  const of = (set: string): { deletes: string[]; adds: string[] } => {
    let found = sets.get(set);
    if (found === undefined) sets.set(set, (found = { deletes: [], adds: [] }));
    return found;
  };
  const tell = (set: string, key: string, value: string): void => {
    const there = listed.sets.get(set)?.elements;
    const found = there?.get(key);
    there?.delete(key);
    if (found === value) return;
    if (found !== undefined) of(set).deletes.push(key);
    of(set).adds.push(value === '' ? key : `${key} : ${value}`);
  };
  for (const { name, fixed } of shape.sets) for (const key of fixed ?? []) tell(name, key, '');
  const heads = new Set<Chain>([refuse]);
  for (const decision of decisions) {
    try {
      ledger.adopt(decision, standing(listed, decision), (set, key, value) => {
        const head = ledger.chainOf(set, value);
        if (head !== undefined) heads.add(head);
        tell(set, key, value);
      });
    } catch (error) {
      onRefused({ key: decision.key, message: asSluiceError(error).message });
    }
  }
  const chains: Chain[] = [];
  const rewrite: Pick<Chain, 'name' | 'rules'>[] = [];
  const wanted = new Set<string>(shape.chains.map(({ name }) => name));
  for (const head of heads) {
    for (const chain of ledger.missing(head)) {
      const there = listed.chains.get(chain.name);
      tell(shapeMap, chain.number, gotoText(chain));
      wanted.add(chain.name);
      ledger.markPresent(chain.name);
      if (there === undefined) chains.push(chain);
      else if (!sameRules(there, chain.rules)) rewrite.push(chain);
    }
  }
  for (const { name, hook, rules } of shape.chains) {
    const there = listed.chains.get(name);
    if (!sameRules(hook === undefined ? (there ?? []) : (there ?? []).slice(1), rules))
      rewrite.push({ name, rules });
  }
  for (const { name, dynamic } of shape.sets) {
    if (dynamic) continue;
    for (const key of listed.sets.get(name)?.elements.keys() ?? []) of(name).deletes.push(key);
  }
  const surplus = [...listed.chains.keys()].filter((name) => !wanted.has(name));
  let operations = chains.length + rewrite.length + surplus.length;
  for (const { deletes, adds } of sets.values()) operations += deletes.length + adds.length;
  return { transaction: { chains, sets, operations }, rewrite, surplus, operations };
}

/** Where the endpoints of a decision stand in the kernel. */
function standing(listed: Listed, decision: Decision): Placements | undefined {
  if (decision.balancing === 'hash' && decision.affinitySeconds === undefined) return undefined;
  const orders: Partial<Record<List, Order>> = {};
  const slots = new Map<string, number>();
  let port: number | undefined;
  for (const list of ['cluster', 'local'] as const) {
    for (const [place, key] of destinationsOf(decision)) {
      const found = standingAt(listed, decision, list, place, key);
      if (found === undefined) continue;
      orders[list] = found.order;
      for (const [id, number] of found.numbers) {
        port ??= Math.trunc(number / 65_536);
        slots.set(id, number % 65_536);
      }
      break;
    }
  }
  return port === undefined ? orders : { ...orders, sticky: { port, slots } };
}

export function destinationsOf(decision: Decision): (readonly [Place, string])[] {
  const number = protocolNumbers[decision.protocol];
  const { clusterIP, balancerIPs, externalIPs, port, nodePort } = decision;
  return [
    ...[...(clusterIP === undefined ? [] : [clusterIP]), ...balancerIPs, ...externalIPs].map(
      (address) => ['address', `${address} . ${number} . ${port}`] as const,
    ),
    ...(nodePort === 0 ? [] : [['port', `${number} . ${nodePort}`] as const]),
  ];
}

/** What stands in the buckets of one destination, and with affinity the number of each endpoint. */
function standingAt(
  listed: Listed,
  decision: Decision,
  list: List,
  place: Place,
  key: string,
): { readonly order: Order; readonly numbers: ReadonlyMap<string, number> } | undefined {
  const maps = rowMaps(place, list);
  const sticky = decision.affinitySeconds !== undefined;
  const rows = listed.sets.get(sticky ? maps.draws : maps.rows)?.elements;
  const slotRows = listed.sets.get(maps.slots)?.elements;
  const order: (string | undefined)[] = [];
  const numbers = new Map<string, number>();
  for (let bucket = 0; ; bucket += 1) {
    const value = rows?.get(`${key} . ${numberText(bucket)}`);
    if (value === undefined) break;
    const id = sticky ? slotRows?.get(`${key} . ${value}`) : value;
    order.push(id);
    const [high = '', low = ''] = value.split(':');
    if (sticky && id !== undefined)
      numbers.set(id, Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16));
  }
  return order.length === 0 ? undefined : { order, numbers };
}

export interface Found {
  readonly kind: 'missing' | 'unexpected' | 'different';
  readonly object: string;
  readonly key: DecisionKey | undefined;
}

/** Elements and chains that a look can say nothing about. */
export interface Touched {
  element(set: string, key: string): boolean;
  chain(name: string): boolean;
}

/**
 * Every difference between a listing and the ledger, but for what was touched meanwhile. Uses `listed` up. It yields after
 * each decision, so that whoever runs it can leave time for others.
 */
export function* differences(
  listed: Listed,
  shape: TableShape,
  ledger: Ledger,
  touched: Touched,
): Generator<undefined, Found[]> {
  const found: Found[] = [];
  const heads = new Set<Chain>([refuse]);
  const seen = new Set<string>();
  const tell = (owner: DecisionKey | undefined, set: string, key: string, value: string): void => {
    const id = `${set} ${key}`;
    if (seen.has(id)) return;
    seen.add(id);
    const head = ledger.chainOf(set, value);
    if (head !== undefined) heads.add(head);
    const there = listed.sets.get(set)?.elements;
    const now = there?.get(key);
    there?.delete(key);
    if (now === value || touched.element(set, key)) return;
    found.push({
      kind: now === undefined ? 'missing' : 'different',
      object: `element ${set} { ${value === '' ? key : `${key} : ${value}`} }`,
      key: owner,
    });
  };
  for (const { name, kind, lines, fixed } of shape.sets) {
    const there = listed.sets.get(name);
    if (there === undefined) found.push({ kind: 'missing', object: `${kind} ${name}`, key: undefined });
    else if (!sameRules(there.lines, lines)) {
      found.push({ kind: 'different', object: `${kind} ${name}`, key: undefined });
    }
    for (const key of fixed ?? []) tell(undefined, name, key, '');
  }
  for (const [key, entry] of ledger.entries) {
    for (const item of ledger.elementsOf(entry)) tell(key, item.set, item.key, item.value);
    yield undefined;
  }
  const wanted = new Map<string, readonly string[]>(
    shape.chains.map(({ name, hook, rules }) => [name, hook === undefined ? rules : [hook, ...rules]]),
  );
  // Chains of a count that no Service has just now stay for a while: they are ours and harmless.
  const ours = new Set<Chain>();
  const reach = (chain: Chain | undefined): void => {
    if (chain === undefined || ours.has(chain)) return;
    ours.add(chain);
    wanted.set(chain.name, chain.rules);
    tell(undefined, shapeMap, chain.number, gotoText(chain));
    for (const next of chain.leadsTo) reach(next);
  };
  for (const head of heads) reach(head);
  for (const name of ledger.presentChains) reach(ledger.layout.chains.get(name));
  for (const { name, dynamic } of shape.sets) {
    if (dynamic) continue;
    for (const [key, value] of listed.sets.get(name)?.elements ?? []) {
      if (touched.element(name, key)) continue;
      const element = value === '' ? key : `${key} : ${value}`;
      found.push({ kind: 'unexpected', object: `element ${name} { ${element} }`, key: undefined });
    }
  }
  for (const [name, rules] of wanted) {
    if (touched.chain(name)) continue;
    const there = listed.chains.get(name);
    if (there === undefined) found.push({ kind: 'missing', object: `chain ${name}`, key: undefined });
    else if (!sameRules(there, rules))
      found.push({ kind: 'different', object: `chain ${name}`, key: undefined });
  }
  for (const name of listed.chains.keys()) {
    if (!wanted.has(name) && !touched.chain(name))
      found.push({ kind: 'unexpected', object: `chain ${name}`, key: undefined });
  }
  for (const [name, { kind }] of listed.sets) {
    if (!shape.sets.some((set) => set.name === name)) {
      found.push({ kind: 'unexpected', object: `${kind} ${name}`, key: undefined });
    }
  }
  return found;
}
