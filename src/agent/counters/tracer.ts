/**
 * What the written counting table counts for the first packet of a connection, read from its text alone (pure).
 *
 * Strict: a line, a statement or a set that it does not know is an error. It shares no code with what makes the text,
 * so that the two can be held against each other.
 */
import { SluiceError } from '../../core/errors.ts';
import { inRanges, isLoopback } from '../decide/addresses.ts';
import type { NodeFacts, Packet } from '../packet.ts';

interface TracedSet {
  readonly kind: 'set' | 'map';
  readonly counting: boolean;
  readonly interval: boolean;
  readonly elements: Map<string, string>;
}

export interface CounterRules {
  readonly header: 'ip' | 'ip6';
  readonly sets: ReadonlyMap<string, TracedSet>;
  readonly chains: ReadonlyMap<
    string,
    { readonly hook: string | undefined; readonly rules: readonly string[] }
  >;
}

/** @throws SluiceError `bug` at the first line that it does not understand. */
export function readCounterRules(text: string): CounterRules {
  const sets = new Map<string, TracedSet>();
  const chains = new Map<string, { hook: string | undefined; rules: string[] }>();
  let header: 'ip' | 'ip6' = 'ip';
  let open: readonly string[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || /^(add|delete) table ip6? sluice-counters$/u.test(line)) continue;
    const [kind = '', name = ''] = open.at(-1)?.split(' ') ?? [];
    const table = /^table (ip6?) sluice-counters \{$/u.exec(line);
    const block = /^((?:set|map|chain) \S+) \{$/u.exec(line);
    const element = /^(add|delete) element ip6? sluice-counters (\S+) \{ (.*) \}$/u.exec(line);
    if (line === '}') {
      if (open.length === 0) throw strange(line);
      open = open.slice(0, -1);
    } else if (table !== null && open.length === 0) {
      header = table[1] === 'ip6' ? 'ip6' : 'ip';
      open = ['table'];
    } else if (block !== null && kind === 'table') {
      const [what = '', of = ''] = (block[1] ?? '').split(' ');
      open = [...open, block[1] ?? ''];
      if (what === 'chain') chains.set(of, { hook: undefined, rules: [] });
      else
        sets.set(of, {
          kind: what === 'map' ? 'map' : 'set',
          counting: false,
          interval: false,
          elements: new Map(),
        });
    } else if (element !== null && open.length === 0) {
      elements(sets.get(element[2] ?? ''), element[1] ?? '', element[3] ?? '', line);
    } else if (kind === 'chain') {
      const chain = chains.get(name);
      const hook = /^type (nat|filter) hook (\w+) priority -?\d+; policy accept;$/u.exec(line);
      if (hook === null) chain?.rules.push(line);
      else chains.set(name, { hook: `${hook[1] ?? ''} ${hook[2] ?? ''}`, rules: [] });
    } else if (kind === 'set' || kind === 'map') {
      const set = sets.get(name);
      if (set === undefined) throw strange(line);
      if (line === 'counter') sets.set(name, { ...set, counting: true });
      else if (line === 'flags interval') sets.set(name, { ...set, interval: true });
      else if (!/^type [\w .]+( : \w+)?$/u.test(line)) throw strange(line);
    } else throw strange(line);
  }
  if (open.length > 0) throw strange('the end');
  return { header, sets, chains };
}

function elements(set: TracedSet | undefined, verb: string, body: string, line: string): void {
  if (set === undefined) throw strange(line);
  for (const item of body.split(', ')) {
    const [key = '', value = ''] = item.split(' : ');
    if (verb === 'delete' && !set.elements.delete(key)) throw strange(`${key} is deleted, but is not there`);
    if (verb === 'delete') continue;
    const there = set.elements.get(key);
    if (there !== undefined && there !== value) throw strange(`${key} is there with another value`);
    set.elements.set(key, value);
  }
}

function test(match: RegExpExecArray, goes: boolean): { length: number; goes: boolean } {
  return { length: match[0].length, goes };
}

/** What one packet does on its way: the counting elements that it hits, `set key`. */
export interface CountTrace {
  readonly hits: readonly string[];
  /** It leaves with a priority that it did not have. */
  readonly marked: boolean;
}

const protocols = { TCP: '6', UDP: '17', SCTP: '132' } as const;

class Walk {
  readonly #rules: CounterRules;
  readonly #facts: NodeFacts;
  readonly #packet: Packet;
  readonly hits: string[] = [];
  priority: string | undefined;

  constructor(rules: CounterRules, facts: NodeFacts, packet: Packet) {
    this.#rules = rules;
    this.#facts = facts;
    this.#packet = packet;
  }

  /** @returns whether the packet was accepted, so that nothing more is asked in this hook. */
  chain(name: string): boolean {
    const chain = this.#rules.chains.get(name);
    if (chain === undefined) throw strange(`there is no chain ${name}`);
    for (const rule of chain.rules) {
      const end = this.#rule(rule);
      if (end === 'accept') return true;
      if (end === 'return') return false;
    }
    return false;
  }

  #rule(rule: string): 'next' | 'accept' | 'return' {
    for (let rest = rule; rest !== '';) {
      const step = this.#statement(rest);
      if (step === undefined) throw strange(rest);
      if (step.end !== undefined) return step.end;
      if (!step.goes) return 'next';
      rest = rest.slice(step.length).trimStart();
    }
    return 'next';
  }

  #statement(
    text: string,
  ): { length: number; goes: boolean; end?: 'accept' | 'return' | undefined } | undefined {
    const { source, destination, from } = this.#packet;
    const { header } = this.#rules;
    const take = (form: string): RegExpExecArray | null => new RegExp(`^(?:${form})(?= |$)`, 'u').exec(text);
    const field = `(?:${header} [sd]addr|meta l4proto|th [sd]port)`;
    const concat = `${field}(?: \\. ${field})*`;
    let match = take(`(${concat}) (!= )?@([\\w-]+)`);
    if (match !== null) {
      const [, key = '', not, name = ''] = match;
      const found = this.#look(key, name);
      if (found !== undefined && this.#set(name).counting) this.hits.push(`${name} ${found}`);
      return test(match, (found !== undefined) === (not === undefined));
    }
    match = take(`meta priority set (${concat}) map @([\\w-]+)`);
    if (match !== null) {
      const [, key = '', name = ''] = match;
      const value = this.#set(name).elements.get(this.#look(key, name) ?? '');
      if (value !== undefined) this.priority = value;
      return test(match, value !== undefined);
    }
    match = take('meta priority set none');
    if (match !== null) {
      this.priority = undefined;
      return test(match, true);
    }
    match = take('meta priority vmap @([\\w-]+)');
    if (match !== null) {
      const verdict = this.#set(match[1] ?? '').elements.get(this.priority ?? '');
      return verdict === undefined ? test(match, false) : this.#verdict(verdict);
    }
    match = take(`${header} daddr (!= )?(?:127\\.0\\.0\\.0/8|::1)`);
    if (match !== null) return test(match, isLoopback(destination) === (match[1] === undefined));
    match = take('fib ([sd])addr type local');
    if (match !== null) {
      const address = match[1] === 's' ? source : destination;
      return test(match, this.#facts.addresses.has(address) || isLoopback(address));
    }
    match = take('iifname "([^"]+)"');
    if (match !== null) {
      const pattern = match[1] ?? '';
      const name = from.kind === 'interface' ? from.name : undefined;
      const same = pattern.endsWith('*') ? name?.startsWith(pattern.slice(0, -1)) : name === pattern;
      return test(match, same === true);
    }
    // The first packet of a connection.
    match = take('ct state new');
    if (match !== null) return test(match, true);
    match = take('accept|goto [\\w-]+|jump [\\w-]+');
    return match === null ? undefined : this.#verdict(match[0], match[0].length);
  }

  #verdict(
    text: string,
    length = 0,
  ): { length: number; goes: boolean; end?: 'accept' | 'return' | undefined } {
    if (text === 'accept') return { length, goes: true, end: 'accept' };
    const [how = '', chain = ''] = text.split(' ');
    if (this.chain(chain)) return { length, goes: true, end: 'accept' };
    return how === 'goto' ? { length, goes: true, end: 'return' } : { length, goes: true };
  }

  /** The element that the packet's key has in a set. */
  #look(fields: string, name: string): string | undefined {
    const set = this.#set(name);
    const parts = fields.split(' . ').map((of) => this.#value(of));
    const key = parts.join(' . ');
    if (!set.interval) return set.elements.has(key) ? key : undefined;
    const start = parts
      .slice(0, -1)
      .map((part) => `${part} . `)
      .join('');
    const address = parts.at(-1) ?? '';
    return [...set.elements.keys()].find((element) => {
      const range = element.slice(start.length);
      return (
        element.startsWith(start) &&
        (range === address || (range.includes('/') && inRanges(address, [range])))
      );
    });
  }

  #value(field: string): string {
    const { source, destination, port, protocol } = this.#packet;
    switch (field.replace(/^ip6? /u, '')) {
      case 'saddr':
        return source;
      case 'daddr':
        return destination;
      case 'meta l4proto':
        return protocols[protocol];
      case 'th dport':
        return String(port);
      default:
        throw strange(field);
    }
  }

  #set(name: string): TracedSet {
    const set = this.#rules.sets.get(name);
    if (set === undefined) throw strange(`there is no set ${name}`);
    return set;
  }
}

/** Walks the nat chains of the hook that the packet comes by. @throws SluiceError `bug` where a rule cannot be read. */
export function traceCounters(rules: CounterRules, facts: NodeFacts, packet: Packet): CountTrace {
  const hook = packet.from.kind === 'process' ? 'nat output' : 'nat prerouting';
  const walk = new Walk(rules, facts, packet);
  for (const [name, chain] of rules.chains) if (chain.hook === hook) walk.chain(name);
  return { hits: walk.hits, marked: walk.priority !== undefined };
}

function strange(what: string): SluiceError {
  return new SluiceError('bug', `cannot read the table that counts: ${what.slice(0, 300)}`, {
    code: 'UnknownRule',
  });
}
