/**
 * What the controller remembers of one Service between two passes.
 *
 * All of it may be lost at any time (a restart does): it saves reads and times the hand-over, and nothing
 * correct depends on it. It is kept by UID, so that a Service made anew under an old name starts afresh.
 */
import type { HandOverMemory, Plan, Wait } from '../core/plan.ts';
import type { GuardMemory } from '../core/guard.ts';
import type { ObjectKey, ServiceObject, Uid } from '../core/objects.ts';
import type { Problem } from '../core/problems.ts';
import type { Exclusion, Owner, ProviderName, TargetsReport } from '../core/provider.ts';

/** What `/debug` and `explain` show of the last pass. */
export interface LastPass {
  /** Wall clock, milliseconds since the epoch. */
  readonly at: number;
  readonly plan: Plan | undefined;
  readonly problems: readonly Problem[];
  readonly excluded: readonly Exclusion[];
  readonly waits: readonly Wait[];
  readonly targets: TargetsReport | undefined;
  readonly error: string | undefined;
}

export interface ServiceMemory {
  readonly owner: Owner;
  readonly key: ObjectKey;
  provider: ProviderName;
  /** The Service as our own last write left it, until the picture shows it: nothing is decided on an older one. */
  written: ServiceObject | undefined;
  /** Monotonic milliseconds of the server's answer that there is no such object any more: a UID never comes back. */
  vanishedAt: number | undefined;
  /** The provider's observation, folded forward by our own steps. Undefined: read before planning. */
  observed: { readonly value: unknown; readonly depth: 'quick' | 'full' } | undefined;
  /** Settings (short hash) that were last fully applied. */
  appliedSettings: string | undefined;
  /** The next pass must read, whatever is remembered. */
  liveDue: boolean;
  /** The next pass must compare everything. */
  fullDue: boolean;
  /** Drift that was only reported, by `stepKey`: it must not be taken for our own work later. */
  reported: ReadonlySet<string>;
  /** How many passes in a row found the balancer still coming up. */
  pendingPasses: number;
  /** How many passes in a row found targets that are still settling. */
  settlingPasses: number;
  handOver: HandOverMemory;
  guard: GuardMemory;
  /** Monotonic milliseconds; undefined once the address was published. */
  pendingSince: number | undefined;
  /** The Service was seen without an address: what is timed from then on is our own work. */
  sawPending: boolean;
  /** Monotonic milliseconds; undefined once a target was healthy. */
  unhealthySince: number | undefined;
  /** Monotonic milliseconds since when nothing but throttling and busy answers came. */
  waitingSince: number | undefined;
  /** The user was told that no node can be a target, and it is still so. */
  saidEmpty: boolean;
  /** To say a thing once: reason and code of the last warning, and when it was last said. */
  lastWarning: { readonly signature: string; readonly at: number } | undefined;
  lastPass: LastPass | undefined;
}

export function newMemory(owner: Owner, key: ObjectKey, provider: ProviderName, now: number): ServiceMemory {
  return {
    owner,
    key,
    provider,
    written: undefined,
    vanishedAt: undefined,
    observed: undefined,
    appliedSettings: undefined,
    liveDue: false,
    fullDue: false,
    reported: new Set(),
    pendingPasses: 0,
    settlingPasses: 0,
    handOver: {},
    guard: {},
    pendingSince: now,
    sawPending: false,
    unhealthySince: now,
    waitingSince: undefined,
    saidEmpty: false,
    lastWarning: undefined,
    lastPass: undefined,
  };
}

/** Memories by UID, with the UID that a key had last. */
export class Memories {
  readonly #byUid = new Map<Uid, ServiceMemory>();
  readonly #lastUid = new Map<ObjectKey, Uid>();

  get(uid: Uid): ServiceMemory | undefined {
    return this.#byUid.get(uid);
  }

  put(memory: ServiceMemory): ServiceMemory {
    this.#byUid.set(memory.owner.uid, memory);
    this.#lastUid.set(memory.key, memory.owner.uid);
    return memory;
  }

  /** The memory of the object that last stood under this key, whatever its UID. */
  underKey(key: ObjectKey): ServiceMemory | undefined {
    const uid = this.#lastUid.get(key);
    return uid === undefined ? undefined : this.#byUid.get(uid);
  }

  forget(uid: Uid): void {
    const memory = this.#byUid.get(uid);
    this.#byUid.delete(uid);
    if (memory && this.#lastUid.get(memory.key) === uid) this.#lastUid.delete(memory.key);
  }

  all(): IterableIterator<ServiceMemory> {
    return this.#byUid.values();
  }
}
