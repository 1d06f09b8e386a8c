/**
 * What the contract suite needs of a provider under test, in the port's own words: a fresh account (a cloud's,
 * or whatever stands in its place), a way to look at it from outside, and a way to make things go wrong.
 *
 * The account is looked at directly, never through the provider: what a provider says of itself proves nothing.
 */
import type { Clock } from '../../src/core/clock.ts';
import type { ErrorKind } from '../../src/core/errors.ts';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '../../src/core/objects.ts';
import type { AnyProvider, ClusterIdentity } from '../../src/core/provider.ts';

/** What the cluster holds as far as one Service goes. */
export interface Given {
  readonly service: ServiceObject;
  readonly nodes: readonly NodeObject[];
  readonly slices: readonly EndpointSliceObject[];
}

/** A Service that exercises something of the provider, named for people. */
export interface Case {
  readonly name: string;
  readonly given: Given;
  /** It asks for something that cannot be changed later, so an existing balancer cannot become it. */
  readonly atCreationOnly?: true;
}

/** One thing in the account. */
export interface Resource {
  /** Kind and name, unique in the account: `balancer web-…`. */
  readonly label: string;
  /** Cluster id of the mark that it bears; undefined when it bears none. */
  readonly cluster: string | undefined;
  /** Service UID of the mark. */
  readonly uid: string | undefined;
  /** Everything about it that a call could change, as text: equal texts mean that nobody touched it. */
  readonly state: string;
}

/** Which calls a fault hits. */
export type FaultTarget =
  | { readonly calls: 'reads' | 'writes' }
  /** An operation by the name that steps give it. */
  | { readonly operation: string };

/** What happens to a call that is hit. */
export type FaultEffect =
  /** Refused without effect, in a way that the provider must report as this kind. */
  | { readonly kind: 'refused'; readonly as: RefusedAs }
  /** It happens, and the answer is lost. */
  | { readonly kind: 'answer lost' };

/** Kinds that the other side can refuse with. */
export type RefusedAs = Exclude<
  ErrorKind,
  'bug' | 'ambiguous' | 'gone' | 'conflict' | 'invalid' | 'transient'
>;

export interface Fault {
  readonly on: FaultTarget;
  /** The first call to hit, from 1. It and all later ones are hit until `calm`. Default 1. */
  readonly from?: number;
  readonly effect: FaultEffect;
}

/** Whose a resource is made to look. */
export type Mark = 'nobody' | 'another cluster' | 'another Service';

/** Something that a person does to a Service's resources behind our back. */
export interface Act {
  readonly name: string;
  readonly run: (stage: Stage, owner: ServiceObject) => void | Promise<void>;
}

/** One test's own world. */
export interface Stage {
  readonly provider: AnyProvider;
  readonly clock: Clock;
  /** The provider in a process that was just started on the same account: nothing remembered. */
  restart(): AnyProvider;
  /** Waits for what the provider does, letting time pass as far as it needs. */
  drive<Value>(promise: Promise<Value>): Promise<Value>;
  advance(ms: number): Promise<void>;
  /** Sorted by label. */
  resources(): readonly Resource[];
  /** Calls that reached the account so far, refused ones included. */
  counts(): { readonly reads: number; readonly writes: number };
  order(fault: Fault): void;
  /** No faults any more. */
  calm(): void;
  /** A stranger makes what `wanted` would make first, under the same names. */
  squat(wanted: unknown, mark: Mark): void;
  /** Adds to the balancer of the owner what a person may add: it must stay. Returns what to look for. */
  addByHand(owner: ServiceObject): void;
  /** The machine of this node cannot be a target any more, although the node is in the cluster. */
  breakNode(node: NodeObject): void;
  /** From now on a new balancer takes so long to come up, and a new target to become healthy. */
  takeTime(times: { readonly provisioningMs?: number; readonly healthyMs?: number }): void;
  close(): Promise<void>;
}

/** What the suite says to a provider's users, in the provider's own annotations. */
export interface Words {
  /** An annotation with a spelling mistake, and the key that was meant. */
  readonly misspelt: { readonly key: string; readonly value: string; readonly meant: string };
  /** Annotations of which every one is wrong. */
  readonly mistakes: Readonly<Record<string, string>>;
  /** Annotations that protect a balancer from deletion, and that say it shall not be protected. */
  readonly protection: {
    readonly on: Readonly<Record<string, string>>;
    readonly off: Readonly<Record<string, string>>;
  };
}

/** A fact that leaves no room for some behaviours. It is shown, not claimed. */
export interface Inapplicable {
  /** The fact, as a sentence. */
  readonly reason: string;
  /** The behaviours that it rules out, by name. */
  readonly behaviours: readonly string[];
  /** Shows the fact on a fresh stage, by assertions. */
  readonly proof: (stage: Stage, given: Given) => Promise<void>;
}

export interface Subject {
  /** `aws, in memory`. */
  readonly name: string;
  /** Behaviours that this provider cannot have, and the facts that make them impossible. */
  readonly inapplicable: readonly Inapplicable[];
  /** The first one is a Service with one TCP port and two nodes; all together exercise every operation. */
  readonly cases: readonly Case[];
  readonly words: Words;
  /** What people do behind our back that a full look must find and a pass put right. */
  readonly damage: readonly Act[];
  /** The damage that a survey must find, by name. */
  readonly surveyFinds: readonly string[];
  /** Calls that a survey of twenty Services in a steady account may cost. */
  readonly surveyCalls: number;
  /** Somebody switches deletion protection on. */
  readonly protect: (stage: Stage, owner: ServiceObject) => void;
  node(name: string): NodeObject;
  /** An observation in the form in which two are compared: health and other news of the account left out. */
  comparable(observed: unknown): unknown;
  /** Another Service like the first case's, with this name and UID. */
  another(name: string): Given;
  open(): Promise<Stage>;
}

export const cluster: ClusterIdentity = { name: 'contract', id: 'cluster-contract' };
export const otherCluster: ClusterIdentity = { name: 'other', id: 'cluster-other' };
