/**
 * Says what becomes of the first packet of a connection by walking the written text, rule by rule, as the kernel would:
 * the second of the three ways to one answer (evaluator, rules, real packets).
 *
 * It knows nothing of decisions. Where chance or memory decides, both ways are walked; whatever it does not
 * understand is an error: an option, a chain or set that is not there, a mark left behind on a packet.
 */
import { contains, parseAddress, parseCidr } from '../../core/cidr.ts';
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import type { NodeFacts, Packet } from '../packet.ts';
import { hashBelow, sameAddress } from './bytecode.ts';
import { readRule, type Match, type Rule } from './rule.ts';

export interface TracedEndpoint {
  readonly address: string;
  readonly port: number;
  readonly masquerade: boolean;
  /** Part of new connections, by the rules' own probabilities; clients that are remembered are left out. */
  readonly share: number;
}

export type Traced =
  | { readonly kind: 'untouched' | 'reject' | 'drop' }
  | { readonly kind: 'deliver'; readonly to: readonly TracedEndpoint[] };

/** A packet on its way; never changed in place, for the ways part. */
interface State {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly mark: number;
  /** A rule sent it to an endpoint. */
  readonly sent: boolean;
  /** That changed where it goes. */
  readonly translated: boolean;
  readonly masquerade: boolean;
  readonly share: number;
  /** It came here because its client was remembered. */
  readonly remembered: boolean;
  /** Its hash is known to be no less than this. */
  readonly hashFrom: number;
}

type Verdict = 'next' | 'accept' | 'drop' | 'reject';

interface Way {
  readonly state: State;
  readonly verdict: Verdict;
}

interface Surroundings {
  readonly packet: Packet;
  readonly facts: NodeFacts;
  /** The interface that a rule sees in this hook, undefined in OUTPUT. */
  readonly interface: string | undefined;
}

function bug(message: string): SluiceError {
  return new SluiceError('bug', message, { code: 'UnknownRule' });
}

/** Rules and sets as text, ready to be walked. */
export class Tracer {
  readonly #family: IpFamily;
  readonly #chains = new Map<string, Rule[]>();
  readonly #sets = new Map<string, Set<string>>();

  /**
   * @param rules restore text: every chain, in whatever commits, with the jumps from the kernel's own chains.
   * @param sets `ipset restore` text.
   */
  constructor(family: IpFamily, rules: string, sets: string) {
    this.#family = family;
    for (const line of sets.split('\n').filter((text) => text !== '')) this.#readSet(line);
    let table = '';
    for (const line of rules.split('\n').filter((text) => text !== '')) {
      if (line.startsWith('*')) table = line.slice(1);
      else if (line === 'COMMIT') table = '';
      else this.#readLine(table, line);
    }
    for (const [id, list] of this.#chains) {
      for (const { target } of list) {
        if (target.kind !== 'jump' && target.kind !== 'goto') continue;
        const to = `${id.split(' ')[0] ?? ''} ${target.chain}`;
        if (!this.#chains.has(to)) throw bug(`${id} leads to ${target.chain}, which is not there`);
      }
    }
  }

  #readSet(line: string): void {
    const [verb = '', name = '', entry = ''] = line.split(' ');
    if (verb === 'create') this.#sets.set(name, new Set());
    else if (verb === 'add') this.#set(name).add(entry);
    else throw bug(`set line "${line}"`);
  }

