/**
 * What a ruleset does with the first packet of a connection (pure): every number that may be drawn is drawn, so the
 * answer holds all endpoints that may be picked.
 *
 * Beyond the answer it holds the rules to their promises: the packet's mark leaves as it came, the priority is cleared,
 * a look-up that finds no row never lets a packet for a Service through.
 */
import { contains, formatAddress, parseAddress, parseCidr } from '../../core/cidr.ts';
import { SluiceError, unreachable } from '../../core/errors.ts';
import type { NodeFacts, Outcome, Packet } from '../packet.ts';
import type { Field, Ruleset, Statement } from './ruleset.ts';

export interface TracedEndpoint {
  readonly address: string;
  readonly port: number;
  readonly masquerade: boolean;
  /** How many of the drawn numbers lead here. */
  readonly times: number;
}

export type Traced =
  | { readonly kind: 'untouched' | 'reject' | 'drop' }
  | { readonly kind: 'deliver'; readonly to: readonly TracedEndpoint[] };

/** Bits that the packet carries when it comes: they must be there when it leaves. */
const foreignMark = 0x1001;

/** @throws SluiceError `bug` where the rules do something that they must never do. */
export function trace(ruleset: Ruleset, facts: NodeFacts, packet: Packet): Traced {
  const to = new Map<string, TracedEndpoint>();
  const others = new Set<'untouched' | 'reject' | 'drop'>();
  for (const choice of choices((draw) => new Walk(ruleset, facts, packet, draw).run())) {
    if (choice.kind !== 'deliver') {
      others.add(choice.kind);
      continue;
    }
    const id = `${choice.address} ${choice.port} ${choice.masquerade}`;
    to.set(id, { ...choice, times: (to.get(id)?.times ?? 0) + 1 });
  }
  const [only] = others;
  if (others.size + Math.min(1, to.size) !== 1) {
    throw wrong(`one packet has several fates: ${[...others].join(', ')} and ${to.size} endpoints`);
  }
  return only === undefined ? { kind: 'deliver', to: [...to.values()] } : { kind: only };
}

/** Whether a trace says the same as an outcome of the evaluator: the same endpoints, masqueraded alike. */
export function agrees(traced: Traced, outcome: Outcome): boolean {
  if (traced.kind !== 'deliver' || outcome.kind !== 'deliver') return traced.kind === outcome.kind;
  return (
    textOf(traced.to) ===
    textOf(outcome.to.map(({ endpoint: { address, port }, masquerade }) => ({ address, port, masquerade })))
  );
}

function textOf(all: readonly Pick<TracedEndpoint, 'address' | 'port' | 'masquerade'>[]): string {
  return all
    .map(({ address, port, masquerade }) => `${address} ${port} ${masquerade}`)
    .toSorted()
    .join();
}

/** Runs `walk` once for each combination of drawn numbers. */
function* choices<T>(walk: (draw: (count: number) => number) => T): Generator<T> {
  let drawn: { value: number; count: number }[] = [];
  for (;;) {
    let at = 0;
    const draw = (count: number): number => {
      const known = drawn[at];
      at += 1;
      if (known !== undefined) return known.value;
      drawn.push({ value: 0, count });
      return 0;
    };
    yield walk(draw);
    drawn = drawn.slice(0, at);
    while (drawn.length > 0) {
      const last = drawn.pop();
      if (last !== undefined && last.value + 1 < last.count) {
        drawn.push({ value: last.value + 1, count: last.count });
        break;
      }
    }
    if (drawn.length === 0) return;
  }
}

type Ending = 'drop' | 'reject' | 'translated' | 'masqueraded' | undefined;

type Fate =
  | { readonly kind: 'untouched' | 'reject' | 'drop' }
  | {
      readonly kind: 'deliver';
      readonly address: string;
      readonly port: number;
      readonly masquerade: boolean;
    };

class Walk {
  readonly #ruleset: Ruleset;
  readonly #facts: NodeFacts;
  readonly #packet: Packet;
  readonly #draw: (count: number) => number;
  #address: string;
  #port: number;
  #mark = foreignMark;
  #priority = 0;
  #translated = false;
  #interface: string;

