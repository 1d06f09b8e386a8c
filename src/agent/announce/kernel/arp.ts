/**
 * ARP frames over Ethernet, built and read (RFC 826; gratuitous and probing forms of RFC 5227).
 */
import { broadcastMac } from './wire.ts';

export const etherTypeArp = 0x0806;

const ethernetLength = 14;
/** Ethernet header and an ARP packet of Ethernet and IPv4. */
const frameLength = ethernetLength + 28;
const request = 1;
const reply = 2;

interface ArpWords {
  readonly operation: number;
  readonly senderMac: Buffer;
  readonly senderIp: Buffer;
  readonly targetMac: Buffer;
  readonly targetIp: Buffer;
}

/** A broadcast frame. */
function arpFrame({ operation, senderMac, senderIp, targetMac, targetIp }: ArpWords): Buffer {
  const frame = Buffer.alloc(frameLength);
  broadcastMac.copy(frame, 0);
  senderMac.copy(frame, 6);
  frame.writeUInt16BE(etherTypeArp, 12);
  frame.writeUInt16BE(1, 14);
  frame.writeUInt16BE(0x0800, 16);
  frame.writeUInt8(6, 18);
  frame.writeUInt8(4, 19);
  frame.writeUInt16BE(operation, 20);
  senderMac.copy(frame, 22);
  senderIp.copy(frame, 28);
  targetMac.copy(frame, 32);
  targetIp.copy(frame, 38);
  return frame;
}

/**
 * Both forms in which neighbours are told whose an address is now: some listen to the request, some to the reply. The
 * reply names us as target too: Linux takes it as gratuitous only so, and then does not wait for its lock time.
 */
export function gratuitousArps(mac: Buffer, ip: Buffer): readonly [Buffer, Buffer] {
  const words = { senderMac: mac, senderIp: ip, targetIp: ip };
  return [
    arpFrame({ ...words, operation: request, targetMac: Buffer.alloc(6) }),
    arpFrame({ ...words, operation: reply, targetMac: mac }),
  ];
}

/** Asks who has an address without claiming any: the sender's is all zero (RFC 5227, 2.1.1). */
export function arpProbe(mac: Buffer, ip: Buffer): Buffer {
  return arpFrame({
    operation: request,
    senderMac: mac,
    senderIp: Buffer.alloc(4),
    targetMac: Buffer.alloc(6),
    targetIp: ip,
  });
}

export interface Arp {
  readonly kind: 'request' | 'reply';
  readonly senderMac: Buffer;
  /** All zero in a probe. */
  readonly senderIp: Buffer;
  readonly targetIp: Buffer;
}

/** Undefined for what is not ARP of IPv4 over Ethernet. */
export function readArp(frame: Buffer): Arp | undefined {
  if (frame.length < frameLength || frame.readUInt16BE(12) !== etherTypeArp) return undefined;
  if (frame.readUInt16BE(14) !== 1 || frame.readUInt16BE(16) !== 0x0800) return undefined;
  if (frame.readUInt8(18) !== 6 || frame.readUInt8(19) !== 4) return undefined;
  const operation = frame.readUInt16BE(20);
  if (operation !== request && operation !== reply) return undefined;
  return {
    kind: operation === request ? 'request' : 'reply',
    senderMac: frame.subarray(22, 28),
    senderIp: frame.subarray(28, 32),
    targetIp: frame.subarray(38, 42),
  };
}
