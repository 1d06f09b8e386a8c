/**
 * What we and the child (relay-program.ts) say to each other: messages with their length before them, little-endian.
 */
export interface SocketOption {
  readonly level: number;
  readonly name: number;
  readonly value: Buffer;
}

export interface SocketSpec {
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
  /** One that the kernel refuses is passed over: each only makes things better. */
  readonly options: readonly SocketOption[];
  /** A classic BPF program; empty for none. */
  readonly filter: Buffer;
  /** A `sockaddr`. */
  readonly address: Buffer;
}

/** An instruction of classic BPF. */
export type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

export const loadWord = 0x20;
export const loadByte = 0x30;
export const jumpEqual = 0x15;
export const answer = 0x06;
export const whole = 0xffff_ffff;

export function filterProgram(instructions: readonly Instruction[]): Buffer {
  const program = Buffer.alloc(instructions.length * 8);
  instructions.forEach(([code, ifTrue, ifFalse, operand], i) => {
    program.writeUInt16LE(code, i * 8);
    program.writeUInt8(ifTrue, i * 8 + 2);
    program.writeUInt8(ifFalse, i * 8 + 3);
    program.writeUInt32LE(operand, i * 8 + 4);
  });
  return program;
}

export function openMessage(socket: number, spec: SocketSpec): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32LE(spec.domain, 0);
  head.writeUInt32LE(spec.type, 4);
  head.writeUInt32LE(spec.protocol, 8);
  head.writeUInt8(spec.options.length, 12);
  const options = spec.options.map(({ level, name, value }) => {
    const words = Buffer.alloc(8);
    words.writeUInt32LE(level, 0);
    words.writeUInt32LE(name, 4);
    return Buffer.concat([words, counted(value)]);
  });
  return framed('o', socket, head, ...options, counted(spec.filter), counted(spec.address));
}

export interface Datagram {
  /** A `sockaddr`. */
  readonly address: Buffer;
  readonly data: Buffer;
  /** Hundredths of a second since the machine's start; not sent later than this. 0: no bound. */
  readonly until: number;
  /** Comes back with an error. */
  readonly tag: number;
}

export function sendMessage(socket: number, { address, data, until, tag }: Datagram): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(until, 0);
  head.writeUInt32LE(tag, 4);
  return framed('s', socket, head, counted(address), data);
}

export type FromRelay =
  | { readonly kind: 'opened'; readonly socket: number; readonly address: Buffer }
  | { readonly kind: 'received'; readonly socket: number; readonly from: Buffer; readonly data: Buffer }
  | { readonly kind: 'failed'; readonly socket: number; readonly tag: number; readonly errno: number };

/** The tag of an error that befell the opening of a socket. */
export const openingTag = 0xffff_ffff;
/** The errno of what was not sent because its time was over. */
export const tooLate = 62;

/** Cuts what the child writes into messages. */
export class RelayReader {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): FromRelay[] {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const messages: FromRelay[] = [];
    let at = 0;
    while (at + 4 <= all.length) {
      const length = all.readUInt32LE(at);
      if (at + 4 + length > all.length) break;
      const message = readMessage(all.subarray(at + 4, at + 4 + length));
      if (message !== undefined) messages.push(message);
      at += 4 + length;
    }
    this.#rest = all.subarray(at);
    return messages;
  }
}

function readMessage(bytes: Buffer): FromRelay | undefined {
  if (bytes.length < 2) return undefined;
  const socket = bytes.readUInt8(1);
  switch (bytes.toString('latin1', 0, 1)) {
    case 'o':
      return { kind: 'opened', socket, address: bytes.subarray(2) };
    case 'r': {
      const length = bytes.readUInt16LE(2);
      return {
        kind: 'received',
        socket,
        from: bytes.subarray(4, 4 + length),
        data: bytes.subarray(4 + length),
      };
    }
    case 'e':
      return { kind: 'failed', socket, tag: bytes.readUInt32LE(2), errno: bytes.readUInt32LE(6) };
    default:
      return undefined;
  }
}

function counted(bytes: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(bytes.length, 0);
  return Buffer.concat([length, bytes]);
}

function framed(what: 'o' | 's', socket: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(6);
  head.writeUInt32LE(body.length + 2, 0);
  head.write(what, 4, 'latin1');
  head.writeUInt8(socket, 5);
  return Buffer.concat([head, body]);
}
