/**
 * One pass over one Service: whose is it, and what follows from that. Read top to bottom, cheapest exit first.
 *
 * Level-triggered: the request is only a key, and what to do is decided from what is there now. It never
 * throws for anything that the outside does: every error becomes an outcome of the queue.
 */
import { servedByAnnotation } from '../core/annotations.ts';
import { claimOf, finalizer } from '../core/claim.ts';
import { bearsOurs, dropConditions } from '../core/conditions.ts';
import { asSluiceError } from '../core/errors.ts';
import type { ObjectKey, ServiceObject } from '../core/objects.ts';
import type { AnyProvider, ProviderName } from '../core/provider.ts';
import type { Outcome } from '../core/queue.ts';
import { converge } from './converge.ts';
import { compareVersions } from '../kube/version.ts';
import type { Context } from './context.ts';
import { newMemory, type ServiceMemory } from './memory.ts';
import { servedBy } from './served.ts';
import { release, releaseStray, tellRemovalFailure } from './release.ts';
import { tellFailure } from './tell.ts';

/** How long to wait for the picture to show our own last write; its event wakes the key earlier. */
const catchUpMs = 500;
/** For how long the server's word that an object is gone goes before a picture that still shows it. */
const vanishedMs = 300_000;

export async function reconcile(context: Context, key: ObjectKey, signal: AbortSignal): Promise<Outcome> {
  const started = context.clock.now();
  const seen = context.view.service(key);
  const before = context.memories.underKey(key);
  if (before && before.owner.uid !== seen?.uid) {
    const outcome = await settleForgotten(context, before, signal);
    if (outcome.kind !== 'done') return outcome;
  }
  if (!seen) return { kind: 'done' };

  // Whose it is, too, is not decided on a picture that is older than our own write.
  const written = context.memories.get(seen.uid)?.written;
  if (written !== undefined && !context.view.caughtUp(key, written.resourceVersion))
    return { kind: 'after', ms: catchUpMs };
  const service = newest(context, seen, written);

  const claim = claimOf(service, context.options.claim);
  if (claim.kind === 'none') return await forgetService(context, service, signal);
  if (claim.kind === 'foreign') {
    context.telemetry.skipped(key, claim.reason);
    sayOnce(context, service, claim.reason, claim.message);
    return { kind: 'done' };
  }
  const memory =
    context.memories.get(service.uid) ??
    remember(context, service, claim.kind === 'ours' ? claim.provider : undefined);

  if (memory.vanishedAt !== undefined && context.clock.now() - memory.vanishedAt < vanishedMs)
    return { kind: 'after', ms: vanishedMs };

  if (claim.kind === 'released' || leftBehind(service, claim.provider) !== undefined) {
    const from =
      claim.kind === 'released' ? claim.providers : [leftBehind(service, claim.provider) ?? claim.provider];
    return await releasing(context, service, memory, from, started, signal);
  }
  const provider = context.providers.get(claim.provider);
  if (!provider) {
    sayOnce(
      context,
      service,
      'ClassNotServed',
      `provider ${claim.provider} is not configured in this controller; configured: ${[...context.providers.keys()].join(', ')}`,
    );
    return { kind: 'terminal' };
  }
  memory.provider = provider.name;
  memory.sawPending ||= service.ingress.length === 0;
  try {
    const { outcome, changed } = await converge(
      context,
      provider,
      service,
      memory,
      () => servedBy(context, provider.name),
      signal,
    );
    context.telemetry.pass(
      key,
      provider.name,
      outcome.kind === 'retry'
        ? 'failed'
        : changed
          ? 'changed'
          : outcome.kind === 'after'
            ? 'waiting'
            : 'unchanged',
      context.clock.now() - started,
    );
    return outcome;
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = asSluiceError(thrown);
    context.telemetry.pass(key, provider.name, 'failed', context.clock.now() - started);
    if (error.kind === 'gone' && error.action?.includes('services')) {
      return vanished(context, memory);
    }
    return await failed(context, service, memory, thrown, signal);
  }
}

/** The object went while we worked: its deletion is on the way to us and wakes the key, however late it comes. */
function vanished(context: Context, memory: ServiceMemory): Outcome {
  memory.vanishedAt = context.clock.now();
  return { kind: 'after', ms: vanishedMs };
}

