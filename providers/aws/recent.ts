/**
 * What we made or deleted moments ago.
 *
 * ELBv2 is eventually consistent: for some seconds a read may miss what a create call has answered with, or
 * still show what is deleted. Within that window our own memory is the better witness; after it, AWS is.
 */
import type { Clock } from '../../src/core/clock.ts';

const windowMs = 30_000;

export class Recent {
  readonly #clock: Clock;
  readonly #created = new Map<string, number>();
  readonly #deleted = new Map<string, number>();
  /** Owner's UID → when a creation for it ended without an answer. */
  readonly #doubtful = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  create(arn: string): void {
    this.#note(this.#created, arn);
    this.#deleted.delete(arn);
  }

  delete(arn: string): void {
    this.#note(this.#deleted, arn);
    this.#created.delete(arn);
  }

  /** A creation for this owner ended without an answer: what it made, if anything, may not be visible yet. */
  doubt(uid: string): void {
    this.#note(this.#doubtful, uid);
  }

  /** Milliseconds for which not seeing anything of this owner's proves nothing; 0 when it does. */
  doubtfulMs(uid: string): number {
    const at = this.#doubtful.get(uid);
    return at === undefined ? 0 : Math.max(0, at + windowMs - this.#clock.now());
  }

  /** We made it so recently that not seeing it proves nothing. */
  wasCreated(arn: string): boolean {
    return this.#within(this.#created, arn);
  }

  /** We deleted it so recently that seeing it proves nothing. */
  wasDeleted(arn: string): boolean {
    return this.#within(this.#deleted, arn);
  }

  #within(times: ReadonlyMap<string, number>, arn: string): boolean {
    const at = times.get(arn);
    return at !== undefined && this.#clock.now() - at < windowMs;
  }

  /** Insertion order is age, so the expired are at the front. */
  #note(times: Map<string, number>, arn: string): void {
    times.delete(arn);
    times.set(arn, this.#clock.now());
    for (const [old, at] of times) {
      if (this.#clock.now() - at < windowMs) break;
      times.delete(old);
    }
  }
}