  constructor(ruleset: Ruleset, facts: NodeFacts, packet: Packet, draw: (count: number) => number) {
    this.#ruleset = ruleset;
    this.#facts = facts;
    this.#packet = packet;
    this.#draw = draw;
    this.#address = packet.destination;
    this.#port = packet.port;
    this.#interface = packet.from.kind === 'interface' ? packet.from.name : '';
  }

  run(): Fate {
    if ((this.#packet.family === 'IPv4' ? 'ip' : 'ip6') !== this.#ruleset.family)
      return { kind: 'untouched' };
    const first = this.#hook(this.#packet.from.kind === 'process' ? 'output' : 'prerouting');
    if (first === 'drop' || first === 'reject') return { kind: first };
    if (first === 'masqueraded') throw wrong('masqueraded before routing');
    this.#interface = '';
    const last = this.#hook('postrouting');
    if (last !== undefined && last !== 'masqueraded') throw wrong(`postrouting ends in ${last}`);
    if (this.#mark !== foreignMark) throw wrong(`the mark leaves as ${this.#mark.toString(16)}`);
    if (this.#priority !== 0) throw wrong('the priority leaves changed');
    if (!this.#translated) {
      if (last === 'masqueraded') throw wrong('a packet that is not ours is masqueraded');
      return { kind: 'untouched' };
    }
    return {
      kind: 'deliver',
      address: this.#address,
      port: this.#port,
      masquerade: last === 'masqueraded',
    };
  }

  #hook(hook: string): Ending {
    const chain = [...this.#ruleset.chains.values()].find((one) => one.hook === hook);
    if (chain === undefined) throw wrong(`nothing is hooked at ${hook}`);
    return this.#rules(chain.rules);
  }

  #chain(name: string): Ending {
    const chain = this.#ruleset.chains.get(name);
    if (chain === undefined) throw wrong(`there is no chain ${name}`);
    return this.#rules(chain.rules);
  }

  #rules(rules: readonly (readonly Statement[])[]): Ending {
    for (const rule of rules) {
      const ending = this.#rule(rule);
      if (ending === 'left') return undefined;
      if (ending !== undefined) return ending;
    }
    return undefined;
  }

  /** `left`: a goto came back without a verdict, which ends the chain that it stood in. */
  #rule(rule: readonly Statement[]): Ending | 'left' {
    for (const statement of rule) {
      // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the rest are matches, exhausted in #passes
      switch (statement.kind) {
        case 'go':
          return this.#chain(statement.chain) ?? 'left';
        case 'call': {
          const ending = this.#chain(statement.chain);
          if (ending !== undefined) return ending;
          break;
        }
        case 'dispatch': {
          const verdict = this.#find(statement.lookup.set, statement.lookup.key);
          if (verdict === undefined) return undefined;
          if (verdict === 'drop') return 'drop';
          if (!verdict.startsWith('goto ')) throw wrong(`a verdict reads ${verdict}`);
          return this.#chain(verdict.slice(5)) ?? 'left';
        }
        case 'translate': {
          const target = this.#find(statement.lookup.set, statement.lookup.key);
          if (target === undefined) return undefined;
          const [address = '', port = ''] = target.split(' . ');
          this.#address = address;
          this.#port = Number(port);
          this.#translated = true;
          return 'translated';
        }
        case 'drop':
        case 'reject':
          return statement.kind;
        case 'masquerade':
          return 'masqueraded';
        default:
          if (!this.#passes(statement)) return undefined;
      }
    }
    return undefined;
  }

  /** False where the rule ends here: a match that fails, a look-up that finds nothing. */
  #passes(
    statement: Exclude<
      Statement,
      { kind: 'go' | 'call' | 'dispatch' | 'translate' | 'drop' | 'reject' | 'masquerade' }
    >,
  ): boolean {
    switch (statement.kind) {
      case 'in-set':
        return (this.#find(statement.lookup.set, statement.lookup.key) !== undefined) !== statement.not;
      case 'same-digit': {
        const [source, destination] = [this.#packet.source, this.#address].map((text) =>
          masked(text, statement.mask),
        );
        return this.#set(statement.set).elements.has(`${source} . ${destination}`);
      }
      case 'not-in-range':
        return !within(this.#value(statement.field), statement.range);
      case 'interface': {
        const { pattern, not } = statement;
        const fits = pattern.endsWith('*')
          ? this.#interface.startsWith(pattern.slice(0, -1))
          : this.#interface === pattern;
        return fits !== not;
      }
      case 'local': {
        const address = this.#value(statement.field);
        const local =
          this.#facts.addresses.has(address) || address === '::1' || within(address, '127.0.0.0/8');
        return local !== statement.not;
      }
      case 'has-slot':
        return this.#priority % 65_536 !== 0;
      case 'translated':
        return this.#translated;
      case 'marked':
        return (this.#mark & statement.mask) >>> 0 === statement.mask;
      case 'mark':
        this.#mark =
          (statement.how === 'set' ? this.#mark | statement.mask : this.#mark ^ statement.mask) >>> 0;
        return true;
      case 'priority':
        return this.#setPriority(statement.from);
      case 'remember':
      case 'forget':
        // A new client: what is remembered of it concerns its later connections.
        return true;
      default:
        return unreachable(statement);
    }
  }

  #setPriority(from: (Statement & { kind: 'priority' })['from']): boolean {
    if (from === 'none') this.#priority = 0;
    else if (from === 'port-number') this.#priority -= this.#priority % 65_536;
    else if ('draw' in from) this.#priority = this.#draw(from.draw);
    else {
      const found = this.#find(from.set, from.key);
      if (found === undefined) return false;
      const [high = '0', low = '0'] = found === 'none' ? [] : found.split(':');
      this.#priority = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
    }
    return true;
  }

  #set(name: string): NonNullable<ReturnType<Ruleset['sets']['get']>> {
    const set = this.#ruleset.sets.get(name);
    if (set === undefined) throw wrong(`there is no set ${name}`);
    return set;
  }

  #find(name: string, key: readonly Field[]): string | undefined {
    const set = this.#set(name);
    const values = key.map((field) => this.#value(field));
    if (!set.interval) return set.elements.get(values.join(' . '));
    for (const [element, value] of set.elements) {
      const parts = element.split(' . ');
      if (parts.every((part, index) => within(values[index] ?? '', part))) return value;
    }
    return undefined;
  }

  #value(field: Field): string {
    switch (field) {
      case 'saddr':
        return this.#packet.source;
      case 'daddr':
        return this.#address;
      case 'l4proto':
        return { TCP: '6', UDP: '17', SCTP: '132' }[this.#packet.protocol];
      case 'dport':
        return String(this.#port);
      case 'priority':
        return numberOf(this.#priority);
      case 'port-number':
        return numberOf(this.#priority - (this.#priority % 65_536));
      case 'sport':
        throw wrong('the source port is only hashed');
      default:
        return unreachable(field);
    }
  }
}

/** A traffic class as nft lists it. */
function numberOf(priority: number): string {
  const high = Math.trunc(priority / 65_536).toString(16);
  return priority === 0 ? 'none' : `${high}:${(priority % 65_536).toString(16)}`;
}

/** The bits of an address that a mask leaves, as nft lists them. */
function masked(text: string, mask: string): string {
  const [address, bits] = [parseAddress(text), parseAddress(mask)];
  if (address === undefined || bits === undefined) throw wrong(`no address: ${text} or ${mask}`);
  const left = formatAddress({ family: address.family, value: address.value & bits.value });
  const [, high, low] = /^::([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(left) ?? [];
  if (high === undefined || low === undefined) return left;
  const value = BigInt(`0x${high}`) * 65_536n + BigInt(`0x${low}`);
  return `::${formatAddress({ family: 'IPv4', value })}`;
}

function within(value: string, part: string): boolean {
  if (!part.includes('/')) return value === part;
  const range = parseCidr(part);
  const address = parseAddress(value);
  return range.kind === 'cidr' && address !== undefined && contains(range.cidr, address);
}

function wrong(message: string): SluiceError {
  return new SluiceError('bug', `traced rules: ${message}`, { code: 'WrongRules' });
}
