/**
 * Addresses and address ranges, read strictly.
 *
 * Lenient readers take `010.0.0.0/8` for `8.0.0.0/8` (octal), or `10/8` for something; what restricts access
 * must not be guessed at. Text is accepted when `net.isIP` accepts it, prefixes are plain decimals. A range
 * whose address has bits beyond its prefix is understood and said to be so: what people mean is clear, what
 * they typed is not what they get.
 */
import { isIP } from 'node:net';
import type { IpFamily } from './objects.ts';

export interface Address {
  readonly family: IpFamily;
  /** 32 or 128 bits. */
  readonly value: bigint;
}

export interface Cidr {
  readonly family: IpFamily;
  /** The first address, without host bits. */
  readonly base: bigint;
  readonly prefix: number;
  /** Canonical form: `10.0.0.0/8`, `2001:db8::/32`. */
  readonly text: string;
  /** The text had bits set beyond the prefix. */
  readonly hostBits: boolean;
}

export type ParsedCidr =
  | { readonly kind: 'cidr'; readonly cidr: Cidr }
  /** `message` quotes what was found. */
  | { readonly kind: 'malformed'; readonly message: string };

export function bitsOf(family: IpFamily): 32 | 128 {
  return family === 'IPv4' ? 32 : 128;
}

/** Undefined for anything that is not exactly one address; zones (`fe80::1%eth0`) are not accepted. */
export function parseAddress(text: string): Address | undefined {
  switch (text.includes('%') ? 0 : isIP(text)) {
    case 4:
      return { family: 'IPv4', value: valueOf4(text) };
    case 6:
      return { family: 'IPv6', value: valueOf6(text) };
    default:
      return undefined;
  }
}

export function parseCidr(text: string): ParsedCidr {
  const [host = '', prefixText, ...rest] = text.split('/');
  const address = parseAddress(host);
  if (address === undefined || prefixText === undefined || rest.length > 0) {
    const hint =
      address !== undefined && prefixText === undefined
        ? ` (for this one address write ${text}/${bitsOf(address.family)})`
        : '';
    return { kind: 'malformed', message: `"${text}" is not an address range such as 10.0.0.0/8${hint}` };
  }
  const bits = bitsOf(address.family);
  const prefix = /^(0|[1-9][0-9]{0,2})$/.test(prefixText) ? Number(prefixText) : Infinity;
  if (prefix > bits) {
    return { kind: 'malformed', message: `"${text}" has a prefix that is not a number from 0 to ${bits}` };
  }
  return { kind: 'cidr', cidr: makeCidr(address, prefix) };
}

function makeCidr({ family, value }: Address, prefix: number): Cidr {
  const hostBits = BigInt(bitsOf(family) - prefix);
  const base = (value >> hostBits) << hostBits;
  return {
    family,
    base,
    prefix,
    text: `${formatAddress({ family, value: base })}/${prefix}`,
    hostBits: base !== value,
  };
}

/** The last address of a range. */
export function lastOf({ family, base, prefix }: Cidr): bigint {
  return base + (1n << BigInt(bitsOf(family) - prefix)) - 1n;
}

export function contains(cidr: Cidr, address: Address): boolean {
  return cidr.family === address.family && address.value >= cidr.base && address.value <= lastOf(cidr);
}

/** Two ranges overlap exactly when one holds the first address of the other. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return contains(a, { family: b.family, value: b.base }) || contains(b, { family: a.family, value: a.base });
}

/** Dotted decimals, or the form of RFC 5952: lower case, the longest run of zeros (the first of equals) as `::`. */
export function formatAddress({ family, value }: Address): string {
  if (family === 'IPv4') return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  let best = { from: 0, length: 1 };
  let from = 0;
  groups.forEach((group, i) => {
    if (group !== '0') from = i + 1;
    else if (i - from + 1 > best.length) best = { from, length: i - from + 1 };
  });
  if (best.length === 1) return groups.join(':');
  return `${groups.slice(0, best.from).join(':')}::${groups.slice(best.from + best.length).join(':')}`;
}

function valueOf4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) + BigInt(part), 0n);
}

function valueOf6(text: string): bigint {
  // The last 32 bits may be written as an IPv4 address.
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted?.[1] !== undefined && dotted[2] !== undefined) {
    const low = valueOf4(dotted[2]);
    return valueOf6(`${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`);
  }
  const [head = '', tail] = text.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...middle, ...back].reduce((value, part) => (value << 16n) + BigInt(`0x${part}`), 0n);
}
