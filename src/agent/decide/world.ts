/**
 * Every decision of a node from complete lists, in one go: for `--dry-run`, for `explain` from files, and as the plain
 * meaning that the incremental tracker must equal.
 */
import type { EndpointSliceObject, ObjectKey, ServiceObject } from '../../core/objects.ts';
import type { Decision, DecisionKey } from '../decision.ts';
import { byText } from './addresses.ts';
import { compareClaims, conflict, eachClaim, withoutLost } from './claims.ts';
import type { Claim, Conflict } from './claims.ts';
import { decideService } from './service.ts';
import type { NodeView } from './view.ts';

export interface WorldDecisions {
  /** In order of keys. No destination is held by two of them. */
  readonly decisions: readonly Decision[];
  readonly conflicts: readonly Conflict[];
}

/** @param slices of all Services, in any order. */
export function decideWorld(
  services: Iterable<ServiceObject>,
  slices: Iterable<EndpointSliceObject>,
  view: NodeView,
): WorldDecisions {
  const slicesOf = new Map<ObjectKey, EndpointSliceObject[]>();
  for (const slice of slices) {
    if (slice.service === undefined) continue;
    const held = slicesOf.get(slice.service);
    if (held === undefined) slicesOf.set(slice.service, [slice]);
    else held.push(slice);
  }
  const raw = new Map<DecisionKey, Decision>();
  const claims = new Map<string, { readonly address: string | undefined; readonly by: Claim[] }>();
  for (const service of services) {
    for (const decision of decideService(service, slicesOf.get(service.key) ?? [], view)) {
      raw.set(decision.key, decision);
      eachClaim(decision, (kind, key, address) => {
        const claim: Claim = { decision: decision.key, kind, createdAt: service.createdAt };
        const held = claims.get(key);
        if (held === undefined) claims.set(key, { address, by: [claim] });
        else held.by.push(claim);
      });
    }
  }
  const lost = new Map<DecisionKey, Set<string>>();
  const conflicts: Conflict[] = [];
  for (const [key, { address, by }] of claims) {
    const [winner, ...losers] = by.toSorted(compareClaims);
    for (const loser of losers) {
      const decision = raw.get(loser.decision);
      if (winner === undefined || decision === undefined) continue;
      conflicts.push(conflict(winner, loser, decision, address));
      lost.set(loser.decision, (lost.get(loser.decision) ?? new Set<string>()).add(key));
    }
  }
  return {
    decisions: [...raw.values()]
      .map((decision) => withoutLost(decision, (key) => lost.get(decision.key)?.has(key) ?? false))
      .toSorted((a, b) => byText(a.key, b.key)),
    conflicts: conflicts.toSorted(compareConflicts),
  };
}

/** A fixed order: by message and loser. */
export function compareConflicts(a: Conflict, b: Conflict): number {
  return byText(a.message, b.message) || byText(a.loser, b.loser);
}
