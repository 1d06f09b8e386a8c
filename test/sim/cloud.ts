/**
 * The cloud under simulation: all that world, monitor and judge know of a provider and of its simulated account.
 *
 * Everything is in the words of Services (balancer, listener, group, target), so that histories, invariants and
 * sweeps are written once. What should be true is said here naively, after the documentation; no function of the
 * provider under test is used for it.
 */
import type { ProviderName, AnyProvider } from '../../src/core/provider.ts';
import type { Clock, Random } from '../../src/core/clock.ts';
import type { FaultEffect } from '../../providers/alibaba/simulator/faults.ts';
import type { Faults } from '../../src/core/simulated/faults.ts';
import type { Surroundings } from './events.ts';
import type { Port } from './people.ts';
import type { SweptFault } from './sweep-faults.ts';

export interface Cloud {
  readonly provider: ProviderName;
  /** Value of `spec.loadBalancerClass`. */
  readonly className: string;
  /** Beginning of the provider's annotations. */
  readonly prefix: string;
  readonly words: CloudWords;
  readonly rules: CloudRules;
  open(parts: AccountParts): SimAccount;
}

export interface AccountParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly surroundings: Surroundings;
  /** Check every request and answer against the published schema, where there is one: sure, and slow. */
  readonly checkSchema: boolean;
}

/** All effects that any of the clouds has; histories use those of their own. */
export type CloudEffect = FaultEffect;

type Annotation = readonly [key: string, value: string];

/** What histories and sweeps are written in. */
export interface CloudWords {
  /** Annotations with values that take effect or are reported. */
  readonly annotations: readonly (readonly [key: string, values: readonly string[]])[];
  /** Values that a user has to mend. */
  readonly broken: Readonly<Record<string, string>>;
  /** Asks for the other side of the network than is given by default; cannot be changed later. */
  readonly side: Annotation;
  /** Annotation for the name of the balancer. */
  readonly nameKey: string;
  /** An ordinary change of a setting. */
  readonly tune: Annotation;
  /** What a user writes to have a balancer made anew that was deleted; undefined where it is made anyway. */
  readonly recreate: Annotation | undefined;
  /** Values of `spec.providerID` that lead to no target, or are of an unusual form. */
  readonly oddProviderIDs: readonly string[];
  /** Operations that faults of one operation pick from. */
  readonly operations: readonly string[];
  readonly calls: {
    readonly createBalancer: readonly string[];
    readonly createGroup: readonly string[];
    readonly createListener: readonly string[];
    readonly register: readonly string[];
    readonly deleteGroup: readonly string[];
  };
  readonly codes: {
    readonly denied: string;
    readonly inUse: string;
    readonly badListener: string;
    readonly quotaOfBalancers: string;
    readonly quotaOfGroups: string;
    readonly quotaOfListeners: string;
    readonly quotaOfTargets: string;
  };
  /** Ways in which a call fails for no reason of ours. */
  readonly failures: readonly CloudEffect[];
  /** Rows of the sweep that only this cloud has. */
  readonly sweep: readonly SweptFault[];
}

/** What should be true of a Service, as far as it depends on the cloud. */
export interface CloudRules {
  providerID(number: number): string;
  /** The instance that a provider id leads to; undefined for what cannot be a target. */
  instanceOf(providerID: string): string | undefined;
  /** Annotation that chooses nodes by one label: `key=value`. */
  readonly nodeLabelKey: string;
  /** `broken`: the user has to mend the ports first. */
  listenersOf(
    ports: readonly Port[],
    annotations: Readonly<Record<string, string>>,
  ): {
    readonly listeners: readonly ListenerTruth[];
    readonly broken: boolean;
    /** Annotations that do not fit the ports: a user takes them off. */
    readonly misfits: readonly string[];
  };
  /** Weights of targets by their ready endpoints; undefined where the cloud has none. */
  weightsOf(
    annotations: Readonly<Record<string, string>>,
    local: boolean,
    ready: ReadonlyMap<string, number>,
  ): ReadonlyMap<string, number> | undefined;
  /** Settings that the annotations ask for, by the names that `settings` of the objects use. */
  asked(annotations: Readonly<Record<string, string>>, listener: ListenerTruth): Asked;
}

export interface ListenerTruth {
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'TCP_UDP' | 'HTTP';
  readonly nodePort: number;
}

export type Settings = Readonly<Record<string, string | undefined>>;

export interface Asked {
  readonly balancer: Settings;
  readonly listener: Settings;
  readonly group: Settings;
}

