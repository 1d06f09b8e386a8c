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
  /** Rules in canonical form. */
  readonly chains: ReadonlyMap<ChainId, readonly string[]>;
  /** Rules of other chains that lead into ours, as they were saved, in order. */
  readonly jumps: readonly SavedJump[];
}

const ourTarget = new RegExp(`-[jg] ${prefix}`);

/** Reads the output of `iptables-save`, of one table or all, as it comes. */
export class TableReader {
  readonly chains = new Map<ChainId, string[]>();
  readonly jumps: SavedJump[] = [];
  #table: Table | undefined;
  /** The last line, which may go on in the next piece. */
  #rest = '';

  readonly take = (text: string): void => {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  };

  #line(line: string): void {
    if (line.startsWith('*')) {
      const name = line.slice(1);
      this.#table = name === 'nat' || name === 'filter' ? name : undefined;
      return;
    }
    const table = this.#table;
    if (table === undefined) return;
    if (line.startsWith(`:${prefix}`)) {
      this.chains.set(`${table} ${line.slice(1, line.indexOf(' '))}`, []);
    } else if (line.startsWith('-A ')) {
      const end = line.indexOf(' ', 3);
      const from = line.slice(3, end);
      const rule = line.slice(end + 1);
      if (from.startsWith(prefix)) this.chains.get(`${table} ${from}`)?.push(canonical(rule));
      else if (ourTarget.test(rule)) this.jumps.push({ table, from, rule });
    }
  }
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
