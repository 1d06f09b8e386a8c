/**
 * How fast we call: one token bucket per class of call, for the whole account.
 *
 * AWS limits reads, registrations and other writes by buckets of their own, shared by everybody who uses the
 * account in the region. Ours start at what is documented and slow down when AWS says so; all Services draw
 * from the same three, so no Service's trouble multiplies calls.
 */
import type { Clock, Random } from '../../src/core/clock.ts';
import { TokenBucket } from '../../src/core/rate.ts';
import type { CallClass } from './operations.ts';

export interface Rate {
  /** Calls a second, in the long run. */
  readonly perSecond: number;
  /** Calls at once after a quiet time. */
  readonly burst: number;
}

export type Rates = Readonly<Record<CallClass, Rate>>;

/**
 * Request throttling for the Elastic Load Balancing API (API reference): its refill rates, and nine tenths of its bucket
 * sizes (40, 20, 20). Calls arrive closer together than they left when the network gets faster on the way; one call
 * too many costs a halved rate, which is eight seconds of writes.
 */
export const defaultRates: Rates = {
  read: { perSecond: 10, burst: 36 },
  register: { perSecond: 4, burst: 18 },
  modify: { perSecond: 3, burst: 18 },
};

export type Limits = Readonly<Record<CallClass, TokenBucket>>;

export function createLimits(rates: Rates, clock: Clock, random: Random): Limits {
  const bucket = (rate: Rate): TokenBucket => new TokenBucket({ ...rate, clock, random });
  return { read: bucket(rates.read), register: bucket(rates.register), modify: bucket(rates.modify) };
}
