/**
 * A watch in the API's binary form: frames with a length in front, a watch event in each, and in that the object in the
 * envelope that Kubernetes puts around protobuf (`k8s\0`, then `runtime.Unknown`).
 */
import { broken, decodeMessage } from './decode.ts';
import { statusShape } from './shapes.ts';
import { message, range, shape as shapeOf, text, type Range, type Shape } from './shape.ts';

export const protobufType = 'application/vnd.kubernetes.protobuf';

/** Whether an answer is in this form, by its `Content-Type`. */
export function isProtobuf(contentType: string | readonly string[] | undefined): boolean {
  const [type = ''] = typeof contentType === 'string' ? [contentType] : (contentType ?? []);
  return type.startsWith(protobufType);
}

/** A frame longer than this is not an object of Kubernetes (etcd stores 1.5 MiB) but a broken peer. */
const longestFrame = 64 * 1024 * 1024;
const headLength = 4;

/**
 * The events of each chunk at once, as `{ type, object }`; objects of `shape`, or Statuses in events of type ERROR.
 *
 * Errors: `transient`, code `UnparsableLine`.
 */
export async function* protobufEvents(
  chunks: AsyncIterable<Uint8Array>,
  shape: Shape,
): AsyncGenerator<readonly unknown[], void> {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let needed = headLength;
  for await (const chunk of chunks) {
    const arrived = asBuffer(chunk);
    keptBytes += arrived.length;
    kept.push(arrived);
    // What a frame needs is put together once, when its end has come.
    if (keptBytes < needed) continue;
    const held = kept.length === 1 ? arrived : Buffer.concat(kept, keptBytes);
    const events: unknown[] = [];
    let at = 0;
    for (needed = headLength; at + needed <= held.length; needed = headLength) {
      const length = held.readUInt32BE(at);
      if (length > longestFrame) throw broken('a frame without an end');
      needed = headLength + length;
      if (at + needed > held.length) break;
      events.push(watchEvent(held, { from: at + headLength, to: at + needed }, shape));
      at += needed;
    }
    keptBytes = held.length - at;
    kept = keptBytes === 0 ? [] : [at === 0 ? held : held.subarray(at)];
    if (events.length > 0) yield events;
  }
  if (keptBytes > 0) throw broken('a frame that breaks off');
}

/** What the envelope holds that stands in `bytes`; without a range, that they are. */
export function openEnvelope(
  shape: Shape,
  bytes: Buffer,
  { from, to }: Range = { from: 0, to: bytes.length },
): unknown {
  if (to - from < markLength || bytes.readUInt32BE(from) !== envelopeMark) {
    throw broken('an object without the mark of protobuf');
  }
  const unknown = decodeMessage(unknownShape, bytes, { from: from + markLength, to });
  const { raw, encoding } = unknown as { readonly raw?: Range; readonly encoding?: string };
  if (encoding !== undefined) throw broken('an object in an encoding that nobody asked for');
  return raw === undefined ? {} : decodeMessage(shape, bytes, raw);
}

/** A Status in the envelope as JSON text, which is how other answers come; what is none, as it is. */
export function statusText(answer: Buffer): string {
  try {
    return JSON.stringify(openEnvelope(statusShape, answer));
  } catch {
    return answer.toString('utf8');
  }
}

/** `k8s\0`. */
export const envelopeMark = 0x6b387300;
export const markLength = 4;
/** `runtime.Unknown`. */
const unknownShape = shapeOf({ 2: range('raw'), 3: text('encoding') });
/** `meta/v1 WatchEvent`, with `runtime.RawExtension`. */
const eventShape = shapeOf({ 1: text('type'), 2: message('object', shapeOf({ 1: range('raw') })) });

function watchEvent(bytes: Buffer, frame: Range, shape: Shape): unknown {
  const event = decodeMessage(eventShape, bytes, frame) as {
    readonly type?: string;
    readonly object?: { readonly raw?: Range };
  };
  const { type, object } = event;
  if (object?.raw === undefined) return { type };
  return { type, object: openEnvelope(type === 'ERROR' ? statusShape : shape, bytes, object.raw) };
}

export function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
