/**
 * Neighbour discovery of IPv6 over Ethernet, built and read (RFC 4861): unsolicited advertisements, and the
 * solicitation that asks for an address before it is used (RFC 4862, 5.4).
 */
export const etherTypeIpv6 = 0x86dd;

const ethernetLength = 14;
const headerLength = 40;
const bodyAt = ethernetLength + headerLength;
const icmp = 58;
export const solicitation = 135;
export const advertisement = 136;
/** What is not sent on this link has not passed a router (RFC 4861, 7.1). */
const hopLimit = 255;
const override = 0x2000_0000;
const solicited = 0x4000_0000;
const targetLinkLayer = 2;

const allNodes = Buffer.from('ff020000000000000000000000000001', 'hex');
const unspecified = Buffer.alloc(16);

/** Tells every node on the link that an address is ours now, over whatever it believes. */
export function unsolicitedAdvertisement(mac: Buffer, ip: Buffer): Buffer {
  const body = Buffer.alloc(32);
  body.writeUInt8(advertisement, 0);
  body.writeUInt32BE(override, 4);
  ip.copy(body, 8);
  body.writeUInt8(targetLinkLayer, 24);
  body.writeUInt8(1, 25);
  mac.copy(body, 26);
  return frameOf(mac, ip, allNodes, body);
}

/** Asks who has an address without claiming any: from the unspecified address, so the answer goes to all nodes. */
export function duplicateProbe(mac: Buffer, ip: Buffer): Buffer {
  const body = Buffer.alloc(24);
  body.writeUInt8(solicitation, 0);
  ip.copy(body, 8);
  return frameOf(mac, unspecified, solicitedNode(ip), body);
}

/** The group that the holder of an address listens to. */
export function solicitedNode(ip: Buffer): Buffer {
  const group = Buffer.from('ff0200000000000000000001ff000000', 'hex');
  ip.copy(group, 13, 13);
  return group;
}

function frameOf(mac: Buffer, source: Buffer, group: Buffer, body: Buffer): Buffer {
  const frame = Buffer.alloc(bodyAt + body.length);
  frame.writeUInt16BE(0x3333, 0);
  group.copy(frame, 2, 12);
  mac.copy(frame, 6);
  frame.writeUInt16BE(etherTypeIpv6, 12);
  frame.writeUInt8(0x60, 14);
  frame.writeUInt16BE(body.length, 18);
  frame.writeUInt8(icmp, 20);
  frame.writeUInt8(hopLimit, 21);
  source.copy(frame, 22);
  group.copy(frame, 38);
  body.copy(frame, bodyAt);
  frame.writeUInt16BE(icmpChecksum(source, group, body), bodyAt + 2);
  return frame;
}

/** Over the pseudo header and the message, whose own field counts as zero (RFC 4443, 2.3). */
function icmpChecksum(source: Buffer, destination: Buffer, body: Buffer): number {
  let sum = body.length + icmp;
  for (const part of [source, destination, body]) {
    for (let at = 0; at + 1 < part.length; at += 2) sum += part.readUInt16BE(at);
  }
  sum -= body.readUInt16BE(2);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Discovery {
  readonly kind: 'solicitation' | 'advertisement';
  readonly sourceMac: Buffer;
  /** All zero where the sender asks before it uses the address. */
  readonly source: Buffer;
  readonly target: Buffer;
  /** Of an advertisement: it answers a question. */
  readonly solicited: boolean;
}

/** Undefined for what is not a sound solicitation or advertisement. */
export function readDiscovery(frame: Buffer): Discovery | undefined {
  if (frame.length < bodyAt + 24 || frame.readUInt16BE(12) !== etherTypeIpv6) return undefined;
  if (frame.readUInt8(20) !== icmp || frame.readUInt8(21) !== hopLimit) return undefined;
  const type = frame.readUInt8(bodyAt);
  if ((type !== solicitation && type !== advertisement) || frame.readUInt8(bodyAt + 1) !== 0)
    return undefined;
  const length = frame.readUInt16BE(18);
  if (length < 24 || frame.length < bodyAt + length) return undefined;
  const source = frame.subarray(22, 38);
  const body = frame.subarray(bodyAt, bodyAt + length);
  if (icmpChecksum(source, frame.subarray(38, 54), padded(body)) !== body.readUInt16BE(2)) return undefined;
  return {
    kind: type === solicitation ? 'solicitation' : 'advertisement',
    sourceMac: frame.subarray(6, 12),
    source,
    target: frame.subarray(bodyAt + 8, bodyAt + 24),
    solicited: type === advertisement && (frame.readUInt32BE(bodyAt + 4) & solicited) !== 0,
  };
}

/** Options come in eights of bytes, so an odd length is unsound anyway; it must not be summed up wrong. */
function padded(body: Buffer): Buffer {
  return body.length % 2 === 0 ? body : Buffer.concat([body, Buffer.alloc(1)]);
}
