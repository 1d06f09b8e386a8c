/**
 * Tells the user: address, conditions and events, each written only when it says something new.
 *
 * Throttled and busy answers are waited out in silence at first, and the same warning is not repeated at
 * every retry: a fault must not become a storm of writes.
 */
import { mergeConditions, sameConditions, sameIngress } from '../core/conditions.ts';
import { asSluiceError, type SluiceError } from '../core/errors.ts';
import type { Execution } from '../core/execute.ts';
import type { Ingress, ServiceObject } from '../core/objects.ts';
import type { Address, AnyProvider } from '../core/provider.ts';
import type { Context } from './context.ts';
import type { ServiceMemory } from './memory.ts';
import { isWaiting, judge, type Facts, type Verdict } from './verdict.ts';

/** Throttled and busy answers are not worth a word to the user before they have lasted this long. */
export const quietWaitMs = 30_000;
/** The same warning is repeated no more often than this. */
const repeatWarningMs = 300_000;

/** The address as it stands in the status now. */
export function published(service: ServiceObject): Address {
  return service.ingress.length > 0 ? { kind: 'ready', ingress: service.ingress } : { kind: 'none' };
}

export interface Done {
  readonly provider: AnyProvider;
  readonly execution: Execution;
  readonly early: boolean;
}

/** Writes address, conditions and events, each only when it says something new. */
export async function tell(
  context: Context,
  service: ServiceObject,
  memory: ServiceMemory,
  facts: Facts,
  done: Done | undefined,
  signal: AbortSignal,
): Promise<void> {
  const verdict = judge(facts);
  const now = context.clock.now();
  const conditions = mergeConditions(service.conditions, verdict.drafts, context.clock.wall());
  const ingress = ingressToPublish(facts.address, done?.early ?? false);
  const ingressChanged = ingress !== undefined && !sameIngress(service.ingress, ingress);
  if (ingressChanged || !sameConditions(service.conditions, conditions)) {
    memory.written = await context.writer.patchStatus(
      service,
      { conditions, ...(ingressChanged ? { ingress } : {}) },
      signal,
    );
  }
  if (ingressChanged && ingress && ingress.length > 0 && done) {
    if (memory.pendingSince !== undefined && memory.sawPending)
      context.telemetry.published(service.key, done.provider.name, now - memory.pendingSince);
    const shown = new Set(service.ingress.map(addressOf));
    const fresh = ingress.map(addressOf).filter((address) => !shown.has(address));
    // Only the ports may have changed: then clients have nothing to do.
    if (shown.size > 0 && fresh.length > 0) {
      context.writer.event(service, {
        type: 'Warning',
        reason: 'LoadBalancerRecreated',
        action: 'Provision',
        note: `The address changed to ${fresh.join(', ')}`,
      });
    }
    if (shown.size === 0 && done.execution.done.length === 0) {
      context.writer.event(service, {
        type: 'Normal',
        reason: 'EnsuredLoadBalancer',
        action: 'Provision',
        note: `Reachable at ${fresh.join(', ')}`,
      });
    }
  }
  if (facts.address.kind === 'ready') memory.pendingSince = undefined;
  announce(context, service, facts, done);
  sayEmpty(context, service, memory, facts);
  if (!stands(service, verdict)) warnOnce(context, service, memory, verdict.warning);
}

/**
 * What the user wrote is wrong as it was before, and the condition has said so since: it is not said again,
 * in this process or the next, or a typo would cause writes for as long as it stands.
 */
function stands({ conditions }: ServiceObject, { drafts, warning }: Verdict): boolean {
  if (warning?.action !== 'Validate') return false;
  const before = conditions.find(({ type }) => type === 'Accepted');
  const now = drafts.find(({ type }) => type === 'Accepted');
  return before?.reason === now?.reason && before?.message === now?.message;
}

/** Says a warning, unless the same one was said a short while ago. Undefined: all is well, forget the last one. */
export function warnOnce(
  context: Context,
  service: ServiceObject,
  memory: ServiceMemory,
  warning: Verdict['warning'],
): void {
  if (warning === undefined) {
    memory.lastWarning = undefined;
    return;
  }
  const { signature, ...note } = warning;
  const now = context.clock.now();
  if (memory.lastWarning?.signature === signature && now - memory.lastWarning.at < repeatWarningMs) return;
  memory.lastWarning = { signature, at: now };
  context.writer.event(service, note);
}

