/**
 * Reads the text that we write (or that nft lists) back into rules, strictly: what is not understood is an error. It
 * shares no code with what makes the text, so that the two can be held against each other.
 */
import { SluiceError } from '../../core/errors.ts';

export type Field = 'saddr' | 'daddr' | 'l4proto' | 'dport' | 'sport' | 'priority' | 'port-number';

/** A value looked up by a key of fields. */
interface Lookup {
  readonly key: readonly Field[];
  readonly set: string;
}

export type Statement =
  | { readonly kind: 'in-set'; readonly lookup: Lookup; readonly not: boolean }
  /** One digit of the source is that of the destination, as the set has it. */
  | { readonly kind: 'same-digit'; readonly mask: string; readonly set: string }
  | { readonly kind: 'not-in-range'; readonly field: Field; readonly range: string }
  | { readonly kind: 'interface'; readonly pattern: string; readonly not: boolean }
  | { readonly kind: 'local'; readonly field: Field; readonly not: boolean }
  | { readonly kind: 'has-slot' }
  | { readonly kind: 'translated' }
  | { readonly kind: 'marked'; readonly mask: number }
  | { readonly kind: 'mark'; readonly how: 'set' | 'flip'; readonly mask: number }
  | { readonly kind: 'priority'; readonly from: 'none' | 'port-number' | { readonly draw: number } | Lookup }
  | { readonly kind: 'translate'; readonly lookup: Lookup }
  | { readonly kind: 'remember' | 'forget'; readonly lookup: Lookup }
  | { readonly kind: 'dispatch'; readonly lookup: Lookup }
  | { readonly kind: 'go' | 'call'; readonly chain: string }
  | { readonly kind: 'drop' | 'reject' | 'masquerade' };

export interface RuleChain {
  readonly hook: string | undefined;
  readonly rules: (readonly Statement[])[];
}

export interface Ruleset {
  readonly family: 'ip' | 'ip6';
  readonly sets: Map<string, { readonly interval: boolean; readonly elements: Map<string, string> }>;
  readonly chains: Map<string, RuleChain>;
}

