/**
 * What we made or deleted moments ago.
 *
 * ELBv2 is eventually consistent: for some seconds a read may miss what a create call has answered with, or
 * still show what is deleted, or as healthy a target that was taken out. Within that window our own memory is the better witness; after it, AWS is.
 */
import type { Clock } from '../../src/core/clock.ts';
import type { ObservedTarget } from './observed.ts';

const windowMs = 30_000;

/** In AWS's words. */
const starting: ObservedTarget = { health: 'initial', reason: 'Elb.RegistrationInProgress' };
const leaving: ObservedTarget = { health: 'draining', reason: 'Target.DeregistrationInProgress' };

export class Recent {
  readonly #clock: Clock;
  readonly #created = new Map<string, number>();
  readonly #deleted = new Map<string, number>();
  /** What a call named and was answered that it is not there, although we had made it. */
  readonly #refused = new Map<string, number>();
  /** Those of them that a call is asking for again → whether they are there. */
  readonly #probes = new Map<string, PromiseWithResolvers<boolean>>();
  /** What the last look did not show although we had made it. */
  readonly #unseen = new Set<string>();
  /** Group's ARN and target → when we took it out. */
  readonly #deregistered = new Map<string, number>();
  /** The same → when we put it in. */
  readonly #registered = new Map<string, number>();
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

  /**
   * Whether a call may name these now. What the last look did not show yet is not named at all; where AWS has
   * said of one that it does not know it, one call asks for it first, and the others wait for its answer.
   */
  async mayTry(arns: readonly string[]): Promise<boolean> {
    for (;;) {
      const probe = arns.map((arn) => this.#probes.get(arn)).find((one) => one !== undefined);
      if (probe === undefined) break;
      if (!(await probe.promise)) return false;
    }
    if (arns.some((arn) => this.#unseen.has(arn) && this.wasCreated(arn))) return false;
    for (const arn of arns)
      if (this.#within(this.#refused, arn)) this.#probes.set(arn, Promise.withResolvers<boolean>());
    return true;
  }

  /** A call that `mayTry` let pass has its answer. */
  tried(arns: readonly string[]): void {
    for (const arn of arns) {
      const probe = this.#probes.get(arn);
      this.#probes.delete(arn);
      probe?.resolve(!this.#within(this.#refused, arn));
    }
  }

  /** What a look showed, and what it did not although we had made it. */
  looked(seen: readonly string[], unseen: readonly string[]): void {
    for (const arn of seen) this.#unseen.delete(arn);
    for (const arn of unseen) this.#unseen.add(arn);
    for (const arn of this.#unseen) if (!this.wasCreated(arn)) this.#unseen.delete(arn);
  }

  refuse(arns: readonly string[]): void {
    for (const arn of arns) this.#note(this.#refused, arn);
  }

  accept(arns: readonly string[]): void {
    for (const arn of arns) this.#refused.delete(arn);
  }

  register(group: string, target: string): void {
    this.#note(this.#registered, `${group}|${target}`);
  }

  deregister(group: string, target: string): void {
    this.#note(this.#deregistered, `${group}|${target}`);
    this.#registered.delete(`${group}|${target}`);
  }

  /**
   * A target that we took out moments ago and that a read shows healthy is read as it was before: it is no
   * successor of another one yet.
   */
  judgeHealth(
    group: string,
    targets: Readonly<Record<string, ObservedTarget>>,
  ): Readonly<Record<string, ObservedTarget>> {
    const judged = Object.entries(targets).map(([target, read]) => {
      const key = `${group}|${target}`;
      if (read.health !== 'healthy' || !this.#within(this.#deregistered, key)) return [target, read] as const;
      return [target, this.#within(this.#registered, key) ? starting : leaving] as const;
    });
    return Object.fromEntries(judged);
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
