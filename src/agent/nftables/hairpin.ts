/**
 * Who reached itself (rule M3), whoever it is: a connection that was translated to its own source.
 *
 * nft compares a field with what stands in the rule, not with another field. So the two addresses are looked up
 * together digit by digit, in hexadecimal: a set holds every digit of every place beside itself. Most comparisons end
 * at the last digit. The cost does not grow with the endpoints, and an endpoint of another node counts as one here
 * does, like in the iptables backend.
 */
import { formatAddress } from '../../core/cidr.ts';
import type { Words } from './words.ts';

/** Every digit, in its place, beside itself. */
export const digitSet = 'same-digit';

/** A rule holds at most 128 expressions, and a digit takes five. */
const digitsInRule = 16;

/** The elements of the set. */
export function sameDigits(words: Words): string[] {
  const values = places(words).flatMap((place) =>
    Array.from({ length: 16 }, (_, digit) => listed(words, BigInt(digit) << place)),
  );
  return [...new Set(values)].map((value) => `${value} . ${value}`);
}

/** Matches of as many rules as it takes, the last digits first: all must fit. */
export function sameAddressMatches(words: Words): string[] {
  const { header } = words;
  const matches = places(words).map((place) => {
    const mask = listed(words, 15n << place);
    return `${header} saddr & ${mask} . ${header} daddr & ${mask} @${digitSet}`;
  });
  return Array.from({ length: Math.ceil(matches.length / digitsInRule) }, (_, index) =>
    matches.slice(index * digitsInRule, (index + 1) * digitsInRule).join(' '),
  );
}

/** How many bits stand behind each digit, the last digit first. */
function places({ bits }: Words): bigint[] {
  return Array.from({ length: bits / 4 }, (_, index) => BigInt(index * 4));
}

/** As nft lists it: where only the last two groups of an IPv6 address are set, and the upper one is, in decimals. */
function listed({ family }: Words, value: bigint): string {
  const dotted = family === 'IPv6' && value >= 1n << 16n && value < 1n << 32n;
  return dotted ? `::${formatAddress({ family: 'IPv4', value })}` : formatAddress({ family, value });
}
