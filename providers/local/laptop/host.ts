/**
 * What the laptop holds for Services, and the calls that change it: the port between the provider, which decides,
 * and the engine, which has the sockets (engine/). Each writing call is one step of a plan.
 *
 * Errors of the calls are `SluiceError`s: `conflict` (the address or port is taken), `denied` (the port is not allowed
 * to this user), `invalid` (the machine does not have the address), `gone` (nothing of that owner is here).
 */
import type { ObjectKey, Uid } from '../../../src/core/objects.ts';
import type { TargetHealth } from '../../../src/core/hand-over.ts';
import type { Transport } from './ports.ts';

/** Whose something is. */
export interface Holder {
  /** Id of the cluster. */
  readonly cluster: string;
  readonly uid: Uid;
  readonly service: ObjectKey;
}

/** Where connections go: a node port, or the API server, which forwards to a ready pod of the Service. */
export type Target =
  | { readonly kind: 'node'; readonly node: string; readonly address: string; readonly port: number }
  | { readonly kind: 'api' };

/** Identity of a target in its listener. */
export function targetKey(target: Target): string {
  return target.kind === 'api' ? 'api' : `${target.node} ${target.address}:${target.port}`;
}

/** How connections are treated. May change while they go on: those that stand are kept. */
export interface ListenerRules {
  /** CIDRs; empty: everybody. */
  readonly sourceRanges: readonly string[];
  /** How long a client stays with its target after its last connection, in milliseconds; 0: not at all. */
  readonly affinityMs: number;
}

export interface ListenerName {
  readonly address: string;
  readonly protocol: Transport;
  /** Of the Service. */
  readonly port: number;
}

export function listenerKey({ address, protocol, port }: ListenerName): string {
  return `${address} ${port}/${protocol}`;
}

export interface ObservedTarget {
  readonly target: Target;
  readonly health: TargetHealth;
  /** Why it is not healthy; empty if it is. */
  readonly reason: string;
}

export interface ObservedListener extends ListenerName {
  /** Where it really listens. */
  readonly listenPort: number;
  readonly rules: ListenerRules;
  readonly targets: readonly ObservedTarget[];
}

/** All that is here for one owner. */
export interface Holding {
  readonly addresses: readonly string[];
  readonly listeners: readonly ObservedListener[];
}

/** What was settled for a Service before, in this process or an earlier one. */
export interface Remembered {
  readonly addresses: readonly string[];
  /** `listenerKey` → port, on addresses that Services share. */
  readonly ports: Readonly<Record<string, number>>;
}

export interface Picture {
  readonly holding: Holding | undefined;
  readonly remembered: Remembered | undefined;
  /** Addresses that other Services have, or had and are remembered for. Sorted. */
  readonly takenAddresses: readonly string[];
  /** `<address> <port>/<protocol>` on shared addresses, taken by other Services. Sorted. */
  readonly takenPorts: readonly string[];
}

export interface LaptopHost {
  read(holder: Holder, signal: AbortSignal): Promise<Picture>;
  /** Everything that is here for one cluster. */
  readAll(cluster: string, signal: AbortSignal): Promise<readonly (Holder & { readonly holding: Holding })[]>;
  reserve(holder: Holder, addresses: readonly string[], signal: AbortSignal): Promise<void>;
  listen(
    holder: Holder,
    listener: ListenerName & { readonly listenPort: number; readonly rules: ListenerRules },
    signal: AbortSignal,
  ): Promise<void>;
  setRules(holder: Holder, listener: ListenerName, rules: ListenerRules, signal: AbortSignal): Promise<void>;
  addTargets(
    holder: Holder,
    listener: ListenerName,
    targets: readonly Target[],
    signal: AbortSignal,
  ): Promise<void>;
  /** Connections that stand are kept; datagrams go to another target at once. */
  removeTargets(
    holder: Holder,
    listener: ListenerName,
    targets: readonly Target[],
    signal: AbortSignal,
  ): Promise<void>;
  /** Ends the listener and its connections. */
  unlisten(holder: Holder, listener: ListenerName, signal: AbortSignal): Promise<void>;
  release(holder: Holder, signal: AbortSignal): Promise<void>;
}
