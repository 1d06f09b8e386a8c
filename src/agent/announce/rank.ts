/**
 * Who comes first for an address: rendezvous hashing. Every agent works out the same order from names alone, addresses
 * spread evenly over nodes, and when a node goes only its own addresses move.
 *
 * The hash is for spreading, not for secrets: heartbeats carry a real one.
 */
import { createHash } from 'node:crypto';
import type { NodeName } from '../../core/objects.ts';

declare const branded: unique symbol;
/** Twelve hexadecimal digits made of a node's name: what agents call one another on the wire. */
export type MemberId = string & { readonly [branded]: 'MemberId' };

const ids = new Map<NodeName, MemberId>();
/** Names of nodes that come and go for months need not all be kept. */
const mostIds = 4_096;

export function memberId(node: NodeName): MemberId {
  const known = ids.get(node);
  if (known !== undefined) return known;
  const id = createHash('sha256').update(node).digest('hex').slice(0, 12) as MemberId;
  if (ids.size >= mostIds) ids.clear();
  ids.set(node, id);
  return id;
}

/** 0 … 2^53: how much `member` wants `address`. The same on every machine. */
export function weight(member: MemberId, address: string): number {
  let one = 0xdeadbeef;
  let two = 0x41c6ce57;
  const text = `${member}#${address}`;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    one = Math.imul(one ^ code, 2_654_435_761);
    two = Math.imul(two ^ code, 1_597_334_677);
  }
  one = Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(two ^ (two >>> 13), 3_266_489_909);
  two = Math.imul(two ^ (two >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & two) + (one >>> 0);
}

/** Whether `a` goes before `b` for the address. A total order of different members. */
export function outranks(a: MemberId, b: MemberId, address: string): boolean {
  const difference = weight(a, address) - weight(b, address);
  return difference === 0 ? a < b : difference > 0;
}

/** How many of the members go before `me`, who is one of them; -1 where he is not. */
export function placeOf(me: MemberId, members: readonly MemberId[], address: string): number {
  if (!members.includes(me)) return -1;
  const own = weight(me, address);
  let before = 0;
  for (const member of members) {
    const difference = weight(member, address) - own;
    if (difference > 0 || (difference === 0 && member < me)) before += 1;
  }
  return before;
}

/** The first choice first. */
export function ranked(members: readonly MemberId[], address: string): readonly MemberId[] {
  return members
    .map((member) => ({ member, weight: weight(member, address) }))
    .toSorted((a, b) => b.weight - a.weight || (a.member < b.member ? -1 : 1))
    .map(({ member }) => member);
}
