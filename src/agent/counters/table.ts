/**
 * The counting table as text, what is there of it, and the differences between the two (pure).
 *
 * What counts is never taken away while its destination stays: a table that is found is adopted with its counts.
 */
import type { Difference } from '../backend.ts';
import type { Decision, DecisionChange, DecisionKey } from '../decision.ts';
import type { Listed } from '../nftables/listing.ts';
import { sameRules } from '../nftables/normal.ts';
import { baseChainText, elementCommands, setText } from '../nftables/text.ts';
import {
  counterTable,
  countingSet,
  countingSets,
  destinationMap,
  destinationsOf,
  rangeSet,
  type CounterMode,
  type CounterShape,
  type Destination,
} from './layout.ts';

/** `ip sluice-counters`. */
export function tableName({ words }: Pick<CounterShape, 'words'>): string {
  return `${words.header} ${counterTable}`;
}

/** Whose destination is whose; contested ones belong to one decision only. */
export type Wanted = ReadonlyMap<string, { readonly owner: DecisionKey; readonly destination: Destination }>;

export function destinationId({ place, key }: Pick<Destination, 'place' | 'key'>): string {
  return `${place} ${key}`;
}

/** @param onRefused hears of decisions that cannot be written. */
export function wantedOf(
  decisions: Iterable<Decision>,
  mode: CounterMode,
  onRefused: (key: DecisionKey, error: unknown) => void = () => undefined,
): Wanted {
  const wanted = new Map<string, { owner: DecisionKey; destination: Destination }>();
  for (const decision of decisions) {
    try {
      for (const destination of destinationsOf(decision, mode)) {
        const id = destinationId(destination);
        if (!wanted.has(id)) wanted.set(id, { owner: decision.key, destination });
      }
    } catch (error) {
      onRefused(decision.key, error);
    }
  }
  return wanted;
}

/** The table without destinations, in place of whatever is there. */
function* emptyTable(shape: CounterShape): Generator<string> {
  const table = tableName(shape);
  yield `add table ${table}\ndelete table ${table}\ntable ${table} {\n`;
  for (const set of shape.sets) yield setText(set);
  // Chains that others lead to come before them; the map of kinds is filled when there are chains.
  for (const chain of shape.chains) yield baseChainText(chain);
  yield '}\n';
  for (const { name, fixed } of shape.sets)
    for (const line of elementCommands('add', table, name, fixed ?? [])) yield `${line}\n`;
}

/** The whole table as it would be written where there is none. */
export function* wholeCounterTable(shape: CounterShape, wanted: Wanted): Generator<string> {
  yield* emptyTable(shape);
  const edits = new Edits();
  for (const { destination } of wanted.values()) addDestination(edits, destination);
  for (const line of edits.lines(tableName(shape))) yield `${line}\n`;
}