/** @throws SluiceError `bug` at the first thing that it does not understand. */
export function readRuleset(lines: Iterable<string>): Ruleset {
  const found: { family: 'ip' | 'ip6'; sets: Ruleset['sets']; chains: Ruleset['chains'] } = {
    family: 'ip',
    sets: new Map(),
    chains: new Map(),
  };
  let open: { kind: 'table' | 'set' | 'chain'; name: string }[] = [];
  for (const piece of lines) {
    for (const raw of piece.split('\n')) {
      const line = raw.trim();
      if (line === '') continue;
      const inside = open.at(-1);
      if (line === '}') {
        if (inside === undefined) throw strange(line);
        open.pop();
      } else if (inside === undefined) {
        const table = /^table (ip6?) sluice \{$/.exec(line);
        if (table) {
          found.family = table[1] === 'ip6' ? 'ip6' : 'ip';
          open = [{ kind: 'table', name: '' }];
        } else command(found, line);
      } else if (inside.kind === 'table') {
        const block = /^(set|map|chain) (\S+) \{$/.exec(line);
        if (block === null) throw strange(line);
        const [, kind = '', name = ''] = block;
        open.push({ kind: kind === 'chain' ? 'chain' : 'set', name });
        if (kind === 'chain') found.chains.set(name, { hook: undefined, rules: [] });
        else found.sets.set(name, { interval: false, elements: new Map() });
      } else if (inside.kind === 'chain') {
        inChain(found, inside.name, line);
      } else {
        inSet(found, inside.name, line);
      }
    }
  }
  if (open.length > 0) throw strange('the end');
  return found;
}

function inChain(found: Ruleset, name: string, line: string): void {
  const hook = /^type nat hook (prerouting|output|postrouting) priority -?\d+; policy accept;$/.exec(line);
  const chain = found.chains.get(name);
  if (hook) found.chains.set(name, { hook: hook[1], rules: [] });
  else chain?.rules.push(readRule(line));
}

function inSet(found: Ruleset, name: string, line: string): void {
  if (
    /^type(?:of)? [\w .]+( : [\w .]+)?$/.test(line) ||
    /^size \d+$/.test(line) ||
    line === 'flags dynamic,timeout'
  )
    return;
  if (line !== 'flags interval') throw strange(line);
  const set = found.sets.get(name);
  if (set !== undefined) found.sets.set(name, { ...set, interval: true });
}

function command(found: Ruleset, line: string): void {
  const match = /^(add|delete|flush) (table|chain|element|rule) (ip6?) sluice(?: (\S+))?(?: (.*))?$/.exec(
    line,
  );
  if (match === null) throw strange(line);
  const [, verb = '', what = '', , name = '', rest = ''] = match;
  switch (`${verb} ${what}`) {
    case 'add table':
      return;
    case 'delete table':
      found.sets.clear();
      found.chains.clear();
      return;
    case 'add chain':
      if (!found.chains.has(name)) found.chains.set(name, { hook: undefined, rules: [] });
      return;
    case 'flush chain':
      must(found.chains.get(name), line).rules.length = 0;
      return;
    case 'delete chain':
      if (!found.chains.delete(name)) throw strange(line);
      return;
    case 'add rule':
      must(found.chains.get(name), line).rules.push(readRule(rest));
      return;
    case 'add element':
    case 'delete element':
      elementCommand(must(found.sets.get(name), line).elements, verb, rest, line);
      return;
    default:
      throw strange(line);
  }
}

function elementCommand(elements: Map<string, string>, verb: string, rest: string, line: string): void {
  const body = /^\{ (.*) \}$/.exec(rest)?.[1];
  if (body === undefined) throw strange(line);
  for (const item of body.split(', ')) {
    const [key = '', value = ''] = item.split(' : ');
    if (verb === 'delete') {
      if (!elements.delete(key)) throw strange(`${key} is deleted, but is not there`);
      continue;
    }
    const there = elements.get(key);
    if (there !== undefined && there !== value) throw strange(`${key} is there with another value`);
    elements.set(key, value);
  }
}

function must<T>(value: T | undefined, line: string): T {
  if (value === undefined) throw strange(line);
  return value;
}

const address = String.raw`ip6? [sd]addr`;
const field = `(?:${address}|meta l4proto|th dport|meta priority(?: & ffff:0)?)`;
const concat = String.raw`(${field}(?: \. ${field})*)`;
/** A key that is remembered may be hashed. */
const client = String.raw`(?:jhash )?${concat}(?: mod 4294967295 seed 0x[0-9a-f]+)?`;

/** Each form that a statement may have, anchored at the start of what is left of a rule. */
const forms: readonly (readonly [RegExp, (match: readonly string[]) => Statement])[] = [
  [
    new RegExp(`^${concat} (!= )?@([\\w-]+)(?= |$)`),
    ([, key = '', not, set = '']) => ({ kind: 'in-set', lookup: lookup(key, set), not: not !== undefined }),
  ],
  [
    /^ip6? saddr & (\S+) \. ip6? daddr & (\S+) @([\w-]+)(?= |$)/,
    ([text, mask = '', other, set = '']) => {
      if (mask !== other) throw strange(text ?? '');
      return { kind: 'same-digit', mask, set };
    },
  ],
  [
    new RegExp(`^${concat} vmap @([\\w-]+)(?= |$)`),
    ([, key = '', set = '']) => ({ kind: 'dispatch', lookup: lookup(key, set) }),
  ],
  [
    /^(ip6? daddr) != (127\.0\.0\.0\/8|::1)(?= |$)/,
    ([, of = '', range = '']) => ({ kind: 'not-in-range', field: fieldOf(of), range }),
  ],
  [
    /^iifname (!= )?"([\w.:@-]+\*?)"(?= |$)/,
    ([, not, pattern = '']) => ({ kind: 'interface', pattern, not: not !== undefined }),
  ],
  [
    /^fib ([sd]addr) type (!= )?local(?= |$)/,
    ([, of = '', not]) => ({
      kind: 'local',
      field: of === 'saddr' ? 'saddr' : 'daddr',
      not: not !== undefined,
    }),
  ],
  [/^meta priority & 0:ffff != none(?= |$)/, () => ({ kind: 'has-slot' })],
  [/^meta priority set meta priority & ffff:0(?= |$)/, () => ({ kind: 'priority', from: 'port-number' })],
  [/^ct status dnat(?= |$)/, () => ({ kind: 'translated' })],
  [/^meta mark & (0x[0-9a-f]{8}) == \1(?= |$)/, ([, mask = '']) => ({ kind: 'marked', mask: Number(mask) })],
  [
    /^meta mark set meta mark ([|^]) (0x[0-9a-f]{8})(?= |$)/,
    ([, how, mask = '']) => ({ kind: 'mark', how: how === '|' ? 'set' : 'flip', mask: Number(mask) }),
  ],
  [/^meta priority set none(?= |$)/, () => ({ kind: 'priority', from: 'none' })],
  [
    /^meta priority set numgen random mod (\d+)(?= |$)/,
    ([, count]) => ({ kind: 'priority', from: { draw: Number(count) } }),
  ],
  [
    /^meta priority set jhash ip6? saddr \. th sport mod (\d+) seed 0x[0-9a-f]+(?= |$)/,
    ([, count]) => ({ kind: 'priority', from: { draw: Number(count) } }),
  ],
  [
    new RegExp(`^meta priority set ${client} map @([\\w-]+)(?= |$)`),
    ([, key = '', set = '']) => ({ kind: 'priority', from: lookup(key, set) }),
  ],
  [
    new RegExp(`^dnat ip6? to ${concat} map @([\\w-]+)(?= |$)`),
    ([, key = '', set = '']) => ({ kind: 'translate', lookup: lookup(key, set) }),
  ],
  [
    new RegExp(`^update @([\\w-]+) \\{ ${client} timeout [\\dsmhd]+ : meta priority \\}(?= |$)`),
    ([, set = '', key = '']) => ({ kind: 'remember', lookup: lookup(key, set) }),
  ],
  [
    new RegExp(`^delete @([\\w-]+) \\{ ${client} : meta priority \\}(?= |$)`),
    ([, set = '', key = '']) => ({ kind: 'forget', lookup: lookup(key, set) }),
  ],
  [/^goto ([\w-]+)$/, ([, chain = '']) => ({ kind: 'go', chain })],
  [/^jump ([\w-]+)$/, ([, chain = '']) => ({ kind: 'call', chain })],
  [/^drop$/, () => ({ kind: 'drop' })],
  [/^reject$/, () => ({ kind: 'reject' })],
  [/^masquerade( fully-random)?$/, () => ({ kind: 'masquerade' })],
];

/** @throws SluiceError `bug` where a part of the rule has no known form. */
export function readRule(text: string): readonly Statement[] {
  const statements: Statement[] = [];
  for (let rest = text; rest !== '';) {
    const read = forms
      .map(([form, make]) => ({ match: form.exec(rest), make }))
      .find(({ match }) => match !== null);
    if (read?.match === undefined || read.match === null) throw strange(`${rest} (in: ${text})`);
    statements.push(read.make(read.match));
    rest = rest.slice(read.match[0].length).trimStart();
  }
  return statements;
}

function lookup(key: string, set: string): Lookup {
  return { key: key.split(' . ').map(fieldOf), set };
}

function fieldOf(text: string): Field {
  switch (text.replace(/^ip6? /, '')) {
    case 'saddr':
      return 'saddr';
    case 'daddr':
      return 'daddr';
    case 'meta l4proto':
      return 'l4proto';
    case 'th dport':
      return 'dport';
    case 'meta priority':
      return 'priority';
    case 'meta priority & ffff:0':
      return 'port-number';
    default:
      throw strange(text);
  }
}

function strange(line: string): SluiceError {
  return new SluiceError('bug', `cannot read the rule text: ${line.slice(0, 300)}`, { code: 'UnknownRule' });
}
