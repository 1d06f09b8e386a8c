/**
 * One pass over a Service that is ours to serve: wanted → observed → plan → guard → apply → say so.
 *
 * The finalizer is stored before the first cloud write. When the settings are broken, nothing but targets
 * is touched: nodes keep coming and going while the user mends a typo.
 */
import { servedByAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';
import type { Clock } from '../core/clock.ts';
import type { SluiceError } from '../core/errors.ts';
import type { Execution } from '../core/execute.ts';
import { guard } from '../core/guard.ts';
import type { ServiceObject } from '../core/objects.ts';
import type { Plan, Step } from '../core/plan.ts';
import { hasErrors } from '../core/problems.ts';
import type { Address, AnyProvider, TargetsReport } from '../core/provider.ts';
import type { Outcome } from '../core/queue.ts';
import { serviceMatters } from '../core/service-diff.ts';
import { carryOut, type Context } from './context.ts';
import { lookAndPlan, prepare, stepKey, targetSteps, type Looked, type Prepared } from './look.ts';
import type { ServiceMemory } from './memory.ts';
import { published, quietWaitMs, tell } from './tell.ts';
import { isWaiting, type Facts } from './verdict.ts';

/** First look at a balancer that was just asked for; it doubles up to what the provider thinks right. */
const pendingFirstMs = 500;
/** First look at targets that were just registered; it grows by half with every look. */
const settlingFirstMs = 10_000;
const settlingMostMs = 60_000;
/** How often targets that never became healthy are looked at. */
const unhealthyMs = 300_000;
/** Least time until targets are looked at again of which a quota keeps some out: each look asks for room again. */
const partialMs = 30_000;
/** The same where nothing else goes on: what drains makes room after some minutes, and people after more. */
const noRoomMs = 300_000;
/** How long to wait for the picture to show what we have seen live. */
const catchUpMs = 500;

export interface Passed {
  readonly outcome: Outcome;
  /** Something was changed at the provider. */
  readonly changed: boolean;
}

export async function converge(
  context: Context,
  provider: AnyProvider,
  service: ServiceObject,
  memory: ServiceMemory,
  served: () => readonly ServiceObject[],
  signal: AbortSignal,
): Promise<Passed> {
  const { clock, telemetry } = context;
  const time = stopwatch(clock, (stage, ms) => telemetry.stage(provider.name, stage, ms));
  const prepared = prepare(context, provider, service, served);
  time('parse');
  const neverServed = !service.finalizers.includes(finalizer);
  if (neverServed && (prepared.mode === 'targets-only' || prepared.mode === 'paused')) {
    return unchanged(await refuse(context, service, memory, prepared, signal));
  }
  if (prepared.mode === 'paused') {
    const facts = {
      ...factsOf(prepared),
      address: published(service),
      withheld: { reason: 'Paused' as const, steps: [] },
    };
    await tell(context, service, memory, facts, undefined, signal);
    return unchanged({ kind: 'done' });
  }

  let current = service;
  if (
    prepared.mode !== 'plan-only' &&
    (neverServed || service.annotations[servedByAnnotation] !== provider.name)
  ) {
    current = await context.writer.addFinalizer(service, { [servedByAnnotation]: provider.name }, signal);
    memory.written = current;
    // The writer may have met a newer object than the one that all of this was computed from.
    if (current.deleting || serviceMatters(service, current))
      return unchanged({ kind: 'after', ms: catchUpMs });
  }

  const view = await lookAndPlan(context, provider, current, memory, prepared, signal);
  const { plan, drift } = view;
  time('observe');
  const permitted = allowedSteps(plan, prepared, drift);
  const left = permitted.withheld?.reason === 'DriftReported' ? permitted.withheld.steps : [];
  memory.reported = new Set(left.map(stepKey));
  const guarded = guard({
    plan: { ...plan, steps: permitted.steps },
    removal: false,
    now: context.clock.now(),
    memory: memory.guard,
    rules: context.options.guard,
  });
  memory.guard = guarded.memory;
  const held = guarded.held.map(({ message }) => message);
  if (held.length > 0) context.telemetry.held(service.key, held);

  time('plan');

  const execution = await carryOut(context, provider, service.key, {
    observed: view.observed,
    steps: guarded.allowed,
    signal,
  });
  time('apply');
  remember(memory, execution, view, prepared, plan, clock.now());

  const facts: Facts = {
    ...factsOf(prepared),
    problems: [...prepared.problems, ...plan.problems],
    // What a step could not find may be the balancer: then its address is not news to spread.
    address: execution.failed.some(({ error }) => error.kind === 'gone')
      ? published(current)
      : provider.addresses(prepared.desired.wanted, execution.observed),
    targets: provider.targets(prepared.desired.wanted, execution.observed),
    failures: execution.failed,
    held,
    waits: [...plan.waits, ...guarded.waits],
    withheld: permitted.withheld,
  };
  memory.lastPass = {
    at: context.clock.wall(),
    plan,
    problems: facts.problems,
    excluded: prepared.desired.excluded,
    waits: facts.waits,
    targets: facts.targets,
    error: execution.failed[0]?.error.message,
  };
  noteHealth(context, memory, facts.targets);
  if (!stillWaiting(context, memory, execution)) {
    await tell(
      context,
      current,
      memory,
      facts,
      { provider, execution, early: prepared.publishEarly },
      signal,
    );
  }
  time('tell');
  return { outcome: outcomeOf(context, memory, facts, execution), changed: execution.done.length > 0 };
}

function unchanged(outcome: Outcome): Passed {
  return { outcome, changed: false };
}

type Stage = 'parse' | 'observe' | 'plan' | 'apply' | 'tell';

/** Tells how long each stage took: from the end of the one before. */
function stopwatch(clock: Clock, tellMs: (stage: Stage, ms: number) => void): (stage: Stage) => void {
  let since = clock.now();
  return (stage) => {
    const now = clock.now();
    tellMs(stage, now - since);
    since = now;
  };
}

/** Says once how long it took until a target was healthy. */
function noteHealth(context: Context, memory: ServiceMemory, targets: TargetsReport): void {
  if (memory.unhealthySince === undefined || !targets.groups.some(({ healthy }) => healthy > 0)) return;
  // After a restart this would measure the restart: only what was seen without an address counts.
  if (memory.sawPending) {
    context.telemetry.healthy(memory.key, memory.provider, context.clock.now() - memory.unhealthySince);
  }
  memory.unhealthySince = undefined;
}

/** What the mode and the drift policy leave of a plan. */
function allowedSteps(
  plan: Plan,
  prepared: Prepared,
  drift: readonly Step[],
): { readonly steps: readonly Step[]; readonly withheld: Facts['withheld'] } {
  if (prepared.mode === 'plan-only')
    return { steps: [], withheld: { reason: 'PlanOnly', steps: plan.steps } };
  if (prepared.mode === 'targets-only') {
    return { steps: targetSteps(plan), withheld: undefined };
  }
  if (drift.length > 0 && prepared.driftPolicy === 'report') {
    const steps = plan.steps.filter((step) => !drift.includes(step));
    return { steps, withheld: { reason: 'DriftReported', steps: drift } };
  }
  return { steps: plan.steps, withheld: undefined };
}

function remember(
  memory: ServiceMemory,
  execution: Execution,
  view: Looked,
  prepared: Prepared,
  plan: Plan,
  now: number,
): void {
  memory.handOver = plan.memory;
  const certain = execution.failed.every(({ error }) => keepsPicture(error));
  memory.observed = certain ? { value: execution.observed, depth: view.depth } : undefined;
  const waiting = execution.failed.length > 0 && execution.failed.every(({ error }) => isWaiting(error));
  memory.waitingSince = waiting ? (memory.waitingSince ?? now) : undefined;
  // Whether it is busy still can be read; a write would ask the same and be refused.
  if (execution.failed.some(({ error }) => error.kind === 'busy')) memory.liveDue = true;
  if (execution.failed.length === 0 && execution.skipped.length === 0 && prepared.mode === 'apply')
    memory.appliedSettings = prepared.settingsHash;
}

/** Errors after which we still know what the provider holds. */
function keepsPicture(error: SluiceError): boolean {
  return isWaiting(error) || error.kind === 'quota' || error.kind === 'invalid' || error.kind === 'denied';
}

function stillWaiting(context: Context, memory: ServiceMemory, execution: Execution): boolean {
  if (memory.waitingSince === undefined) return false;
  return execution.failed.length > 0 && context.clock.now() - memory.waitingSince < quietWaitMs;
}

function factsOf(prepared: Prepared): Facts {
  return {
    problems: prepared.problems,
    address: { kind: 'none' },
    targets: { groups: [] },
    error: undefined,
    failures: [],
    held: [],
    waits: [],
    withheld: undefined,
    settings: prepared.settingsHash,
  };
}

/** A Service that cannot be served yet and for which nothing exists: said once, and looked at again when it changes. */
async function refuse(
  context: Context,
  service: ServiceObject,
  memory: ServiceMemory,
  prepared: Prepared,
  signal: AbortSignal,
): Promise<Outcome> {
  const facts: Facts = {
    ...factsOf(prepared),
    ...(prepared.mode === 'paused' ? { withheld: { reason: 'Paused' as const, steps: [] } } : {}),
  };
  memory.lastPass = {
    at: context.clock.wall(),
    plan: undefined,
    problems: prepared.problems,
    excluded: [],
    waits: [],
    targets: undefined,
    error: undefined,
  };
  await tell(context, service, memory, facts, undefined, signal);
  return prepared.mode === 'paused' ? { kind: 'done' } : { kind: 'terminal' };
}

function outcomeOf(context: Context, memory: ServiceMemory, facts: Facts, execution: Execution): Outcome {
  const errors = execution.failed.map(({ error }) => error);
  const retry = errors.find((error) => !isFinal(error));
  if (retry) return { kind: 'retry', error: retry };
  const jittered = (ms: number): number => ms * (0.9 + 0.2 * context.random());
  const rechecks = facts.waits.map(({ recheckMs }) => recheckMs);
  if (facts.address.kind === 'pending') {
    rechecks.push(Math.min(pendingFirstMs * 2 ** memory.pendingPasses, facts.address.recheckMs));
    memory.pendingPasses += 1;
    memory.liveDue = true;
  } else {
    memory.pendingPasses = 0;
  }
  rechecks.push(...settlingRecheck(memory, facts.targets, facts.address, execution.done.length > 0));
  if (errors.length > 0) {
    if (!lacksRoomOnly(facts)) return { kind: 'terminal' };
    memory.liveDue = true;
    const ms = goesOn(facts) ? Math.max(partialMs, Math.min(noRoomMs, ...rechecks)) : noRoomMs;
    return { kind: 'after', ms: jittered(ms) };
  }
  // Settings that are refused do not stop what is under way: a hand-over, a balancer that comes up.
  if (rechecks.length === 0) return { kind: hasErrors(facts.problems) ? 'terminal' : 'done' };
  if (facts.waits.length > 0) memory.liveDue = true;
  return { kind: 'after', ms: jittered(Math.min(...rechecks)) };
}

/** Nothing failed but that a quota kept some targets out. */
function lacksRoomOnly({ failures }: Facts): boolean {
  return failures.every(({ step, error }) => error.kind === 'quota' && step.effect.kind === 'addTargets');
}

/** The balancer comes up; what did fit settles and takes over from others. */
function goesOn({ address, waits, targets }: Facts): boolean {
  return (
    address.kind === 'pending' ||
    waits.some(({ reason }) => reason === 'HandingOver' || reason === 'RemovalHeld') ||
    targets.groups.some(({ settling }) => settling)
  );
}

function isFinal(error: SluiceError): boolean {
  return error.kind === 'invalid' || error.kind === 'quota' || error.kind === 'denied';
}

/** Looks again at targets that are in their first checks, soon at first and then ever more rarely. */
function settlingRecheck(
  memory: ServiceMemory,
  targets: TargetsReport,
  address: Address,
  changed: boolean,
): readonly number[] {
  if (changed) memory.settlingPasses = 0;
  const settling = targets.groups.some((group) => group.settling);
  const dark = targets.groups.some(({ healthy, total }) => healthy === 0 && total > 0);
  if (address.kind === 'none' || (!settling && !dark)) {
    memory.settlingPasses = 0;
    return [];
  }
  memory.liveDue = true;
  if (!settling) return [unhealthyMs];
  const ms = Math.min(settlingFirstMs * 1.5 ** memory.settlingPasses, settlingMostMs);
  memory.settlingPasses += 1;
  return [ms];
}
