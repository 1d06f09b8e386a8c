/** The comparison of two addresses digit by digit; what packets come to is told in tracer.test.ts. */
import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { formatAddress, parseAddress } from '../../core/cidr.ts';
import { sameAddressMatches, sameDigits } from './hairpin.ts';
import { wordsOf } from './words.ts';

const families = [
  ['IPv4', 32],
  ['IPv6', 128],
] as const;

function valueOf(text: string): bigint {
  return parseAddress(text)?.value ?? -1n;
}

test.each(families)(
  '%s: every digit of every place stands beside itself, zero once for all',
  (family, bits) => {
    const elements = sameDigits(wordsOf(family));
    expect(elements).toHaveLength((bits / 4) * 15 + 1);
    expect(new Set(elements).size).toBe(elements.length);
    for (const element of elements) {
      const [left = '', right] = element.split(' . ');
      expect(right).toBe(left);
    }
  },
);

test.each(families)(
  '%s: no rule has more than sixteen digits, and together they cover all bits',
  (family, bits) => {
    const rules = sameAddressMatches(wordsOf(family)).map((rule) => [...rule.matchAll(/saddr & (\S+) \./gu)]);
    expect(rules.every((digits) => digits.length <= 16)).toBe(true);
    const covered = rules.flat().reduce((all, [, mask = '']) => all | valueOf(mask), 0n);
    expect(covered).toBe((1n << BigInt(bits)) - 1n);
  },
);

test.prop([fc.constantFrom(...families), fc.bigInt(0n, (1n << 128n) - 1n), fc.bigInt(0n, 127n)])(
  'an address fits itself, and no other that differs in one bit',
  ([family, bits], random, bit) => {
    const words = wordsOf(family);
    const values = new Set(sameDigits(words).map((element) => element.split(' . ').map(valueOf).join()));
    const masks = sameAddressMatches(words).flatMap((rule) =>
      [...rule.matchAll(/saddr & (\S+) \./gu)].map(([, mask = '']) => valueOf(mask)),
    );
    const fits = (a: bigint, b: bigint): boolean =>
      masks.every((mask) => values.has(`${a & mask},${b & mask}`));
    const own = random & ((1n << BigInt(bits)) - 1n);
    const other = own ^ (1n << (bit % BigInt(bits)));
    expect([fits(own, own), fits(own, other)], formatAddress({ family, value: own })).toEqual([true, false]);
  },
);
