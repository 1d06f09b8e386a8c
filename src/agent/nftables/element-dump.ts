/**
 * Elements as the kernel tells them over netlink, read back into the texts that nft would list (pure). Having nft make
 * that text is nearly all of a listing.
 */
import { formatAddress } from '../../core/cidr.ts';
import type { DumpMessage } from '../netlink/dump.ts';
import { attributes, notUnderstood } from '../netlink/dump.ts';
import { bytesOf, isKnown, packingOf, sizeOf, type Component, type Packing } from './packing.ts';
import type { SetShape } from './table.ts';

/** How the elements of a set are told. */
export type Reading =
  /** Key to value. */
  | { readonly kind: 'plain'; readonly packing: Packing }
  /** Key to a chain. */
  | { readonly kind: 'verdicts'; readonly key: readonly Component[] }
  /** Each from key to key, component by component. */
  | { readonly kind: 'ranges'; readonly key: readonly Component[] }
  /** Ends of ranges of addresses. */
  | { readonly kind: 'ends'; readonly key: readonly Component[] };

/** Undefined where packets fill it, or it is of types not known here. */
export function readingOf(set: SetShape): Reading | undefined {
  const packing = packingOf(set);
  if (packing !== undefined) return { kind: 'plain', packing };
  const [line = '', flags, ...more] = set.lines;
  const [types = '', value] = line.replace(/^type /u, '').split(' : ');
  const key = types.split(' . ');
  if (!key.every(isKnown) || more.length > 0) return undefined;
  if (flags === undefined) return value === 'verdict' ? { kind: 'verdicts', key } : undefined;
  if (flags !== 'flags interval' || value !== undefined) return undefined;
  return key.length === 1 ? { kind: 'ends', key } : { kind: 'ranges', key };
}

const attribute = { elements: 3, element: 1, key: 1, value: 2, flags: 3, keyEnd: 10 } as const;
const dataOf = { value: 1, verdict: 2 } as const;
const verdictPart = { code: 1, chain: 2 } as const;
const newElements = 10 * 256 + 12;
const goto = -4;
const endOfInterval = 1;

/**
 * Key to value, value empty in a set. It yields after each message, so that whoever runs it can leave time for others.
 *
 * @throws SluiceError `bug` where the kernel says what is not understood.
 */
export function* readElements(
  messages: readonly DumpMessage[],
  reading: Reading,
): Generator<undefined, Map<string, string>> {
  const reader = new ElementReader(reading);
  for (const { type, content } of messages) {
    if (type !== newElements) throw notUnderstood(`message ${type}`);
    reader.message(content);
    yield undefined;
  }
  return reader.end();
}

interface End {
  readonly address: bigint;
  readonly isEnd: boolean;
}

class ElementReader {
  readonly #elements = new Map<string, string>();
  readonly #ends: End[] = [];
  readonly #reading: Reading;
  readonly #key: readonly Component[];
  readonly #keySize: number;

  constructor(reading: Reading) {
    this.#reading = reading;
    this.#key = reading.kind === 'plain' ? reading.packing.key : reading.key;
    this.#keySize = sizeOf(this.#key);
  }

  message(bytes: Buffer): void {
    attributes(bytes, 0, bytes.length, (kind, from, end) => {
      if (kind !== attribute.elements) return;
      attributes(bytes, from, end, (part, start, until) => {
        if (part !== attribute.element) throw notUnderstood(`a list with ${part}`);
        this.#element(bytes, start, until);
      });
    });
  }

  end(): Map<string, string> {
    if (this.#reading.kind === 'ends') {
      for (const text of rangesOf(this.#ends, (this.#keySize * 8) as 32 | 128)) this.#elements.set(text, '');
    }
    return this.#elements;
  }

  #element(bytes: Buffer, from: number, end: number): void {
    const at = { key: -1, keyEnd: -1, value: -1, valueEnd: -1 };
    let flags = 0;
    attributes(bytes, from, end, (kind, start, until) => {
      if (kind === attribute.key) at.key = dataAt(bytes, start, until, this.#keySize);
      else if (kind === attribute.keyEnd) at.keyEnd = dataAt(bytes, start, until, this.#keySize);
      else if (kind === attribute.flags) flags = bytes.readUInt32BE(start);
      else if (kind === attribute.value) [at.value, at.valueEnd] = [start, until];
    });
    if (at.key < 0) throw notUnderstood('an element without a key');
    const key = this.#key;
    switch (this.#reading.kind) {
      case 'plain': {
        const { value } = this.#reading.packing;
        this.#elements.set(
          textOf(bytes, at.key, key),
          value.length === 0 ? '' : textOf(bytes, dataAt(bytes, at.value, at.valueEnd, sizeOf(value)), value),
        );
        return;
      }
      case 'verdicts':
        this.#elements.set(textOf(bytes, at.key, key), verdictOf(bytes, at.value, at.valueEnd));
        return;
      case 'ranges':
        this.#elements.set(
          rangeTexts(bytes, at.key, at.keyEnd < 0 ? at.key : at.keyEnd, key).join(' . '),
          '',
        );
        return;
      case 'ends':
        this.#ends.push({
          address: bigOf(bytes, at.key, this.#keySize),
          isEnd: (flags & endOfInterval) !== 0,
        });
    }
  }
}

