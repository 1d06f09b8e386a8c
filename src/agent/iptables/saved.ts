/**
 * What the kernel holds of ours, read from `iptables-save` and `ipset save`: for the start, for `verify`, never on the
 * way of a change.
 *
 * Only chains and sets with our prefix are kept, and the jumps into them; everybody else's lines are passed over.
 */
import type { IpFamily } from '../../core/objects.ts';
import type { Table } from './layout.ts';
import type { ChainId } from './delta.ts';
import { fullSetName, prefix, setNames, setType, type SetName } from './names.ts';
import { canonical } from './text.ts';

export interface SavedJump {
  readonly table: Table;
  readonly from: string;
  readonly rule: string;
}

export interface SavedTables {
  readonly chains: ReadonlyMap<ChainId, SavedChain>;
  /** Rules of other chains that lead into ours, as they were saved, in order. */
  readonly jumps: readonly SavedJump[];
}

/**
 * A chain as it was saved. Its lines stay one text: nearly always they are only compared with what was to be written, and
 * tens of thousands of rules cost most when each becomes a text of its own.
 */
export class SavedChain {
  readonly #name: string;
  /** A line for each rule. */
  #lines = '';

  constructor(name: string) {
    this.#name = name;
  }

  append(lines: string): void {
    this.#lines += lines;
  }

  /** These rules, in this order, and no others. */
  holds(rules: readonly string[]): boolean {
    return this.#isText(rules) || this.#means(rules);
  }

  /** In canonical form. */
  rules(): readonly string[] {
    const lead = this.#lead();
    const lines = this.#lines.split('\n');
    lines.pop();
    return lines.map((line) => canonical(line.slice(lead)));
  }

  /** Most rules are written as they are saved. */
  #isText(rules: readonly string[]): boolean {
    const lines = this.#lines;
    const lead = this.#lead();
    let at = 0;
    for (const rule of rules) {
      at += lead;
      if (!lines.startsWith(rule, at)) return false;
      at += rule.length;
      if (lines.charCodeAt(at) !== newline) return false;
      at += 1;
    }
    return at === lines.length;
  }

  #means(rules: readonly string[]): boolean {
    const held = this.rules();
    return held.length === rules.length && rules.every((rule, index) => held[index] === canonical(rule));
  }

  /** Length of `-A NAME ` before each rule. */
  #lead(): number {
    return this.#name.length + 4;
  }
}

const newline = 10;
const blank = 32;
const ourRule = `-A ${prefix}`;
const ourTarget = new RegExp(`-[jg] ${prefix}`);

/** Reads the output of `iptables-save`, of one table or all, as it comes. */
export class TableReader {
  readonly chains = new Map<ChainId, SavedChain>();
  readonly jumps: SavedJump[] = [];
  #table: Table | undefined;
  /** The last line, which may go on in the next piece. */
  #rest = '';

  readonly take = (piece: string): void => {
    const text = this.#rest + piece;
    let at = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', at)) {
      if (text.startsWith(ourRule, at)) at = this.#rules(text, at, end);
      else {
        this.#line(text.slice(at, end));
        at = end + 1;
      }
    }
    this.#rest = text.slice(at);
  };

  /** As many whole lines of one chain as follow each other. @returns where they end. */
  #rules(text: string, from: number, end: number): number {
    const space = text.indexOf(' ', from + ourRule.length);
    const lead = text.slice(from, space < 0 ? end : Math.min(space, end));
    let at = end + 1;
    while (text.startsWith(lead, at) && isEndOfWord(text.charCodeAt(at + lead.length))) {
      const next = text.indexOf('\n', at);
      if (next < 0) break;
      at = next + 1;
    }
    if (this.#table !== undefined)
      this.chains.get(`${this.#table} ${lead.slice('-A '.length)}`)?.append(text.slice(from, at));
    return at;
  }

  #line(line: string): void {
    const table = this.#table;
    if (line.startsWith('*')) {
      const name = line.slice(1);
      this.#table = name === 'nat' || name === 'filter' ? name : undefined;
    } else if (table !== undefined && line.startsWith(`:${prefix}`)) {
      const name = line.slice(1, line.indexOf(' '));
      this.chains.set(`${table} ${name}`, new SavedChain(name));
    } else if (table !== undefined && line.startsWith('-A ')) {
      const end = line.indexOf(' ', 3);
      const rule = line.slice(end + 1);
      if (ourTarget.test(rule)) this.jumps.push({ table, from: line.slice(3, end), rule });
    }
  }
}

function isEndOfWord(code: number): boolean {
  return code === blank || code === newline;
}

/** Reads a whole output at once. */
export function readTables(output: string): SavedTables {
  const reader = new TableReader();
  reader.take(`${output}\n`);
  return reader;
}

export interface SavedSet {
  readonly type: string;
  readonly entries: Set<string>;
}

/** Reads the output of `ipset save`: our sets of one family, by name. */
export function readSets(output: string, family: IpFamily): ReadonlyMap<SetName, SavedSet> {
  const byFullName = new Map(setNames.map((name) => [fullSetName(family, name), name]));
  const sets = new Map<SetName, SavedSet>();
  for (const line of output.split('\n')) {
    const [verb, full = '', third = ''] = line.split(' ', 3);
    const name = byFullName.get(full);
    if (name === undefined) continue;
    if (verb === 'create') sets.set(name, { type: third, entries: new Set() });
    else if (verb === 'add') sets.get(name)?.entries.add(third);
  }
  return sets;
}

/** The set is of the type that this program writes. */
export function rightType(name: SetName, set: SavedSet): boolean {
  return set.type === setType(name);
}
