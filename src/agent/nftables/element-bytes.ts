/**
 * Elements of maps and sets as the kernel takes them over netlink (linux/netfilter/nf_tables.h), made of the same texts
 * that nft would read. Reading that text is most of what nft does at a first load. The kernel takes a batch as one
 * transaction, whole or not at all.
 */
import { SluiceError } from '../../core/errors.ts';
import { keyAndValue, type Transaction } from './ledger.ts';
import { markSet } from './marks.ts';
import { bytesOf, sizeOf, type Component, type Packing } from './packing.ts';
import { tableName, type Words } from './words.ts';

const nested = 0x80_00;
/** Of an element list. */
const attribute = { table: 1, set: 2, elements: 3 } as const;
/** Of a chain. */
const chainName = 3;
/** Of an element; the list's own children bear 1. */
const part = { key: 1, value: 2 } as const;
const dataValue = 1;

const subsystem = 10;
const message = {
  begin: 0x10,
  end: 0x11,
  getTable: subsystem * 256 + 1,
  getChain: subsystem * 256 + 4,
  getRules: subsystem * 256 + 7,
  getSets: subsystem * 256 + 10,
  addElements: subsystem * 256 + 12,
  getElements: subsystem * 256 + 13,
  getGeneration: subsystem * 256 + 16,
  deleteElements: subsystem * 256 + 14,
} as const;
const flag = { request: 1, acknowledge: 4, dump: 0x3_00, create: 0x4_00 } as const;

/** A length is two bytes; a little is left for what stands around. */
const mostInMessage = 60_000;
/** As much as a socket takes at once without being asked: `net.core.wmem_default` is 212,992. */
const mostInBatch = 150_000;

/** Gathers elements into batches. */
export class ElementBatches {
  readonly #family: number;
  readonly #most: number;
  readonly #done: Buffer[] = [];
  #bytes = Buffer.alloc(0);
  #at = 0;

  constructor({ version }: Pick<Words, 'version'>, most = mostInBatch) {
    this.#family = familyNumber({ version });
    this.#most = most;
  }

  get isEmpty(): boolean {
    return this.#done.length === 0 && this.#at === 0;
  }

  /**
   * @param items key and value of one after the other; a value is empty in a set.
   * @throws SluiceError `bug` where one is not of its type.
   */
  add(set: string, packing: Packing, items: readonly string[]): void {
    this.#put(message.addElements, set, packing, items);
  }

  /** The same for elements that go; `packing` and `items` without what they are mapped to. */
  delete(set: string, packing: Packing, items: readonly string[]): void {
    this.#put(message.deleteElements, set, packing, items);
  }

  #put(type: number, set: string, packing: Packing, items: readonly string[]): void {
    const size = elementSize(packing);
    const inOne = Math.max(1, Math.floor(mostInMessage / size)) * 2;
    for (let from = 0; from < items.length; from += inOne) {
      const until = Math.min(items.length, from + inOne);
      const needed = 128 + set.length + ((until - from) / 2) * size;
      if (this.#at > 0 && this.#at + needed > this.#most) this.#close();
      this.#reserve(needed);
      this.#message(type, set, packing, items.slice(from, until));
    }
  }

  /** The batches, each with the mark by which its transaction is known. */
  *take(mark: () => string): Generator<Buffer> {
    this.#close();
    for (const body of this.#done) {
      const marks = new Scribe(Buffer.alloc(512), 0);
      marks.header(message.deleteElements, flag.request, this.#family, () => marks.names(markSet));
      marks.header(message.addElements, flag.request | flag.create | flag.acknowledge, this.#family, () => {
        marks.names(markSet);
        marks.attribute(attribute.elements | nested, () =>
          marks.element({ key: ['classid'], value: [] }, mark(), ''),
        );
      });
      const around = new Scribe(Buffer.alloc(64), 0);
      around.header(message.begin, flag.request, 0, () => undefined, subsystem);
      const begin = around.at;
      around.header(message.end, flag.request, 0, () => undefined, subsystem);
      yield Buffer.concat([
        around.bytes.subarray(0, begin),
        body,
        marks.bytes.subarray(0, marks.at),
        around.bytes.subarray(begin, around.at),
      ]);
    }
    this.#done.length = 0;
  }

  #close(): void {
    if (this.#at > 0) this.#done.push(this.#bytes.subarray(0, this.#at));
    this.#bytes = Buffer.alloc(0);
    this.#at = 0;
  }

