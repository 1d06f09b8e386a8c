/**
 * The heartbeat on the wire: one UDP packet from one agent to another, sealed with a key that all agents share.
 *
 * What makes a packet believable: its seal (HMAC-SHA-256, 16 bytes) covers every byte, sender and receiver among them;
 * and it repeats a counter that the receiver has sent a moment ago, so what was recorded earlier, or meant for another
 * or an earlier process, says nothing (`liveness.ts` judges that). No clock of the other side is ever looked at.
 *
 * Nothing in it is secret: addresses and who holds them can be seen on the link anyway.
 */
import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import { formatAddress, parseAddress } from '../../core/cidr.ts';
import { SluiceError } from '../../core/errors.ts';
import type { Claim, ClaimState } from './claims.ts';
import type { MemberId } from './rank.ts';

/** What a member says of another, or passes on. */
export interface Evidence {
  readonly member: MemberId;
  /** Milliseconds since the last sign of life that reached the sender, by whatever way. */
  readonly ageMs: number;
  /** The sender exchanges packets with it. */
  readonly direct: boolean;
  readonly ready: boolean;
  readonly arbiter: boolean;
}

export interface Beat {
  readonly from: MemberId;
  readonly to: MemberId;
  /** Sixteen hexadecimal digits: of this process, drawn at its start. */
  readonly session: string;
  /** Where the sender hears heartbeats: who has not read of it yet can answer all the same. */
  readonly port: number;
  /** Of packets from this process to this receiver. */
  readonly counter: number;
  /** The last of the receiver's that has arrived. */
  readonly echo: { readonly session: string; readonly counter: number } | undefined;
  /** The sender has missed the receiver's last heartbeats and wants an answer at once. */
  readonly ask: boolean;
  /** Has every list and may be given addresses. */
  readonly ready: boolean;
  /** Holds the Lease that breaks ties. */
  readonly arbiter: boolean;
  /** The agent ends: its addresses stay up for this many milliseconds; 0: they are gone. Undefined: it goes on. */
  readonly goodbyeMs: number | undefined;
  /** Goes with one before it, which says who is there: `members` is empty. */
  readonly further: boolean;
  readonly members: readonly Evidence[];
  /** Of the receiver's claims the sender has all up to this version. */
  readonly acknowledged: number;
  /** The sender's changes after version `after` up to `upto`. */
  readonly claims: { readonly after: number; readonly upto: number; readonly list: readonly Claim[] };
}

/** Below the smallest MTU that IPv6 allows, headers taken off. */
export const largestPacket = 1_200;
const sealBytes = 16;
const magic = Buffer.from('SLB1');
const headBytes = 59;
const evidenceBytes = 9;
const states: readonly ClaimState[] = ['taking', 'held', 'leaving', 'free', 'unable', 'able'];
const flag = { ready: 1, arbiter: 2, goodbye: 4, echo: 8, direct: 16, ask: 32, further: 64 } as const;

export function claimBytes({ address }: Claim): number {
  return 1 + (address.includes(':') ? 16 : 4) + 6 + 4;
}

/** Room for claims beside so many members. */
export function roomForClaims(members: number): number {
  return Math.max(64, largestPacket - headBytes - sealBytes - members * evidenceBytes);
}

export function seal(beat: Beat, key: Buffer): Buffer {
  const length =
    headBytes +
    beat.members.length * evidenceBytes +
    beat.claims.list.reduce((sum, claim) => sum + claimBytes(claim), 0);
  const bytes = Buffer.alloc(length + sealBytes);
  let at = magic.copy(bytes, 0);
  at += bytes.write(beat.from, at, 'hex');
  at += bytes.write(beat.to, at, 'hex');
  at += bytes.write(beat.session, at, 'hex');
  at = bytes.writeUInt32BE(beat.counter, at);
  at += bytes.write(beat.echo?.session ?? '0000000000000000', at, 'hex');
  at = bytes.writeUInt32BE(beat.echo?.counter ?? 0, at);
  at = bytes.writeUInt8(
    (beat.ready ? flag.ready : 0) |
      (beat.arbiter ? flag.arbiter : 0) |
      (beat.goodbyeMs === undefined ? 0 : flag.goodbye) |
      (beat.echo === undefined ? 0 : flag.echo) |
      (beat.ask ? flag.ask : 0) |
      (beat.further ? flag.further : 0),
    at,
  );
  at = bytes.writeUInt16BE(Math.min(0xffff, Math.round(beat.goodbyeMs ?? 0)), at);
  at = bytes.writeUInt32BE(beat.acknowledged, at);
  at = bytes.writeUInt32BE(beat.claims.after, at);
  at = bytes.writeUInt32BE(beat.claims.upto, at);
  at = bytes.writeUInt16BE(beat.members.length, at);
  at = bytes.writeUInt16BE(beat.port, at);
  at += membersAsBytes(beat.members).copy(bytes, at);
  for (const claim of beat.claims.list) at = writeClaim(bytes, claim, at);
  sealOf(bytes.subarray(0, length), key).copy(bytes, length);
  return bytes;
}

/**
 * What a packet says, if one of the keys has sealed it.
 *
 * Errors: `denied`, code `BadSeal`; `invalid`, code `BadPacket`.
 */
