/**
 * Links, addresses and routes in the words of rtnetlink(7), built and read.
 *
 * Our addresses bear a mark, so that those of an earlier run are known: the label `sluice` (IPv4), and the number of
 * their origin (kernels from 5.18 on). Older kernels keep no mark of an IPv6 address; there one is known by being
 * what nobody else makes: a single address, never preferred, with a lifetime of a few seconds.
 */
import {
  attribute,
  flagAck,
  flagCreate,
  flagDump,
  flagExclusive,
  flagReplace,
  nested,
  number32,
  numberOf,
  readAttributes,
  textOf,
  type Message,
  type Request,
} from './netlink.ts';
import { family4, family6 } from './wire.ts';

export const newLink = 16;
export const delLink = 17;
const getLink = 18;
const setLink = 19;
export const newAddress = 20;
export const delAddress = 21;
const getAddress = 22;
export const newRoute = 24;
const getRoute = 26;

/** Bits of the multicast groups `link`, `ipv4-ifaddr` and `ipv6-ifaddr`. */
export const changeGroups = (1 << 0) | (1 << 4) | (1 << 8);

const label = 'sluice';
/** `rt_addrprotos`: numbers from 4 on are free; nothing known uses this one. */
const origin = 0x5c;

const ifaAddress = 1;
const ifaLocal = 2;
const ifaLabel = 3;
const ifaCacheInfo = 6;
const ifaFlags = 8;
const ifaOrigin = 11;
const flagNoDad = 0x02;
const flagNoPrefixRoute = 0x200;
const forever = 0xffff_ffff;
/** Of this node alone: the kernel never chooses such an address as the source of its own packets. */
const scopeHost = 254;

const rtaDestination = 1;

const iflaAddress = 1;
const iflaName = 3;
const iflaMaster = 10;
const iflaLinkInfo = 18;
const iflaAfSpec = 26;
const iflaExtMask = 29;
const infoKind = 1;
const inetConf = 1;
const skipStatistics = 1 << 3;
const confArpAnnounce = 18;
const confArpIgnore = 19;

const flagUp = 0x1;
const flagLoopback = 0x8;
const flagPointToPoint = 0x10;
const flagRunning = 0x40;
const flagNoArp = 0x80;
const ethernet = 1;

/** Overlays of the cluster: they look like Ethernet, and no neighbour of the LAN is behind them. */
const overlays = new Set(['vxlan', 'geneve', 'gretap', 'ip6gretap']);

/** One of our addresses on a link. */
export interface OwnAddress {
  /** 4 or 16 bytes. */
  readonly address: Buffer;
  readonly link: number;
}

function addressBody({ address, link }: OwnAddress, attributes: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(address.length === 4 ? family4 : family6, 0);
  head.writeUInt8(address.length * 8, 1);
  // The kernel knows the scope of an IPv6 address by itself.
  if (address.length === 4) head.writeUInt8(scopeHost, 3);
  head.writeUInt32LE(link, 4);
  return Buffer.concat([head, attribute(ifaLocal, address), attribute(ifaAddress, address), ...attributes]);
}

/**
 * Puts an address on a link for so many seconds, or makes those begin anew. `fresh`: fails (EEXIST) where it is there.
 */
export function putAddress(own: OwnAddress, seconds: number, how: 'fresh' | 'renew'): Request {
  const lifetimes = Buffer.alloc(16);
  // Preferred for no time at all: nobody takes it as the source of a new connection.
  lifetimes.writeUInt32LE(seconds, 4);
  const attributes = [
    attribute(ifaCacheInfo, lifetimes),
    attribute(ifaFlags, number32(flagNoPrefixRoute | (own.address.length === 16 ? flagNoDad : 0))),
    attribute(ifaOrigin, Buffer.from([origin])),
  ];
  if (own.address.length === 4) attributes.push(attribute(ifaLabel, Buffer.from(`${label}\0`)));
  return {
    type: newAddress,
    flags: flagCreate | (how === 'fresh' ? flagExclusive : flagReplace),
    body: addressBody(own, attributes),
  };
}

export function takeAddress(own: OwnAddress): Request {
  return { type: delAddress, flags: 0, body: addressBody(own, []) };
}

/**
 * arp_ignore and arp_announce of a link. Through netlink, because /proc/sys is read-only in a container that has the
 * right to do it.
 */
export function setArp(link: number, { announce, ignore }: ArpSettings): Request {
  const head = Buffer.alloc(16);
  head.writeInt32LE(link, 4);
  const values = nested(
    inetConf,
    attribute(confArpAnnounce, number32(announce)),
    attribute(confArpIgnore, number32(ignore)),
  );
  return {
    type: setLink,
    flags: flagAck,
    body: Buffer.concat([head, nested(iflaAfSpec, nested(family4, values))]),
  };
}

export function listLinks(): Request {
  return {
    type: getLink,
    flags: flagDump,
    body: Buffer.concat([Buffer.alloc(16), attribute(iflaExtMask, number32(skipStatistics))]),
  };
}

export function listAddresses(): Request {
  return { type: getAddress, flags: flagDump, body: Buffer.alloc(8) };
}

export function listRoutes(family: 4 | 6): Request {
  const body = Buffer.alloc(12);
  body.writeUInt8(family === 4 ? family4 : family6, 0);
  return { type: getRoute, flags: flagDump, body };
}

