/**
 * Address ranges of a pool: CIDRs and `first-last`, read strictly, and the places no pool may reach into.
 *
 * A range is the pair of its first and last address; both notations become the same thing here, so that what comes
 * after has one kind of range. Arithmetic is on whole numbers, never on text.
 */
import { bitsOf, formatAddress, parseAddress, parseCidr, type Address } from '../../../src/core/cidr.ts';
import type { IpFamily } from '../../../src/core/objects.ts';

export interface Range {
  readonly family: IpFamily;
  readonly first: bigint;
  /** Inclusive. */
  readonly last: bigint;
  /** As it was written. */
  readonly text: string;
}

export type ParsedRange =
  | {
      readonly kind: 'range';
      readonly range: Range;
      /** Bits beyond the prefix were set: understood, and said. */
      readonly warning: string | undefined;
    }
  | { readonly kind: 'malformed'; readonly message: string; readonly cure: string };

/** Reads `192.0.2.0/28`, `192.0.2.10-192.0.2.20` and the same of IPv6. Blanks around the dash are allowed. */
export function parseRange(text: string): ParsedRange {
  const dash = text.split('-');
  if (dash.length === 1) return parsePrefix(text);
  const [first, last] = dash.map((part) => parseAddress(part.trim()));
  if (dash.length !== 2 || first === undefined || last === undefined) {
    return malformed(`"${text}" is not two addresses joined by a dash`, 'write it as 192.0.2.10-192.0.2.20');
  }
  if (first.family !== last.family)
    return malformed(`"${text}" begins in ${first.family} and ends in ${last.family}`, 'use one family');
  if (first.value > last.value)
    return malformed(`"${text}" ends before it begins`, 'write the lower address first');
  return settle({ family: first.family, first: first.value, last: last.value, text }, undefined);
}

function parsePrefix(text: string): ParsedRange {
  const parsed = parseCidr(text.trim());
  if (parsed.kind === 'malformed')
    return malformed(parsed.message, 'write a CIDR such as 192.0.2.0/28, or first-last');
  const { family, base, prefix, hostBits, text: canonical } = parsed.cidr;
  const last = base + (1n << BigInt(bitsOf(family) - prefix)) - 1n;
  return settle(
    { family, first: base, last, text },
    hostBits ? `"${text}" has bits beyond its prefix and is read as ${canonical}` : undefined,
  );
}

function settle(range: Range, warning: string | undefined): ParsedRange {
  const special = specials.find((one) => meets(one.range, range));
  if (special === undefined) return { kind: 'range', range, warning };
  return malformed(
    `"${range.text}" reaches into ${special.range.text}, which is ${special.what}`,
    'give out only addresses that the link can route to a node',
  );
}

function malformed(message: string, cure: string): ParsedRange {
  return { kind: 'malformed', message, cure };
}

/** Two ranges of one family share an address. */
export function meets(a: Range, b: Range): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** How many addresses; with `avoid`, those that end in .0 and .255 are not counted (IPv4 only). */
export function sizeOf({ family, first, last }: Range, avoid: boolean): bigint {
  const all = last - first + 1n;
  return avoid && family === 'IPv4' ? all - edges(first, last, 0n) - edges(first, last, 255n) : all;
}

/** How many values from `first` to `last` leave `rest` when divided by 256. */
function edges(first: bigint, last: bigint, rest: bigint): bigint {
  const upTo = (value: bigint): bigint => (value < rest ? 0n : (value - rest) / 256n + 1n);
  return upTo(last) - (first === 0n ? 0n : upTo(first - 1n));
}

/** Ends in .0 or .255, which some old firmware takes for a network's own or its broadcast address. */
export function isEdge({ family, value }: Address): boolean {
  if (family !== 'IPv4') return false;
  const low = value & 255n;
  return low === 0n || low === 255n;
}

export function textOf(family: IpFamily, value: bigint): string {
  return formatAddress({ family, value });
}

/** IANA's special-purpose registries (RFC 6890 and its updates): what no client can reach a Service at. */
const specials: readonly { readonly range: Range; readonly what: string }[] = [
  ['0.0.0.0/8', 'the unspecified network'],
  ['127.0.0.0/8', 'each host’s own loopback'],
  ['169.254.0.0/16', 'link-local: every link has its own'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255/32', 'the broadcast address'],
  ['::/127', 'the unspecified address and the loopback'],
  ['::ffff:0:0/96', 'IPv4 written as IPv6'],
  ['fe80::/10', 'link-local: every link has its own'],
  ['ff00::/8', 'multicast'],
].map(([text = '', what = '']) => {
  const parsed = parseCidr(text);
  const cidr = parsed.kind === 'cidr' ? parsed.cidr : { family: 'IPv4' as const, base: 0n, prefix: 32 };
  const last = cidr.base + (1n << BigInt(bitsOf(cidr.family) - cidr.prefix)) - 1n;
  return { range: { family: cidr.family, first: cidr.base, last, text }, what };
});
