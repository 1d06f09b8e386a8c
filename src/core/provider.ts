/**
 * The provider port: what a cloud (or the bare machine) has to answer so that the controller can serve
 * Services on it.
 *
 * The middle is pure: `parse`, `want`, `plan`, `advance`, `addresses`, `targets` compute values from values.
 * Only `observe`, `survey` and `apply` talk to the outside, and each `apply` is one call. A provider never
 * "ensures", never writes to Kubernetes, never waits and never decides to retry: it returns data, and the
 * controller, which is the same for every provider, does the rest.
 *
 * Methods (not properties) on purpose: a registry holds providers of different `Wanted` and `Observed`
 * types, which it hands back unopened.
 */
import type { EndpointSliceObject, Ingress, NodeObject, ObjectKey, ServiceObject, Uid } from './objects.ts';
import type { HandOverMemory, Outputs, Parameters, Plan, Step } from './plan.ts';
import type { Problem } from './problems.ts';
import type { ReasonCode } from './reasons.ts';
import type { SluiceError } from './errors.ts';

export type ProviderName = 'aws' | 'alibaba' | 'local';

export interface ClusterIdentity {
  /** For people. */
  readonly name: string;
  /** The UID of namespace kube-system: what ownership is decided by. */
  readonly id: string;
}

/** Whom a resource belongs to. Names and tags are made from this and from nothing a user can edit later. */
export interface Owner {
  readonly cluster: ClusterIdentity;
  readonly service: ObjectKey;
  readonly uid: Uid;
}

/** The snapshot that `want` computes from. All lists are complete: no world is made before every list is in. */
export interface World {
  readonly cluster: ClusterIdentity;
  readonly service: ServiceObject;
  /** Every Service that this provider serves, this one included: for names, sharing and pools. */
  readonly services: readonly ServiceObject[];
  readonly nodes: readonly NodeObject[];
  /** The slices of this Service. */
  readonly slices: readonly EndpointSliceObject[];
}

export interface Parsed<Settings> {
  /** Complete even when there are problems: what could not be read has its default. */
  readonly settings: Settings;
  readonly problems: readonly Problem[];
}

/** A node or endpoint that is not a target, and why: what `explain` shows. */
export interface Exclusion {
  readonly node: string;
  readonly reason: ReasonCode;
  readonly message: string;
}

export interface Desired<Wanted> {
  /** Plain JSON-able data: it is printed by `sluice plan` and compared by its serialised form. */
  readonly wanted: Wanted;
  readonly problems: readonly Problem[];
  readonly excluded: readonly Exclusion[];
}

/**
 * How much an observation costs and covers.
 *
 * - `quick`: existence, ownership, listeners, targets with health; reads shared with other Services.
 * - `full`: everything that a plan may change, attributes and tags included.
 * - `removal`: everything that bears the owner's mark, however it came about.
 */
export type Depth = 'quick' | 'full' | 'removal';

export interface ObserveRequest<Wanted, Observed> {
  readonly owner: Owner;
  readonly depth: Depth;
  /** Undefined when the Service is being removed. */
  readonly wanted: Wanted | undefined;
  /** The last known observation: what was made moments ago may not be visible yet. */
  readonly previous: Observed | undefined;
  /** Nothing asks for this look but its time: what a survey has seen since the last write may serve instead. */
  readonly routine?: boolean;
  readonly signal: AbortSignal;
}

/** What a plan leads to. */
export type Goal<Settings, Wanted> =
  | { readonly kind: 'present'; readonly wanted: Wanted }
  /**
   * Nothing of the owner's may stay. The settings are the Service's last words on the matter (such as
   * whether protection is still asked for); undefined when the Service itself is gone.
   */
  | { readonly kind: 'absent'; readonly settings: Settings | undefined };

export interface PlanContext {
  readonly owner: Owner;
  /** Monotonic milliseconds. */
  readonly now: number;
  readonly memory: HandOverMemory;
}

/** Where the Service can be reached, as far as the provider knows. */
export type Address =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'pending';
      readonly ingress: readonly Ingress[];
      readonly message: string;
      readonly recheckMs: number;
      /** What it waits for, where that is something to tell people of; else it is only coming up. */
      readonly reason?: ReasonCode;
      /** What the status shows is not the Service's any more: it is taken out. */
      readonly withdraw?: true;
    }
  | { readonly kind: 'ready'; readonly ingress: readonly Ingress[] }
  | { readonly kind: 'failed'; readonly message: string };