  #readLine(table: string, line: string): void {
    const [, declared] = /^:(\S+) - \[0:0\]$/.exec(line) ?? [];
    if (declared !== undefined) {
      this.#chains.set(`${table} ${declared}`, []);
      return;
    }
    const [, verb, name = '', text = ''] = /^-(A|I) (\S+) (?:1 (?=-))?(.*)$/.exec(line) ?? [];
    if (verb === undefined || table === '') throw bug(`line "${line}"`);
    const id = `${table} ${name}`;
    const list = this.#chains.get(id) ?? [];
    if (!this.#chains.has(id)) {
      if (name.startsWith('SLUICE-')) throw bug(`rules for ${id}, which was not declared`);
      this.#chains.set(id, list);
    }
    for (const match of readRule(text).matches) if (match.kind === 'set') this.#set(match.set);
    if (verb === 'A') list.push(readRule(text));
    else list.unshift(readRule(text));
  }

  #set(name: string): Set<string> {
    const set = this.#sets.get(name);
    if (set === undefined) throw bug(`set ${name} is not there`);
    return set;
  }

  /** @throws SluiceError bug where the rules are not understood, or different ways end in different kinds of outcome. */
  trace(packet: Packet, facts: NodeFacts, mark = 0): Traced {
    const start: State = {
      source: packet.source,
      destination: packet.destination,
      port: packet.port,
      mark,
      sent: false,
      translated: false,
      masquerade: false,
      share: 1,
      remembered: false,
      hashFrom: 0,
    };
    const incoming = packet.from.kind === 'interface' ? packet.from.name : undefined;
    const around: Surroundings = { packet, facts, interface: incoming };
    let ways: Way[] = [{ state: start, verdict: 'next' }];
    const hook = (id: string, at: Surroundings, only: (state: State) => boolean = () => true): void => {
      ways = ways.flatMap((way) =>
        way.verdict === 'drop' || way.verdict === 'reject' || !only(way.state)
          ? [way]
          : this.#chain(id, { ...way.state }, at),
      );
    };
    const local = (state: State): boolean => isLocal(facts, state.destination);
    if (incoming === undefined) {
      hook('nat OUTPUT', around);
      hook('filter OUTPUT', around);
      hook('nat POSTROUTING', around);
      // What a process sends to its own node comes in again.
      hook('filter INPUT', { ...around, interface: 'lo' }, local);
    } else {
      hook('nat PREROUTING', around);
      hook('filter INPUT', around, local);
      hook('filter FORWARD', around, (state) => !local(state));
      // What is delivered here passes no POSTROUTING; whether masquerading was asked for is the same question.
      hook('nat POSTROUTING', around);
    }
    return conclude(packet, ways, mark);
  }

  #chain(id: string, state: State, around: Surroundings): Way[] {
    const rules = this.#chains.get(id);
    if (rules === undefined) return [{ state, verdict: 'next' }];
    return this.#from(id, rules, 0, state, around);
  }

  #from(id: string, rules: readonly Rule[], index: number, state: State, around: Surroundings): Way[] {
    const rule = rules[index];
    if (rule === undefined) return [{ state, verdict: 'next' }];
    const on = (after: State): Way[] => this.#from(id, rules, index + 1, after, around);
    const ways: Way[] = [];
    let share = 1;
    let known = false;
    let hashFrom = state.hashFrom;
    for (const match of rule.matches) {
      const answer = this.#matches(match, state, around);
      if (answer === false) return on(state);
      if (answer === 'remembered') known = true;
      else if (answer !== true) share *= answer;
      if (match.kind === 'program' && answer !== true) hashFrom = bounds(match.bytecode)[1];
    }
    if (known) ways.push(...on(state));
    else if (share < 1) ways.push(...on({ ...state, share: state.share * (1 - share), hashFrom }));
    const hit: State = { ...state, share: state.share * share, remembered: state.remembered || known };
    const { target } = rule;
    switch (target.kind) {
      case 'return':
        return [...ways, { state: hit, verdict: 'next' }];
      case 'accept':
      case 'drop':
      case 'reject':
        return [...ways, { state: hit, verdict: target.kind }];
      case 'mark':
        // Clear the bits of the mask, then exclusive or.
        return [...ways, ...on({ ...hit, mark: ((hit.mark & ~target.mask) ^ target.value) >>> 0 })];
      case 'masquerade':
        return [...ways, { state: { ...hit, masquerade: true }, verdict: 'accept' }];
      case 'dnat': {
        const translated = hit.destination !== target.address || hit.port !== target.port;
        return [
          ...ways,
          {
            state: { ...hit, sent: true, destination: target.address, port: target.port, translated },
            verdict: 'accept',
          },
        ];
      }
      case 'jump':
      case 'goto': {
        const inner = this.#chain(`${id.split(' ')[0] ?? ''} ${target.chain}`, hit, around);
        if (target.kind === 'goto') return [...ways, ...inner];
        return [...ways, ...inner.flatMap((way) => (way.verdict === 'next' ? on(way.state) : [way]))];
      }
    }
  }

  /** A number: matches for that part of the packets. */
  #matches(match: Match, state: State, around: Surroundings): boolean | number | 'remembered' {
    const { packet, facts } = around;
    switch (match.kind) {
      case 'source':
        return inRange(state.source, match.range) !== match.not;
      case 'destination':
        return inRange(state.destination, match.range) !== match.not;
      case 'interface': {
        const name = around.interface ?? '';
        const same = match.name.endsWith('+')
          ? name.startsWith(match.name.slice(0, -1))
          : name === match.name;
        return (same && around.interface !== undefined) !== match.not;
      }
      case 'protocol':
        return packet.protocol.toLowerCase() === match.name;
      case 'port':
        return state.port >= match.from && state.port <= match.to;
      case 'set':
        return this.#inSet(match, state, packet) !== match.not;
      case 'local':
        return isLocal(facts, match.of === 'source' ? state.source : state.destination);
      case 'state':
        return match.states.some((name) => inState(name, state)) !== match.not;
      case 'mark':
        return ((state.mark & match.mask) >>> 0 === match.value) !== match.not;
      case 'random':
        return match.steps / 2 ** 31;
      case 'remembered':
        return 'remembered';
      case 'remember':
        return true;
      case 'program':
        return this.#runProgram(match.bytecode, state);
    }
  }

  #runProgram(bytecode: string, state: State): boolean | number {
    if (bytecode === sameAddress(this.#family)) return state.source === state.destination;
    const [total, below] = bounds(bytecode);
    if (hashBelow(this.#family, total, below) !== bytecode) throw bug(`bytecode "${bytecode}"`);
    // One hash decides in all rules of a chain: what is left for this one.
    return (below - state.hashFrom) / (total - state.hashFrom);
  }

  #inSet({ set, fields }: Extract<Match, { kind: 'set' }>, state: State, packet: Packet): boolean {
    const entries = this.#set(set);
    const protocol = packet.protocol.toLowerCase();
    const [first, second, third] = fields;
    const address = first === 'src' ? state.source : state.destination;
    if (second === undefined) {
      return (
        entries.has(address) || [...entries].some((entry) => entry.includes('/') && inRange(address, entry))
      );
    }
    if (second === 'src') throw bug(`set ${set} asked for the source port`);
    const port = `${protocol}:${state.port}`;
    if (third !== undefined) {
      return entries.has(`${address},${port},${third === 'src' ? state.source : state.destination}`);
    }
    return (
      entries.has(`${address},${port}`) ||
      halves(this.#family).some((half) => entries.has(`${half},${port}`) && inRange(address, half))
    );
  }
}

/** Modulus and bound of a hash program. */
function bounds(bytecode: string): readonly [total: number, below: number] {
  const [, total = '', below = ''] = /148 0 0 (\d+),53 1 0 (\d+),/.exec(bytecode) ?? [];
  return [Number(total), Number(below)];
}

function halves(family: IpFamily): readonly string[] {
  return family === 'IPv4' ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1'];
}

function inState(name: string, state: State): boolean {
  switch (name) {
    case 'NEW':
      return true;
    case 'DNAT':
      return state.translated;
    case 'INVALID':
    case 'RELATED':
    case 'ESTABLISHED':
    case 'UNTRACKED':
      return false;
    default:
      throw bug(`connection state ${name}`);
  }
}

function isLocal(facts: NodeFacts, address: string): boolean {
  return facts.addresses.has(address) || address.startsWith('127.') || address === '::1';
}

/** `address/length`, or `address/mask` where the mask need not be a prefix. */
function inRange(address: string, range: string): boolean {
  const [base = '', length = ''] = range.split('/');
  const read = parseAddress(address);
  if (read === undefined) throw bug(`address ${address}`);
  const mask = parseAddress(length);
  if (mask !== undefined) {
    const value = parseAddress(base);
    if (value === undefined) throw bug(`range ${range}`);
    return (read.value & mask.value) === value.value;
  }
  const cidr = parseCidr(range);
  if (cidr.kind !== 'cidr') throw bug(`range ${range}`);
  return contains(cidr.cidr, read);
}

function conclude(packet: Packet, ways: readonly Way[], mark: number): Traced {
  const kinds = new Set(ways.map(outcomeOf));
  const [kind] = kinds;
  const what = `${packet.source} to ${packet.destination}:${packet.port}/${packet.protocol}`;
  if (kinds.size !== 1 || kind === undefined) {
    throw bug(`${what} ends in more than one way: ${[...kinds].join(', ')}`);
  }
  if (kind === 'drop' || kind === 'reject') return { kind };
  for (const { state } of ways) {
    if (state.mark !== mark) throw bug(`${what} keeps mark ${state.mark} instead of ${mark}`);
  }
  if (kind === 'untouched') {
    if (ways.some(({ state }) => state.masquerade)) throw bug(`${what} is no Service but is masqueraded`);
    return { kind };
  }
  const to = new Map<string, TracedEndpoint>();
  for (const { state } of ways) {
    const { destination: address, port, masquerade } = state;
    const id = `${address} ${port} ${masquerade}`;
    const share = (to.get(id)?.share ?? 0) + (state.remembered ? 0 : state.share);
    to.set(id, { address, port, masquerade, share });
  }
  return { kind: 'deliver', to: [...to.values()] };
}

function outcomeOf({ state, verdict }: Way): Traced['kind'] {
  if (verdict === 'drop' || verdict === 'reject') return verdict;
  return state.sent ? 'deliver' : 'untouched';
}