  #reserve(needed: number): void {
    if (this.#bytes.length >= this.#at + needed) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#at + needed, Math.min(this.#most, this.#at * 4)));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }

  #message(type: number, set: string, packing: Packing, items: readonly string[]): void {
    const scribe = new Scribe(this.#bytes, this.#at);
    const flags = flag.request | (type === message.addElements ? flag.create : 0);
    scribe.header(type, flags, this.#family, () => {
      scribe.names(set);
      scribe.attribute(attribute.elements | nested, () => {
        for (let at = 0; at < items.length; at += 2)
          scribe.element(packing, items[at] ?? '', items[at + 1] ?? '');
      });
    });
    this.#at = scribe.at;
  }
}

/**
 * A change as one batch. Undefined where nft has to write it: it makes chains, touches a set that is not plain, or is
 * more than the kernel takes at once.
 */
export function changeBatch(
  words: Words,
  packings: ReadonlyMap<string, Packing | undefined>,
  { chains, sets }: Transaction,
  mark: string,
): Buffer | undefined {
  if (chains.length > 0) return undefined;
  const batches = new ElementBatches(words);
  for (const [set, { deletes }] of sets) {
    const packing = packings.get(set);
    if (packing === undefined) return undefined;
    if (deletes.length > 0)
      batches.delete(
        set,
        { key: packing.key, value: [] },
        deletes.flatMap((key) => [key, '']),
      );
  }
  for (const [set, { adds }] of sets) {
    const packing = packings.get(set);
    if (packing !== undefined && adds.length > 0) batches.add(set, packing, adds.flatMap(keyAndValue));
  }
  const [batch, ...more] = batches.take(() => mark);
  return more.length > 0 ? undefined : batch;
}

/** Asks for everything of a kind: the sets or the rules of our table, or the elements of one set. */
export function dumpRequest(
  words: Pick<Words, 'version'>,
  what: 'getSets' | 'getRules' | 'getElements',
  set?: string,
): Buffer {
  return request(words, what, flag.dump, set);
}

/** Asks for our table itself, or for one of its chains. */
export function oneRequest(words: Pick<Words, 'version'>, chain?: string): Buffer {
  return request(words, chain === undefined ? 'getTable' : 'getChain', flag.acknowledge, chain);
}

function request(
  words: Pick<Words, 'version'>,
  what: keyof typeof message,
  flags: number,
  name: string | undefined,
): Buffer {
  const scribe = new Scribe(Buffer.alloc(128 + (name?.length ?? 0)), 0);
  scribe.header(message[what], flag.request | flags, familyNumber(words), () => {
    scribe.table();
    if (name !== undefined) scribe.name(what === 'getChain' ? chainName : attribute.set, name);
  });
  return scribe.bytes.subarray(0, scribe.at);
}

/** Asks for the number of the last transaction, whoever made it. */
export function generationRequest(): Buffer {
  const scribe = new Scribe(Buffer.alloc(64), 0);
  scribe.header(message.getGeneration, flag.request | flag.acknowledge, 0, () => undefined);
  return scribe.bytes.subarray(0, scribe.at);
}

/** AF_INET or AF_INET6. */
function familyNumber({ version }: Pick<Words, 'version'>): number {
  return version === 4 ? 2 : 10;
}

/** Bytes of one element. */
function elementSize({ key, value }: Packing): number {
  return 12 + sizeOf(key) + (value.length === 0 ? 0 : 8 + sizeOf(value));
}

/** Writes messages and attributes: lengths are filled in when what they hold is written. */
class Scribe {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** `struct nlmsghdr`, then `struct nfgenmsg`. */
  header(type: number, flags: number, family: number, content: () => void, resource = 0): void {
    const { bytes, at } = this;
    bytes.fill(0, at, at + 20);
    bytes.writeUInt16LE(type, at + 4);
    bytes.writeUInt16LE(flags, at + 6);
    bytes[at + 16] = family;
    bytes.writeUInt16BE(resource, at + 18);
    this.at = at + 20;
    content();
    bytes.writeUInt32LE(this.at - at, at);
  }

  attribute(type: number, content: () => void): void {
    const { at } = this;
    this.at = at + 4;
    content();
    this.#close(at, type);
  }

  table(): void {
    this.#text(attribute.table, tableName);
  }

  names(set: string): void {
    this.table();
    this.name(attribute.set, set);
  }

  name(type: number, name: string): void {
    this.#text(type, name);
  }

  element(packing: Packing, key: string, value: string): void {
    const { at } = this;
    this.at = at + 4;
    this.#data(part.key, packing.key, key);
    if (packing.value.length > 0) this.#data(part.value, packing.value, value);
    this.#close(at, 1 | nested);
  }

