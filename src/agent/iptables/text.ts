/**
 * Text for `iptables-restore --noflush` and `ipset restore`, and the common form of rules for comparing.
 *
 * A chain that is declared is emptied and filled again in one commit; chains that are not named stay as they are. A
 * chain goes only after what referred to it was rewritten, so deletions stand last.
 */
import type { IpFamily } from '../../core/objects.ts';
import type { Table } from './layout.ts';
import type { ChainId } from './delta.ts';
import { fullSetName, ipsetFamily, setCapacity, setType, type SetName } from './names.ts';

export function tableOf(id: ChainId): Table {
  return id.startsWith('nat ') ? 'nat' : 'filter';
}

export function nameOf(id: ChainId): string {
  return id.slice(id.indexOf(' ') + 1);
}

/** Numbers of rules. */
export type RulesByTable = Readonly<Record<Table, number>>;

export const noRules: RulesByTable = { nat: 0, filter: 0 };

export function sumOf(a: RulesByTable, b: RulesByTable): RulesByTable {
  return { nat: a.nat + b.nat, filter: a.filter + b.filter };
}

/** Lines of a restore, with what each belongs to for error messages. */
export class RestoreText {
  readonly #tables: Record<Table, { declare: string[]; append: string[]; remove: string[] }> = {
    filter: { declare: [], append: [], remove: [] },
    nat: { declare: [], append: [], remove: [] },
  };
  #operations = 0;
  readonly #rules: Record<Table, number> = { nat: 0, filter: 0 };

  chain(id: ChainId, rules: readonly string[] | undefined): this {
    const { declare, append, remove } = this.#tables[tableOf(id)];
    const name = nameOf(id);
    declare.push(`:${name} - [0:0]`);
    if (rules === undefined) remove.push(`-X ${name}`);
    else for (const rule of rules) append.push(`-A ${name} ${rule}`);
    this.#operations += 1 + (rules?.length ?? 0);
    this.#rules[tableOf(id)] += rules?.length ?? 0;
    return this;
  }

  /** A line as it is, behind the chains: `-I PREROUTING …`, `-D …`. */
  line(table: Table, line: string): this {
    this.#tables[table].append.push(line);
    this.#operations += 1;
    if (line.startsWith('-I')) this.#rules[table] += 1;
    return this;
  }

  /** Chains and rules in it. */
  get operations(): number {
    return this.#operations;
  }

  /** Rules that it adds. */
  get rules(): RulesByTable {
    return this.#rules;
  }

  get size(): number {
    const { filter, nat } = this.#tables;
    return filter.append.length + nat.append.length;
  }

  /** Filter before nat: what refuses stands before what sends on. */
  toString(): string {
    const parts: string[] = [];
    for (const table of ['filter', 'nat'] as const) {
      const { declare, append, remove } = this.#tables[table];
      if (declare.length + append.length + remove.length > 0) {
        parts.push(`*${table}`, ...declare, ...append, ...remove, 'COMMIT');
      }
    }
    return parts.length === 0 ? '' : `${parts.join('\n')}\n`;
  }
}

/** `create` line of a set. */
export function createSet(family: IpFamily, name: SetName): string {
  return `create ${fullSetName(family, name)} ${setType(name)} family ${ipsetFamily(family)} maxelem ${setCapacity}`;
}

/** Lines that change entries of a set. */
export function editSet(
  family: IpFamily,
  action: 'add' | 'del',
  name: SetName,
  entries: Iterable<string>,
): string[] {
  const set = fullSetName(family, name);
  return Array.from(entries, (entry) => `${action} ${set} ${entry}`);
}

const option = '--probability ';
const kernelSteps = 2 ** 31;

/** There are few different ones, and each stands in thousands of rules. */
const probabilities = new Map<number, string>();

/** A probability as `iptables-save` prints it, so that what is saved is what was written. Read again it is the same. */
export function probability(part: number): string {
  let text = probabilities.get(part);
  if (text === undefined) {
    if (probabilities.size > 10_000) probabilities.clear();
    text = (Math.round(part * kernelSteps) / kernelSteps).toFixed(11);
    probabilities.set(part, text);
  }
  return text;
}

/** There are few different ones, and each stands in thousands of rules. */
const steps = new Map<string, string>();

/** A probability as the kernel holds it: `#` and parts of 2^31. */
function stepsOf(text: string): string {
  if (text.startsWith('#')) return text;
  let found = steps.get(text);
  if (found === undefined) {
    if (steps.size > 10_000) steps.clear();
    found = `#${Math.round(Number(text) * kernelSteps)}`;
    steps.set(text, found);
  }
  return found;
}

/**
 * A rule in the one form that both our text and `iptables-save` have: marks as mask and value, probabilities as the
 * kernel's own number, defaults left out. Two rules that mean the same to the kernel are equal as text.
 */
export function canonical(rule: string): string {
  let text = rule;
  const chance = rule.indexOf(option);
  if (chance >= 0) {
    const start = chance + option.length;
    const end = rule.indexOf(' ', start);
    text = `${rule.slice(0, start)}${stepsOf(rule.slice(start, end))}${rule.slice(end)}`;
  }
  if (text.includes('-mark ')) {
    text = text
      .replace(/--or-mark (0x[0-9a-f]+)/, '--set-xmark $1/$1')
      .replace(/--xor-mark (0x[0-9a-f]+)/, '--set-xmark $1/0x0');
  }
  if (text.includes('recent')) {
    text = text.replace(/ --mask [0-9a-f.:]+/, '').replace(/ --rsource/, '');
  }
  return text;
}
