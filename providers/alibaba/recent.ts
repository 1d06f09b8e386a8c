/**
 * What we made, deleted and ordered a short while ago.
 *
 * Reads may miss for some seconds what a creation has answered with, and show what is deleted; an order that
 * counts from the next day shows the old value until then. Within those windows our memory is the better
 * witness; after them, the cloud is.
 */
import type { Clock } from '../../src/core/clock.ts';
import { orderIn, orderMs } from './ordered.ts';
import type { Ordered } from './ordered.ts';
import { orderedTag } from './tags.ts';
import type { Tags } from './tags.ts';

const windowMs = 30_000;

export interface Unproven {
  /** Whom it was made for, and the client token of its creation. */
  readonly uid: string;
  readonly token: string;
  readonly doubted: boolean;
}

export class Recent {
  readonly #clock: Clock;
  readonly #created = new Map<string, number>();
  readonly #deleted = new Map<string, number>();
  /** Owner's UID → when a creation for it ended without an answer. */
  readonly #doubtful = new Map<string, number>();
  /** Balancer → what was ordered for it. */
  readonly #ordered = new Map<string, { readonly at: number; readonly values: Ordered }>();
  /** Owner's UID → how many of its creations came to a definite end. */
  readonly #generations = new Map<string, number>();
  /** Balancer → the UID that it was made for. */
  readonly #owners = new Map<string, string>();
  /** Client token → when it first led to something that cannot be seen, and what the cloud said of that. */
  readonly #puzzles = new Map<string, { readonly since: number; readonly answer: object | undefined }>();
  /** Balancers that nothing but a creation's answer speaks for. */
  readonly #unproven = new Map<string, Unproven>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the epoch: what the cloud gives dates in. */
  wall(): number {
    return this.#clock.wall();
  }

  create(id: string): void {
    this.#note(this.#created, id);
  }

  /** Its deletion is the end of its client token, if we know whose it was. */
  delete(id: string): void {
    this.#note(this.#deleted, id);
    this.prove(id);
    this.#created.delete(id);
    this.#ordered.delete(id);
    const uid = this.#owners.get(id);
    if (uid !== undefined) this.nextGeneration(uid);
    this.#owners.delete(id);
  }

  /** The balancer was seen to be this owner's. */
  own(id: string, uid: string): void {
    this.#owners.set(id, uid);
  }

  isKnown(id: string): boolean {
    return this.#owners.has(id);
  }

  /** A creation has answered with it: it may have been made long ago, and be gone. */
  believe(id: string, uid: string, token: string, answer: object): void {
    this.#unproven.set(id, { uid, token, doubted: false });
    this.#puzzles.set(token, { since: this.#clock.now(), answer });
  }

  /** A write did not find it, nor did a look: that it was made a moment ago is no longer taken for granted. */
  disbelieve(id: string): void {
    const unproven = this.#unproven.get(id);
    if (unproven === undefined) return;
    this.#unproven.set(id, { ...unproven, doubted: true });
    this.#created.delete(id);
    this.doubt(unproven.uid);
  }

  /** It has been seen, or a write to it has succeeded. */
  prove(id: string): void {
    const unproven = this.#unproven.get(id);
    if (unproven === undefined) return;
    this.#unproven.delete(id);
    this.#puzzles.delete(unproven.token);
    this.#owners.set(id, unproven.uid);
  }

  unproven(id: string): Unproven | undefined {
    return this.#unproven.get(id);
  }

  /** It has been seen, and was not made just now: not seeing it any more means that it is gone. */
  wasSeen(id: string): boolean {
    return this.#owners.has(id) && !this.wasCreated(id);
  }

  /**
   * Milliseconds for which a token that leads to something unseen may still lead to something that was made a
   * moment ago, by us or by the process before us; 0 when what it led to must be gone.
   */
  puzzledMs(token: string, answer: object | undefined): number {
    const puzzle = this.#puzzles.get(token) ?? { since: this.#clock.now(), answer };
    this.#puzzles.set(token, puzzle);
    const left = puzzle.since + windowMs - this.#clock.now();
    if (left > 0) return left;
    this.#puzzles.delete(token);
    return 0;
  }

  /** What a creation with this token has answered, where that is not seen yet: nobody need ask again. */
  answerTo(token: string): object | undefined {
    return this.#puzzles.get(token)?.answer;
  }

  /** We made it so recently that not seeing it proves nothing. */
  wasCreated(id: string): boolean {
    return this.#within(this.#created, id);
  }

  /** We deleted it so recently that seeing it proves nothing. */
  wasDeleted(id: string): boolean {
    return this.#within(this.#deleted, id);
  }

  doubt(uid: string): void {
    this.#note(this.#doubtful, uid);
  }

  /** Milliseconds for which not seeing anything of this owner's proves nothing; 0 when it does. */
  doubtfulMs(uid: string): number {
    const at = this.#doubtful.get(uid);
    return at === undefined ? 0 : Math.max(0, at + windowMs - this.#clock.now());
  }

  order(id: string, values: Ordered): void {
    this.#ordered.set(id, { at: this.#clock.now(), values });
  }

  /** What was ordered and may not show yet, by this process or, as its tags tell, by one before it. */
  ordered(id: string, tags: Tags): Ordered {
    const found = this.#ordered.get(id);
    return found !== undefined && this.#clock.now() - found.at < orderMs
      ? found.values
      : orderIn(tags[orderedTag], this.#clock.wall());
  }

  generation(uid: string): number {
    return this.#generations.get(uid) ?? 0;
  }

  nextGeneration(uid: string): number {
    const next = this.generation(uid) + 1;
    this.#generations.set(uid, next);
    return next;
  }

  #within(times: ReadonlyMap<string, number>, id: string): boolean {
    const at = times.get(id);
    return at !== undefined && this.#clock.now() - at < windowMs;
  }

  /** Insertion order is age, so the expired are at the front. */
  #note(times: Map<string, number>, id: string): void {
    times.delete(id);
    times.set(id, this.#clock.now());
    for (const [old, at] of times) {
      if (this.#clock.now() - at < windowMs) break;
      times.delete(old);
    }
  }
}
