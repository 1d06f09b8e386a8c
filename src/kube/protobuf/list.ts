/**
 * A whole list in the API's binary form, item by item as they come: the envelope of `events.ts` around a message whose
 * first field is the list's metadata and whose second is an item, as often as there are items.
 *
 * What has come of an item that is not whole yet waits; nothing else does. A list that breaks off is an error.
 */
import { asBuffer, envelopeMark, markLength } from './events.ts';
import { broken, decodeMessage } from './decode.ts';
import { shape as shapeOf, text, type Shape } from './shape.ts';

export interface ListPart {
  readonly items: readonly unknown[];
  /** Of the list; told once. */
  readonly version?: string;
}

/** `meta/v1 ListMeta`. */
const metaShape = shapeOf({ 2: text('resourceVersion') });
const varint = 0;
const fixed64 = 1;
const lengthDelimited = 2;
const fixed32 = 5;
/** Not even a list of everything is so long: this is a broken peer. */
const longestItem = 64 * 1024 * 1024;

/**
 * The items of each chunk at once.
 *
 * Errors: `transient`, code `UnparsableLine`.
 */
export async function* protobufList(
  chunks: AsyncIterable<Uint8Array>,
  shape: Shape,
): AsyncGenerator<ListPart, void> {
  const list = new ListReader(shape);
  for await (const chunk of chunks) {
    const part = list.push(asBuffer(chunk));
    if (part.items.length > 0 || part.version !== undefined) yield part;
  }
  list.end();
}

class ListReader {
  readonly #shape: Shape;
  #held: Buffer = Buffer.alloc(0);
  /** Bytes of what the reader looks at next, so that a long item is put together once. */
  #needed = markLength;
  #parts: Buffer[] = [];
  #waiting = 0;
  #at = 0;
  #state: 'mark' | 'envelope' | 'list' = 'mark';
  /** Of the list itself, still to come. */
  #left = 0;
  #whole = false;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  push(chunk: Buffer): ListPart {
    this.#parts.push(chunk);
    this.#waiting += chunk.length;
    const items: unknown[] = [];
    if (this.#waiting < this.#needed) return { items };
    this.#held = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#waiting);
    this.#at = 0;
    let version: string | undefined;
    for (;;) {
      const field = this.#next();
      if (field === undefined) break;
      const { number, from, to } = field;
      if (number === 1) {
        const { resourceVersion } = decodeMessage(metaShape, this.#held, { from, to });
        if (typeof resourceVersion === 'string') version = resourceVersion;
      } else if (number === 2) items.push(decodeMessage(this.#shape, this.#held, { from, to }));
    }
    this.#parts = this.#at === this.#held.length ? [] : [this.#held.subarray(this.#at)];
    this.#waiting = this.#held.length - this.#at;
    return version === undefined ? { items } : { items, version };
  }

  end(): void {
    if (!this.#whole || this.#left > 0 || this.#waiting > 0) throw broken('a list that breaks off');
  }

  /** The next field of the list that is here to its end. */
  #next(): { readonly number: number; readonly from: number; readonly to: number } | undefined {
    for (;;) {
      if (this.#state === 'mark') {
        if (!this.#here(markLength)) return undefined;
        if (this.#held.readUInt32BE(this.#at) !== envelopeMark)
          throw broken('a list without the mark of protobuf');
        this.#at += markLength;
        this.#state = 'envelope';
      } else if (this.#state === 'list' && this.#left === 0) {
        this.#state = 'envelope';
      } else {
        const start = this.#at;
        const tag = this.#head();
        if (tag === undefined) return undefined;
        const { number, from, to } = tag;
        if (this.#state === 'envelope') {
          if (number === 2 && !this.#whole) {
            this.#whole = true;
            this.#left = to - from;
            this.#at = from;
            this.#state = 'list';
            continue;
          }
          if (!this.#here(to - start)) return undefined;
          if (number === 3 && to > from) throw broken('a list in an encoding that nobody asked for');
          this.#at = to;
          continue;
        }
        if (to - start > this.#left) throw broken('a length that reaches past the end');
        if (to - start > longestItem) throw broken('an item without an end');
        if (!this.#here(to - start)) return undefined;
        this.#left -= to - start;
        this.#at = to;
        return { number, from, to };
      }
    }
  }

  /** Number and place of the field that begins here; undefined where not even that has come. */
  #head(): { readonly number: number; readonly from: number; readonly to: number } | undefined {
    const tag = this.#varint(this.#at);
    if (tag === undefined) return undefined;
    const number = Math.floor(tag.value / 8);
    switch (tag.value & 7) {
      case varint: {
        const value = this.#varint(tag.next);
        return value && { number: -1, from: tag.next, to: value.next };
      }
      case fixed64:
        return { number: -1, from: tag.next, to: tag.next + 8 };
      case fixed32:
        return { number: -1, from: tag.next, to: tag.next + 4 };
      case lengthDelimited: {
        const length = this.#varint(tag.next);
        return length && { number, from: length.next, to: length.next + length.value };
      }
      default:
        throw broken(`a field of the unknown type ${tag.value & 7}`);
    }
  }

  #varint(at: number): { readonly value: number; readonly next: number } | undefined {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count += 1) {
      const byte = this.#held[at + count];
      if (byte === undefined) {
        this.#needed = this.#held.length - this.#at + 1;
        return undefined;
      }
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return { value, next: at + count + 1 };
      scale *= 128;
    }
    throw broken('a number of more than 64 bits');
  }

  /** Whether so many bytes are here; where not, they are waited for. */
  #here(length: number): boolean {
    if (this.#at + length <= this.#held.length) return true;
    this.#needed = length;
    return false;
  }
}
