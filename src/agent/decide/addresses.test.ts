import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { formatAddress, parseAddress } from '../../core/cidr.ts';
import { canonical, canonicalRange, inRanges, isLoopback } from './addresses.ts';

describe('addresses', () => {
  property.prop([fc.ipV6()])('an IPv6 text becomes what RFC 5952 says, however it was written', (text) => {
    const read = parseAddress(text);

    expect(canonical(text, 'IPv6')).toBe(read && formatAddress(read));
  });

  test.each([
    ['2001:db8:1:2:3:4::6', '2001:db8:1:2:3:4:0:6'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8:0:0:1::1', '2001:db8::1:0:0:1'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
    ['fe80::1%eth0', undefined],
    ['10.0.0.1', undefined],
  ])('%s is %s', (text, wanted) => {
    expect(canonical(text, 'IPv6')).toBe(wanted);
  });

  test.each(['010.0.0.1', '10.0.0', '10.0.0.256', ' 10.0.0.1', ''])('"%s" is no IPv4 address', (text) => {
    expect(canonical(text, 'IPv4')).toBeUndefined();
  });

  test('ranges hold addresses of their family, and what is no range holds nothing', () => {
    expect(inRanges('10.1.2.3', ['fd00::/8', '10.0.0.0/8'])).toBe(true);
    expect(inRanges('10.1.2.3', ['x', '10.2.0.0/16'])).toBe(false);
    expect(canonicalRange(' 10.1.2.3/8 ', 'IPv4')).toBe('10.0.0.0/8');
    expect(canonicalRange('10.1.2.3/8', 'IPv6')).toBeUndefined();
  });

  test('loopback is 127/8 and ::1', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', '128.0.0.1', '127.x'].map(isLoopback)).toStrictEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });
});
