import { fc } from '@fast-check/vitest';
import { expect, test } from 'vitest';

import { enveloped, frame, messageBytes, valuesOf } from '../../../test/support/protobuf-writer.ts';
import { openEnvelope, protobufEvents, statusText } from './events.ts';
import { sliceShape, statusShape } from './shapes.ts';

/** The bytes in pieces that end at these places. */
async function* pieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (const cut of [
    ...cuts.map((one) => one % (bytes.length + 1)).toSorted((a, b) => a - b),
    bytes.length,
  ]) {
    if (cut > from) yield bytes.subarray(from, cut);
    from = Math.max(from, cut);
  }
}

async function heard(bytes: Buffer, cuts: readonly number[] = []): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const batch of protobufEvents(pieces(bytes, cuts), sliceShape)) events.push(...batch);
  return events;
}

test('events come out in order and whole, however their bytes are cut into pieces', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(valuesOf(sliceShape), { maxLength: 5 }),
      fc.array(fc.nat()),
      async (objects, cuts) => {
        const bytes = Buffer.concat(objects.map((one) => frame('ADDED', messageBytes(sliceShape, one))));
        expect(await heard(bytes, cuts)).toEqual(objects.map((object) => ({ type: 'ADDED', object })));
      },
    ),
  );
});

test('a stream that ends inside a frame is an error, never a short list', async () => {
  const whole = frame('ADDED', messageBytes(sliceShape, { metadata: { name: 'a' } }));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: whole.length - 1 }), async (cut) => {
      const events: unknown[] = [];
      const reading = (async () => {
        const bytes = Buffer.concat([whole, whole.subarray(0, cut)]);
        for await (const batch of protobufEvents(pieces(bytes, []), sliceShape)) events.push(...batch);
      })();
      await expect(reading).rejects.toMatchObject({ code: 'UnparsableLine' });
      expect(events).toHaveLength(1);
    }),
  );
});

test('what an ERROR carries is read as a Status', async () => {
  const gone = { status: 'Failure', reason: 'Expired', message: 'too old', code: 410 };
  expect(await heard(frame('ERROR', messageBytes(statusShape, gone)))).toEqual([
    { type: 'ERROR', object: gone },
  ]);
});

test('the end of a list is known by the annotation of its bookmark', async () => {
  const object = {
    metadata: { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } },
  };
  expect(await heard(frame('BOOKMARK', messageBytes(sliceShape, object)))).toEqual([
    { type: 'BOOKMARK', object },
  ]);
});

test.each<[string, Buffer, string]>([
  ['a frame of more than anybody sends', Buffer.from([0xff, 0, 0, 0, 1]), 'a frame without an end'],
  ['JSON', Buffer.from('{"type":"ADDED"}'), 'a frame'],
])('%s is refused', async (_title, bytes, words) => {
  await expect(heard(bytes)).rejects.toThrow(words);
});

test('an object without the mark of the envelope is refused', () => {
  expect(() => openEnvelope(sliceShape, Buffer.from('k9s\0'))).toThrow('without the mark');
});

test('an object that is encoded once more is refused', () => {
  const bytes = Buffer.concat([Buffer.from('k8s\0'), Buffer.from([26, 4]), Buffer.from('gzip')]);
  expect(() => openEnvelope(sliceShape, bytes)).toThrow('in an encoding that nobody asked for');
});

test('a refusal is read as if it had come as JSON; what is none stays as it is', () => {
  const status = {
    status: 'Failure',
    message: 'no',
    reason: 'Forbidden',
    details: { causes: [{ field: 'spec.x', message: 'bad' }], retryAfterSeconds: 3 },
    code: 403,
  };
  expect(JSON.parse(statusText(enveloped(messageBytes(statusShape, status))))).toEqual(status);
  expect(statusText(Buffer.from('upstream is away'))).toBe('upstream is away');
});
