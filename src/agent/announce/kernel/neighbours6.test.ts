import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { hex } from '../../../../test/support/hex.ts';
import { duplicateProbe, readDiscovery, solicitedNode, unsolicitedAdvertisement } from './neighbours6.ts';
import { addressBytes, addressText, macBytes } from './wire.ts';

const mac = macBytes('02:5c:00:00:00:01');
const ip = addressBytes('2001:db8::12:3456');

/** Sums 16-bit words as a receiver does: a sound message gives all ones. */
function sum(frame: Buffer): number {
  const length = frame.readUInt16BE(18);
  let total = length + 58;
  for (let at = 22; at < 54 + length; at += 2) total += frame.readUInt16BE(at);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

test('an unsolicited advertisement tells all nodes, overrides, and bears the MAC', () => {
  const frame = unsolicitedAdvertisement(mac, ip);
  expect(frame.subarray(0, 14).toString('hex')).toBe(hex('333300000001 025c00000001 86dd'));
  // Version 6, 32 bytes of ICMPv6, hop limit 255, from the address itself to all nodes.
  expect(frame.subarray(14, 22).toString('hex')).toBe(hex('60000000 0020 3a ff'));
  expect(addressText(frame.subarray(22, 38))).toBe('2001:db8::12:3456');
  expect(addressText(frame.subarray(38, 54))).toBe('ff02::1');
  expect(frame.subarray(54, 56).toString('hex')).toBe('8800');
  expect(frame.subarray(58).toString('hex')).toBe(
    hex('20000000 20010db8000000000000000000123456 0201 025c00000001'),
  );
  expect(sum(frame)).toBe(0xffff);
});

test('a probe asks the group of the address, from no address', () => {
  const frame = duplicateProbe(mac, ip);
  expect(frame.subarray(0, 6).toString('hex')).toBe('3333ff123456');
  expect(addressText(frame.subarray(22, 38))).toBe('::');
  expect(addressText(frame.subarray(38, 54))).toBe('ff02::1:ff12:3456');
  expect(frame.length).toBe(78);
  expect(sum(frame)).toBe(0xffff);
});

test('the group of an address is made of its last 24 bits', () => {
  expect(addressText(solicitedNode(addressBytes('fe80::1:2aff:feab:cdef')))).toBe('ff02::1:ffab:cdef');
});

const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((made) => Buffer.from(made));

property.prop([bytes(6), bytes(16)])('what is built is read back and sums up', (anyMac, anyIp) => {
  const told = unsolicitedAdvertisement(anyMac, anyIp);
  expect(sum(told)).toBe(0xffff);
  expect(readDiscovery(told)).toEqual({
    kind: 'advertisement',
    sourceMac: anyMac,
    source: anyIp,
    target: anyIp,
    solicited: false,
  });
  expect(readDiscovery(duplicateProbe(anyMac, anyIp))).toMatchObject({
    kind: 'solicitation',
    source: Buffer.alloc(16),
    target: anyIp,
  });
});

property.prop([fc.nat(77), fc.integer({ min: 1, max: 255 })])(
  'one byte changed on the way is noticed, but for addresses of the link and what nothing stands on',
  (at, change) => {
    const frame = unsolicitedAdvertisement(mac, ip);
    frame.writeUInt8(frame.readUInt8(at) ^ change, at);
    const unprotected = at < 12 || (at >= 14 && at < 18);
    expect(readDiscovery(frame) !== undefined).toBe(unprotected);
  },
);

property.prop([fc.uint8Array({ maxLength: 120 })])(
  'whatever comes is read or passed over, never an error',
  (any) => {
    const read = readDiscovery(Buffer.from(any));
    expect(read === undefined || read.target.length === 16).toBe(true);
  },
);

test('what has passed a router is not believed', () => {
  const frame = unsolicitedAdvertisement(mac, ip);
  frame.writeUInt8(254, 21);
  expect(readDiscovery(frame)).toBeUndefined();
});