/**
 * No node can be a target: said when it begins, also where the targets that are there stay; once, not at every
 * look. Not of a new Service under policy Local, which has no endpoints yet as a rule: the condition is enough.
 */
function sayEmpty(context: Context, service: ServiceObject, memory: ServiceMemory, facts: Facts): void {
  const empty = facts.waits.find(({ reason }) => reason === 'UnAvailableLoadBalancer');
  const known =
    memory.saidEmpty || service.conditions.some(({ reason }) => reason === 'UnAvailableLoadBalancer');
  const usual =
    service.externalTrafficPolicy === 'Local' &&
    !service.conditions.some(({ type }) => type === 'TargetsReady');
  memory.saidEmpty = empty !== undefined;
  if (empty === undefined || known || usual) return;
  context.writer.event(service, {
    type: 'Warning',
    reason: 'UnAvailableLoadBalancer',
    action: 'UpdateTargets',
    note: empty.message,
  });
}

/** Good news: one event for a pass that changed something. */
function announce(context: Context, service: ServiceObject, facts: Facts, done: Done | undefined): void {
  if (!done || done.execution.failed.length > 0 || done.execution.done.length === 0) return;
  const steps = done.execution.done.map(({ step }) => step);
  const calls = `${steps.length} ${steps.length === 1 ? 'call' : 'calls'}: ${[...new Set(steps.map((step) => step.operation))].join(', ')}`;
  if (facts.address.kind === 'pending') {
    context.writer.event(service, {
      type: 'Normal',
      reason: 'EnsuringLoadBalancer',
      action: 'Provision',
      note: `${facts.address.message} (${calls})`,
    });
  } else if (steps.every(({ effect }) => effect.kind !== 'other')) {
    context.writer.event(service, {
      type: 'Normal',
      reason: 'UpdatedLoadBalancer',
      action: 'UpdateTargets',
      note: `Targets updated: ${[...new Set(steps.map((step) => step.reason))].join('; ')} (${calls})`,
    });
  } else {
    context.writer.event(service, {
      type: 'Normal',
      reason: 'EnsuredLoadBalancer',
      action: 'Provision',
      note: `Ensured load balancer (${calls})`,
    });
  }
}

function addressOf({ hostname, ip }: Ingress): string {
  return hostname ?? ip ?? '';
}

/** Undefined: leave the status as it is. */
function ingressToPublish(address: Address, early: boolean): readonly Ingress[] | undefined {
  switch (address.kind) {
    case 'ready':
      return address.ingress;
    case 'pending':
      if (address.withdraw) return [];
      return early && address.ingress.length > 0 ? address.ingress : undefined;
    case 'none':
    case 'failed':
      return undefined;
  }
}

/** For callers that catch what a pass throws: a read that failed is said, and nothing else is touched. */
export async function tellFailure(
  context: Context,
  service: ServiceObject,
  memory: ServiceMemory,
  thrown: unknown,
  signal: AbortSignal,
): Promise<SluiceError> {
  const error = asSluiceError(thrown);
  if (error.kind === 'bug') memory.observed = undefined;
  const now = context.clock.now();
  memory.waitingSince = isWaiting(error) ? (memory.waitingSince ?? now) : undefined;
  if (memory.waitingSince !== undefined && now - memory.waitingSince < quietWaitMs) return error;
  const facts: Facts = {
    problems: [],
    address: published(service),
    targets: { groups: [] },
    error,
    failures: [],
    held: [],
    waits: [],
    withheld: undefined,
    settings: '',
  };
  const verdict = judge(facts);
  const drafts = verdict.drafts.filter(
    ({ type }) => type === 'InSync' || (type === 'Provisioned' && service.ingress.length === 0),
  );
  const conditions = mergeConditions(service.conditions, drafts, context.clock.wall());
  if (!sameConditions(service.conditions, conditions)) {
    memory.written = await context.writer.patchStatus(service, { conditions }, signal);
  }
  warnOnce(context, service, memory, verdict.warning);
  return error;
}
