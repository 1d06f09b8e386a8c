/**
 * Protobuf messages to the values that the API's JSON has for them, as far as a shape names them.
 *
 * Never reads past the end that it was given: a length that reaches further, or a number without an end, is an error and
 * not a short value.
 */
import { SluiceError } from '../../core/errors.ts';
import type { Field, Range, Shape } from './shape.ts';

type Values = Record<string, unknown>;

/**
 * The message that these bytes are; without a range, all of them.
 *
 * @throws SluiceError transient, code `UnparsableLine`, for bytes that are no such message.
 */
export function decodeMessage(
  shape: Shape,
  bytes: Buffer,
  { from, to }: Range = { from: 0, to: bytes.length },
): Readonly<Record<string, unknown>> {
  return new Decoder(bytes, from).message(shape, to);
}

/** The types of the wire format. */
const varint = 0;
const fixed64 = 1;
const lengthDelimited = 2;
const fixed32 = 5;

class Decoder {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  message(shape: Shape, end: number): Values {
    const values: Values = {};
    while (this.#at < end) {
      const tag = this.#varint(end);
      const field = shape[tag >>> 3];
      if (field === undefined) this.#skip(tag & 7, end);
      else this.#field(field, tag & 7, values, end);
    }
    return values;
  }

  #field(field: Field, type: number, values: Values, end: number): void {
    if (field.kind === 'integer' || field.kind === 'flag') {
      if (type !== varint) throw broken(`a field "${field.name}" that is no number`);
      const number = this.#varint(end);
      if (number === 0 && field.pointer !== true) return;
      values[field.name] = field.kind === 'flag' ? number !== 0 : number;
      return;
    }
    if (type !== lengthDelimited) throw broken(`a field "${field.name}" without a length`);
    const last = this.#length(end);
    switch (field.kind) {
      case 'text':
        if (last > this.#at || field.pointer === true) values[field.name] = this.#text(last);
        break;
      case 'texts':
        listIn(values, field.name).push(this.#text(last));
        break;
      case 'range':
        values[field.name] = { from: this.#at, to: last } satisfies Range;
        break;
      case 'map':
        this.#entry(values, field.name, last);
        break;
      case 'time': {
        const { seconds } = this.message(timeShape, last);
        if (typeof seconds === 'number') values[field.name] = rfc3339(seconds);
        break;
      }
      case 'number-or-name': {
        const { type: isName, number = 0, name = '' } = this.message(numberOrName, last);
        values[field.name] = isName === 1 ? name : number;
        break;
      }
      case 'message':
        values[field.name] = this.message(field.shape, last);
        break;
      case 'messages':
        listIn(values, field.name).push(this.message(field.shape, last));
        break;
      case 'fields': {
        const { json } = this.message(fieldsShape, last);
        if (typeof json === 'string' && json.includes(field.needle)) values[field.name] = parsed(json);
        break;
      }
    }
    this.#at = last;
  }

  #entry(values: Values, name: string, end: number): void {
    const held = values[name];
    const map = (held ?? (values[name] = {})) as Record<string, string>;
    const { key = '', value = '' } = this.message(entryShape, end) as { key?: string; value?: string };
    // Not by assignment: `__proto__` is a key like any other.
    if (key === '__proto__') {
      Object.defineProperty(map, key, { value, enumerable: true, writable: true, configurable: true });
    } else map[key] = value;
  }

  #text(end: number): string {
    const from = this.#at;
    this.#at = end;
    return from === end ? '' : textOf(this.#bytes, from, end);
  }

  /** Where what follows ends. */
  #length(end: number): number {
    const length = this.#varint(end);
    const last = this.#at + length;
    if (length < 0 || last > end) throw broken('a length that reaches past the end');
    return last;
  }

  /** Exact to 2⁵³; two's complement where all 64 bits are used, as negative numbers do. */
  #varint(end: number): number {
    const bytes = this.#bytes;
    let at = this.#at;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count += 1) {
      const byte = at < end ? bytes[at] : undefined;
      if (byte === undefined) throw broken('a number without an end');
      at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        const from = this.#at;
        this.#at = at;
        return count < 9 ? value : Number(BigInt.asIntN(64, bigVarint(bytes, from, at)));
      }
      scale *= 128;
    }
    throw broken('a number of more than 64 bits');
  }

  #skip(type: number, end: number): void {
    switch (type) {
      case varint:
        this.#varint(end);
        return;
      case lengthDelimited:
        this.#at = this.#length(end);
        return;
      case fixed64:
      case fixed32:
        this.#at += type === fixed64 ? 8 : 4;
        if (this.#at > end) throw broken('a field that reaches past the end');
        return;
      default:
        throw broken(`a field of the unknown type ${type}`);
    }
  }
}

const timeShape: Shape = [undefined, { kind: 'integer', name: 'seconds' }];
const numberOrName: Shape = [
  undefined,
  { kind: 'integer', name: 'type' },
  { kind: 'integer', name: 'number' },
  { kind: 'text', name: 'name' },
];
const entryShape: Shape = [undefined, { kind: 'text', name: 'key' }, { kind: 'text', name: 'value' }];
const fieldsShape: Shape = [undefined, { kind: 'text', name: 'json' }];

function listIn(values: Values, name: string): unknown[] {
  const held = values[name];
  if (Array.isArray(held)) return held as unknown[];
  const list: unknown[] = [];
  values[name] = list;
  return list;
}

function bigVarint(bytes: Buffer, from: number, to: number): bigint {
  let value = 0n;
  for (let at = to - 1; at >= from; at -= 1) value = value * 128n + BigInt((bytes[at] ?? 0) & 0x7f);
  return value;
}

/** Texts that were read lately, each in the place that its length and three of its bytes give. Most come again. */
const lately: string[] = Array.from({ length: 1024 }, () => '');
const longestKept = 64;

function textOf(bytes: Buffer, from: number, end: number): string {
  const length = end - from;
  if (length > longestKept) return bytes.toString('utf8', from, end);
  const mixed =
    length + 7 * (bytes[from] ?? 0) + 31 * (bytes[end - 1] ?? 0) + 127 * (bytes[from + (length >> 1)] ?? 0);
  const place = mixed % lately.length;
  const kept = lately[place] ?? '';
  if (kept.length === length && isText(kept, bytes, from)) return kept;
  const text = bytes.toString('utf8', from, end);
  // As many characters as bytes: then it is ASCII, and can be compared byte by byte.
  if (text.length === length) lately[place] = text;
  return text;
}

function isText(text: string, bytes: Buffer, from: number): boolean {
  for (let at = text.length - 1; at >= 0; at -= 1) if (text.charCodeAt(at) !== bytes[from + at]) return false;
  return true;
}

/** The last one: what is listed together was often made together. */
let told = { seconds: Number.NaN, text: '' };

function rfc3339(seconds: number): string {
  if (seconds !== told.seconds) {
    const date = new Date(seconds * 1000);
    const text = Number.isNaN(date.getTime()) ? '' : `${date.toISOString().slice(0, 19)}Z`;
    told = { seconds, text };
  }
  return told.text;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw broken('managed fields that are not JSON', cause);
  }
}

// The bytes themselves stay out of the message: they may hold anything, secrets included.
export function broken(what: string, cause?: unknown): SluiceError {
  return new SluiceError('transient', `the API server's stream held ${what}`, {
    code: 'UnparsableLine',
    cause,
  });
}