/** Asks where a packet for an address would go. */
export function findRoute(address: Buffer): Request {
  const body = Buffer.alloc(12);
  body.writeUInt8(address.length === 4 ? family4 : family6, 0);
  body.writeUInt8(address.length * 8, 1);
  return { type: getRoute, flags: 0, body: Buffer.concat([body, attribute(rtaDestination, address)]) };
}

/** The answer: to this node itself. */
export function leadsHere({ type, body }: Message): boolean {
  const local = 2;
  return type === newRoute && body.length >= 12 && body.readUInt8(7) === local;
}

export interface ArpSettings {
  readonly announce: number;
  readonly ignore: number;
}

export interface LinkFacts {
  readonly index: number;
  readonly name: string;
  /** Empty where it has none. */
  readonly mac: Buffer;
  /** An administrator has switched it on. */
  readonly enabled: boolean;
  /** Switched on, and it carries. */
  readonly up: boolean;
  readonly usable: boolean;
  /** Undefined where the kernel does not say (no IPv4 on the link). */
  readonly arp: ArpSettings | undefined;
}

/** Of `newLink` and `delLink`. */
export function readLink({ body }: Message): LinkFacts | undefined {
  if (body.length < 16) return undefined;
  const kind = body.readUInt16LE(2);
  const flags = body.readUInt32LE(8);
  const attributes = readAttributes(body.subarray(16));
  const enabled = (flags & flagUp) !== 0;
  const mac = attributes.get(iflaAddress) ?? Buffer.alloc(0);
  const info = readAttributes(attributes.get(iflaLinkInfo) ?? Buffer.alloc(0));
  return {
    index: body.readInt32LE(4),
    name: textOf(attributes.get(iflaName)),
    mac,
    enabled,
    up: enabled && (flags & flagRunning) !== 0,
    usable:
      kind === ethernet &&
      mac.length === 6 &&
      (flags & (flagLoopback | flagPointToPoint | flagNoArp)) === 0 &&
      numberOf(attributes.get(iflaMaster)) === 0 &&
      !overlays.has(textOf(info.get(infoKind))),
    arp: readArpSettings(attributes.get(iflaAfSpec)),
  };
}

function readArpSettings(spec: Buffer | undefined): ArpSettings | undefined {
  if (spec === undefined) return undefined;
  const inet = readAttributes(spec).get(family4);
  const values = inet === undefined ? undefined : readAttributes(inet).get(inetConf);
  if (values === undefined || values.length < confArpIgnore * 4) return undefined;
  return {
    announce: values.readInt32LE((confArpAnnounce - 1) * 4),
    ignore: values.readInt32LE((confArpIgnore - 1) * 4),
  };
}

export interface AddressFacts {
  readonly link: number;
  /** 4 or 16 bytes. */
  readonly address: Buffer;
  readonly length: number;
  /** It bears our mark. */
  readonly ours: boolean;
}

/** Of `newAddress` and `delAddress`. */
export function readAddress({ body }: Message): AddressFacts | undefined {
  if (body.length < 8) return undefined;
  const family = body.readUInt8(0);
  if (family !== family4 && family !== family6) return undefined;
  const attributes = readAttributes(body.subarray(8));
  const address = attributes.get(ifaLocal) ?? attributes.get(ifaAddress);
  if (address === undefined || address.length !== (family === family4 ? 4 : 16)) return undefined;
  const length = body.readUInt8(1);
  return {
    link: body.readUInt32LE(4),
    address,
    length,
    ours: length === address.length * 8 && isOurs(address, attributes),
  };
}

function isOurs(address: Buffer, attributes: ReadonlyMap<number, Buffer>): boolean {
  const from = attributes.get(ifaOrigin);
  if (from !== undefined) return from[0] === origin;
  if (address.length === 4) return textOf(attributes.get(ifaLabel)) === label;
  const flags = numberOf(attributes.get(ifaFlags));
  const times = attributes.get(ifaCacheInfo);
  if (times === undefined || times.length < 8 || (flags & flagNoPrefixRoute) === 0) return false;
  const [preferred, valid] = [times.readUInt32LE(0), times.readUInt32LE(4)];
  return preferred === 0 && valid !== forever && valid <= 60;
}

/** The links that a default route of the main table leaves by; empty for any other route. */
export function readDefaultRoute({ type, body }: Message): readonly number[] {
  const mainTable = 254;
  const unicast = 1;
  if (type !== newRoute || body.length < 12 || body.readUInt8(1) !== 0) return [];
  if (body.readUInt8(4) !== mainTable || body.readUInt8(7) !== unicast) return [];
  const rtaOif = 4;
  const rtaMultipath = 9;
  const attributes = readAttributes(body.subarray(12));
  const out = numberOf(attributes.get(rtaOif));
  if (out !== 0) return [out];
  const links: number[] = [];
  const hops = attributes.get(rtaMultipath) ?? Buffer.alloc(0);
  for (let at = 0; at + 8 <= hops.length;) {
    const length = hops.readUInt16LE(at);
    if (length < 8) break;
    links.push(hops.readInt32LE(at + 4));
    at += (length + 3) & ~3;
  }
  return links;
}
