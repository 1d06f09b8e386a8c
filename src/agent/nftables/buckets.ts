/**
 * Which endpoint stands in which bucket. The kernel draws a bucket number and looks the endpoint up, so the share of an
 * endpoint is the number of its buckets, and the numbers from 0 to the count are all taken.
 *
 * Order means nothing to random balancing, so it is free to follow history: an endpoint that stays keeps its bucket,
 * what stood in the buckets that vanish moves into those that came free. A change of one endpoint is then a change of
 * one or two rows, however many there are.
 */
import { createHash } from 'node:crypto';
import type { Endpoint } from '../decision.ts';

/** More buckets than this for one destination are not made: weights are scaled down to fit, nobody below one. */
const mostBuckets = 4096;

/** How often each endpoint stands in the buckets. */
function shares(endpoints: readonly Endpoint[]): number[] {
  const weights = endpoints.map(({ weight }) => Math.max(1, Math.trunc(weight)));
  let divisor = 0;
  let total = 0;
  for (const weight of weights) {
    divisor = gcd(divisor, weight);
    total += weight;
  }
  const reduced = weights.map((weight) => weight / (divisor || 1));
  const sum = total / (divisor || 1);
  if (sum <= mostBuckets) return reduced;
  return reduced.map((weight) => Math.max(1, Math.round((weight * mostBuckets) / sum)));
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** The order of a cold start for random balancing: endpoint by endpoint. Holds indexes into `endpoints`. */
export function plainOrder(endpoints: readonly Endpoint[]): number[] {
  if (endpoints.every(({ weight }) => weight === 1)) return endpoints.map((_, index) => index);
  return shares(endpoints).flatMap((share, index) => Array.from({ length: share }, () => index));
}

/** Sizes of hashing tables: primes, so that every step through one visits every place. */
const tableSizes = [251, 2039, 16_381, 65_521] as const;

/**
 * Buckets for hash balancing, after the Maglev paper (Eisenbud et al., NSDI 2016, §3.4): endpoints take turns to claim
 * the next free place of a walk of their own. Shares are equal within a percent or so, and when one endpoint goes few
 * clients of the others move. The order is a function of the endpoints alone, so every node agrees.
 */
export function hashOrder(endpoints: readonly Endpoint[]): number[] {
  const weights = shares(endpoints);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const size = tableSizes.find((candidate) => candidate >= total * 8) ?? tableSizes[3];
  const walks = endpoints.map(({ address, port }) => {
    const digest = createHash('sha256').update(`${address} ${port}`).digest();
    return { at: digest.readUInt32BE(0) % size, step: 1 + (digest.readUInt32BE(4) % (size - 1)) };
  });
  const table = Array.from({ length: size }, () => -1);
  for (let filled = 0; ;) {
    for (const [index, walk] of walks.entries()) {
      for (let turn = 0; turn < (weights[index] ?? 1); turn += 1) {
        while (table[walk.at] !== -1) walk.at = (walk.at + walk.step) % size;
        table[walk.at] = index;
        filled += 1;
        if (filled === size) return table;
      }
    }
  }
}

/**
 * Puts `wanted` into buckets so that as few as possible differ from `before`.
 *
 * @param before what each bucket holds now; holes (undefined) where it is not known.
 * @param wanted what the buckets shall hold, in the order of a cold start, repeats included.
 */
export function place(before: readonly (string | undefined)[], wanted: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const id of wanted) left.set(id, (left.get(id) ?? 0) + 1);
  const placed: (string | undefined)[] = wanted.map((_, bucket) => {
    const id = before[bucket];
    const count = id === undefined ? 0 : (left.get(id) ?? 0);
    if (id === undefined || count === 0) return undefined;
    left.set(id, count - 1);
    return id;
  });
  const rest = [...left].flatMap(([id, count]) => Array.from({ length: count }, () => id)).values();
  return placed.map((id) => id ?? rest.next().value ?? '');
}

/**
 * Numbers for the endpoints of a sticky destination. A number stays with its endpoint for life, because the kernel's
 * memory of clients holds numbers; the number of an endpoint that is gone leads nowhere, and its clients draw again.
 */
export function numberSlots(
  before: ReadonlyMap<string, number>,
  wanted: readonly string[],
): Map<string, number> {
  const slots = new Map<string, number>();
  let highest = 0;
  for (const number of before.values()) highest = Math.max(highest, number);
  const taken = new Set<number>();
  for (const id of wanted) {
    const kept = before.get(id);
    if (kept === undefined) continue;
    slots.set(id, kept);
    taken.add(kept);
  }
  let next = highest;
  for (const id of wanted) {
    if (slots.has(id)) continue;
    do next = next >= mostSlots ? 1 : next + 1;
    while (taken.has(next));
    slots.set(id, next);
    taken.add(next);
  }
  return slots;
}

/** Slots are written as the minor half of a traffic class. */
const mostSlots = 65_535;
