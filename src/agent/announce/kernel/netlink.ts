/**
 * Messages of netlink, built and read (netlink(7)): header, fixed part, attributes; several in one datagram.
 *
 * Numbers are in the order of the machine, which is little-endian on every machine that we run on.
 */
export const netlinkRoute = 0;
export const headerLength = 16;

export const messageError = 2;
export const messageDone = 3;

export const flagRequest = 1;
export const flagAck = 4;
export const flagReplace = 0x100;
export const flagExclusive = 0x200;
export const flagCreate = 0x400;
export const flagDump = 0x300;

/** Marks an attribute that holds attributes. */
const nestedBit = 0x8000;

/** A message as it is asked for; who sends it gives it a number. */
export interface Request {
  readonly type: number;
  /** Beside `flagRequest`. */
  readonly flags: number;
  readonly body: Buffer;
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

export function writeMessage({ type, flags, body }: Request, sequence: number): Buffer {
  const length = headerLength + body.length;
  const message = Buffer.alloc(aligned(length));
  message.writeUInt32LE(length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags | flagRequest, 6);
  message.writeUInt32LE(sequence, 8);
  body.copy(message, headerLength);
  return message;
}

/** What is cut short ends the list. */
export function readMessages(datagram: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at + headerLength <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < headerLength || at + length > datagram.length) break;
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + headerLength, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** The number of the error that an error message tells, 0 for success. */
export function errorOf({ body }: Message): number {
  return body.length < 4 ? 0 : -body.readInt32LE(0);
}

export function attribute(type: number, value: Buffer): Buffer {
  const length = 4 + value.length;
  const written = Buffer.alloc(aligned(length));
  written.writeUInt16LE(length, 0);
  written.writeUInt16LE(type, 2);
  value.copy(written, 4);
  return written;
}

export function nested(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | nestedBit, Buffer.concat(attributes));
}

export function number32(value: number): Buffer {
  const written = Buffer.alloc(4);
  written.writeUInt32LE(value >>> 0, 0);
  return written;
}

/** By type; of two of one type the last counts. */
export function readAttributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    attributes.set(bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += aligned(length);
  }
  return attributes;
}

/** 0 where it is absent or too short. */
export function numberOf(value: Buffer | undefined): number {
  return value === undefined || value.length < 4 ? 0 : value.readUInt32LE(0);
}

/** A text that ends at its first zero byte. */
export function textOf(value: Buffer | undefined): string {
  if (value === undefined) return '';
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
