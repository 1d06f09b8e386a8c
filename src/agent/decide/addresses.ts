/**
 * Addresses and ranges as the data plane handles them: canonical texts, compared as texts.
 *
 * A decision holds tens of thousands of addresses, nearly all of them canonical already, so the common case must not
 * go through big integers; ranges are few and are read once each.
 */
import { isIP } from 'node:net';
import { contains, formatAddress, parseAddress, parseCidr } from '../../core/cidr.ts';
import type { Cidr } from '../../core/cidr.ts';
import type { IpFamily } from '../../core/objects.ts';

/** The family of an address, or undefined for what is not exactly one address. */
export function familyOf(text: string): IpFamily | undefined {
  switch (isIP(text)) {
    case 4:
      return 'IPv4';
    case 6:
      return text.includes('%') ? undefined : 'IPv6';
    default:
      return undefined;
  }
}

/** The canonical text (RFC 5952) of an address of this family; undefined for anything else. */
export function canonical(text: string, family: IpFamily): string | undefined {
  const found = familyOf(text);
  if (found !== family) return undefined;
  // `isIP` takes no leading zeros, so there is one way to write an IPv4 address.
  if (family === 'IPv4' || plainlyCanonical(text)) return text;
  const address = parseAddress(text);
  return address === undefined ? undefined : formatAddress(address);
}

/** Sure signs that a valid IPv6 text is canonical; false where it takes a closer look. */
function plainlyCanonical(text: string): boolean {
  // Upper case, an IPv4 tail, or a group that begins with 0 (also a lone 0, which `::` might have to swallow).
  if (/[A-Z.]|(?:^|:)0/.test(text)) return false;
  // `::` must stand for two groups or more: with seven colons it stands for one.
  return !text.includes('::') || text.split(':').length <= 7;
}

/** Loopback addresses: node ports answer there only where asked for, and only over IPv4 (rule N3). */
export function isLoopback(address: string): boolean {
  return address === '::1' || (address.startsWith('127.') && isIP(address) === 4);
}

const parsed = new Map<string, Cidr | undefined>();

function rangeOf(text: string): Cidr | undefined {
  if (!parsed.has(text)) {
    // Ranges come from flags and from Services: bounded, so that a churn of them cannot fill memory.
    if (parsed.size > 4096) parsed.clear();
    const read = parseCidr(text);
    parsed.set(text, read.kind === 'cidr' ? read.cidr : undefined);
  }
  return parsed.get(text);
}

/** Whether the address lies in one of the ranges; ranges of the other family hold nothing of this one. */
export function inRanges(address: string, ranges: readonly string[]): boolean {
  if (ranges.length === 0) return false;
  const read = parseAddress(address);
  if (read === undefined) return false;
  return ranges.some((text) => {
    const range = rangeOf(text);
    return range !== undefined && contains(range, read);
  });
}

/** The canonical text of a range of this family, without host bits; undefined for anything else. */
export function canonicalRange(text: string, family: IpFamily): string | undefined {
  const range = rangeOf(text.trim());
  return range?.family === family ? range.text : undefined;
}

/** Orders texts by code unit: the same on every machine. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Sorted, without repeats. */
export function sortedSet(texts: Iterable<string>): readonly string[] {
  return [...new Set(texts)].toSorted(byText);
}
