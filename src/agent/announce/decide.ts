/**
 * What this agent does about one address now. Pure: the facts of the cluster, who is there, who says that he holds it,
 * and what we do already go in; one act and its reason come out.
 *
 * Rules, in order of weight:
 * 1. Nothing is held without the right to (`quorum.ts`), and nothing that the cluster does not ask for.
 * 2. A claim of somebody who is there stands, whatever we think of his fitness: he knows better. Of two, the greater
 *    epoch; the other lets go once the first answers.
 * 3. Who holds an address keeps it for as long as he is fit (a returning better choice moves nothing).
 * 4. Who is not fit any more says so, goes on answering until another one answers, and then lets go.
 * 5. An address that nobody holds goes to the first choice of those who are there and fit; each next one waits longer.
 */
import type { Claim } from './claims.ts';
import type { View } from './liveness.ts';
import type { Right } from './quorum.ts';
import { placeOf, type MemberId } from './rank.ts';
import type { AnnounceTimings } from './timings.ts';

/** What we do about an address already. */
export interface Mine {
  /** `putting`: the kernel has not confirmed it yet. */
  readonly state: 'putting' | 'up';
  /** Monotonic. */
  readonly since: number;
  /** Since when we look for another holder. */
  readonly leavingSince: number | undefined;
}

export interface Case {
  readonly address: string;
  readonly me: MemberId;
  readonly now: number;
  readonly right: Right;
  readonly view: Pick<View, 'live' | 'paused' | 'ready'>;
  /** The cluster asks for it to be announced. */
  readonly wanted: boolean;
  /** Members that may hold it, as far as the cluster's objects say. */
  readonly eligible: readonly MemberId[];
  /** This node can: it has a link for it, and the kernel has not just refused. */
  readonly able: boolean;
  /** A member has said that it cannot. */
  readonly unable: (member: MemberId) => boolean;
  readonly claim: Claim | undefined;
  readonly mine: Mine | undefined;
  /** Since when nobody has held it, as far as we saw. */
  readonly unclaimedSince: number | undefined;
  /** Before this, addresses that nobody holds are left for others to speak up. */
  readonly settledAt: number;
  readonly timings: Pick<AnnounceTimings, 'patienceMs' | 'leaveMs'>;
}

export type Act =
  | { readonly kind: 'none' }
  /** Put it up. */
  | { readonly kind: 'take'; readonly reason: 'elected' | 'handed-over' | 'kept' }
  | { readonly kind: 'keep' }
  /** Say again that it is ours: what was heard last says otherwise and is out of date. */
  | { readonly kind: 'insist' }
  /** Say that another one shall take it. */
  | { readonly kind: 'leave' }
  /** Take it down: somebody else holds it. */
  | { readonly kind: 'yield' }
  /** Take it down and say so. */
  | { readonly kind: 'drop'; readonly reason: 'unwanted' | 'no-right' | 'not-eligible' | 'unable' };

export interface Outcome {
  readonly act: Act;
  /** Nobody holds it. */
  readonly unclaimed: boolean;
  /** Another answer is due at this time although nothing changes (monotonic). */
  readonly again: number | undefined;
}

export function decide(given: Case): Outcome {
  const { claim, mine, wanted, right } = given;
  if (!wanted) return mine === undefined ? rest() : now({ kind: 'drop', reason: 'unwanted' });
  if (right.kind === 'none') return mine === undefined ? rest() : now({ kind: 'drop', reason: 'no-right' });
  if (mine !== undefined) return asHolder(given, mine);
  const { me } = given;
  // A record of an earlier process of ours: nobody has taken it since, so it is still ours.
  if (claim?.member === me && claim.state !== 'free') return asReturned(given);
  const there = claim !== undefined && isThere(given, claim.member) && claim.state !== 'free';
  if (there && claim.state !== 'leaving') return rest();
  return asCandidate(given, there ? claim.member : undefined);
}

function asHolder(given: Case, mine: Mine): Outcome {
  const { claim, me, able, eligible, now: time, timings, right } = given;
  if (claim !== undefined && claim.member !== me) {
    if (!isThere(given, claim.member) || claim.state === 'free') return now({ kind: 'insist' });
    if (claim.state === 'held') return now({ kind: 'yield' });
    // Two had it, and the other one has gone on to give it away.
    if (claim.state === 'leaving') return now({ kind: 'insist' });
    // He puts it up: until he answers, we do.
    return mine.state === 'up' ? now({ kind: 'keep' }) : now({ kind: 'yield' });
  }
  if (!able) return now({ kind: 'drop', reason: 'unable' });
  const grace = right.kind === 'grace' ? right.until : undefined;
  if (eligible.includes(me))
    return claim?.state === 'leaving' ? now({ kind: 'insist' }) : { ...now({ kind: 'keep' }), again: grace };
  if (mine.leavingSince === undefined) return now({ kind: 'leave' });
  const end = mine.leavingSince + timings.leaveMs;
  if (time >= end) return now({ kind: 'drop', reason: 'not-eligible' });
  return { ...now({ kind: 'keep' }), again: Math.min(end, grace ?? end) };
}

function asReturned(given: Case): Outcome {
  const { eligible, me, able, right, view } = given;
  // Until the lists and the engine are complete nothing here says that we could not hold it.
  if (!view.ready.has(me)) return rest();
  if (!eligible.includes(me) || !able) return now({ kind: 'drop', reason: 'not-eligible' });
  return right.kind === 'grace' ? rest() : now({ kind: 'take', reason: 'kept' });
}

function asCandidate(given: Case, leaver: MemberId | undefined): Outcome {
  const { address, me, view, eligible, unable, able, right, now: time, settledAt, timings } = given;
  const fit = eligible.filter(
    (member) => member !== leaver && view.live.has(member) && view.ready.has(member) && !unable(member),
  );
  const place = placeOf(me, fit, address);
  const idle: Outcome = { act: { kind: 'none' }, unclaimed: true, again: undefined };
  if (place === -1 || !able || right.kind === 'grace') return idle;
  // Turns are counted from when the first one could have taken it.
  const since = Math.max(given.unclaimedSince ?? time, leaver === undefined ? settledAt : 0);
  const due = since + place * timings.patienceMs;
  if (time < due) return { ...idle, again: due };
  const reason = leaver === undefined ? 'elected' : 'handed-over';
  return { ...idle, act: { kind: 'take', reason } };
}

function isThere({ view }: Case, member: MemberId): boolean {
  return view.live.has(member) || view.paused.has(member);
}

function now(act: Act): Outcome {
  return { act, unclaimed: false, again: undefined };
}

function rest(): Outcome {
  return now({ kind: 'none' });
}
