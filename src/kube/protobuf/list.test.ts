import { fc } from '@fast-check/vitest';
import { expect, test } from 'vitest';

import { delimited, enveloped, list, messageBytes, valuesOf } from '../../../test/support/protobuf-writer.ts';
import { protobufList } from './list.ts';
import { serviceShape, sliceShape } from './shapes.ts';

/** The bytes in pieces that end at these places. */
async function* pieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (const cut of [...cuts, bytes.length]
    .map((one) => one % (bytes.length + 1))
    .toSorted((a, b) => a - b)) {
    if (cut > from) yield bytes.subarray(from, cut);
    from = Math.max(from, cut);
  }
}

async function heard(
  bytes: Buffer,
  cuts: readonly number[] = [],
): Promise<{ items: unknown[]; versions: string[] }> {
  const items: unknown[] = [];
  const versions: string[] = [];
  for await (const part of protobufList(pieces(bytes, cuts), sliceShape)) {
    items.push(...part.items);
    if (part.version !== undefined) versions.push(part.version);
  }
  return { items, versions };
}

const objects = fc.array(valuesOf(sliceShape), { maxLength: 5 });

test('items come out in order and whole, however their bytes are cut into pieces', async () => {
  await fc.assert(
    fc.asyncProperty(objects, fc.array(fc.nat()), async (values, cuts) => {
      const bytes = list(
        '17',
        values.map((one) => messageBytes(sliceShape, one, true)),
        true,
      );
      expect(await heard(bytes, cuts)).toEqual({ items: values, versions: ['17'] });
    }),
  );
});

test('each byte by itself is as good as all at once', async () => {
  const value = { metadata: { name: 'a'.repeat(300) } };
  const bytes = list('17', [messageBytes(sliceShape, value), messageBytes(sliceShape, {})]);
  const cuts = Array.from({ length: bytes.length }, (_, at) => at);
  expect(await heard(bytes, cuts)).toEqual({ items: [value, {}], versions: ['17'] });
});

test('items are told as soon as they are here, not when the list is whole', async () => {
  const first = list('17', [messageBytes(sliceShape, { metadata: { name: 'a' } })]);
  const both = list('17', [
    messageBytes(sliceShape, { metadata: { name: 'a' } }),
    messageBytes(sliceShape, { metadata: { name: 'b' } }),
  ]);
  // Without the two empty fields at the end of the envelope; once in one piece, and once in two.
  const end = first.length - 4;
  for (const cuts of [[end], [end - 3, end]]) {
    const parts = protobufList(pieces(both, cuts), sliceShape);
    const told: unknown[] = [];
    while (told.length === 0) told.push(...((await parts.next()).value?.items ?? []));
    expect(told).toEqual([{ metadata: { name: 'a' } }]);
    await parts.return();
  }
});

test('a list that ends before its end is an error, never a short list', async () => {
  const bytes = list('17', [messageBytes(sliceShape, { metadata: { name: 'a' } })]);
  // What follows the list in its envelope says nothing.
  for (let cut = 0; cut < bytes.length - 4; cut += 1)
    await expect(heard(bytes.subarray(0, cut)), `${cut}`).rejects.toMatchObject({ code: 'UnparsableLine' });
});

test('whatever byte is another, it is an error in words or another list', async () => {
  await fc.assert(
    fc.asyncProperty(objects, fc.nat(), fc.integer({ min: 0, max: 255 }), async (values, at, byte) => {
      const bytes = list(
        '17',
        values.map((one) => messageBytes(sliceShape, one)),
      );
      bytes[at % bytes.length] = byte;
      try {
        await heard(bytes, [at >> 1]);
      } catch (error) {
        expect(error).toMatchObject({ kind: 'transient', code: 'UnparsableLine' });
      }
    }),
  );
});

test.each<[string, Buffer, string]>([
  ['JSON', Buffer.from('{"items":[]}'), 'without the mark'],
  ['one that is encoded once more', Buffer.concat([Buffer.from('k8s\0'), delimited(3, 'gzip')]), 'encoding'],
  [
    'an item that is longer than its list',
    enveloped(Buffer.concat([Buffer.from([18, 200, 1]), Buffer.alloc(40)])),
    'reaches past the end',
  ],
])('%s is refused', async (_title, bytes, words) => {
  await expect(heard(bytes)).rejects.toThrow(words);
});

test('an empty list has its version', async () => {
  const parts = [];
  for await (const part of protobufList(pieces(list('9', []), []), serviceShape)) parts.push(part);
  expect(parts).toEqual([{ items: [], version: '9' }]);
});
