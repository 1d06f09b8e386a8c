/**
 * What surveys have seen: balancers with their listeners, each with the moment at which it was looked at.
 *
 * A full look that is only due by time may stand on it, because nothing is known to have changed since. What we
 * wrote to a balancer makes what was seen of it before worthless, and reads may lag behind a write.
 */
import type { Clock } from '../../src/core/clock.ts';
import type { LoadBalancer } from './client-types.ts';
import type { Listener } from './client-types-listeners.ts';

/** Surveys come every few minutes and see listeners in thirds: older than this, nobody surveys. */
const freshMs = 30 * 60_000;
/** For so long a read may show what was before a write. */
const lagMs = 30_000;
/** Of so many looks that are due by time one reads the weights of members too. */
const weightsEvery = 12;

interface At<Value> {
  readonly at: number;
  readonly value: Value;
}

export class Seen {
  readonly #clock: Clock;
  #balancers: ReadonlyMap<string, At<LoadBalancer>> = new Map();
  readonly #listeners = new Map<string, At<readonly Listener[]>>();
  readonly #written = new Map<string, number>();
  readonly #looks = new Map<string, number>();
  #turn = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A write to the balancer, or to what is on it, has ended, in whatever way. */
  wrote(id: string): void {
    this.#written.set(id, this.#clock.now());
  }

  /** Whatever was read from `at` on shows our last write to the balancer. */
  isSettled(id: string, at: number): boolean {
    const written = this.#written.get(id);
    return written === undefined || at > written + lagMs;
  }

  /** All of ours, as a listing that began at `at` has them. What it has not is forgotten. */
  balancers(listed: readonly LoadBalancer[], at: number): void {
    this.#balancers = new Map(listed.map((value) => [value.LoadBalancerId, { at, value }]));
    for (const known of [this.#listeners, this.#looks, this.#written]) {
      for (const id of known.keys()) if (!this.#balancers.has(id)) known.delete(id);
    }
  }

  listeners(id: string, value: readonly Listener[], at: number): void {
    this.#listeners.set(id, { at, value });
  }

  /** Undefined where nothing that counts has been seen. */
  find(id: string): { readonly balancer: LoadBalancer; readonly listeners: readonly Listener[] } | undefined {
    const balancer = this.#balancers.get(id);
    const listeners = this.#listeners.get(id);
    if (balancer === undefined || listeners === undefined) return undefined;
    const counts = ({ at }: At<unknown>): boolean =>
      this.#clock.now() - at <= freshMs && this.isSettled(id, at);
    return counts(balancer) && counts(listeners)
      ? { balancer: balancer.value, listeners: listeners.value }
      : undefined;
  }

  /** Those whose listeners this survey looks at: all where that is one call, else a third by turns. */
  turn(ids: readonly string[]): readonly string[] {
    if (ids.length <= 10) return ids;
    this.#turn = (this.#turn + 1) % 3;
    return ids.filter((_, index) => index % 3 === this.#turn);
  }

  /** Counts a look that is due by time. @returns whether weights are to be read at this one. */
  weightsDue(id: string): boolean {
    const looks = (this.#looks.get(id) ?? 0) + 1;
    this.#looks.set(id, looks);
    return looks % weightsEvery === 0;
  }
}