/** How the targets do, over all listeners. */
export interface TargetsReport {
  /** Empty before anything was read. */
  readonly groups: readonly {
    /** The listener in the Service's terms: `80/TCP`. */
    readonly listener: string;
    readonly healthy: number;
    readonly total: number;
    /** The most frequent reason of those that are not healthy, in the cloud's words; empty if all are. */
    readonly reason: string;
    /** Some are still in their first checks: worth looking again soon. */
    readonly settling: boolean;
  }[];
}

/** A resource that bears our cluster's mark but belongs to no Service that the controller named as known. */
export interface Stray {
  readonly uid: Uid;
  readonly service: ObjectKey;
  readonly resources: readonly string[];
}

export interface Survey {
  /** Known owners of which something is missing or changed at the level a survey sees. */
  readonly disturbed: readonly Uid[];
  readonly strays: readonly Stray[];
}

/** One row of a provider's annotation table: drives parsing, validation and the reference page. */
export interface AnnotationDoc {
  readonly key: string;
  readonly values: string;
  readonly fallback: string;
  readonly means: string;
  /** `served`, or why it is not. */
  readonly status: 'served' | 'ignored' | 'refused';
  readonly note: string;
}

export interface Provider<Settings, Wanted, Observed> {
  readonly name: ProviderName;
  /** Value of `spec.loadBalancerClass`. */
  readonly loadBalancerClass: string;
  /** Calls of one plan that may be under way at once; 1 where the cloud wants them one after another. */
  readonly parallel: number;
  /** False where nothing that is wanted depends on the nodes: then a change of nodes wakes none of its Services. */
  readonly followsNodes?: false;
  readonly annotations: readonly AnnotationDoc[];

  /** Annotations and spec to settings, with all problems. Pure. */
  parse(service: ServiceObject): Parsed<Settings>;
  /** What should exist. Pure. */
  want(settings: Settings, world: World): Desired<Wanted>;
  /**
   * Services whose writes must not overlap share a lane (a balancer used by several, a pool).
   *
   * @returns undefined when the Service stands alone.
   */
  lane(settings: Settings, service: ServiceObject): string | undefined;
  /** What exists. A read that failed throws; it is never an empty answer. */
  observe(request: ObserveRequest<Wanted, Observed>): Promise<Observed>;
  /** From what exists to the goal. Pure: the same input gives the same plan, and an empty one when there is nothing to do. */
  plan(goal: Goal<Settings, Wanted>, observed: Observed, context: PlanContext): Plan;
  /** What exists before anything was made: the observation that `sluice plan` without an account starts from. */
  readonly nothing: Observed;
  /** Carries out one step, its references resolved. One call. */
  apply(step: Step, parameters: Parameters, signal: AbortSignal): Promise<Outputs>;
  /** The observation after a step had its effect. Pure; saves reading back what we have just written. */
  advance(observed: Observed, step: Step, parameters: Parameters, outputs: Outputs): Observed;
  /**
   * A refused step in smaller pieces (a batch with one bad target, or with more than a quota has room for), or
   * undefined when it cannot be split. Pure. A piece that `needs` an earlier one is tried only when that one was
   * accepted as a whole; else it is given up with it.
   * An empty list means: give the step up, it is reported, and the plan goes on without it.
   */
  split(step: Step, parameters: Parameters, error: SluiceError): readonly Step[] | undefined;
  /** Pure. */
  addresses(wanted: Wanted, observed: Observed): Address;
  /** Pure. */
  targets(wanted: Wanted, observed: Observed): TargetsReport;
  /** True when nothing of the owner's is left. Pure. */
  isGone(observed: Observed): boolean;
  /** One cheap look at the whole account, by batched reads. `known` are the owners that the controller serves. */
  survey(cluster: ClusterIdentity, known: ReadonlyMap<Uid, Observed>, signal: AbortSignal): Promise<Survey>;
}

/** A provider whose inner types the holder does not open. */
export type AnyProvider = Provider<unknown, unknown, unknown>;