/** The picture may have caught up with all else and have missed our own write: an event is lost now and then. */
function newest(context: Context, seen: ServiceObject, written: ServiceObject | undefined): ServiceObject {
  if (written !== undefined && compareVersions(seen.resourceVersion, written.resourceVersion) === 'older')
    return written;
  const memory = context.memories.get(seen.uid);
  if (memory !== undefined) memory.written = undefined;
  return seen;
}

async function failed(
  context: Context,
  service: ServiceObject,
  memory: ServiceMemory,
  thrown: unknown,
  signal: AbortSignal,
): Promise<Outcome> {
  const error = asSluiceError(thrown);
  // What the status cannot take cannot be told there either.
  if (error.action?.includes('services')) return { kind: 'retry', error };
  try {
    return { kind: 'retry', error: await tellFailure(context, service, memory, thrown, signal) };
  } catch (second) {
    if (signal.aborted) throw second;
    return { kind: 'retry', error };
  }
}

async function releasing(
  context: Context,
  service: ServiceObject,
  memory: ServiceMemory,
  from: readonly ProviderName[],
  started: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const providers = from
    .map((name) => context.providers.get(name))
    .filter((provider) => provider !== undefined);
  if (providers.length < from.length) {
    sayOnce(
      context,
      service,
      'ClassNotServed',
      `provider ${from.join(', ')} holds the balancer and is not configured in this controller; configure it, or take the finalizer off by \`sluice uninstall --balancers keep\``,
    );
    return { kind: 'terminal' };
  }
  try {
    const outcome = await release(context, providers, service, memory, signal);
    context.telemetry.pass(
      service.key,
      from[0],
      outcome.kind === 'retry' ? 'failed' : 'changed',
      context.clock.now() - started,
    );
    return outcome;
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = asSluiceError(thrown);
    // The object went by itself: somebody took the finalizer off. The survey finds what is left.
    if (error.kind === 'gone' && error.action?.includes('services')) return vanished(context, memory);
    return { kind: 'retry', error: tellRemovalFailure(context, service, memory, thrown) };
  }
}

/**
 * Not ours, and nothing of ours exists for it. Where it was refused or held back while it was ours to serve,
 * it bears conditions without ever having had the finalizer.
 */
async function forgetService(
  context: Context,
  service: ServiceObject,
  signal: AbortSignal,
): Promise<Outcome> {
  context.memories.forget(service.uid);
  if (service.deleting || !bearsOurs(service.conditions)) return { kind: 'done' };
  try {
    await context.writer.patchStatus(service, dropConditions(service.conditions), signal);
    return { kind: 'done' };
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = asSluiceError(thrown);
    return error.kind === 'gone' ? { kind: 'done' } : { kind: 'retry', error };
  }
}

/** A Service that vanished without passing through our finalizer, or was made anew under its name. */
async function settleForgotten(
  context: Context,
  memory: ServiceMemory,
  signal: AbortSignal,
): Promise<Outcome> {
  const provider = context.providers.get(memory.provider);
  if (
    !provider ||
    memory.observed === undefined ||
    provider.isGone(memory.observed.value) ||
    context.options.strays === 'report'
  ) {
    context.memories.forget(memory.owner.uid);
    return { kind: 'done' };
  }
  return await sweepStray(context, provider, memory, signal);
}

export async function sweepStray(
  context: Context,
  provider: AnyProvider,
  memory: ServiceMemory,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    return await releaseStray(context, provider, memory, signal);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return { kind: 'retry', error: asSluiceError(thrown) };
  }
}

/** The provider that still holds a balancer for a Service which has moved to another one. */
function leftBehind(service: ServiceObject, provider: ProviderName): ProviderName | undefined {
  if (!service.finalizers.includes(finalizer)) return undefined;
  const recorded = service.annotations[servedByAnnotation];
  return recorded !== undefined && recorded !== provider ? (recorded as ProviderName) : undefined;
}

function remember(
  context: Context,
  service: ServiceObject,
  provider: ProviderName | undefined,
): ServiceMemory {
  const owner = { cluster: context.cluster, service: service.key, uid: service.uid };
  const recorded = service.annotations[servedByAnnotation] as ProviderName | undefined;
  return context.memories.put(
    newMemory(owner, service.key, provider ?? recorded ?? 'aws', context.clock.now()),
  );
}

/** For Services that we do not serve: nothing is remembered of them, the recorder keeps from repeating itself. */
function sayOnce(
  context: Context,
  service: ServiceObject,
  reason: Parameters<typeof context.telemetry.skipped>[1],
  note: string,
): void {
  context.writer.event(service, { type: 'Warning', reason, action: 'Claim', note });
}
