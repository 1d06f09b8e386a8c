import { BlockList, isIP } from 'node:net';
import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { contains, formatAddress, lastOf, overlaps, parseAddress, parseCidr } from './cidr.ts';
import type { Cidr } from './cidr.ts';

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed.kind === 'malformed') throw new Error(parsed.message);
  return parsed.cidr;
}

describe('parseCidr', () => {
  test.each([
    ['0.0.0.0/0', '0.0.0.0/0', false],
    ['10.0.0.0/8', '10.0.0.0/8', false],
    ['192.0.2.1/32', '192.0.2.1/32', false],
    ['10.1.2.3/8', '10.0.0.0/8', true],
    ['::/0', '::/0', false],
    ['2001:DB8:0:0::/32', '2001:db8::/32', false],
    ['2001:db8::1/64', '2001:db8::/64', true],
    ['::ffff:10.0.0.0/104', '::ffff:a00:0/104', false],
  ])('reads %s as %s', (text, canonical, hostBits) => {
    expect(parseCidr(text)).toMatchObject({ kind: 'cidr', cidr: { text: canonical, hostBits } });
  });

  test.each([
    '',
    '10.0.0.0',
    '10/8',
    '010.0.0.0/8',
    '0x0a.0.0.0/8',
    '256.0.0.0/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/+8',
    '10.0.0.0/ 8',
    '10.0.0.0/8 ',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '2001:db8::/129',
    'fe80::1%eth0/64',
    'example.com/8',
  ])('refuses "%s", and quotes it', (text) => {
    const parsed = parseCidr(text);
    expect(parsed.kind === 'malformed' && parsed.message).toContain(`"${text}"`);
  });

  test('says how a single address is written', () => {
    expect(parseCidr('192.0.2.1')).toMatchObject({ message: expect.stringContaining('write 192.0.2.1/32') });
  });
});

const v4 = fc.record({
  family: fc.constant('IPv4' as const),
  value: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }),
});
/** Many zero groups, so that every place of `::` is met. */
const v6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => ({
    family: 'IPv6' as const,
    value: groups.reduce((value, group) => (value << 16n) + BigInt(group), 0n),
  }));
const address = fc.oneof(v4, v6);
const range = fc
  .oneof(fc.tuple(v4, fc.nat({ max: 32 })), fc.tuple(v6, fc.nat({ max: 128 })))
  .map(([host, prefix]) => cidr(`${formatAddress(host)}/${prefix}`));

describe('addresses', () => {
  test.prop([address])('read back what was printed', (drawn) => {
    expect(parseAddress(formatAddress(drawn))).toEqual(drawn);
  });

  test.prop([fc.ipV6()])('print every IPv6 address as the URL parser of the platform does', (text) => {
    const parsed = parseAddress(text);
    expect(parsed && `[${formatAddress(parsed)}]`).toBe(new URL(`http://[${text}]`).hostname);
  });

  test.prop([fc.oneof(fc.string(), fc.ipV4Extended(), fc.ipV6(), fc.ipV4())])(
    'are accepted exactly where net.isIP accepts them',
    (text) => {
      expect(parseAddress(text) !== undefined).toBe(isIP(text) !== 0 && !text.includes('%'));
    },
  );
});

describe('ranges', () => {
  test.prop([range])('keep their canonical text', (drawn) => {
    expect(cidr(drawn.text)).toEqual({ ...drawn, hostBits: false });
  });

  test.prop([range, address])(
    'contain what the block list of the platform says they contain',
    (drawn, host) => {
      const list = new BlockList();
      list.addSubnet(drawn.text.split('/')[0] ?? '', drawn.prefix, drawn.family === 'IPv4' ? 'ipv4' : 'ipv6');
      // The block list counts IPv4 as mapped into IPv6; to us these are two families.
      const expected =
        host.family === drawn.family &&
        list.check(formatAddress(host), host.family === 'IPv4' ? 'ipv4' : 'ipv6');
      expect(contains(drawn, host)).toBe(expected);
    },
  );

  test.prop([range])('contain both their ends and nothing beyond', (drawn) => {
    const { family, base } = drawn;
    expect(contains(drawn, { family, value: base })).toBe(true);
    expect(contains(drawn, { family, value: lastOf(drawn) })).toBe(true);
    expect(contains(drawn, { family, value: lastOf(drawn) + 1n })).toBe(false);
    expect(contains(drawn, { family, value: base - 1n })).toBe(false);
  });

  test.prop([range, range])(
    'overlap exactly when the later one begins before the earlier one ends',
    (a, b) => {
      const expected =
        a.family === b.family &&
        (a.base > b.base ? a.base : b.base) <= (lastOf(a) < lastOf(b) ? lastOf(a) : lastOf(b));
      expect(overlaps(a, b)).toBe(expected);
      expect(overlaps(b, a)).toBe(expected);
      expect(overlaps(a, a)).toBe(true);
    },
  );
});
