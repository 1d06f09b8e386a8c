/**
 * The other half of the protobuf reader: values of a shape as the bytes that an API server would send, and values to try
 * it with. Fields that no shape names stand between those that one does.
 */
import { fc } from '@fast-check/vitest';

import type { Field, Shape } from '../../src/kube/protobuf/shape.ts';

type Values = Readonly<Record<string, unknown>>;

export function varint(value: number): Buffer {
  let left = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    bytes.push(left === 0n ? low : low | 0x80);
  } while (left !== 0n);
  return Buffer.from(bytes);
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

export function delimited(field: number, bytes: Buffer | string): Buffer {
  const content = Buffer.from(bytes);
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content]);
}

/** Of each type of the wire format one, with numbers that no shape has. */
const strange = [
  number(901, 7),
  delimited(902, 'nobody reads this'),
  Buffer.concat([varint(903 * 8 + 1), Buffer.alloc(8, 0xff)]),
  Buffer.concat([varint(904 * 8 + 5), Buffer.alloc(4, 0xff)]),
];

export function messageBytes(shape: Shape, values: Values, withStrange = false): Buffer {
  const parts: Buffer[] = [];
  for (const [at, field] of shape.entries()) {
    const extra = strange[at % strange.length];
    if (withStrange && extra !== undefined) parts.push(extra);
    const value = field === undefined ? undefined : values[field.name];
    if (field !== undefined && value !== undefined) parts.push(...fieldBytes(at, field, value, withStrange));
  }
  return Buffer.concat(parts);
}

function fieldBytes(at: number, field: Field, value: unknown, withStrange: boolean): Buffer[] {
  switch (field.kind) {
    case 'integer':
      return [number(at, value as number)];
    case 'flag':
      return [number(at, value === true ? 1 : 0)];
    case 'text':
      return [delimited(at, value as string)];
    case 'texts':
      return (value as string[]).map((one) => delimited(at, one));
    case 'range':
      return [delimited(at, value as Buffer)];
    case 'map':
      return Object.entries(value as Record<string, string>).map(([key, one]) =>
        delimited(at, Buffer.concat([delimited(1, key), delimited(2, one)])),
      );
    case 'time':
      return [delimited(at, number(1, Date.parse(value as string) / 1000))];
    case 'number-or-name':
      return [
        delimited(
          at,
          typeof value === 'string'
            ? Buffer.concat([number(1, 1), number(2, 0), delimited(3, value)])
            : Buffer.concat([number(1, 0), number(2, value as number), delimited(3, '')]),
        ),
      ];
    case 'message':
      return [delimited(at, messageBytes(field.shape, value as Values, withStrange))];
    case 'messages':
      return (value as Values[]).map((one) => delimited(at, messageBytes(field.shape, one, withStrange)));
    case 'fields':
      return [delimited(at, delimited(1, JSON.stringify(value)))];
  }
}

/** An object in the envelope of Kubernetes. */
export function enveloped(object: Buffer): Buffer {
  const type = delimited(1, Buffer.concat([delimited(1, 'v1'), delimited(2, 'Service')]));
  const plain = [delimited(3, ''), delimited(4, '')];
  return Buffer.concat([Buffer.from('k8s\0'), type, delimited(2, object), ...plain]);
}

/** One event of a watch, in its frame. */
export function frame(type: string, object: Buffer): Buffer {
  const event = Buffer.concat([delimited(1, type), delimited(2, delimited(1, enveloped(object)))]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(event.length);
  return Buffer.concat([head, event]);
}

/** A list of these objects, of that version, in the envelope; fields of later versions may stand before each. */
export function list(version: string | undefined, objects: readonly Buffer[], withStrange = false): Buffer {
  const meta = Buffer.concat([delimited(1, ''), delimited(2, version ?? ''), delimited(3, '')]);
  const items = objects.flatMap((object, at) => {
    const extra = strange[at % strange.length];
    return [...(withStrange && extra !== undefined ? [extra] : []), delimited(2, object)];
  });
  return enveloped(Buffer.concat([...(version === undefined ? [] : [delimited(1, meta)]), ...items]));
}

/** Values of a shape as the API's JSON has them: what is zero and no pointer is absent. */
export function valuesOf(shape: Shape): fc.Arbitrary<Values> {
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of shape) if (field !== undefined) model[field.name] = valueOf(field);
  return fc.record(model, { requiredKeys: [] });
}

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'binary' }));

function valueOf(field: Field): fc.Arbitrary<unknown> {
  const isPointer = 'pointer' in field;
  switch (field.kind) {
    case 'integer':
      return fc
        .oneof(fc.nat(70_000), fc.maxSafeInteger(), fc.constantFrom(0, -1, 127, 128, 2 ** 31, -(2 ** 31)))
        .filter((one) => isPointer || one !== 0);
    case 'flag':
      return isPointer ? fc.boolean() : fc.constant(true);
    case 'text':
      return anyText.filter((one) => isPointer || one !== '');
    case 'texts':
      return fc.array(anyText, { minLength: 1, maxLength: 3 });
    case 'range':
      return fc.uint8Array().map((one) => Buffer.from(one));
    case 'map':
      return fc
        .uniqueArray(fc.tuple(fc.oneof(anyText, fc.constant('__proto__')), anyText), {
          minLength: 1,
          maxLength: 3,
          selector: ([key]) => key,
        })
        .map((entries) => Object.fromEntries(entries));
    case 'time':
      return fc
        .integer({ min: 1, max: 4_000_000_000 })
        .map((seconds) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z'));
    case 'number-or-name':
      return fc.oneof(fc.nat(65_535), fc.string());
    case 'message':
      return valuesOf(field.shape);
    case 'messages':
      return fc.array(valuesOf(field.shape), { minLength: 1, maxLength: 3 });
    case 'fields':
      return fc.constantFrom<unknown>({ 'f:status': { 'f:loadBalancer': { 'f:ingress': {} } } });
  }
}
