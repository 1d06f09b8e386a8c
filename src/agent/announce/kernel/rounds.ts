/**
 * When neighbours are told: at once, after 1.1 and 2.2 seconds, then every minute.
 *
 * 1.1 seconds: for one second after a change Linux believes no other, so a second word must come later than that. Every
 * minute: a switch forgets a MAC after five, a router its ARP entry only after twenty, and traffic would go nowhere.
 */
import type { Random } from '../../../core/clock.ts';

const firstMs: readonly number[] = [0, 1_100, 2_200];
const everyMs = 60_000;

interface Round {
  readonly nextAt: number;
  readonly told: number;
}

export class Rounds {
  readonly #random: Random;
  readonly #rounds = new Map<string, Round>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Begins anew for these: due at once. */
  start(keys: Iterable<string>, now: number): void {
    for (const key of keys) this.#rounds.set(key, { nextAt: now, told: 0 });
  }

  stop(key: string): void {
    this.#rounds.delete(key);
  }

  /** Those to be told now; each is put down for its next time. */
  due(now: number): string[] {
    const due: string[] = [];
    for (const [key, { nextAt, told }] of this.#rounds) {
      if (nextAt > now) continue;
      due.push(key);
      this.#rounds.set(key, { nextAt: now + this.#pause(told), told: told + 1 });
    }
    return due;
  }

  /** When something is due next. */
  next(): number | undefined {
    let next: number | undefined;
    for (const { nextAt } of this.#rounds.values()) if (next === undefined || nextAt < next) next = nextAt;
    return next;
  }

  /** Milliseconds from one time to the next. A minute is drawn a little short, so that a thousand spread out. */
  #pause(told: number): number {
    const [from, to] = [firstMs[told], firstMs[told + 1]];
    return from === undefined || to === undefined ? everyMs * (1 - 0.1 * this.#random()) : to - from;
  }
}
