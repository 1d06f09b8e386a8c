import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { hex } from '../../../../test/support/hex.ts';
import {
  answer,
  filterProgram,
  jumpEqual,
  loadByte,
  openMessage,
  RelayReader,
  sendMessage,
  whole,
} from './relay-frames.ts';

test('a datagram goes out with its length, its socket, its time, its tag and its address', () => {
  const message = sendMessage(3, {
    address: Buffer.from('aa'),
    data: Buffer.from('data'),
    until: 258,
    tag: 5,
  });
  expect(message.toString('hex')).toBe(hex('12000000 7303 02010000 05000000 0200 6161 64617461'));
});

test('a socket is opened with its options, its filter and its address', () => {
  const message = openMessage(1, {
    domain: 16,
    type: 3,
    protocol: 0,
    options: [{ level: 1, name: 33, value: Buffer.from([9]) }],
    filter: Buffer.from('f'),
    address: Buffer.from('a'),
  });
  expect(message.toString('hex')).toBe(
    hex('20000000 6f01 10000000 03000000 00000000 01 01000000 21000000 0100 09 0100 66 0100 61'),
  );
});

test('a filter is its instructions, eight bytes each', () => {
  expect(
    filterProgram([
      [loadByte, 0, 0, 20],
      [jumpEqual, 0, 1, 58],
      [answer, 0, 0, whole],
    ]).toString('hex'),
  ).toBe(hex('3000000014000000 150000013a000000 06000000ffffffff'));
});

property.prop([
  fc.array(fc.uint8Array({ minLength: 0, maxLength: 30 }), { maxLength: 8 }),
  fc.array(fc.nat(40), { maxLength: 12 }),
])('what comes is the same however the pipe cuts it', (given, cuts) => {
  const stream = Buffer.concat(
    given.map((data) => {
      const body = Buffer.concat([Buffer.from('r\x02\x02\x00xy', 'latin1'), Buffer.from(data)]);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(body.length, 0);
      return Buffer.concat([length, body]);
    }),
  );
  const reader = new RelayReader();
  const read = [];
  let at = 0;
  for (const cut of cuts) {
    read.push(...reader.push(stream.subarray(at, at + cut)));
    at += cut;
  }
  read.push(...reader.push(stream.subarray(at)));
  expect(read).toEqual(
    given.map((data) => ({ kind: 'received', socket: 2, from: Buffer.from('xy'), data: Buffer.from(data) })),
  );
});

test('an opened socket and a failure are read', () => {
  const bytes = Buffer.from(hex('04000000 6f016162 0a000000 6502 07000000 69000000'), 'hex');
  expect(new RelayReader().push(bytes)).toEqual([
    { kind: 'opened', socket: 1, address: Buffer.from('ab') },
    { kind: 'failed', socket: 2, tag: 7, errno: 105 },
  ]);
});
