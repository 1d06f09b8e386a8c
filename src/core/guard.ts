/**
 * The guard: the last look at a plan before it is applied.
 *
 * A plan that takes most healthy targets away at once is right once in a while (a node pool was replaced)
 * and a catastrophe otherwise (a cache that was not complete, a label put on every node by mistake). The two
 * look the same in one moment; only the second passes. So such a removal is held until exactly the same one
 * has been seen several times over a stretch of time.
 *
 * Any change of the removal, larger or smaller, starts the count again: evidence for one set of nodes is no
 * evidence for another, and a picture that changes is not settled. Nothing is lost by patience, because
 * what is held is by definition healthy: it passes the balancer's own checks and serves. As soon as the
 * nodes are really gone their checks fail, they no longer count as healthy, and the plan passes.
 *
 * Invariants: the removal of a Service is never held; what needs a held step is held; everything else goes on.
 */
import { shortHash } from './names.ts';
import { prerequisites } from './plan.ts';
import type { Plan, Step, Wait } from './plan.ts';

export interface GuardRules {
  /** Share of a group's healthy targets that may go at once, 0 to 1. */
  readonly share: number;
  /** A removal of fewer healthy targets than this is never held. */
  readonly least: number;
  /** How often the same removal must have been seen. */
  readonly checks: number;
  /** Least time between the first and the last of these, in milliseconds. */
  readonly spanMs: number;
}

export const guardRules: GuardRules = { share: 0.5, least: 2, checks: 3, spanMs: 60_000 };

/** Group → the removal that is being watched. Plain data: it survives in the caller's hands. */
export type GuardMemory = Readonly<
  Record<
    string,
    {
      /** Monotonic milliseconds of the first check. */
      readonly since: number;
      readonly checks: number;
      /** Fingerprint of the steps that would remove. */
      readonly removal: string;
    }
  >
>;

export interface GuardInput {
  readonly plan: Plan;
  /** The Service is being removed: nothing is held. */
  readonly removal: boolean;
  /** Monotonic milliseconds. */
  readonly now: number;
  readonly memory: GuardMemory;
  readonly rules?: GuardRules;
}

export interface HeldStep {
  readonly step: Step;
  readonly message: string;
}

export interface Guarded {
  /** In plan order. */
  readonly allowed: readonly Step[];
  readonly held: readonly HeldStep[];
  readonly waits: readonly Wait[];
  readonly memory: GuardMemory;
}

/** What a plan takes from one group. */
interface GroupRemoval {
  readonly steps: readonly Step[];
  readonly healthyRemoved: number;
  readonly healthyBefore: number;
}

export function guard({ plan, removal, now, memory, rules = guardRules }: GuardInput): Guarded {
  if (removal) return { allowed: plan.steps, held: [], waits: [], memory: {} };

  const watched: Record<string, GuardMemory[string]> = {};
  const waits: Wait[] = [];
  /** Step id → why it is held. */
  const reasons = new Map<string, string>();
  for (const [group, removals] of removalsByGroup(plan.steps)) {
    const { healthyRemoved, healthyBefore } = removals;
    if (healthyRemoved < rules.least || healthyRemoved <= healthyBefore * rules.share) continue;
    const fingerprint = fingerprintOf(removals.steps);
    const before = memory[group];
    const seen =
      before?.removal === fingerprint
        ? { ...before, checks: before.checks + 1 }
        : { since: now, checks: 1, removal: fingerprint };
    // Kept after it has passed, too: a pass that is cut short must not start the wait again.
    watched[group] = seen;
    const age = now - seen.since;
    if (seen.checks >= rules.checks && age >= rules.spanMs) continue;
    // The same words at every check: a message that counts would be a new event each time.
    const message =
      `${group}: the plan would remove ${healthyRemoved} of ${healthyBefore} healthy targets; ` +
      `held until the same has been seen ${rules.checks} times over ${rules.spanMs / 1000} s`;
    for (const step of removals.steps) reasons.set(step.id, message);
    const left = Math.max(1, rules.checks - seen.checks);
    waits.push({
      reason: 'RemovalHeld',
      message,
      recheckMs: Math.max(1_000, Math.ceil((rules.spanMs - age) / left)),
    });
  }

  const allowed: Step[] = [];
  const held: HeldStep[] = [];
  for (const step of plan.steps) {
    let message = reasons.get(step.id);
    if (message === undefined) {
      const blocker = prerequisites(step).find((id) => reasons.has(id));
      if (blocker !== undefined) {
        message = `held with step ${blocker}, which it needs`;
        reasons.set(step.id, message);
      }
    }
    if (message === undefined) allowed.push(step);
    else held.push({ step, message });
  }
  return { allowed, held, waits, memory: watched };
}

function removalsByGroup(steps: readonly Step[]): ReadonlyMap<string, GroupRemoval> {
  const groups = new Map<string, GroupRemoval>();
  for (const step of steps) {
    if (step.effect.kind !== 'removeTargets') continue;
    const { group, healthyRemoved, healthyBefore } = step.effect;
    const before = groups.get(group);
    groups.set(group, {
      steps: [...(before?.steps ?? []), step],
      healthyRemoved: (before?.healthyRemoved ?? 0) + healthyRemoved,
      healthyBefore: Math.max(before?.healthyBefore ?? 0, healthyBefore),
    });
  }
  return groups;
}

function fingerprintOf(steps: readonly Step[]): string {
  return shortHash(
    20,
    ...steps.map(({ operation, parameters }) => JSON.stringify([operation, parameters])).toSorted(),
  );
}
