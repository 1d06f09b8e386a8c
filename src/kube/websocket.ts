/**
 * The client's side of WebSocket framing (RFC 6455) on a socket that was upgraded already: binary messages out,
 * bytes of messages in. No extensions, since none is offered in the handshake.
 *
 * It pulls: while the reader does not take bytes, the socket is not read, and the other side is slowed down.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { SluiceError } from '../core/errors.ts';

const continuation = 0x0;
const text = 0x1;
const binary = 0x2;
const close = 0x8;
const ping = 0x9;
const pong = 0xa;

/** A control frame's payload may be no longer. */
const longestControl = 125;
/** No honest server sends single frames of this size here. */
const longestFrame = 16 * 1024 * 1024;

export function newKey(): string {
  return randomBytes(16).toString('base64');
}

/** What the server must answer to a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

export interface MessageEvents {
  /** Bytes of a message; `first` where a message begins. */
  readonly onBytes: (bytes: Buffer, first: boolean) => void;
  /** The other side ended, or the stream broke: called once, last. */
  readonly onEnd: (error: Error | undefined) => void;
}

export class WebSocketStream {
  readonly #socket: Duplex;
  readonly #events: MessageEvents;
  #rest: Buffer = Buffer.alloc(0);
  /** Payload bytes of the present data frame that are still to come. */
  #left = 0;
  #first = true;
  #final = true;
  #ended = false;

  /** @param head bytes that came behind the answer's head. */
  constructor(socket: Duplex, head: Buffer, events: MessageEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('data', (data: Buffer) => this.#take(data));
    socket.on('error', (error) => this.#end(error));
    socket.on('end', () => this.#end(broken('the stream ended without a word')));
    socket.on('close', () => this.#end(broken('the stream was cut')));
    if (head.length > 0) this.#take(head);
  }

  /** @returns false when the caller should wait for `onDrain`. */
  send(parts: readonly Buffer[], onSent?: (error?: Error | null) => void): boolean {
    if (this.#ended) {
      onSent?.(broken('the stream is closed'));
      return true;
    }
    return this.#socket.write(frame(binary, parts), onSent);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#ended) this.#socket.resume();
  }

  /** Says good-bye and closes. */
  close(): void {
    if (!this.#ended) {
      const normal = Buffer.from([0x03, 0xe8]);
      this.#socket.end(frame(close, [normal]));
    }
    this.#ended = true;
    // A peer that never closes must not keep the socket.
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
  }

  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  #take(data: Buffer): void {
    let bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    while (!this.#ended) {
      if (this.#left > 0) {
        if (bytes.length === 0) break;
        const part = bytes.subarray(0, this.#left);
        bytes = bytes.subarray(part.length);
        this.#left -= part.length;
        this.#events.onBytes(part, this.#first);
        this.#first = this.#left === 0 && this.#final;
        continue;
      }
      const head = headOf(bytes);
      if (head === undefined) break;
      if (head.length > longestFrame || head.masked) {
        this.#end(broken('the server sends what is not WebSocket'));
        return;
      }
      const control = head.opcode >= close;
      if (control && (head.length > longestControl || bytes.length < head.size + head.length)) {
        if (head.length > longestControl) this.#end(broken('the server sends what is not WebSocket'));
        break;
      }
      bytes = bytes.subarray(head.size);
      if (control) {
        this.#control(head.opcode, bytes.subarray(0, head.length));
        bytes = bytes.subarray(head.length);
        continue;
      }
      if (head.opcode !== continuation) this.#first = true;
      if (head.opcode !== continuation && head.opcode !== text && head.opcode !== binary) {
        this.#end(broken(`the server sends frames of the unknown kind ${head.opcode}`));
        return;
      }
      this.#final = head.final;
      this.#left = head.length;
    }
    this.#rest = bytes;
  }

  #control(opcode: number, payload: Buffer): void {
    if (opcode === ping) this.#socket.write(frame(pong, [payload]));
    if (opcode !== close) return;
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    const why = payload.subarray(2).toString('utf8');
    const normal = code === 1000 || code === 1001 || code === 1005;
    if (!this.#ended) this.#socket.end(frame(close, [payload.subarray(0, 2)]));
    this.#end(normal && why === '' ? undefined : broken(`the server closed the stream: ${why || code}`));
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.onEnd(error);
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
  }
}

interface Head {
  readonly opcode: number;
  readonly final: boolean;
  readonly masked: boolean;
  readonly length: number;
  /** Of the head itself. */
  readonly size: number;
}

function headOf(bytes: Buffer): Head | undefined {
  if (bytes.length < 2) return undefined;
  const [one = 0, two = 0] = bytes;
  const short = two & 0x7f;
  const size = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < size) return undefined;
  const length =
    short === 126
      ? bytes.readUInt16BE(2)
      : short === 127
        ? bytes.readUInt32BE(2) * 2 ** 32 + bytes.readUInt32BE(6)
        : short;
  return { opcode: one & 0x0f, final: (one & 0x80) !== 0, masked: (two & 0x80) !== 0, length, size };
}

/** One final frame, masked as a client must. */
function frame(opcode: number, parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const size = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const out = Buffer.allocUnsafe(size + 4 + length);
  out[0] = 0x80 | opcode;
  out[1] = 0x80 | (size === 2 ? length : size === 4 ? 126 : 127);
  if (size === 4) out.writeUInt16BE(length, 2);
  if (size === 10) out.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  mask.copy(out, size);
  let at = size + 4;
  for (const part of parts) at += part.copy(out, at);
  applyMask(out, size + 4, mask);
  return out;
}

function applyMask(out: Buffer, from: number, mask: Buffer): void {
  for (let i = from, m = 0; i < out.length; i += 1, m = (m + 1) & 3) out[i] = (out[i] ?? 0) ^ (mask[m] ?? 0);
}

function broken(message: string): SluiceError {
  return new SluiceError('transient', message, { code: 'StreamBroken' });
}