/** Elements to delete and to add, by set; all deletions of a transaction come first. */
export class Edits {
  readonly #deletes = new Map<string, string[]>();
  readonly #adds = new Map<string, string[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  delete(set: string, element: string): void {
    this.#put(this.#deletes, set, element);
  }

  add(set: string, element: string): void {
    this.#put(this.#adds, set, element);
  }

  /** Deletes what may not be there, which nft has no word for before 1.0.7. */
  drop(set: string, element: string): void {
    this.#put(this.#adds, `${set} `, element);
    this.#put(this.#deletes, set, element);
  }

  lines(table: string): string[] {
    const lines: string[] = [];
    for (const [set, elements] of this.#adds)
      if (set.endsWith(' ')) lines.push(...elementCommands('add', table, set.trimEnd(), elements));
    for (const [set, elements] of this.#deletes)
      lines.push(...elementCommands('delete', table, set, elements));
    for (const [set, elements] of this.#adds)
      if (!set.endsWith(' ')) lines.push(...elementCommands('add', table, set, elements));
    return lines;
  }

  #put(into: Map<string, string[]>, set: string, element: string): void {
    const held = into.get(set);
    if (held === undefined) into.set(set, [element]);
    else held.push(element);
    this.#size += 1;
  }
}

/** Everything of a destination that is new here. */
function addDestination(edits: Edits, { place, key, number, counts, allowed }: Destination): void {
  edits.add(destinationMap(place), `${key} : ${number}`);
  for (const counted of counts) edits.add(countingSet(place, counted), key);
  for (const range of allowed) edits.add(rangeSet(place), range);
}

function dropDestination(edits: Edits, { place, key, allowed }: Destination, mode: CounterMode): void {
  edits.delete(destinationMap(place), key);
  for (const range of allowed) edits.delete(rangeSet(place), range);
  for (const { set, place: of } of countingSets(mode)) if (of === place) edits.drop(set, key);
}

function turnDestination(edits: Edits, was: Destination, is: Destination): void {
  const { place, key } = is;
  if (was.number !== is.number) {
    edits.delete(destinationMap(place), key);
    edits.add(destinationMap(place), `${key} : ${is.number}`);
  }
  for (const counted of is.counts)
    if (!was.counts.includes(counted)) edits.add(countingSet(place, counted), key);
  for (const range of was.allowed) if (!is.allowed.includes(range)) edits.delete(rangeSet(place), range);
  for (const range of is.allowed) if (!was.allowed.includes(range)) edits.add(rangeSet(place), range);
}

/** Destinations that end while their decision goes on: what they have counted is to be kept. */
export type Leaving = readonly { readonly owner: DecisionKey; readonly destination: Destination }[];

/**
 * What a take of changes means: nothing at all where only endpoints changed.
 *
 * @throws SluiceError `invalid` where a decision cannot be written.
 */
export function changesOf(
  changes: readonly DecisionChange[],
  mode: CounterMode,
): { readonly edits: Edits; readonly leaving: Leaving } {
  const before = new Map<string, { owner: DecisionKey; stays: boolean; destination: Destination }>();
  const after = new Map<string, { owner: DecisionKey; destination: Destination }>();
  for (const { key: owner, before: was, after: is } of changes) {
    const stays = is !== undefined;
    for (const destination of was === undefined ? [] : destinationsOf(was, mode))
      before.set(destinationId(destination), { owner, stays, destination });
    for (const destination of stays ? destinationsOf(is, mode) : [])
      after.set(destinationId(destination), { owner, destination });
  }
  const edits = new Edits();
  const leaving: { owner: DecisionKey; destination: Destination }[] = [];
  for (const [id, { owner, stays, destination }] of before) {
    const is = after.get(id);
    if (is?.owner === owner) {
      turnDestination(edits, destination, is.destination);
      continue;
    }
    dropDestination(edits, destination, mode);
    if (stays) leaving.push({ owner, destination });
  }
  for (const [id, { owner, destination }] of after)
    if (before.get(id)?.owner !== owner) addDestination(edits, destination);
  return { edits, leaving };
}

const count = / counter packets (\d+) bytes (\d+)$/u;

/** The key of a listed element, and what it has counted. */
export function readElement(text: string): { key: string; packets: number; bytes: number } {
  const [whole = '', packets = '0', bytes = '0'] = count.exec(text) ?? [];
  return { key: text.slice(0, text.length - whole.length), packets: Number(packets), bytes: Number(bytes) };
}

/** Whether all sets are as they should be: the rest can then be mended, and counts stay. */
export function sameSets(listed: Listed, { sets, chains }: CounterShape): boolean {
  return (
    listed.sets.size === sets.length &&
    sets.every(({ name, kind, lines }) => {
      const found = listed.sets.get(name);
      return found !== undefined && found.kind === kind && sameRules(found.lines, lines);
    }) &&
    chains.every(({ name, hook }) => hook === undefined || (listed.chains.get(name)?.[0] ?? hook) === hook)
  );
}

/** Every difference between what is there and what is wanted. */
export interface Findings {
  readonly edits: Edits;
  readonly differences: readonly Difference[];
  /** Chains whose rules are not as they should be, and those that nobody knows. */
  readonly wrongChains: readonly string[];
  readonly strangeChains: readonly string[];
}

export function compare(listed: Listed, shape: CounterShape, wanted: Wanted): Findings {
  const edits = new Edits();
  const differences: Difference[] = [];
  const say = (kind: Difference['kind'], object: string, key?: DecisionKey): void => {
    differences.push({ kind, object: `counters: ${object}`, key });
  };
  const exact = (
    set: string,
    elements: ReadonlyMap<string, readonly [string, DecisionKey | undefined]>,
  ): void => {
    const there = listed.sets.get(set)?.elements ?? new Map<string, string>();
    for (const [key, value] of there) {
      const [good, owner] = elements.get(key) ?? [];
      if (good === value) continue;
      edits.delete(set, key);
      if (good === undefined) say('unexpected', `element ${set} { ${key} }`, owner);
    }
    for (const [key, [value, owner]] of elements) {
      const held = there.get(key);
      if (held === value) continue;
      edits.add(set, value === '' ? key : `${key} : ${value}`);
      say(held === undefined ? 'missing' : 'different', `element ${set} { ${key} }`, owner);
    }
  };
  for (const { name, kind, lines, fixed } of shape.sets) {
    const there = listed.sets.get(name);
    if (there === undefined) say('missing', `${kind} ${name}`);
    else if (!sameRules(there.lines, lines)) say('different', `${kind} ${name}`);
    if (fixed === undefined) continue;
    const pairs = fixed.map((text) => text.split(' : '));
    exact(name, new Map(pairs.map(([key = '', value = '']) => [key, [value, undefined]])));
  }
  const exactly = new Map<string, Map<string, readonly [string, DecisionKey | undefined]>>();
  for (const place of ['address', 'port'] as const)
    for (const set of [destinationMap(place), rangeSet(place)]) exactly.set(set, new Map());
  const counting = new Map(
    [...listed.sets].map(([name, { elements }]) => [
      name,
      new Set([...elements.keys()].map((text) => readElement(text).key)),
    ]),
  );
  for (const { owner, destination } of wanted.values()) {
    const { place, key, number, allowed, counts } = destination;
    exactly.get(destinationMap(place))?.set(key, [number, owner]);
    for (const range of allowed) exactly.get(rangeSet(place))?.set(range, ['', owner]);
    for (const counted of counts) {
      const set = countingSet(place, counted);
      if (counting.get(set)?.has(key) === true) continue;
      edits.add(set, key);
      say('missing', `element ${set} { ${key} }`, owner);
    }
  }
  for (const [set, elements] of exactly) exact(set, elements);
  // What once counted for a destination stays with it; what belongs to none goes.
  for (const { name, lines } of shape.sets) {
    if (!lines.includes('counter')) continue;
    const place = name.startsWith('nodeport-') ? 'port' : 'address';
    for (const key of counting.get(name) ?? []) {
      if (wanted.has(destinationId({ place, key }))) continue;
      edits.delete(name, key);
      say('unexpected', `element ${name} { ${key} }`);
    }
  }
  const wrongChains: string[] = [];
  for (const { name, hook, rules } of shape.chains) {
    const there = listed.chains.get(name);
    if (there !== undefined && sameRules(there, hook === undefined ? rules : [hook, ...rules])) continue;
    wrongChains.push(name);
    say(there === undefined ? 'missing' : 'different', `chain ${name}`);
  }
  const known = new Set(shape.chains.map(({ name }) => name));
  const strangeChains = [...listed.chains.keys()].filter((name) => !known.has(name));
  for (const name of strangeChains) say('unexpected', `chain ${name}`);
  for (const [name, { kind }] of listed.sets)
    if (!shape.sets.some((set) => set.name === name)) say('unexpected', `${kind} ${name}`);
  return { edits, differences, wrongChains, strangeChains };
}
