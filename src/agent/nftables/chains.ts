/**
 * The chains that verdicts lead to: by shape, shared by all decisions of one shape, so that their number is that of
 * distinct endpoint counts and policies and not that of Services.
 *
 * A balancing chain draws a bucket and looks its row up; then it looks bucket 0 up; then it drops. A packet between
 * the two look-ups of one transaction (old count, new rows) thereby finds bucket 0, and one whose Service has just
 * gone ends here instead of going out untranslated.
 *
 * `meta priority` carries a number from one look-up to the next: nft 1.0.6 takes a drawn number inside a key only where
 * the map is declared by `typeof`, and cannot add rules that use such a map to a table that is there already. Packets
 * leave with the priority cleared; only the first one of a connection comes here at all.
 *
 * Rule texts are written as nft lists them (`nft -p -y`), so that live rules can be compared with them as texts.
 */
import { SluiceError, unreachable } from '../../core/errors.ts';
import type { LocalSource, NodeDecision } from '../decision.ts';
import { wordsOf, type Words } from './words.ts';

/** A chain without a hook: its name says its shape, so equal names have equal rules. */
export interface Chain {
  readonly name: string;
  readonly rules: readonly string[];
  /** Chains that its rules go to: they must be there before it. */
  readonly leadsTo: readonly Chain[];
}

/** Destinations found by address or, node ports, by port alone: they have maps of their own. */
export type Place = 'address' | 'port';
export type List = 'cluster' | 'local';

/** When the source becomes the node's: never, always, or unless a pod asks. */
export type Masquerade = 'never' | 'always' | 'unless-pod';

export interface Balancing {
  readonly place: Place;
  readonly list: List;
  /** At least 1. */
  readonly buckets: number;
  readonly masquerade: Masquerade;
  readonly hash: boolean;
  readonly affinitySeconds: number | undefined;
}

/** What a verdict map holds, with the chain that it needs. */
export type Target = { readonly kind: 'drop' } | { readonly kind: 'goto'; readonly chain: Chain };

export function verdictOf(target: Target): string {
  return target.kind === 'drop' ? 'drop' : `goto ${target.chain.name}`;
}

const rejecting: Chain = { name: 'refuse', rules: ['reject'], leadsTo: [] };
export const rejectTarget: Target = { kind: 'goto', chain: rejecting };
export const dropTarget: Target = { kind: 'drop' };

/** All nodes hash alike: the number is arbitrary, but must never change. */
const hashSeed = '0x5106ce';

/** Names of the maps that hold rows, by place and list. */
export function rowMaps(place: Place, list: List): { rows: string; draws: string; slots: string } {
  const prefix = place === 'address' ? '' : 'nodeport-';
  return {
    rows: `${prefix}endpoints-${list}`,
    draws: `${prefix}sticky-buckets-${list}`,
    slots: `${prefix}sticky-slots-${list}`,
  };
}

/** The dynamic map of clients and their slots. */
export function clientMap(place: Place): string {
  return place === 'address' ? 'sticky-clients' : 'nodeport-sticky-clients';
}

export function guardSet(place: Place): string {
  return place === 'address' ? 'source-ranges' : 'nodeport-source-ranges';
}

/** Makes the chains of one node's settings, each once. */
export class Chains {
  readonly #known = new Map<string, Chain>([[rejecting.name, rejecting]]);
  readonly #words: Words;
  readonly #mark: string;
  readonly #isPod: string | undefined;
  readonly #notPod: string;

  constructor(node: NodeDecision) {
    this.#words = wordsOf(node.family);
    this.#mark = markText(node.markBit);
    this.#isPod = podMatch(node.localSource, this.#words, '');
    this.#notPod = podMatch(node.localSource, this.#words, '!= ') ?? '';
  }

  /** Every chain made so far. */
  get(name: string): Chain | undefined {
    return this.#known.get(name);
  }

