/** Equality of decisions, and the difference between two sets of them. */
import type { Decision, DecisionChange, DecisionKey, Fate } from '../decision.ts';
import { sameTexts } from './claims.ts';
import { sameEndpoints } from './endpoints.ts';

/** Equal in all that a backend writes or a person is told. Cheap where most parts are the same objects. */
export function sameDecision(a: Decision, b: Decision): boolean {
  return (
    a === b ||
    (a.key === b.key &&
      a.port === b.port &&
      a.clusterIP === b.clusterIP &&
      a.nodePort === b.nodePort &&
      a.affinitySeconds === b.affinitySeconds &&
      a.guardEverything === b.guardEverything &&
      a.balancing === b.balancing &&
      a.healthCheckNodePort === b.healthCheckNodePort &&
      sameFate(a.internal, b.internal) &&
      sameFate(a.external, b.external) &&
      sameFate(a.shortcut, b.shortcut) &&
      sameTexts(a.externalIPs, b.externalIPs) &&
      sameTexts(a.balancerIPs, b.balancerIPs) &&
      sameOptional(a.sourceRanges, b.sourceRanges) &&
      sameEndpoints(a.cluster, b.cluster) &&
      sameEndpoints(a.local, b.local))
  );
}

function sameFate(a: Fate | undefined, b: Fate | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.kind !== b.kind) return false;
  return a.kind !== 'balance' || (b.kind === 'balance' && a.to === b.to);
}

function sameOptional(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && sameTexts(a, b));
}

/** What to change to get from one set to the other: first what goes, then what comes or differs. */
export function diffDecisions(
  before: Iterable<Decision>,
  after: Iterable<Decision>,
): readonly DecisionChange[] {
  const held = new Map<DecisionKey, Decision>();
  for (const decision of before) held.set(decision.key, decision);
  const other: DecisionChange[] = [];
  for (const decision of after) {
    const old = held.get(decision.key);
    held.delete(decision.key);
    if (old === undefined || !sameDecision(old, decision)) {
      other.push({ key: decision.key, before: old, after: decision });
    }
  }
  const gone = [...held.values()].map((old) => ({ key: old.key, before: old, after: undefined }));
  return [...gone, ...other];
}