/** Where the one value of an attribute stands. */
function dataAt(bytes: Buffer, from: number, end: number, size: number): number {
  if (from < 0 || end - from !== size + 4 || (bytes.readUInt16LE(from + 2) & 0x3f_ff) !== dataOf.value)
    throw notUnderstood('a value of another size');
  return from + 4;
}

function verdictOf(bytes: Buffer, from: number, end: number): string {
  let [code, chain] = [0, ''];
  if (from < 0) throw notUnderstood('an element without a verdict');
  attributes(bytes, from, end, (kind, start, until) => {
    if (kind !== dataOf.verdict) throw notUnderstood('a value in place of a verdict');
    attributes(bytes, start, until, (part, at, last) => {
      if (part === verdictPart.code) code = bytes.readInt32BE(at);
      else if (part === verdictPart.chain) chain = bytes.toString('latin1', at, last - 1);
    });
  });
  return code === goto ? `goto ${chain}` : `verdict ${code} ${chain}`;
}

function textOf(bytes: Buffer, from: number, components: readonly Component[]): string {
  let at = from;
  let text = '';
  for (const component of components) {
    text += text === '' ? componentText(bytes, at, component) : ` . ${componentText(bytes, at, component)}`;
    at += bytesOf[component];
  }
  return text;
}

function componentText(bytes: Buffer, at: number, component: Component): string {
  switch (component) {
    case 'ipv4_addr':
      return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
    case 'ipv6_addr':
      return ipv6Text(bytes, at);
    case 'inet_proto':
      return String(bytes[at]);
    case 'inet_service':
      return String(bytes.readUInt16BE(at));
    case 'classid': {
      const [high, low] = [bytes.readUInt16LE(at + 2), bytes.readUInt16LE(at)];
      return high === 0 && low === 0 ? 'none' : `${high.toString(16)}:${low.toString(16)}`;
    }
  }
}

/** As nft lists it (inet_ntop): the form of RFC 5952, the last 32 bits as an IPv4 address where no others are set. */
function ipv6Text(bytes: Buffer, at: number): string {
  let [gap, gapLength, run] = [-1, 1, 0];
  for (let group = 0; group < 8; group += 1) {
    run = bytes.readUInt16BE(at + group * 2) === 0 ? run + 1 : 0;
    if (run > gapLength) [gap, gapLength] = [group - run + 1, run];
  }
  const embeds =
    gap === 0 && (gapLength === 6 || (gapLength === 5 && bytes.readUInt16BE(at + 10) === 0xff_ff));
  let text = '';
  for (let group = 0; group < 8; group += 1) {
    if (group === gap) {
      text += '::';
      group += gapLength - 1;
    } else {
      if (text !== '' && !text.endsWith(':')) text += ':';
      if (embeds && group === 6) return text + componentText(bytes, at + 12, 'ipv4_addr');
      text += bytes.readUInt16BE(at + group * 2).toString(16);
    }
  }
  return text;
}

function rangeTexts(bytes: Buffer, from: number, to: number, components: readonly Component[]): string[] {
  let offset = 0;
  return components.map((component) => {
    const [low, high] = [from + offset, to + offset];
    const size = bytesOf[component];
    offset += size;
    if (bytes.compare(bytes, low, low + size, high, high + size) === 0)
      return componentText(bytes, low, component);
    if (component !== 'ipv4_addr' && component !== 'ipv6_addr')
      return `${componentText(bytes, low, component)}-${componentText(bytes, high, component)}`;
    return addressRange(bigOf(bytes, low, size), bigOf(bytes, high, size), (size * 8) as 32 | 128);
  });
}

/** Pairs of ends; the last range may go to the end of all addresses, and the kernel may begin with an end at 0. */
function rangesOf(ends: readonly End[], bits: 32 | 128): string[] {
  const texts: string[] = [];
  let low: bigint | undefined;
  const sorted = ends.toSorted((a, b) => {
    if (a.address !== b.address) return a.address < b.address ? -1 : 1;
    // One range may begin where another ends.
    return Number(b.isEnd) - Number(a.isEnd);
  });
  for (const { address, isEnd } of sorted) {
    if (isEnd && low !== undefined) texts.push(addressRange(low, address - 1n, bits));
    if (!isEnd && low !== undefined) throw notUnderstood('ranges in each other');
    low = isEnd ? undefined : address;
  }
  if (low !== undefined) texts.push(addressRange(low, (1n << BigInt(bits)) - 1n, bits));
  return texts;
}

/** As nft lists it: one address, a prefix where it is one, else both ends. */
function addressRange(low: bigint, high: bigint, bits: 32 | 128): string {
  const family = bits === 32 ? 'IPv4' : 'IPv6';
  const text = formatAddress({ family, value: low });
  if (low === high) return text;
  const size = high - low + 1n;
  const host = size.toString(2).length - 1;
  const isPrefix = 1n << BigInt(host) === size && low % size === 0n;
  return isPrefix ? `${text}/${bits - host}` : `${text}-${formatAddress({ family, value: high })}`;
}

function bigOf(bytes: Buffer, at: number, size: number): bigint {
  return BigInt(`0x${bytes.toString('hex', at, at + size)}`);
}
