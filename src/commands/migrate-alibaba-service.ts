/**
 * The Service's side of a take-over from the cloud's own controller. Pure.
 *
 * Our finalizer comes before the balancer bears our mark, since a balancer with our mark and without a Service of
 * ours would be a stray; until all is done the Service is paused, so that no controller of ours acts on half of
 * it. The other controller's finalizer goes when that cannot find the balancer any more.
 */
import { servedByAnnotation } from '../core/annotations.ts';
import { alibabaClass, claimOf, classOf, finalizer, type ClaimRules } from '../core/claim.ts';
import type { ServiceObject } from '../core/objects.ts';
import type { Json, Parameters, Step } from '../core/plan.ts';
import type { Problem } from '../core/problems.ts';

export const otherFinalizer = 'service.k8s.alibaba/resources';
const otherNetworkFinalizer = 'service.k8s.alibaba/nlb';
/** What the other controller last compared: it writes this on Services. */
const hashLabel = 'service.beta.kubernetes.io/hash';
const pausedAnnotation = 'sluice.dev/paused';

/** The change of metadata, in the form of a merge patch. */
export interface Change {
  readonly finalizers: readonly string[];
  readonly annotations: Readonly<Record<string, string | null>>;
  readonly labels?: Readonly<Record<string, string | null>>;
}

export function isServedByOther({ finalizers, type }: ServiceObject): boolean {
  return (
    type === 'LoadBalancer' &&
    (finalizers.includes(otherFinalizer) || finalizers.includes(otherNetworkFinalizer))
  );
}

/** Ours, and paused. Undefined where that was done before. */
export function holding(service: ServiceObject): Change | undefined {
  if (service.finalizers.includes(finalizer)) return undefined;
  return {
    finalizers: [...service.finalizers, finalizer],
    annotations: { [servedByAnnotation]: 'alibaba', [pausedAnnotation]: 'true' },
  };
}

/** No longer the other controller's. `userPaused`: the user had paused it before, so it stays so. */
export function handing(service: ServiceObject, userPaused: boolean): Change {
  return {
    finalizers: [...new Set([...service.finalizers, finalizer])].filter((name) => name !== otherFinalizer),
    annotations: {
      [alibabaClass]: classOf('alibaba'),
      ...(userPaused ? {} : { [pausedAnnotation]: null }),
    },
    labels: { [hashLabel]: null },
  };
}

/** Paused by its user, and not by a take-over that was begun. */
export function isPausedByUser({ annotations, finalizers }: ServiceObject): boolean {
  return annotations[pausedAnnotation] !== undefined && !finalizers.includes(finalizer);
}

/** The Service as it is after a change. */
export function changed(service: ServiceObject, { finalizers, annotations }: Change): ServiceObject {
  const all: Record<string, string | null> = { ...service.annotations, ...annotations };
  return {
    ...service,
    finalizers,
    annotations: Object.fromEntries(
      Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null),
    ),
  };
}

/** As a step of a printed plan. */
export function asStep(service: ServiceObject, change: Change, id: string, reason: string): Step {
  return {
    id,
    operation: 'PatchService',
    parameters: JSON.parse(JSON.stringify({ metadata: change as unknown as Json })) as Parameters,
    subject: `service ${service.key}`,
    reason,
    risk: 'none',
    effect: { kind: 'other' },
    needs: [],
  };
}

/** Why the Service itself keeps it from being taken over; undefined where it does not. */
export function obstacle(service: ServiceObject, rules: ClaimRules): Problem | undefined {
  if (service.deleting)
    return problem(
      'ClaimedElsewhere',
      'metadata.deletionTimestamp',
      'it is being deleted',
      'let the other controller finish',
    );
  if (service.finalizers.includes(otherNetworkFinalizer))
    return problem(
      'UnsupportedAnnotation',
      'metadata.finalizers',
      'it has a Network Load Balancer (NLB), and only Classic Load Balancers are served',
      'leave it with the other controller',
    );
  const held = changed(service, holding(service) ?? handing(service, false));
  const handed = changed(held, handing(held, false));
  for (const one of [held, handed]) {
    const claim = claimOf(one, rules);
    if (claim.kind === 'ours' && claim.provider === 'alibaba') continue;
    return problem(
      'ClassNotServed',
      'spec.loadBalancerClass',
      claim.kind === 'foreign' ? claim.message : 'it would not be served by provider alibaba afterwards',
      `take annotation sluice.dev/provider off, and add its class, if it has one, to controller.classes.alibaba`,
    );
  }
  return undefined;
}

function problem(reason: Problem['reason'], field: string, message: string, cure: string): Problem {
  return { severity: 'error', reason, field, message, cure };
}