/** The account as the simulation sees it: from outside, with nothing hidden. */
export interface SimAccount {
  readonly faults: Pick<Faults<CloudEffect>, 'order' | 'clear' | 'list'>;
  /** The client as a process has it, named by `by`, and what a call that got no answer in time ends with. */
  client(by: string): CloudClient;
  readonly answerMs: number;
  noAnswer(): Error;
  provider(client: CloudClient, clock: Clock, random: Random): AnyProvider;
  isWrite(operation: string): boolean;

  /** Calls after number `seq`, oldest first. */
  calls(seq?: number): readonly CloudCall[];
  resources(): readonly CloudResource[];
  balancers(): readonly SimBalancer[];
  groups(): readonly SimGroup[];
  /** Targets of one group: cheaper than `groups`. */
  targetsOf(group: string): readonly SimTarget[];
  listenerOf(id: string): { readonly port: number; readonly protocol: string } | undefined;
  /** What a call that writes is about to do to what is in use. */
  aimOf(operation: string, input: object): Aim | undefined;

  /** No faults of the account's own: as the surroundings have it. */
  calm(surroundings: Surroundings): void;
  readLag(ms: number): void;
  /** What was made is not found by what refers to it for so long. */
  referenceLag(ms: number): void;
  /** What was in use a moment ago refuses changes for so long. */
  release(ms: number): void;
  /** Undefined instance: all that has no rule of its own. */
  setHealth(instance: string | undefined, healthy: boolean): void;
  setInstance(instance: string, there: boolean): void;
  readonly hand: Hand;
}

/** What a person does in the console. What the cloud refuses, the person lets be. */
export interface Hand {
  deleteBalancer(id: string): void;
  deleteListener(id: string): void;
  deregister(group: string, target: SimTarget): void;
  registerExtra(group: string): void;
  /** Kinds of resources whose tags can be taken off. */
  readonly taggable: readonly CloudResource['kind'][];
  removeTag(id: string, key: string): void;
  /** On: so that it is known to be the person's. */
  protect(balancer: string, on: boolean): void;
  /** Changes a setting that no history asks for by its default. */
  change(balancer: string): void;
  /** Makes a balancer of that name. */
  makeStranger(name: string): void;
}

/** The same as the providers' own client seams, with unopened names. */
export interface CloudClient {
  call(operation: string, input: object, signal?: AbortSignal): Promise<object>;
}

export interface CloudResource {
  readonly kind: 'balancer' | 'listener' | 'group';
  readonly id: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface CloudCall {
  readonly seq: number;
  /** When it took effect, in milliseconds. */
  readonly at: number;
  readonly operation: string;
  readonly input: object;
  readonly mutating: boolean;
  readonly by: string;
  /** Code of the refusal. */
  readonly refusal: string | undefined;
  readonly answered: boolean;
  readonly touched: readonly {
    readonly kind: CloudResource['kind'];
    readonly id: string;
    readonly change: 'created' | 'changed' | 'deleted';
    readonly tags: Readonly<Record<string, string>>;
  }[];
  /** Tags that it names. */
  readonly named: Readonly<Record<string, string>>;
}

export interface SimBalancer {
  readonly id: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  /** As a Service's status shows it, lower case. */
  readonly address: string;
  /** `active` where its address may be shown. */
  readonly state: string;
  /** In the values of the annotation for it. */
  readonly side: string;
  readonly settings: Settings;
  readonly listeners: readonly {
    readonly port: number;
    readonly protocol: string;
    readonly group: string | undefined;
    /** It takes traffic in. */
    readonly running: boolean;
    readonly settings: Settings;
  }[];
}

export interface SimGroup {
  readonly id: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly settings: Settings;
  /** Without those that a person put in and that stay for it. */
  readonly targets: readonly SimTarget[];
}

export interface SimTarget {
  readonly instance: string;
  readonly port: number;
  readonly healthy: boolean;
  /** Share of the traffic, where the cloud has such a thing. */
  readonly weight?: number;
}

export type Aim =
  | { readonly kind: 'remove targets'; readonly group: string; readonly targets: readonly string[] }
  | { readonly kind: 'delete listener'; readonly listener: string }
  | { readonly kind: 'delete balancer'; readonly balancer: string }
  | { readonly kind: 'create listener'; readonly balancer: string }
  | { readonly kind: 'turn listener'; readonly from: string; readonly to: string }
  | { readonly kind: 'protect'; readonly balancer: string; readonly on: boolean };

/** `instance|port`: names a target in facts and messages. */
export function targetKey({ instance, port }: { readonly instance: string; readonly port: number }): string {
  return `${instance}|${port}`;
}

/** What a person tries and the cloud refuses, a person lets be. */
export function tolerate(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'CloudError') throw error;
  }
}