  #data(type: number, components: readonly Component[], text: string): void {
    const { at } = this;
    this.at = at + 8;
    this.#components(components, text);
    this.#close(at + 4, dataValue);
    this.#close(at, type | nested);
  }

  #text(type: number, text: string): void {
    const { bytes, at } = this;
    const end = at + 4 + bytes.write(text, at + 4, 'latin1');
    this.at = (end + 4) & ~3;
    bytes.fill(0, end, this.at);
    bytes.writeUInt16LE(end + 1 - at, at);
    bytes.writeUInt16LE(type, at + 2);
  }

  #close(at: number, type: number): void {
    this.bytes.writeUInt16LE(this.at - at, at);
    this.bytes.writeUInt16LE(type, at + 2);
  }

  /** `10.96.0.1 . 6 . 80 . none`, each component in its bytes. */
  #components(components: readonly Component[], text: string): void {
    let from = 0;
    for (const component of components) {
      if (from > text.length) throw notOfType(text);
      const space = text.indexOf(' ', from);
      const end = space < 0 ? text.length : space;
      switch (component) {
        case 'ipv4_addr':
          this.#ipv4(text, from, end);
          break;
        case 'ipv6_addr':
          this.#ipv6(text, from, end);
          break;
        case 'inet_proto':
          this.bytes.writeUInt32LE(decimal(text, from, end, 0xff), this.at);
          break;
        case 'inet_service':
          // In the order of the wire, and nothing after it.
          this.bytes.writeUInt32BE(decimal(text, from, end, 0xff_ff) * 0x1_00_00, this.at);
          break;
        case 'classid':
          this.bytes.writeUInt32LE(classid(text, from, end), this.at);
          break;
      }
      this.at += bytesOf[component];
      from = end + ' . '.length;
    }
    if (from !== text.length + ' . '.length) throw notOfType(text);
  }

  #ipv4(text: string, from: number, end: number): void {
    let { at } = this;
    let start = from;
    for (let dots = 0; dots < 3; dots += 1) {
      const dot = text.indexOf('.', start);
      if (dot < 0 || dot > end) throw notOfType(text);
      this.bytes[at] = decimal(text, start, dot, 0xff);
      at += 1;
      start = dot + 1;
    }
    this.bytes[at] = decimal(text, start, end, 0xff);
  }

  #ipv6(text: string, from: number, end: number): void {
    const { bytes, at } = this;
    const last = at + 16;
    bytes.fill(0, at, last);
    let to = at;
    let gap = -1;
    let start = from;
    for (let look = from; look <= end; look += 1) {
      if (look < end && text.charCodeAt(look) !== colon) continue;
      if (look > start) {
        if (to === last) throw notOfType(text);
        to = bytes.writeUInt16BE(hexadecimal(text, start, look), to);
      } else if (look < end && look > from) {
        if (gap >= 0) throw notOfType(text);
        gap = to;
      }
      start = look + 1;
    }
    if (to === last ? gap >= 0 : gap < 0) throw notOfType(text);
    if (gap < 0) return;
    // What comes after the gap stands at the end.
    bytes.copyWithin(last - (to - gap), gap, to);
    bytes.fill(0, gap, last - (to - gap));
  }
}

const colon = 58;

function decimal(text: string, from: number, end: number, most: number): number {
  let value = 0;
  for (let at = from; at < end; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) throw notOfType(text);
    value = value * 10 + digit;
  }
  if (from >= end || value > most) throw notOfType(text);
  return value;
}

/** `none`, or two numbers of sixteen bits: `0:1f`. */
function classid(text: string, from: number, end: number): number {
  if (end - from === 4 && text.startsWith('none', from)) return 0;
  const middle = text.indexOf(':', from);
  if (middle < 0 || middle > end) throw notOfType(text);
  return hexadecimal(text, from, middle) * 0x1_00_00 + hexadecimal(text, middle + 1, end);
}

function hexadecimal(text: string, from: number, end: number): number {
  let value = 0;
  for (let at = from; at < end; at += 1) {
    const code = text.charCodeAt(at);
    const digit = code >= 97 ? code - 87 : code - 48;
    if (digit < 0 || digit > 15 || (code > 57 && code < 97)) throw notOfType(text);
    value = value * 16 + digit;
  }
  if (from >= end || value > 0xff_ff) throw notOfType(text);
  return value;
}

function notOfType(text: string): SluiceError {
  return new SluiceError('bug', `${JSON.stringify(text)} is no element of its set`, { code: 'BadElement' });
}
