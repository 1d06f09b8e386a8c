/**
 * What a pass computes before it changes anything: settings, wanted, observed and plan.
 *
 * Plans on what is remembered where that is safe (steps that only add), looks live before anything is taken
 * away, and looks at everything when it cannot say that the settings were ever fully applied.
 */
import { createHash } from 'node:crypto';
import { ownAnnotations, ownPrefix } from '../core/annotations.ts';
import type { ServiceObject } from '../core/objects.ts';
import type { Plan, Step } from '../core/plan.ts';
import { parsed } from '../core/parsed.ts';
import { hasErrors, type Problem } from '../core/problems.ts';
import type { AnyProvider, Desired } from '../core/provider.ts';
import { worldOf, type Context } from './context.ts';
import type { ServiceMemory } from './memory.ts';
import { settingsInForce } from './verdict.ts';

export interface Prepared {
  readonly desired: Desired<unknown>;
  readonly problems: readonly Problem[];
  readonly settingsHash: string;
  readonly mode: 'apply' | 'targets-only' | 'paused' | 'plan-only';
  readonly driftPolicy: 'correct' | 'report';
  readonly publishEarly: boolean;
}

/** Everything that can be computed before anything is read. */
export function prepare(
  context: Pick<Context, 'cluster' | 'view' | 'options'>,
  provider: AnyProvider,
  service: ServiceObject,
  served: () => readonly ServiceObject[],
): Prepared {
  const own = ownAnnotations(service.annotations, servedOwn(provider));
  const { settings, problems: mistakes } = parsed(provider, service);
  const desired = provider.want(settings, worldOf(context, service, served));
  const problems = [...own.problems, ...mistakes, ...desired.problems];
  const mode = own.settings.paused
    ? 'paused'
    : own.settings.planOnly
      ? 'plan-only'
      : hasErrors(problems)
        ? 'targets-only'
        : 'apply';
  return {
    desired,
    problems,
    settingsHash: createHash('sha256').update(JSON.stringify(settings)).digest('hex').slice(0, 8),
    mode,
    driftPolicy: own.settings.driftPolicy ?? context.options.driftPolicy,
    publishEarly:
      own.settings.publish === undefined ? context.options.publishEarly : own.settings.publish === 'early',
  };
}

/** Annotations under our own prefix that the provider reads itself. */
function servedOwn({ annotations }: AnyProvider): readonly string[] {
  return annotations.map(({ key }) => key).filter((key) => key.startsWith(ownPrefix));
}

export interface Looked {
  readonly observed: unknown;
  readonly depth: 'quick' | 'full';
  readonly plan: Plan;
  /** Steps that put right what somebody else changed. */
  readonly drift: readonly Step[];
}

export async function lookAndPlan(
  context: Context,
  provider: AnyProvider,
  service: ServiceObject,
  memory: ServiceMemory,
  prepared: Prepared,
  signal: AbortSignal,
): Promise<Looked> {
  const { wanted } = prepared.desired;
  const planOn = (observed: unknown): Plan =>
    provider.plan({ kind: 'present', wanted }, observed, {
      owner: memory.owner,
      now: context.clock.now(),
      memory: memory.handOver,
    });
  const look = async (depth: 'quick' | 'full'): Promise<unknown> => {
    const previous = memory.observed?.value;
    return await provider.observe({ owner: memory.owner, depth, wanted, previous, routine, signal });
  };

  const inForce =
    memory.appliedSettings ?? settingsInForce(service.conditions.find(({ type }) => type === 'InSync'));
  const applied = inForce === prepared.settingsHash;
  const remembered = memory.observed;
  const { fullDue, liveDue } = memory;
  const routine = fullDue && !liveDue && applied && remembered?.depth === 'full';
  const needsFull = fullDue || (!applied && remembered?.depth === 'quick');
  if (remembered !== undefined && !needsFull && !liveDue) {
    const plan = planOn(remembered.value);
    const drift = applied ? plan.steps.filter((step) => memory.reported.has(stepKey(step))) : [];
    if (plan.steps.every((step) => step.risk === 'none' || drift.includes(step))) {
      return { observed: remembered.value, depth: remembered.depth, plan, drift };
    }
  }
  // Orders that come in while we look are for the next pass; ours stand again if the look fails.
  memory.fullDue = false;
  memory.liveDue = false;
  let depth: 'quick' | 'full' = needsFull ? 'full' : 'quick';
  let observed: unknown;
  try {
    observed = await look(depth);
    if (provider.isGone(observed)) {
      // Nothing is there, so nothing about it can be unknown.
      depth = 'full';
    } else if (depth === 'quick' && !applied && remembered === undefined) {
      // Something is there and we cannot say that it was ever finished: a crash, or a change while we were down.
      depth = 'full';
      observed = await look(depth);
    }
  } catch (error) {
    memory.fullDue ||= fullDue;
    memory.liveDue = true;
    throw error;
  }
  const plan = planOn(observed);
  const before = remembered === undefined ? undefined : planOn(remembered.value);
  const drift = applied ? driftOf(plan, before, memory.reported) : [];
  const news = drift.filter((step) => !memory.reported.has(stepKey(step)));
  if (news.length > 0) context.telemetry.drift(service.key, provider.name, news);
  return { observed, depth, plan, drift };
}

/** What of a plan may be done while the settings are refused: nodes come and go all the same. */
export function targetSteps(plan: Plan): readonly Step[] {
  return plan.steps.filter(({ effect }) => effect.kind !== 'other');
}

/** Two steps of one key do the same. */
export function stepKey({ operation, subject, parameters }: Step): string {
  return JSON.stringify([operation, subject, parameters]);
}

/**
 * The steps that put right what was changed behind our back: those of a plan where the picture before said
 * that nothing was to be done, but for what was reported and left. After a restart there is no picture
 * before, and nodes may have come and gone meanwhile, so changes of targets count as ordinary work then.
 */
function driftOf(plan: Plan, before: Plan | undefined, reported: ReadonlySet<string>): readonly Step[] {
  if (before === undefined) return plan.steps.filter(({ effect }) => effect.kind === 'other');
  const wasQuiet = before.steps.every((step) => reported.has(stepKey(step)));
  return wasQuiet ? plan.steps : plan.steps.filter((step) => reported.has(stepKey(step)));
}
