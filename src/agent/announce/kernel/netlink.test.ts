import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { hex } from '../../../../test/support/hex.ts';
import {
  attribute,
  errorOf,
  nested,
  numberOf,
  number32,
  readAttributes,
  readMessages,
  textOf,
  writeMessage,
} from './netlink.ts';

test('a message is its header and its body, padded to four bytes', () => {
  const message = writeMessage({ type: 20, flags: 4, body: Buffer.from('abcde') }, 7);
  expect(message.toString('hex')).toBe(hex('15000000 1400 0500 07000000 00000000 6162636465000000'));
});

test('an attribute is its length, its type and its value, padded; one that holds others is marked', () => {
  expect(attribute(3, Buffer.from('ab')).toString('hex')).toBe(hex('0600 0300 61620000'));
  expect(nested(26, attribute(2, Buffer.alloc(0))).toString('hex')).toBe(hex('0800 1a80 0400 0200'));
});

property.prop([
  fc.array(fc.record({ type: fc.nat(100), body: fc.uint8Array({ maxLength: 20 }) }), { maxLength: 6 }),
])('messages in one datagram are read back in order', (given) => {
  const written = given.map(({ type, body }, i) =>
    writeMessage({ type, flags: 0, body: Buffer.from(body) }, i),
  );
  expect(readMessages(Buffer.concat(written))).toEqual(
    given.map(({ type, body }, sequence) => ({ type, flags: 1, sequence, body: Buffer.from(body) })),
  );
});

property.prop([
  fc.uniqueArray(fc.tuple(fc.nat(0x3fff), fc.uint8Array({ maxLength: 20 })), { selector: ([type]) => type }),
])('attributes are read back', (given) => {
  const written = Buffer.concat(given.map(([type, value]) => attribute(type, Buffer.from(value))));
  expect(readAttributes(written)).toEqual(new Map(given.map(([type, value]) => [type, Buffer.from(value)])));
});

property.prop([fc.uint8Array({ maxLength: 100 })])('whatever comes is read to an end', (any) => {
  for (const { body } of readMessages(Buffer.from(any))) readAttributes(body);
  expect(readAttributes(Buffer.from(any)).size).toBeLessThanOrEqual(25);
});

test('numbers and texts that are absent or cut short are nothing', () => {
  expect([numberOf(undefined), numberOf(Buffer.alloc(3)), numberOf(number32(0xffff_fff0))]).toEqual([
    0, 0, 0xffff_fff0,
  ]);
  expect([textOf(undefined), textOf(Buffer.from('eth0\0x')), textOf(Buffer.from('lo'))]).toEqual([
    '',
    'eth0',
    'lo',
  ]);
  expect(errorOf({ type: 2, flags: 0, sequence: 0, body: Buffer.from('efffffff', 'hex') })).toBe(17);
});
