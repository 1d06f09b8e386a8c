import { fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';

import { delimited, messageBytes, valuesOf, varint } from '../../../test/support/protobuf-writer.ts';
import { decodeMessage } from './decode.ts';
import { flag, integer, map, messages, pointer, shape, text, time, type Shape } from './shape.ts';
import { nodeShape, serviceShape, sliceShape, statusShape } from './shapes.ts';

describe.each<[string, Shape]>([
  ['Services', serviceShape],
  ['Nodes', nodeShape],
  ['EndpointSlices', sliceShape],
  ['Statuses', statusShape],
])('%s', (_kind, of) => {
  test('come out as the JSON has them, whatever fields of later versions stand between', () => {
    fc.assert(
      fc.property(valuesOf(of), fc.boolean(), (values, withStrange) => {
        expect(decodeMessage(of, messageBytes(of, values, withStrange))).toEqual(values);
      }),
    );
  });

  test('bytes that are no message are refused in words, and never read past their end', () => {
    fc.assert(
      fc.property(valuesOf(of), fc.nat(), fc.integer({ min: 0, max: 255 }), (values, at, byte) => {
        const bytes = messageBytes(of, values);
        if (bytes.length > 0) bytes[at % bytes.length] = byte;
        try {
          decodeMessage(of, bytes);
        } catch (error) {
          expect(error).toMatchObject({ kind: 'transient', code: 'UnparsableLine' });
        }
      }),
    );
  });
});

const some = shape({
  1: integer('number'),
  2: pointer(integer('pointer')),
  3: flag('flag'),
  4: text('text'),
  5: pointer(text('name')),
  6: map('map'),
  7: time('time'),
  8: messages('list', shape({ 1: text('name') })),
  9: { kind: 'number-or-name', name: 'port' },
  10: { kind: 'fields', name: 'fields', needle: '"f:here"' },
});

test.each<[string, Buffer, object]>([
  ['nothing', Buffer.alloc(0), {}],
  ['zeros of plain fields are absent', Buffer.from([8, 0, 24, 0, 34, 0]), {}],
  ['zeros of pointers are there', Buffer.from([16, 0, 42, 0]), { pointer: 0, name: '' }],
  ['a negative number', Buffer.concat([varint(8), varint(-2)]), { number: -2 }],
  [
    'the largest exact number',
    Buffer.concat([varint(8), varint(Number.MAX_SAFE_INTEGER)]),
    { number: 2 ** 53 - 1 },
  ],
  ['the last of a field that comes twice', Buffer.from([8, 1, 8, 2]), { number: 2 }],
  ['a number in more bytes than it needs', Buffer.from([8, 0x81, 0x80, 0]), { number: 1 }],
  ['a port that is a number', delimited(9, Buffer.from([16, 80])), { port: 80 }],
  ['an empty time is none', delimited(7, ''), {}],
  ['an entry without key and value', delimited(6, ''), { map: { '': '' } }],
  ['a list of empty messages', Buffer.concat([delimited(8, ''), delimited(8, '')]), { list: [{}, {}] }],
  ['fields that nobody asks for', delimited(10, delimited(1, '{"f:there":{}}')), {}],
  [
    'fields that somebody asks for',
    delimited(10, delimited(1, '{"f:here":{}}')),
    { fields: { 'f:here': {} } },
  ],
])('%s', (_title, bytes, values) => {
  expect(decodeMessage(some, bytes)).toEqual(values);
});

test.each<[string, Buffer, string]>([
  ['a number that breaks off', Buffer.from([8, 0x80]), 'a number without an end'],
  [
    'a number of eleven bytes',
    Buffer.from([8, ...Array.from({ length: 11 }, () => 0x80)]),
    'more than 64 bits',
  ],
  ['a text that is longer than all', Buffer.from([34, 5, 65]), 'reaches past the end'],
  ['a number where a text belongs', Buffer.from([32, 5]), 'without a length'],
  ['a text where a number belongs', Buffer.from([10, 1, 65]), 'that is no number'],
  ['groups, which are not used', Buffer.from([123]), 'unknown type 3'],
  ['eight bytes of which there are four', Buffer.from([121, 1, 2, 3, 4]), 'reaches past the end'],
  ['an inner message that reaches out', delimited(8, Buffer.from([10, 9, 65])), 'reaches past the end'],
  ['fields that are not JSON', delimited(10, delimited(1, '"f:here"}')), 'not JSON'],
])('%s is refused', (_title, bytes, words) => {
  expect(() => decodeMessage(some, bytes)).toThrow(words);
});
