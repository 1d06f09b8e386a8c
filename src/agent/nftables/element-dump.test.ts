/** Elements read back: a dump tells them as a batch writes them. */
import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { formatAddress } from '../../core/cidr.ts';
import { testNode } from '../fixtures.ts';
import type { DumpMessage } from '../netlink/dump.ts';
import { ElementBatches } from './element-bytes.ts';
import { readElements, readingOf, type Reading } from './element-dump.ts';
import { packingOf } from './packing.ts';
import { allFeatures, tableShape, type SetShape } from './table.ts';

const shapeOf = (family: 'IPv4' | 'IPv6') =>
  tableShape({ ...testNode, family, nodePortAddresses: 'all' }, allFeatures);

function setOf(family: 'IPv4' | 'IPv6', name: string): SetShape {
  const set = shapeOf(family).sets.find((one) => one.name === name);
  if (set === undefined) throw new Error(`no set ${name}`);
  return set;
}

function ended<Result>(work: Generator<undefined, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** The messages that add elements, without those around them. */
function written(family: 'IPv4' | 'IPv6', name: string, items: readonly string[]): DumpMessage[] {
  const packing = packingOf(setOf(family, name));
  if (packing === undefined) throw new Error('not packed');
  const batches = new ElementBatches(shapeOf(family).words, 4_000);
  batches.add(name, packing, items);
  return [...batches.take(() => 'afee:1')].flatMap((batch) => {
    const messages: DumpMessage[] = [];
    for (let at = 0; at < batch.length; at += batch.readUInt32LE(at))
      messages.push({
        type: batch.readUInt16LE(at + 4),
        content: batch.subarray(at + 20, at + batch.readUInt32LE(at)),
      });
    return messages.slice(1, -3);
  });
}

const address = (family: 'IPv4' | 'IPv6'): fc.Arbitrary<string> =>
  (family === 'IPv4'
    ? fc.bigInt(0n, 2n ** 32n - 1n)
    : fc.oneof(
        // As nft lists it, what has nothing but its last 32 bits looks different.
        fc.bigInt(2n ** 64n, 2n ** 128n - 1n),
        fc
          .tuple(fc.bigInt(0n, 0xff_ffn), fc.bigInt(48n, 127n))
          .map(([bits, by]) => (bits << by) % 2n ** 128n),
      )
  ).map((value) => formatAddress({ family, value }));
const number = (max: number): fc.Arbitrary<string> => fc.nat({ max }).map(String);
const classids = fc
  .tuple(fc.nat({ max: 0xff_ff }), fc.nat({ max: 0xff_ff }))
  .map(([high, low]) => (high + low === 0 ? 'none' : `${high.toString(16)}:${low.toString(16)}`));

property.prop([
  fc.constantFrom('IPv4' as const, 'IPv6' as const).chain((family) =>
    fc.record({
      family: fc.constant(family),
      rows: fc.array(
        fc.tuple(address(family), number(255), number(65_535), classids, address(family), number(65_535)),
        { maxLength: 120 },
      ),
      ips: fc.uniqueArray(address(family), { maxLength: 10 }),
    }),
  ),
])('what is written is read back as the same text', ({ family, rows, ips }) => {
  const items = rows.map(([ip, protocol, port, bucket, to, target]): [string, string] => [
    `${ip} . ${protocol} . ${port} . ${bucket}`,
    `${to} . ${target}`,
  ]);
  const read = (name: string, texts: readonly (readonly [string, string])[]) => {
    const reading = readingOf(setOf(family, name));
    if (reading === undefined) throw new Error('not read');
    return ended(readElements(written(family, name, texts.flat()), reading));
  };
  // `::` itself is a case of its own.
  const known = ips.filter((ip) => ip !== '::');
  expect(read('endpoints-cluster', items)).toEqual(new Map(items));
  expect(
    read(
      'cluster-ips',
      known.map((ip) => [ip, ''] as const),
    ),
  ).toEqual(new Map(known.map((ip) => [ip, ''])));
});

const attribute = (type: number, ...content: readonly (Buffer | string)[]): Buffer => {
  const inner = Buffer.concat(
    content.map((one) => (typeof one === 'string' ? Buffer.from(one, 'hex') : one)),
  );
  const bytes = Buffer.alloc(Math.ceil((inner.length + 4) / 4) * 4);
  bytes.writeUInt16LE(inner.length + 4, 0);
  bytes.writeUInt16LE(type, 2);
  inner.copy(bytes, 4);
  return bytes;
};
const told = (...elements: readonly Buffer[]): DumpMessage[] => [
  { type: 0xa_0c, content: attribute(0x80_03, ...elements.map((one) => attribute(0x80_01, one))) },
];
const key = (hex: string, type = 1): Buffer => attribute(type, attribute(1, hex));
const texts = (reading: Reading | undefined, messages: readonly DumpMessage[]): string[] => {
  if (reading === undefined) throw new Error('not read');
  return [...ended(readElements(messages, reading))].map(([one, value]) => `${one} ${value}`.trim());
};
const end = attribute(3, '00000001');

test('numbers lead to chains', () => {
  const verdict = (code: string, ...chain: readonly Buffer[]): Buffer =>
    attribute(2, attribute(2, attribute(1, code), ...chain));
  const name = attribute(2, Buffer.from('to-cluster-3\0'));
  expect(
    texts(
      readingOf(setOf('IPv4', 'shapes')),
      told(
        Buffer.concat([key('1f000a00'), verdict('fffffffc', name)]),
        Buffer.concat([key('20000a00'), verdict('fffffffd', name)]),
        Buffer.concat([key('21000a00'), verdict('00000000')]),
      ),
    ),
  ).toEqual(['a:1f goto to-cluster-3', 'a:20 verdict -3 to-cluster-3', 'a:21 verdict 0']);
});

test('ranges of addresses are told by their ends, in any order', () => {
  const reading = readingOf(setOf('IPv4', 'pods'));
  expect(
    texts(
      reading,
      told(
        // Two ranges side by side, an odd one, one address, and one that goes to the end.
        key('f0000000'),
        Buffer.concat([key('0af40200'), end]),
        key('0af40100'),
        Buffer.concat([key('0af40100'), end]),
        key('0af40000'),
        key('0b000001'),
        Buffer.concat([key('0b000004'), end]),
        key('0c000001'),
        Buffer.concat([key('0c000002'), end]),
        Buffer.concat([key('00000000'), end]),
      ),
    ),
  ).toEqual(['10.244.0.0/24', '10.244.1.0/24', '11.0.0.1-11.0.0.3', '12.0.0.1', '240.0.0.0/4']);
  expect(texts(reading, told(key('00000000')))).toEqual(['0.0.0.0/0']);
  expect(() => texts(reading, told(key('0a000000'), key('0b000000')))).toThrow('ranges in each other');
});

test('ranges within a concatenation', () => {
  const from = '0a6000010600000000500000';
  expect(
    texts(
      readingOf(setOf('IPv4', 'source-ranges')),
      told(
        Buffer.concat([key(`${from}c0a80000`), key(`${from}c0a8ffff`, 10)]),
        Buffer.concat([key(`${from}c0000201`), key(`${from}c0000201`, 10)]),
        Buffer.concat([key(`${from}00000000`), key(`${from}ffffffff`, 10)]),
        key(`${from}c0000202`),
      ),
    ),
  ).toEqual([
    '10.96.0.1 . 6 . 80 . 192.168.0.0/16',
    '10.96.0.1 . 6 . 80 . 192.0.2.1',
    '10.96.0.1 . 6 . 80 . 0.0.0.0/0',
    '10.96.0.1 . 6 . 80 . 192.0.2.2',
  ]);
});

test.each([
  ['0'.repeat(32), '::'],
  [`${'0'.repeat(31)}1`, '::1'],
  [`${'0'.repeat(24)}00300000`, '::0.48.0.0'],
  [`${'0'.repeat(20)}ffff0a000001`, '::ffff:10.0.0.1'],
  [`${'0'.repeat(19)}1ffff0a000001`, '::1:ffff:a00:1'],
  ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ['20010db8000000010001000100010000', '2001:db8:0:1:1:1:1:0'],
])('an address of IPv6 as nft lists it: %s', (hex, text) => {
  expect(texts(readingOf(setOf('IPv6', 'cluster-ips')), told(key(hex)))).toEqual([text]);
});

test('what packets fill is not read, and what is not understood is an error', () => {
  expect(readingOf(setOf('IPv4', 'sticky-clients'))).toBeUndefined();
  expect(readingOf(setOf('IPv6', 'sticky-clients'))).toBeUndefined();
  const ips = readingOf(setOf('IPv4', 'cluster-ips'));
  expect(() => texts(ips, told(end))).toThrow('without a key');
  expect(() => texts(ips, told(key('0a00000100')))).toThrow('another size');
  expect(() => texts(ips, [{ type: 0xa_06, content: Buffer.alloc(0) }])).toThrow('message 2566');
  const rows = readingOf(setOf('IPv4', 'service-ips'));
  expect(() => texts(rows, told(key('0a6000010600000000500000')))).toThrow('another size');
});
