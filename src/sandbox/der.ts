/**
 * Distinguished Encoding Rules (X.690), the writing half: just what an X.509 certificate is made of.
 *
 * Node can make keys and sign, but it cannot write a certificate; these few encoders close that gap
 * without a dependency and without `openssl`. Each function returns one complete value: tag, length, content.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { SluiceError } from '../core/errors.ts';

/** Tag, length and content of one value. `tag` is the whole identifier octet. */
function encode(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag]), encodeLength(content.length), content]);
}

/** Below 128 one octet; above, the number of length octets and then the length (X.690, 8.1.3). */
function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const digits = base256(length);
  return Buffer.from([0x80 | digits.length, ...digits]);
}

function base256(value: number): number[] {
  const digits: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return digits;
}

export function sequence(...items: readonly Uint8Array[]): Buffer {
  return encode(0x30, Buffer.concat(items));
}

export function set(...items: readonly Uint8Array[]): Buffer {
  return encode(0x31, Buffer.concat(items));
}

export function boolean(value: boolean): Buffer {
  return encode(0x01, Buffer.from([value ? 0xff : 0x00]));
}

/** A non-negative integer from its big-endian octets: shortest form, never mistaken for a negative one. */
export function integer(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const short = magnitude.subarray(start);
  const needsSign = (short[0] ?? 0) >= 0x80;
  return encode(0x02, needsSign ? Buffer.concat([Buffer.from([0]), short]) : short);
}

/** An object identifier from its dotted form, for example `2.5.4.3`. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const arcs = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f));
    arcs.push(...groups);
  }
  return encode(0x06, Buffer.from(arcs));
}

export function utf8(text: string): Buffer {
  return encode(0x0c, Buffer.from(text, 'utf8'));
}

export function octets(content: Uint8Array): Buffer {
  return encode(0x04, content);
}

/** Whole octets as a bit string; `unused` is the number of padding bits at the end of the last one. */
export function bits(content: Uint8Array, unused = 0): Buffer {
  return encode(0x03, Buffer.concat([Buffer.from([unused]), content]));
}

/** A point in time, in milliseconds since the epoch, cut to the second: two-digit years up to 2049 (RFC 5280, 4.1.2.5). */
export function time(ms: number): Buffer {
  const digits = `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
  const late = new Date(ms).getUTCFullYear() >= 2050;
  return late ? encode(0x18, Buffer.from(digits)) : encode(0x17, Buffer.from(digits.slice(2)));
}

/** A value under a context-specific tag. Constructed ones hold whole values, primitive ones bare octets. */
export function tagged(number: number, form: 'constructed' | 'primitive', content: Uint8Array): Buffer {
  return encode((form === 'constructed' ? 0xa0 : 0x80) | number, content);
}

/** The four or sixteen octets of an IP address, as a certificate's alternative name holds them. */
export function addressOctets(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  if (!isIPv6(address) || /[.%]/.test(address)) {
    throw new SluiceError('invalid', `"${address}" is not an IP address in plain form`, {
      code: 'BadAddress',
    });
  }
  const [head, tail] = address.split('::');
  const left = addressGroups(head);
  const right = addressGroups(tail);
  const gap = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return Buffer.from([...left, ...gap, ...right].flatMap((group) => [group >> 8, group & 0xff]));
}

/** The 16-bit groups of one side of `::`. */
function addressGroups(part = ''): number[] {
  return part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
}
