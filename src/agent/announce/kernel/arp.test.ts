import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { hex } from '../../../../test/support/hex.ts';
import { arpProbe, gratuitousArps, readArp } from './arp.ts';
import { addressBytes, macBytes } from './wire.ts';

const mac = macBytes('02:5c:00:00:00:01');
const ip = addressBytes('192.0.2.10');

test('a gratuitous request claims the address to everybody, and asks for it', () => {
  expect(gratuitousArps(mac, ip)[0].toString('hex')).toBe(
    // To everybody, from us, ARP; Ethernet, IPv4, 6, 4, request.
    hex('ffffffffffff 025c00000001 0806 0001 0800 06 04 0001 025c00000001 c000020a 000000000000 c000020a'),
  );
});

test('a gratuitous reply names us as sender and as target', () => {
  expect(gratuitousArps(mac, ip)[1].subarray(20).toString('hex')).toBe(
    hex('0002 025c00000001 c000020a 025c00000001 c000020a'),
  );
});

test('a probe claims nothing', () => {
  expect(arpProbe(mac, ip).subarray(20).toString('hex')).toBe(
    hex('0001 025c00000001 00000000 000000000000 c000020a'),
  );
});

const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((made) => Buffer.from(made));

property.prop([bytes(6), bytes(4)])(
  'what is built is read back, padded by the link or not',
  (anyMac, anyIp) => {
    const [request, reply] = gratuitousArps(anyMac, anyIp);
    for (const padding of [0, 18]) {
      const read = (frame: Buffer): unknown => readArp(Buffer.concat([frame, Buffer.alloc(padding)]));
      expect(read(request)).toEqual({ kind: 'request', senderMac: anyMac, senderIp: anyIp, targetIp: anyIp });
      expect(read(reply)).toMatchObject({ kind: 'reply', senderMac: anyMac, senderIp: anyIp });
      expect(read(arpProbe(anyMac, anyIp))).toMatchObject({ senderIp: Buffer.alloc(4), targetIp: anyIp });
    }
  },
);

property.prop([fc.uint8Array({ maxLength: 64 })])(
  'whatever comes is read or passed over, never an error',
  (any) => {
    const read = readArp(Buffer.from(any));
    expect(read === undefined || read.senderMac.length === 6).toBe(true);
  },
);

test.each([
  ['another protocol', 12, '86dd'],
  ['another hardware', 14, '0006'],
  ['another length of addresses', 18, '08'],
  ['another operation', 20, '0003'],
])('%s is passed over', (_, at, digits) => {
  const [frame] = gratuitousArps(mac, ip);
  Buffer.from(digits, 'hex').copy(frame, at);
  expect(readArp(frame)).toBeUndefined();
});
