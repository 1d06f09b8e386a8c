/**
 * Events on Services that every node's agent would write with the very same words: one Event for all of them.
 *
 * No node knows whether another has told it, and none may read events. So all of them write the Event under one name
 * that follows from what it says (`shared`): the first makes it, the others are answered that it is there, and none
 * counts it up. What keeps a thousand nodes from asking at once: each waits for a random time before it begins, and
 * then tells one thing in two seconds on average, in random order, so that with many nodes each thing is told early by
 * one of them. What is no longer so by then is not told.
 */
import type { Clock, Random } from '../core/clock.ts';
import type { ObjectKey, ServiceObject } from '../core/objects.ts';
import type { EventRecorder, Note } from '../kube/events.ts';

/** Within this time all nodes have begun to say what all of them see. */
const spreadMs = 10_000;
/** Between two things that a node tells: at most, and half of it on average. */
const paceMs = 4_000;
/** A controller may be about to take up a balancer's Service, and then tells of it itself. */
const graceMs = 10_000;

export interface ToldByAllParts {
  readonly events: Pick<EventRecorder, 'event'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly service: (key: ObjectKey) => ServiceObject | undefined;
  /** Fires when the agent ends: what has not been told by then is not. */
  readonly stop?: AbortSignal;
}

interface Waiting {
  readonly key: ObjectKey;
  readonly note: Omit<Note, 'shared'>;
  /** Monotonic: not before this. */
  readonly from: number;
}

export class ToldByAll {
  readonly #parts: ToldByAllParts;
  /** By topic. */
  readonly #waiting = new Map<string, Waiting>();
  #cancel: (() => void) | undefined;

  constructor(parts: ToldByAllParts) {
    this.#parts = parts;
    parts.stop?.addEventListener(
      'abort',
      () => {
        this.#cancel?.();
        this.#waiting.clear();
      },
      { once: true },
    );
  }

  /** Tells it in a while, in the place of what waits under the same topic. */
  say(topic: string, key: ObjectKey, note: Omit<Note, 'shared'>): void {
    const { clock, service, stop } = this.#parts;
    if (stop?.aborted === true) return;
    const grace = service(key)?.type === 'LoadBalancer' ? graceMs : 0;
    this.#waiting.set(topic, { key, note, from: clock.now() + grace });
    if (this.#cancel === undefined) this.#later(spreadMs);
  }

  /** It is not so any more. */
  withdraw(topic: string): void {
    this.#waiting.delete(topic);
  }

  #later(withinMs: number): void {
    const { clock, random } = this.#parts;
    this.#cancel = clock.schedule(random() * withinMs, () => {
      this.#cancel = undefined;
      this.#tellOne();
    });
  }

  #tellOne(): void {
    const { events, clock, random, service } = this.#parts;
    const now = clock.now();
    const due = [...this.#waiting].filter(([, { from }]) => from <= now);
    const chosen = due[Math.floor(random() * due.length)];
    if (chosen !== undefined) {
      const [topic, { key, note }] = chosen;
      this.#waiting.delete(topic);
      const object = service(key);
      if (object) events.event(object, { ...note, shared: true });
    }
    if (this.#waiting.size > 0) this.#later(chosen === undefined ? spreadMs : paceMs);
  }
}
