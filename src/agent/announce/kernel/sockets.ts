/**
 * The sockets that the child opens for us: their addresses, and the filters by which the kernel keeps from us what we
 * need not hear.
 */
import { advertisement, solicitation } from './neighbours6.ts';
import { netlinkRoute } from './netlink.ts';
import {
  answer,
  filterProgram,
  jumpEqual,
  loadByte,
  loadWord,
  whole,
  type SocketSpec,
} from './relay-frames.ts';

const domainNetlink = 16;
const domainPacket = 17;
const typeRaw = 3;
const levelSocket = 1;
const receiveBufferForce = 33;

export function netlinkAddress(port: number, groups: number): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(domainNetlink, 0);
  address.writeUInt32LE(port, 4);
  address.writeUInt32LE(groups, 8);
  return address;
}

export function packetAddress(protocol: number, link: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(domainPacket, 0);
  address.writeUInt16BE(protocol, 2);
  address.writeInt32LE(link, 4);
  return address;
}

export function netlinkSpec(groups: number, filter: Buffer): SocketSpec {
  const room = Buffer.alloc(4);
  room.writeUInt32LE(4 << 20, 0);
  return {
    domain: domainNetlink,
    type: typeRaw,
    protocol: netlinkRoute,
    options: [{ level: levelSocket, name: receiveBufferForce, value: room }],
    filter,
    address: netlinkAddress(0, groups),
  };
}

/** Made without a protocol and bound to one after the filter stands: not one packet too many is heard. */
export function packetSpec(protocol: number, filter: Buffer): SocketSpec {
  return {
    domain: domainPacket,
    type: typeRaw,
    protocol: 0,
    options: [],
    filter,
    address: packetAddress(protocol, 0),
  };
}

/** Not the changes that this port asked for: renewing a thousand addresses twice a second must not come back to us. */
export function notFrom(port: number): Buffer {
  const word = Buffer.alloc(4);
  word.writeUInt32LE(port, 0);
  return filterProgram([
    [loadWord, 0, 0, 12],
    // The filter reads words as the network writes them.
    [jumpEqual, 0, 1, word.readUInt32BE(0)],
    [answer, 0, 0, 0],
    [answer, 0, 0, whole],
  ]);
}

/** Of all IPv6 that passes, solicitations and advertisements. */
export const discoveryOnly = filterProgram([
  [loadByte, 0, 0, 20],
  [jumpEqual, 0, 3, 58],
  [loadByte, 0, 0, 54],
  [jumpEqual, 2, 0, solicitation],
  [jumpEqual, 1, 0, advertisement],
  [answer, 0, 0, 0],
  [answer, 0, 0, whole],
]);
