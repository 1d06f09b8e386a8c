/**
 * Which address of the laptop a Service gets: a stable function of cluster, namespace and name.
 *
 * Every address of 127.0.0.0/8 answers on the loopback of Linux without being set up, so the space is wide enough
 * that two Services hardly ever meet. Where they do, the next address of the Service's own sequence is tried, and
 * the table (table.ts) remembers what was settled on. The same Service made anew, or the same cluster served from
 * another laptop, finds the same address without anything being stored in the cluster.
 *
 * Invariants: every address of a sequence lies in the space, none ends in .0 or .255, and the first 64 of a sequence
 * differ from each other (in a space that has that many).
 */
import { createHash } from 'node:crypto';
import { formatAddress, lastOf, type Cidr } from '../../../src/core/cidr.ts';
import type { ObjectKey } from '../../../src/core/objects.ts';

/** Where nobody says otherwise: 127.80.0.0 to 127.95.255.255, clear of what distributions use (127.0.0.x, 127.0.1.1). */
export const defaultSpace = '127.80.0.0/12';

/** How many addresses are tried before a Service is told that there is no room. */
export const mostTries = 64;

/** The addresses that a Service may have, the most wanted first. */
export function addressSequence(space: Cidr, cluster: string, service: ObjectKey): readonly string[] {
  const hash = createHash('sha256').update(`${cluster.length}:${cluster}${service}`).digest();
  const size = lastOf(space) - space.base + 1n;
  // An odd stride visits every address of a space whose size is a power of two.
  const start = hash.readBigUInt64BE(0) % size;
  const stride = (hash.readBigUInt64BE(8) % size) | 1n;
  const found: string[] = [];
  const most = size < 1_024n ? size : 1_024n;
  for (let i = 0n; i < most && found.length < mostTries; i++) {
    const value = space.base + ((start + i * stride) % size);
    if (!isEdge(space, value)) found.push(formatAddress({ family: space.family, value }));
  }
  return found;
}

/** Some programs take the edges of a /24 for network and broadcast addresses. */
export function isEdge(space: Cidr, value: bigint): boolean {
  const low = value & 255n;
  return space.family === 'IPv4' && (low === 0n || low === 255n);
}
