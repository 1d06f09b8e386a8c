/** What a Service asks of the pools, and what it gets: the words of the allocator. */
import type { IpFamily, ObjectKey, Uid } from '../../../src/core/objects.ts';
import type { ReasonCode } from '../../../src/core/reasons.ts';
import type { Asker } from './pools.ts';

export interface AddressRequest extends Asker {
  readonly uid: Uid;
  readonly key: ObjectKey;
  /** Wanted families in order of preference; at least one. */
  readonly families: readonly IpFamily[];
  /** With two families: whether one alone will do (PreferDualStack) or not (RequireDualStack). */
  readonly needsAll: boolean;
  /** Addresses that the user names, canonical, at most one of each family. */
  readonly addresses: readonly { readonly family: IpFamily; readonly text: string; readonly value: bigint }[];
  /** The pool that the user names. */
  readonly pool: string | undefined;
  /** The user lets the Service share an address with others that say the same word. */
  readonly sharing: Sharing | undefined;
  /** `80/TCP`, each once. */
  readonly ports: readonly string[];
  /** The user agrees to another address where the one at hand is not in a pool any more. */
  readonly mayMove: boolean;
  /** Since when it waits: milliseconds since the epoch. Who came first is served first. */
  readonly since: number;
}

export interface Sharing {
  readonly key: string;
  /**
   * Services under policy Local share only where their endpoints are the same Pods, or no node could serve both: the
   * selector as text. Empty under policy Cluster.
   */
  readonly backend: string;
}

export interface Grant {
  readonly family: IpFamily;
  readonly address: string;
  /** The pool that it was taken from, also where the pool no longer has it. */
  readonly pool: string;
}

export interface Lack {
  readonly reason: ReasonCode;
  /** One sentence, no full stop at the end. */
  readonly message: string;
}

export interface Outcome {
  /** What the Service is to have, in the order of its families. */
  readonly grants: readonly Grant[];
  /** What it holds beside that, until what takes its place works. */
  readonly leaving: readonly Grant[];
  /** Why it has less than it asks for, or something else; undefined when it has all. */
  readonly lack: Lack | undefined;
}
