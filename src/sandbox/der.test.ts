import { expect, test } from 'vitest';
import { addressOctets, bits, boolean, integer, octets, oid, sequence, tagged, time, utf8 } from './der.ts';

const hex = (value: Buffer): string => value.toString('hex');

test.each([
  ['zero', [0], '020100'],
  ['a small number', [5], '020105'],
  ['a number whose first bit is set gets a leading zero', [0x80], '02020080'],
  ['leading zeros are dropped', [0, 0, 1], '020101'],
])('an integer: %s', (_what, given, written) => {
  expect(hex(integer(Buffer.from(given)))).toBe(written);
});

// Known encodings from X.690 and RFC 5280.
test.each([
  ['2.5.4.3', '0603550403'],
  ['1.2.840.10045.4.3.2', '06082a8648ce3d040302'],
  ['1.3.6.1.5.5.7.3.1', '06082b06010505070301'],
])('object identifier %s', (dotted, written) => {
  expect(hex(oid(dotted))).toBe(written);
});

test.each([
  ['127 octets: one octet of length', 127, '047f'],
  ['128 octets: two', 128, '048180'],
  ['256 octets: three', 256, '04820100'],
  ['65536 octets: four', 65_536, '0483010000'],
])('length of %s', (_what, size, head) => {
  expect(hex(octets(Buffer.alloc(size))).slice(0, head.length)).toBe(head);
});

test('times up to 2049 have two digits for the year, later ones four', () => {
  expect(time(Date.parse('2049-12-31T23:59:59.999Z')).toString('latin1')).toBe('\x17\x0d491231235959Z');
  expect(time(Date.parse('2050-01-01T00:00:00Z')).toString('latin1')).toBe('\x18\x0f20500101000000Z');
});

test('values nest', () => {
  const value = sequence(boolean(true), tagged(0, 'constructed', utf8('é')), bits(Buffer.from([0x80]), 7));
  expect(hex(value)).toBe('300d0101ffa0040c02c3a903020780');
});

test.each(['1::2::3', 'fe80::1%eth0', '1:2:3', '12345::1', 'host'])(
  '"%s" is refused as an address',
  (text) => {
    expect(() => addressOctets(text)).toThrow(/is not an IP address/);
  },
);
