/**
 * Whether this agent may hold addresses now: the rule that keeps two parts of a cut network from both doing so.
 *
 * More than half of the known agents: yes, and the API server need not answer. Exactly half: the other half may be as
 * well off, so the one Lease decides. Fewer: no, unless all the others have let their registrations lapse and the Lease
 * is ours; they may still be there without an API server, so then the link itself is asked before an address is taken.
 */
import type { MemberId } from './rank.ts';
import type { View } from './liveness.ts';

export type Right =
  /** May hold and take. */
  | { readonly kind: 'majority' | 'lease' }
  /** May hold and take what nobody on the link answers for. */
  | { readonly kind: 'last-resort' }
  /** Contends for the Lease: what is held stays until `until`, nothing is taken. */
  | { readonly kind: 'grace'; readonly until: number }
  | { readonly kind: 'none' };

export interface Known {
  /** Agents that have registered and not said goodbye for good. */
  readonly members: ReadonlySet<MemberId>;
  /** Of these, the ones whose registration has not been renewed for its whole time. */
  readonly lapsed: ReadonlySet<MemberId>;
}

export interface Standing {
  readonly right: Right;
  /** This agent shall try to get the Lease. */
  readonly contend: boolean;
  readonly seen: number;
  readonly known: number;
}

/**
 * @param withoutSince when the right was lost (monotonic); undefined while there was one until now.
 */
export function standing(
  me: MemberId,
  view: Pick<View, 'live' | 'paused' | 'arbiter'>,
  known: Known,
  times: { readonly now: number; readonly withoutSince: number | undefined; readonly graceMs: number },
): Standing {
  const all = new Set([...known.members, ...view.live, ...view.paused]);
  const here = new Set([...view.live, ...view.paused]);
  const count = { seen: here.size, known: all.size };
  if (here.size * 2 > all.size) return { right: { kind: 'majority' }, contend: false, ...count };
  const tie = here.size * 2 === all.size;
  const alone = [...all].every((member) => here.has(member) || known.lapsed.has(member));
  if (!tie && !alone) return { right: { kind: 'none' }, contend: false, ...count };
  // One of each part is enough.
  const contend = [...view.live].every((member) => me <= member);
  if (view.arbiter) return { right: { kind: tie ? 'lease' : 'last-resort' }, contend, ...count };
  const until = (times.withoutSince ?? times.now) + times.graceMs;
  return { right: times.now < until && tie ? { kind: 'grace', until } : { kind: 'none' }, contend, ...count };
}