  balance(shape: Balancing): Target {
    const { place, list, buckets, masquerade, hash, affinitySeconds } = shape;
    const parts = [place === 'address' ? 'to' : 'nodeport-to', list, String(buckets)];
    if (hash) parts.push('hash');
    if (affinitySeconds !== undefined) parts.push(`sticky-${affinitySeconds}`);
    if (masquerade === 'always') parts.push('masquerade');
    if (masquerade === 'unless-pod') parts.push('strangers');
    return this.#make(parts.join('-'), () => ({
      rules: [
        ...this.#marking(masquerade),
        ...(affinitySeconds === undefined ? this.#drawing(shape) : this.#sticky(shape, affinitySeconds)),
        'drop',
      ],
      leadsTo: [],
    }));
  }

  /** Who is outside the ranges of the destination is dropped before anything else is asked. */
  guarded(place: Place, then: Target): Target {
    const key = this.#key(place);
    const check = `${key} . ${this.#words.header} saddr != @${guardSet(place)} drop`;
    const name = `${place === 'address' ? '' : 'nodeport-'}guard-${nameOf(then)}`;
    return this.#make(name, () => ({ rules: [check, ruleOf(then)], leadsTo: chainsOf(then) }));
  }

  /** Policy Local: what pods, processes of the node (the same, masqueraded) and everybody else get. */
  split(pod: Target, process: Target, others: Target): Target {
    const name = `split-${nameOf(pod)}-or-${nameOf(others)}`;
    const whenPod = this.#isPod;
    return this.#make(name, () => ({
      rules: [
        ...(whenPod === undefined ? [] : [`${whenPod} ${ruleOf(pod)}`]),
        `fib saddr type local ${ruleOf(process)}`,
        ruleOf(others),
      ],
      leadsTo: [...(whenPod === undefined ? [] : chainsOf(pod)), ...chainsOf(process), ...chainsOf(others)],
    }));
  }

  #make(name: string, make: () => Omit<Chain, 'name'>): Target {
    let chain = this.#known.get(name);
    if (chain === undefined) {
      chain = { name, ...make() };
      this.#known.set(name, chain);
    }
    return { kind: 'goto', chain };
  }

  #key(place: Place): string {
    return destinationKey(this.#words, place);
  }

  #marking(masquerade: Masquerade): string[] {
    const set = `meta mark set meta mark | ${this.#mark}`;
    switch (masquerade) {
      case 'never':
        return [];
      case 'always':
        return [set];
      case 'unless-pod':
        return [`${this.#notPod} ${set}`];
      default:
        return unreachable(masquerade);
    }
  }

  #draw(buckets: number, hash: boolean): string {
    return hash
      ? `jhash ${this.#words.header} saddr . th sport mod ${buckets} seed ${hashSeed}`
      : `numgen random mod ${buckets}`;
  }

  #drawing({ place, list, buckets, hash }: Balancing): string[] {
    const { header } = this.#words;
    const { rows } = rowMaps(place, list);
    const to = (draw: string): string =>
      `meta priority set ${draw} dnat ${header} to ${this.#key(place)} . meta priority map @${rows}`;
    return [to(this.#draw(buckets, hash)), to('none')];
  }

  /**
   * The client's slot is kept in a map that the kernel fills. A full map makes `update` fail, which ends that rule
   * alone: plain balancing remains. A slot whose endpoint is gone leads nowhere: the client is forgotten and draws again.
   */
  #sticky({ place, list, buckets, hash }: Balancing, seconds: number): string[] {
    const { header } = this.#words;
    const key = this.#key(place);
    const maps = rowMaps(place, list);
    const clients = clientMap(place);
    const client = clientKey(this.#words, place);
    const remember = `update @${clients} { ${client} timeout ${timeText(seconds)} : meta priority }`;
    const go = `dnat ${header} to ${key} . meta priority map @${maps.slots}`;
    const draw = (bucket: string): string =>
      `meta priority set ${bucket} meta priority set ${key} . meta priority map @${maps.draws}`;
    return [
      'meta priority set none',
      `meta priority set ${client} map @${clients}`,
      `meta priority != none ${remember}`,
      `meta priority != none ${go}`,
      `meta priority != none delete @${clients} { ${client} : meta priority }`,
      draw(this.#draw(buckets, hash)),
      remember,
      go,
      draw('none'),
      go,
    ];
  }
}

/** The key of a destination, as every map of that place begins. */
export function destinationKey(words: Words, place: Place): string {
  return place === 'address' ? `${words.header} daddr . meta l4proto . th dport` : 'meta l4proto . th dport';
}

/**
 * A client of one destination. nft 1.0.6 dies over an `update` whose key is longer than 16 bytes, so over IPv6 the key
 * is a hash: of 131,072 clients some four share theirs with another, and with it the endpoint.
 */
export function clientKey(words: Words, place: Place): string {
  const whole = `${words.header} saddr . ${destinationKey(words, place)}`;
  return words.family === 'IPv4' ? whole : `jhash ${whole} mod 4294967295 seed ${hashSeed}`;
}

function nameOf(target: Target): string {
  return target.kind === 'drop' ? 'drop' : target.chain.name;
}

function ruleOf(target: Target): string {
  return verdictOf(target);
}

function chainsOf(target: Target): Chain[] {
  return target.kind === 'drop' ? [] : [target.chain];
}

/** @throws SluiceError `invalid` where there is no such bit. */
export function markText(bit: number): string {
  if (!Number.isInteger(bit) || bit < 0 || bit > 31) {
    throw new SluiceError('invalid', `a packet mark has bits 0 to 31, not ${bit}`, { code: 'BadMarkBit' });
  }
  return `0x${(2 ** bit).toString(16).padStart(8, '0')}`;
}

function podMatch(source: LocalSource, words: Words, not: '' | '!= '): string | undefined {
  switch (source.kind) {
    case 'cidrs':
      return `${words.header} saddr ${not}@pods`;
    case 'interface':
      return `iifname ${not}"${checkedInterface(source.name)}"`;
    case 'interface-prefix':
      return `iifname ${not}"${checkedInterface(source.prefix)}*"`;
    case 'none':
      return undefined;
    default:
      return unreachable(source);
  }
}

function checkedInterface(name: string): string {
  if (!/^[\w.:@-]{1,15}$/.test(name)) {
    throw new SluiceError('invalid', `${JSON.stringify(name)} is not the name of a network interface`, {
      code: 'BadInterfaceName',
    });
  }
  return name;
}

/** Seconds in the form in which nft lists a time: `1h30m`. */
export function timeText(seconds: number): string {
  let rest = Math.max(1, Math.trunc(seconds));
  let text = '';
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.trunc(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}
