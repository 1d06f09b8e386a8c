/**
 * The guard: the last look at a plan before it is applied.
 *
 * A plan that takes most healthy targets away at once is right once in a while (a node pool was replaced)
 * and a catastrophe otherwise (a cache that was not complete, a label put on every node by mistake). The two
 * look the same in one moment; only the second passes. So such a removal is held until exactly the same one
 * has been seen several times over a stretch of time.
 *
 * Many small removals in a row do the same harm as a large one, so what went lately counts with what would go
 * now: the whole is compared with the most healthy targets that the group had within the window. Both must be
 * too much, what went and what would be left: a rolling replacement takes away every target in turn and leaves
 * as many as there were. Once a removal has been believed, what is left is the new measure.
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
  /** Share of a group's healthy targets that may go at once or within the window, 0 to 1. */
  readonly share: number;
  /** A removal of fewer healthy targets than this is never held, what went within the window included. */
  readonly least: number;
  /** How long a removal that passed counts with later ones, in milliseconds. 0: each plan is judged alone. */
  readonly windowMs: number;
  /** How often the same removal must have been seen. */
  readonly checks: number;
  /** Least time between the first and the last of these, in milliseconds. */
  readonly spanMs: number;
}

export const guardRules: GuardRules = {
  share: 0.5,
  least: 2,
  windowMs: 600_000,
  checks: 3,
  spanMs: 60_000,
};

/** A removal that was let through because it was small. */
interface Passed {
  /** Monotonic milliseconds. */
  readonly at: number;
  /** Fingerprint of its steps: one that is planned again because its calls failed counts once. */
  readonly removal: string;
  readonly healthyRemoved: number;
  readonly healthyBefore: number;
}

/** A removal that is too large and is being watched. */
interface Watched {
  /** Monotonic milliseconds of the first check. */
  readonly since: number;
  readonly checks: number;
  /** Fingerprint of the steps that would remove. */
  readonly removal: string;
}

/** Group → what went lately and what is being watched. Plain data: it survives in the caller's hands. */
export type GuardMemory = Readonly<
  Record<string, { readonly passed: readonly Passed[]; readonly watched: Watched | undefined }>
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

  const groups = removalsByGroup(plan.steps);
  const after: Record<string, GuardMemory[string]> = {};
  const waits: Wait[] = [];
  /** Step id → why it is held. */
  const reasons = new Map<string, string>();
  for (const group of new Set([...Object.keys(memory), ...groups.keys()])) {
    const before = memory[group];
    const passed = (before?.passed ?? []).filter(({ at }) => now - at < rules.windowMs);
    const removals = groups.get(group);
    if (removals === undefined) {
      if (passed.length > 0) after[group] = { passed, watched: undefined };
      continue;
    }
    const fingerprint = fingerprintOf(removals.steps);
    const others = passed.filter((one) => one.removal !== fingerprint);
    const excess = excessOf(removals, others, rules);
    if (excess === undefined) {
      const { healthyRemoved, healthyBefore } = removals;
      const entry = { at: now, removal: fingerprint, healthyRemoved, healthyBefore };
      const counts = healthyRemoved > 0 && rules.windowMs > 0;
      const kept = counts ? [...others, entry] : passed;
      if (kept.length > 0) after[group] = { passed: kept, watched: undefined };
      continue;
    }
    const watched =
      before?.watched?.removal === fingerprint
        ? { ...before.watched, checks: before.watched.checks + 1 }
        : { since: now, checks: 1, removal: fingerprint };
    const age = now - watched.since;
    if (watched.checks >= rules.checks && age >= rules.spanMs) {
      // Still watched after it has passed: a pass that is cut short must not start the wait again.
      after[group] = { passed: [], watched };
      continue;
    }
    after[group] = { passed, watched };
    // The same words at every check: a message that counts would be a new event each time.
    const message =
      `${group}: ${excess}; ` +
      `held until the same has been seen ${rules.checks} times over ${rules.spanMs / 1000} s`;
    for (const step of removals.steps) reasons.set(step.id, message);
    const left = Math.max(1, rules.checks - watched.checks);
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
  return { allowed, held, waits, memory: after };
}

/** What is too much about a removal, in words; undefined where nothing is. */
function excessOf(
  { healthyRemoved, healthyBefore }: GroupRemoval,
  lately: readonly Passed[],
  rules: GuardRules,
): string | undefined {
  const tooMuch = (gone: number, left: number, most: number): boolean =>
    gone >= rules.least && gone > most * rules.share && left < most * (1 - rules.share);
  const left = healthyBefore - healthyRemoved;
  if (tooMuch(healthyRemoved, left, healthyBefore))
    return `the plan would remove ${healthyRemoved} of ${healthyBefore} healthy targets`;
  const gone = lately.reduce((sum, one) => sum + one.healthyRemoved, healthyRemoved);
  const most = Math.max(healthyBefore, ...lately.map((one) => one.healthyBefore));
  if (healthyRemoved === 0 || !tooMuch(gone, left, most)) return undefined;
  return (
    `with what went in the last ${Math.round(rules.windowMs / 60_000)} min the plan would remove ` +
    `${gone} of ${most} healthy targets`
  );
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