export function open(bytes: Buffer, keys: readonly Buffer[]): Beat {
  const length = bytes.length - sealBytes;
  if (length < headBytes || !bytes.subarray(0, 4).equals(magic))
    throw bad('it is no heartbeat of this version');
  const body = bytes.subarray(0, length);
  const mark = bytes.subarray(length);
  if (!keys.some((key) => timingSafeEqual(sealOf(body, key), mark)))
    throw new SluiceError('denied', 'a heartbeat is sealed with another key', { code: 'BadSeal' });
  const hex = (from: number, count: number): string => body.toString('hex', from, from + count);
  const flags = body.readUInt8(40);
  const members: Evidence[] = [];
  let at = headBytes;
  for (let left = body.readUInt16BE(55); left > 0; left -= 1) {
    if (at + evidenceBytes > length) throw bad('it ends within its members');
    const bits = body.readUInt8(at + 8);
    members.push({
      member: hex(at, 6) as MemberId,
      ageMs: body.readUInt16BE(at + 6),
      direct: (bits & flag.direct) !== 0,
      ready: (bits & flag.ready) !== 0,
      arbiter: (bits & flag.arbiter) !== 0,
    });
    at += evidenceBytes;
  }
  const list: Claim[] = [];
  while (at < length) {
    const { claim, next } = readClaim(body, at);
    list.push(claim);
    at = next;
  }
  return {
    from: hex(4, 6) as MemberId,
    to: hex(10, 6) as MemberId,
    session: hex(16, 8),
    port: body.readUInt16BE(57),
    counter: body.readUInt32BE(24),
    echo: (flags & flag.echo) === 0 ? undefined : { session: hex(28, 8), counter: body.readUInt32BE(36) },
    ask: (flags & flag.ask) !== 0,
    further: (flags & flag.further) !== 0,
    ready: (flags & flag.ready) !== 0,
    arbiter: (flags & flag.arbiter) !== 0,
    goodbyeMs: (flags & flag.goodbye) === 0 ? undefined : body.readUInt16BE(41),
    acknowledged: body.readUInt32BE(43),
    claims: { after: body.readUInt32BE(47), upto: body.readUInt32BE(51), list },
    members,
  };
}

/** One list goes to many peers. */
const written = new WeakMap<readonly Evidence[], Buffer>();

function membersAsBytes(members: readonly Evidence[]): Buffer {
  const known = written.get(members);
  if (known !== undefined) return known;
  const bytes = Buffer.alloc(members.length * evidenceBytes);
  let at = 0;
  for (const { member, ageMs, direct, ready, arbiter } of members) {
    at += bytes.write(member, at, 'hex');
    at = bytes.writeUInt16BE(Math.min(0xffff, Math.max(0, Math.round(ageMs))), at);
    at = bytes.writeUInt8(
      (direct ? flag.direct : 0) | (ready ? flag.ready : 0) | (arbiter ? flag.arbiter : 0),
      at,
    );
  }
  written.set(members, bytes);
  return bytes;
}

function writeClaim(bytes: Buffer, { address, member, epoch, state }: Claim, from: number): number {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw bad(`"${address}" is no address`);
  const wide = parsed.family === 'IPv6';
  let at = bytes.writeUInt8((wide ? 0x80 : 0) | states.indexOf(state), from);
  if (wide) {
    at = bytes.writeBigUInt64BE(parsed.value >> 64n, at);
    at = bytes.writeBigUInt64BE(parsed.value & 0xffff_ffff_ffff_ffffn, at);
  } else at = bytes.writeUInt32BE(Number(parsed.value), at);
  at += bytes.write(member, at, 'hex');
  return bytes.writeUInt32BE(epoch, at);
}

function readClaim(body: Buffer, from: number): { readonly claim: Claim; readonly next: number } {
  const kind = body.readUInt8(from);
  const wide = (kind & 0x80) !== 0;
  const state = states[kind & 0x7f];
  const width = wide ? 16 : 4;
  const next = from + 1 + width + 10;
  if (state === undefined || next > body.length) throw bad('it ends within its claims');
  const at = from + 1;
  const value = wide
    ? (body.readBigUInt64BE(at) << 64n) | body.readBigUInt64BE(at + 8)
    : BigInt(body.readUInt32BE(at));
  return {
    claim: {
      address: formatAddress({ family: wide ? 'IPv6' : 'IPv4', value }),
      member: body.toString('hex', at + width, at + width + 6) as MemberId,
      epoch: body.readUInt32BE(at + width + 6),
      state,
    },
    next,
  };
}

/** Making a key ready takes several times as long as sealing with it. */
const readyKeys = new WeakMap<Buffer, KeyObject>();

function sealOf(body: Buffer, key: Buffer): Buffer {
  let made = readyKeys.get(key);
  if (made === undefined) readyKeys.set(key, (made = createSecretKey(key)));
  return createHmac('sha256', made).update(body).digest().subarray(0, sealBytes);
}

function bad(why: string): SluiceError {
  return new SluiceError('invalid', `a heartbeat cannot be read: ${why}`, { code: 'BadPacket' });
}
