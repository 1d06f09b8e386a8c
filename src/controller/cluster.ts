/**
 * What the controller needs of the Kubernetes API: a picture to read and a few writes.
 *
 * The one door (`src/kube`) implements both for a real API server; the simulation implements them over plain
 * values. All reads of `ClusterView` come from the local picture and cost nothing; only `ClusterWriter`
 * talks to the server.
 */
import type {
  Condition,
  EndpointSliceObject,
  Ingress,
  NodeObject,
  ObjectKey,
  ServiceObject,
} from '../core/objects.ts';
import type { ReasonCode } from '../core/reasons.ts';

export interface ClusterView {
  service(key: ObjectKey): ServiceObject | undefined;
  services(): Iterable<ServiceObject>;
  /** The same array as long as no node changed: what is derived from it may be kept by identity. */
  nodes(): readonly NodeObject[];
  /** The slices of one Service. */
  slices(service: ObjectKey): readonly EndpointSliceObject[];
  /** The picture of this Service holds `version` (of our own last write) or something later. */
  caughtUp(key: ObjectKey, version: string): boolean;
}

export interface StatusPatch {
  /** Replaces the whole list. Left alone when undefined. */
  readonly ingress?: readonly Ingress[];
  /** The conditions of ours that shall stand; those of other types are kept by the writer. */
  readonly conditions?: readonly Condition[];
  /** Condition types of ours to take away. */
  readonly dropConditions?: readonly string[];
}

export interface EventNote {
  readonly type: 'Normal' | 'Warning';
  readonly reason: ReasonCode;
  /** What was being done: `Provision`, `UpdateTargets`, `Delete`, `Validate`. */
  readonly action: string;
  readonly note: string;
}

/**
 * Every write is conditional on the version it was computed from where an array is replaced.
 *
 * All throw `SluiceError`: `gone` when the Service is not there or has another UID, `conflict` when a rival
 * kept winning, `denied`, `throttled`, `transient`, `ambiguous` as usual.
 */
export interface ClusterWriter {
  /** Adds our finalizer and sets annotations of ours, in one patch. */
  addFinalizer(
    service: ServiceObject,
    annotations: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ServiceObject>;
  /** Removes our finalizer and the named annotations, in one patch. */
  removeFinalizer(service: ServiceObject, annotations: readonly string[], signal: AbortSignal): Promise<void>;
  patchStatus(service: ServiceObject, patch: StatusPatch, signal: AbortSignal): Promise<ServiceObject>;
  /** A live read. Undefined when there is no such Service. */
  getService(key: ObjectKey, signal: AbortSignal): Promise<ServiceObject | undefined>;
  /** Best effort: never throws, never waits. */
  event(service: ServiceObject, note: EventNote): void;
}
