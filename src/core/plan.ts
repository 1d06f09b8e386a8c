/**
 * A plan: the ordered list of calls that lead from what is to what is wanted, as data.
 *
 * A step is one API call, named and parameterised exactly as the cloud's API does, with the reason for it
 * and what it may cost. Because a plan is data it can be printed, compared, guarded and simulated; nothing
 * happens until each step is handed to the provider's `apply`.
 *
 * Invariants: ids are unique in a plan; a `$ref` and a `needs` name an earlier step only.
 */
import type { Problem } from './problems.ts';
import type { ReasonCode } from './reasons.ts';

/** A value that an earlier step will answer with: `"<step id>.<Field>"`. */
export interface Ref {
  readonly $ref: string;
}

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** Parameters of a call; a `Ref` may stand wherever a string may. */
export type Parameters = { readonly [key: string]: Json | undefined };

/**
 * What a step may cost.
 *
 * - `none`: adds, or changes what carries no traffic. May be applied on a cached observation.
 * - `disruptive`: takes something out of traffic (a target, a listener) or changes how traffic flows.
 * - `destructive`: deletes something that cannot be brought back with the same address.
 */
export type Risk = 'none' | 'disruptive' | 'destructive';

/** What a step does to targets: what the guard judges, and what may still happen when settings are broken. */
export type Effect =
  | { readonly kind: 'other' }
  | { readonly kind: 'addTargets'; readonly group: string; readonly count: number }
  | {
      readonly kind: 'removeTargets';
      readonly group: string;
      /** Of the targets that this step removes: how many are healthy now. */
      readonly healthyRemoved: number;
      /** Healthy targets in the group now, before any step of the plan. */
      readonly healthyBefore: number;
    };

export interface Step {
  /** Unique in the plan, readable: `createLoadBalancer`, `registerTargets.80-TCP`. No full stop before a field. */
  readonly id: string;
  /** The operation's name in the cloud's API, or in Kubernetes' terms for a provider without a cloud. */
  readonly operation: string;
  readonly parameters: Parameters;
  /** What it is done to, for people: `target group web-…-80`. */
  readonly subject: string;
  /** Why, for people: `node n4 joined`. */
  readonly reason: string;
  readonly risk: Risk;
  readonly effect: Effect;
  /** Ids of earlier steps that must have succeeded, beside those that `$ref`s name. */
  readonly needs: readonly string[];
}

/** Something that is not to be done yet. */
export interface Wait {
  readonly reason: ReasonCode;
  readonly message: string;
  /** Milliseconds after which looking again makes sense. */
  readonly recheckMs: number;
}

/** What the hand-over must remember between two plans of one Service: target → when it was first unwanted. */
export type HandOverMemory = Readonly<Record<string, number>>;

export interface Plan {
  readonly steps: readonly Step[];
  readonly waits: readonly Wait[];
  /** What cannot be done on the existing resources: a stranger's resource, a replacement, a protection. */
  readonly problems: readonly Problem[];
  readonly memory: HandOverMemory;
  /** Of a removal: what stays on purpose, for people. */
  readonly kept?: string;
}

export const emptyPlan: Plan = { steps: [], waits: [], problems: [], memory: {} };

/** What a step answered with: the fields that later steps may refer to. */
export type Outputs = Readonly<Record<string, string>>;

export function ref(stepId: string, field: string): Ref & Json {
  return { $ref: `${stepId}.${field}` };
}

function isRef(value: Json): value is Ref & { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && '$ref' in value;
}

/** The ids of the steps whose answers these parameters need. */
export function refsOf(value: Json | undefined): readonly string[] {
  if (value === undefined || value === null || typeof value !== 'object') return [];
  if (isRef(value)) return [splitRef(value.$ref).stepId];
  return Object.values(value).flatMap((part: Json | undefined) => refsOf(part));
}

/** All steps that must have succeeded before this one. */
export function prerequisites(step: Step): readonly string[] {
  return [...new Set([...step.needs, ...refsOf(step.parameters)])];
}

function splitRef(reference: string): { readonly stepId: string; readonly field: string } {
  const dot = reference.lastIndexOf('.');
  return { stepId: reference.slice(0, dot), field: reference.slice(dot + 1) };
}

/**
 * Parameters with every `$ref` replaced by what the named step answered with.
 *
 * @returns undefined when an answer is missing: the step it depends on did not run.
 */
export function resolveRefs(
  parameters: Parameters,
  answers: ReadonlyMap<string, Outputs>,
): Parameters | undefined {
  let complete = true;
  const visit = (value: Json | undefined): Json | undefined => {
    if (value === undefined || value === null || typeof value !== 'object') return value;
    if (isRef(value)) {
      const { stepId, field } = splitRef(value.$ref);
      const answer = answers.get(stepId)?.[field];
      if (answer === undefined) complete = false;
      return answer;
    }
    if (Array.isArray(value)) return value.map((part: Json) => visit(part) ?? null);
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, visit(part)]));
  };
  const resolved = visit(parameters) as Parameters;
  return complete ? resolved : undefined;
}
