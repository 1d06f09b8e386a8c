/**
 * As much of SPDY/3.1 as a port-forward needs, client's side: two streams, their data, their ends.
 *
 * The API server tunnels these bytes to the kubelet (KEP-4006, subprotocol `SPDY/3.1+portforward.k8s.io`) and does not
 * look at them. Header blocks are zlib streams; ours are made of stored blocks, which every reader takes and which
 * need neither SPDY's dictionary nor a compressor. Headers of the other side say nothing that is needed here.
 *
 * There is no flow control in the implementations at the other end, hence one connection a tunnel: what one slow
 * reader holds up is his own.
 */

const version = 0x8003;
const synStream = 1;
const synReply = 2;
const rstStream = 3;
const pingFrame = 6;
const goAway = 7;
const fin = 0x01;
const headSize = 8;
const longestData = 64 * 1024;
/** An empty stored block, as a compressor's flush leaves it: Go's reader hands out what it has only then. */
const flush = Buffer.from([0, 0, 0, 0xff, 0xff]);

export type SpdyEvent =
  | { readonly kind: 'reply'; readonly stream: number }
  /** Part of a stream's data; `end`: the last. */
  | { readonly kind: 'data'; readonly stream: number; readonly bytes: Buffer; readonly end: boolean }
  | { readonly kind: 'reset'; readonly stream: number; readonly status: number }
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'go away' };

/** Opens streams, in the order of their ids (odd, rising): the zlib stream of the headers goes on from one to the next. */
export class SpdyWriter {
  #began = false;

  open(stream: number, headers: Readonly<Record<string, string>>): Buffer {
    const entries = Object.entries(headers);
    const parts: Buffer[] = [u32(entries.length)];
    for (const [name, value] of entries) {
      for (const text of [name.toLowerCase(), value]) {
        const bytes = Buffer.from(text, 'utf8');
        parts.push(u32(bytes.length), bytes);
      }
    }
    const block = Buffer.concat(parts);
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(block.length, 1);
    stored.writeUInt16LE(~block.length & 0xffff, 3);
    const begin = this.#began ? Buffer.alloc(0) : Buffer.from([0x78, 0x01]);
    const zlib = Buffer.concat([begin, stored, block, flush]);
    this.#began = true;
    return control(synStream, 0, [u32(stream), u32(0), Buffer.alloc(2), zlib]);
  }
}

/** Frames of a stream's data; `end` closes our side of it. */
export function dataFrames(stream: number, bytes: Buffer, end = false): readonly Buffer[] {
  const frames: Buffer[] = [];
  let rest = bytes;
  do {
    const part = rest.subarray(0, longestData);
    rest = rest.subarray(part.length);
    const head = Buffer.alloc(headSize);
    head.writeUInt32BE(stream, 0);
    head.writeUInt32BE((end && rest.length === 0 ? fin * 2 ** 24 : 0) + part.length, 4);
    frames.push(head, part);
  } while (rest.length > 0);
  return frames;
}

/** A ping, or the answer to one: the same frame with the same id. */
export function pingFrameOf(id: number): Buffer {
  return control(pingFrame, 0, [u32(id)]);
}

export function resetFrame(stream: number): Buffer {
  const cancel = 5;
  return control(rstStream, 0, [u32(stream), u32(cancel)]);
}

/** Bytes in, events out. Data is passed on as it comes, not collected into frames. */
export class SpdyReader {
  readonly #onEvent: (event: SpdyEvent) => void;
  #rest: Buffer = Buffer.alloc(0);
  #data: { readonly stream: number; readonly end: boolean; left: number } | undefined;

  constructor(onEvent: (event: SpdyEvent) => void) {
    this.#onEvent = onEvent;
  }

  take(more: Buffer): void {
    let bytes = this.#rest.length === 0 ? more : Buffer.concat([this.#rest, more]);
    this.#rest = Buffer.alloc(0);
    for (;;) {
      if (this.#data !== undefined) {
        const { stream, end } = this.#data;
        const part = bytes.subarray(0, this.#data.left);
        bytes = bytes.subarray(part.length);
        this.#data.left -= part.length;
        const whole = this.#data.left === 0;
        if (part.length > 0 || whole) this.#onEvent({ kind: 'data', stream, bytes: part, end: end && whole });
        if (!whole) return;
        this.#data = undefined;
      }
      if (bytes.length < headSize) break;
      const first = bytes.readUInt32BE(0);
      const flags = bytes[4] ?? 0;
      const length = bytes.readUIntBE(5, 3);
      if (first < 0x8000_0000) {
        this.#data = { stream: first, end: (flags & fin) !== 0, left: length };
        bytes = bytes.subarray(headSize);
        continue;
      }
      if (bytes.length < headSize + length) break;
      this.#control(first & 0xffff, bytes.subarray(headSize, headSize + length), flags);
      bytes = bytes.subarray(headSize + length);
    }
    this.#rest = bytes;
  }

  #control(type: number, body: Buffer, flags: number): void {
    const id = body.length >= 4 ? body.readUInt32BE(0) & 0x7fff_ffff : 0;
    switch (type) {
      case synReply:
        this.#onEvent({ kind: 'reply', stream: id });
        if ((flags & fin) !== 0)
          this.#onEvent({ kind: 'data', stream: id, bytes: Buffer.alloc(0), end: true });
        return;
      case rstStream:
        this.#onEvent({ kind: 'reset', stream: id, status: body.length >= 8 ? body.readUInt32BE(4) : 0 });
        return;
      case pingFrame:
        this.#onEvent({ kind: 'ping', id: body.length >= 4 ? body.readUInt32BE(0) : 0 });
        return;
      case goAway:
        this.#onEvent({ kind: 'go away' });
        return;
      default:
      // Settings, windows and headers need no answer.
    }
  }
}

function control(type: number, flags: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(headSize);
  head.writeUInt16BE(version, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(flags * 2 ** 24 + body.length, 4);
  return Buffer.concat([head, body]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
