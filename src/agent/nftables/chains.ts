/**
 * The chains that destinations lead to: by shape, shared by all decisions of one shape, so that their number is that of
 * distinct endpoint counts and policies and not that of Services.
 *
 * A destination holds the number of its shape, and one small map leads from numbers to chains. Were the chain in the
 * destination's element, the kernel would walk every element of that map again at each change of one: a millisecond
 * at 10,000 Services.
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
import { createHash } from 'node:crypto';
import { SluiceError, unreachable } from '../../core/errors.ts';
import type { LocalSource, NodeDecision } from '../decision.ts';
import { wordsOf, type Words } from './words.ts';

/** A chain without a hook: its name says its shape, so equal names have equal rules. */
export interface Chain {
  readonly name: string;
  /** How destinations name it, in the form in which nft lists a traffic class. */
  readonly number: string;
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

/** Leads from the number of a shape to its chain. */
export const shapeMap = 'shapes';

/** Maps whose values are numbers of shapes. */
export const dispatchMaps = { address: 'service-ips', port: 'service-nodeports' } as const;

export function gotoText({ name }: Pick<Chain, 'name'>): string {
  return `goto ${name}`;
}

export const refuse: Chain = {
  name: 'refuse',
  number: shapeNumber('refuse'),
  rules: ['reject'],
  leadsTo: [],
};
export const silence: Chain = {
  name: 'silence',
  number: shapeNumber('silence'),
  rules: ['drop'],
  leadsTo: [],
};

/**
 * The same on every node and after every restart: made of the name, not counted. Neither half is 0 and the upper one is
 * not full, because nft has words of its own for some of those.
 */
function shapeNumber(name: string): string {
  const digest = createHash('sha256').update(name).digest();
  const high = 1 + (digest.readUInt16BE(0) % 0xfffe);
  const low = 1 + (digest.readUInt16BE(2) % 0xffff);
  return `${high.toString(16)}:${low.toString(16)}`;
}

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

/** The dynamic map of clients, by port with affinity, and their slots. */
export const clientMap = 'sticky-clients';

/** The half of a number that says the port, and the half that says the slot. */
const portHalf = 'meta priority & ffff:0';
const slotHalf = 'meta priority & 0:ffff';

export function guardSet(place: Place): string {
  return place === 'address' ? 'source-ranges' : 'nodeport-source-ranges';
}

/** Makes the chains of one node's settings, each once. */
export class Chains {
  readonly #known = new Map<string, Chain>([refuse, silence].map((chain) => [chain.name, chain]));
  readonly #numbered = new Map<string, Chain>([refuse, silence].map((chain) => [chain.number, chain]));
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

  /** The chain that a destination's number stands for. */
  numbered(number: string): Chain | undefined {
    return this.#numbered.get(number);
  }

  balance(shape: Balancing): Chain {
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
  guarded(place: Place, then: Chain): Chain {
    const key = this.#key(place);
    const check = `${key} . ${this.#words.header} saddr != @${guardSet(place)} drop`;
    const name = `${place === 'address' ? '' : 'nodeport-'}guard-${then.name}`;
    return this.#make(name, () => ({ rules: [check, gotoText(then)], leadsTo: [then] }));
  }

  /** Policy Local: what pods, processes of the node (the same, masqueraded) and everybody else get. */
  split(pod: Chain, process: Chain, others: Chain): Chain {
    const name = `split-${pod.name}-or-${others.name}`;
    const whenPod = this.#isPod;
    return this.#make(name, () => ({
      rules: [
        ...(whenPod === undefined ? [] : [`${whenPod} ${gotoText(pod)}`]),
        `fib saddr type local ${gotoText(process)}`,
        gotoText(others),
      ],
      leadsTo: [...(whenPod === undefined ? [] : [pod]), process, others],
    }));
  }

  #make(name: string, make: () => Omit<Chain, 'name' | 'number'>): Chain {
    let chain = this.#known.get(name);
    if (chain === undefined) {
      let number = shapeNumber(name);
      // Two names in four thousand million; still, one Service must not get the rules of another.
      for (let turn = 1; this.#numbered.has(number); turn += 1) number = shapeNumber(`${name} ${turn}`);
      chain = { name, number, ...make() };
      this.#known.set(name, chain);
      this.#numbered.set(number, chain);
    }
    return chain;
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
   * The client's slot is kept in a map that the kernel fills, by the number of the port: whichever of its destinations
   * the client comes to, it is the same client (rule A1). Bucket 0 tells that number. A full map makes `update` fail,
   * which ends that rule alone: plain balancing remains. A slot whose endpoint is gone, or is not in this list, leads
   * nowhere: the client is forgotten and draws again.
   */
  #sticky({ place, list, buckets, hash }: Balancing, seconds: number): string[] {
    const { header } = this.#words;
    const key = this.#key(place);
    const maps = rowMaps(place, list);
    const known = `${slotHalf} != none`;
    const client = clientKey(this.#words, portHalf);
    const remember = `update @${clientMap} { ${client} timeout ${timeText(seconds)} : meta priority }`;
    const go = `dnat ${header} to ${key} . meta priority map @${maps.slots}`;
    const draw = (bucket: string): string =>
      `meta priority set ${bucket} meta priority set ${key} . meta priority map @${maps.draws}`;
    return [
      `${draw('none')} meta priority set ${portHalf}`,
      `meta priority set ${clientKey(this.#words, 'meta priority')} map @${clientMap}`,
      `${known} ${remember}`,
      `${known} ${go}`,
      `${known} delete @${clientMap} { ${client} : meta priority }`,
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
 * A client of one port. nft 1.0.6 dies over an `update` whose key is longer than 16 bytes, so over IPv6 the key is a
 * hash: of 131,072 clients some four share theirs with another, and with it the endpoint.
 */
function clientKey(words: Words, port: string): string {
  const whole = `${words.header} saddr . ${port}`;
  return words.family === 'IPv4' ? whole : `jhash ${whole} mod 4294967295 seed ${hashSeed}`;
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
