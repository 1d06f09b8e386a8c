/**
 * Taking away what was made for a Service: on deletion, on a change of type or class, and for strays whose
 * Service is gone. The same path for all, from any half-way state, and the finalizer goes last.
 */
import { servedByAnnotation } from '../core/annotations.ts';
import { asSluiceError, type SluiceError } from '../core/errors.ts';
import { guard } from '../core/guard.ts';
import type { ServiceObject } from '../core/objects.ts';
import { parsed } from '../core/parsed.ts';
import { hasErrors, listProblems } from '../core/problems.ts';
import type { AnyProvider } from '../core/provider.ts';
import type { Outcome } from '../core/queue.ts';
import { dropConditions } from '../core/conditions.ts';
import { carryOut, type Context } from './context.ts';
import type { ServiceMemory } from './memory.ts';
import { mayHold } from './served.ts';
import { warnOnce } from './tell.ts';
import { describeError, isWaiting } from './verdict.ts';

/** How long to wait before looking again when what blocks the removal is the user's to lift. */
const blockedMs = 60_000;
/**
 * Busy answers are usual for a minute or so after a deletion. What lasts longer is the user's to lift: an
 * endpoint service on the balancer keeps it in use for ever.
 */
const quietMs = 120_000;

type Removal =
  | { readonly kind: 'gone'; readonly changed: boolean; readonly kept: string | undefined }
  | { readonly kind: 'not-yet'; readonly outcome: Outcome; readonly why: string; readonly signature: string };

/** Releases a Service that still exists as an object. */
export async function release(
  context: Context,
  providers: readonly AnyProvider[],
  service: ServiceObject,
  memory: ServiceMemory,
  signal: AbortSignal,
): Promise<Outcome> {
  if (!service.deleting) {
    // A change of type can be taken back; deletion cannot. Ask the server, not the picture.
    const live = await context.writer.getService(service.key, signal);
    if (live && live.uid === service.uid && live.resourceVersion !== service.resourceVersion)
      return { kind: 'after', ms: 1_000 };
  }
  let changed = false;
  let kept: string | undefined;
  for (const provider of providers) {
    const removal = await remove(context, provider, service, memory, signal);
    if (removal.kind === 'not-yet') {
      warn(context, service, memory, removal);
      return removal.outcome;
    }
    changed ||= removal.changed;
    kept ??= removal.kept;
  }
  let current = service;
  if (!service.deleting && (service.ingress.length > 0 || service.conditions.length > 0)) {
    current = await context.writer.patchStatus(
      service,
      { ingress: [], ...dropConditions(service.conditions) },
      signal,
    );
  }
  await context.writer.removeFinalizer(current, [servedByAnnotation], signal);
  if (changed)
    context.writer.event(
      service,
      kept === undefined
        ? { type: 'Normal', reason: 'DeletedLoadBalancer', action: 'Delete', note: 'Deleted load balancer' }
        : { type: 'Normal', reason: 'PreservedOnDelete', action: 'Delete', note: kept },
    );
  context.memories.forget(service.uid);
  return { kind: 'done' };
}

/** Removes what bears the mark of an owner whose Service is gone. */
export async function releaseStray(
  context: Context,
  provider: AnyProvider,
  memory: ServiceMemory,
  signal: AbortSignal,
): Promise<Outcome> {
  const live = await context.writer.getService(memory.key, signal);
  if (mayHold(context, live, memory.owner.uid)) {
    // The Service is there after all: the picture was behind.
    return { kind: 'after', ms: 1_000 };
  }
  const removal = await remove(context, provider, undefined, memory, signal);
  if (removal.kind === 'not-yet') return removal.outcome;
  context.memories.forget(memory.owner.uid);
  return { kind: 'done' };
}

async function remove(
  context: Context,
  provider: AnyProvider,
  service: ServiceObject | undefined,
  memory: ServiceMemory,
  signal: AbortSignal,
): Promise<Removal> {
  const observed = await provider.observe({
    owner: memory.owner,
    depth: 'removal',
    wanted: undefined,
    previous: memory.observed?.value,
    signal,
  });
  const plan = provider.plan(
    { kind: 'absent', settings: service ? parsed(provider, service).settings : undefined },
    observed,
    {
      owner: memory.owner,
      now: context.clock.now(),
      memory: {},
    },
  );
  const guarded = guard({
    plan,
    removal: true,
    now: context.clock.now(),
    memory: memory.guard,
    rules: context.options.guard,
  });
  const execution = await carryOut(context, provider, memory.key, {
    observed,
    steps: guarded.allowed,
    signal,
  });
  memory.lastPass = {
    at: context.clock.wall(),
    plan,
    problems: plan.problems,
    excluded: [],
    waits: plan.waits,
    targets: undefined,
    error: execution.failed[0]?.error.message,
  };
  const error = execution.failed[0]?.error;
  memory.observed =
    error === undefined || isWaiting(error) ? { value: execution.observed, depth: 'full' } : undefined;
  if (error) return notYet(context, memory, error);
  memory.waitingSince = undefined;
  if (hasErrors(plan.problems)) {
    return {
      kind: 'not-yet',
      outcome: { kind: 'after', ms: blockedMs },
      why: listProblems(plan.problems),
      signature: plan.problems.map(({ reason }) => reason).join(),
    };
  }
  const wait = plan.waits[0];
  if (!provider.isGone(execution.observed)) {
    return {
      kind: 'not-yet',
      outcome: { kind: 'after', ms: wait?.recheckMs ?? 2_000 },
      why: wait?.message ?? '',
      signature: '',
    };
  }
  return { kind: 'gone', changed: execution.done.length > 0, kept: plan.kept };
}

/** What to say of a refusal: nothing while it may pass by itself. */
function whyOf(context: Context, memory: ServiceMemory, error: SluiceError): string {
  const now = context.clock.now();
  memory.waitingSince = isWaiting(error) ? (memory.waitingSince ?? now) : undefined;
  const quiet = memory.waitingSince !== undefined && now - memory.waitingSince < quietMs;
  return quiet ? '' : describeError(error);
}

function notYet(context: Context, memory: ServiceMemory, error: SluiceError): Removal {
  const final = error.kind === 'invalid' || error.kind === 'denied' || error.kind === 'quota';
  return {
    kind: 'not-yet',
    outcome: final ? { kind: 'after', ms: blockedMs } : { kind: 'retry', error },
    why: whyOf(context, memory, error),
    signature: error.code,
  };
}

function warn(
  context: Context,
  service: ServiceObject,
  memory: ServiceMemory,
  removal: Extract<Removal, { kind: 'not-yet' }>,
): void {
  if (removal.why === '') return;
  warnOnce(context, service, memory, {
    type: 'Warning',
    reason: 'DeleteLoadBalancerFailed',
    action: 'Delete',
    note: removal.why,
    signature: `delete ${removal.signature}`,
  });
}

/** A removal that threw before it had a plan, such as a read that failed. */
export function tellRemovalFailure(
  context: Context,
  service: ServiceObject,
  memory: ServiceMemory,
  thrown: unknown,
): SluiceError {
  const error = asSluiceError(thrown);
  memory.observed = undefined;
  warn(context, service, memory, {
    kind: 'not-yet',
    outcome: { kind: 'retry', error },
    why: whyOf(context, memory, error),
    signature: error.code,
  });
  return error;
}
