/**
 * The work queue: keys go in, each is worked on by one worker at a time, outcomes say when it comes back.
 *
 * Three layers in one: a coalescing set (a key that waits is not queued twice; one that changes while it is
 * worked on is worked on exactly once more), a timer per key, and an exponential back-off per key. The
 * semantics are those of client-go's work queue, which controllers are built on.
 *
 * Invariants: a key is never worked on twice at once, nor two keys of one lane; every `add` is followed by a
 * pass that starts after it; of several planned times for a key the earliest holds, and a pass that starts
 * makes later ones unnecessary, because passes are level-triggered; after `stop` nothing starts.
 */
import type { Clock, Random } from './clock.ts';
import { asSluiceError } from './errors.ts';
import type { SluiceError } from './errors.ts';

/** What a pass says about its key. */
export type Outcome =
  /** Nothing left to do. Forgets earlier failures. */
  | { readonly kind: 'done' }
  /** Failed: comes back after a growing back-off, and not before the error's `retryAfterMs`. */
  | { readonly kind: 'retry'; readonly error: SluiceError }
  /** Waiting for something expected: comes back after `ms`. Neither grows the back-off nor forgets it. */
  | { readonly kind: 'after'; readonly ms: number }
  /** Only a change by the user helps: comes back slowly, or at once when something changes. */
  | { readonly kind: 'terminal' };

export interface QueueRules {
  /** First back-off, in milliseconds; it doubles with every failure. */
  readonly baseMs: number;
  readonly capMs: number;
  /** Fixed return of `terminal`, in milliseconds. */
  readonly terminalMs: number;
  /** Share of a delay that chance may take off, 0 to 1; applied after the cap, so that keys do not move in step. */
  readonly jitter: number;
}

export const queueRules: QueueRules = { baseMs: 1_000, capMs: 300_000, terminalMs: 600_000, jitter: 0.25 };

export interface QueueOptions<Key extends string> {
  readonly clock: Clock;
  readonly random: Random;
  /** Passes under way at once. */
  readonly workers?: number;
  /** One pass. Its signal fires when the queue stops. What it throws counts as `retry`. */
  readonly work: (key: Key, signal: AbortSignal) => Promise<Outcome>;
  /** Keys with the same lane never run at once; undefined: the key stands alone. Asked when a key is about to start. */
  readonly lane?: (key: Key) => string | undefined;
  readonly rules?: QueueRules;
  /** Called after each pass. */
  readonly onPass?: (pass: { key: Key; outcome: Outcome; waitedMs: number; ms: number }) => void;
}

export interface AddOptions {
  /** Milliseconds until it is queued. */
  readonly delayMs?: number;
  /** Goes before all that is not urgent. */
  readonly urgent?: boolean;
}

/** For metrics and the debug endpoint. */
export interface QueueState {
  /** Keys that could start now, were a worker free. */
  readonly ready: number;
  /** Keys that wait for another key of their lane. */
  readonly blocked: number;
  readonly delayed: number;
  readonly inFlight: number;
  /** How long the key that has waited longest has been ready, in milliseconds. */
  readonly oldestMs: number;
  /** Keys whose last pass failed. */
  readonly failing: number;
}

export interface KeyState {
  readonly running: boolean;
  /** Wants a pass: in line, blocked by its lane, or changed while it runs. */
  readonly waiting: boolean;
  /** Milliseconds until a planned return. */
  readonly dueInMs: number | undefined;
  /** Failures in a row. */
  readonly failures: number;
}

interface Waiting {
  /** Monotonic milliseconds since when it has wanted to run. */
  readonly since: number;
  readonly urgent: boolean;
}

interface Timer {
  readonly due: number;
  readonly urgent: boolean;
  readonly cancel: () => void;
}

export class WorkQueue<Key extends string> {
  readonly #options: QueueOptions<Key>;
  readonly #rules: QueueRules;
  readonly #workers: number;
  readonly #abort = new AbortController();
  /** Every key that wants a pass: in a line, blocked by its lane, or running and changed meanwhile. */
  readonly #waiting = new Map<Key, Waiting>();
  /** Keys that may start, in order. A key is in one line, or blocked, or running. */
  readonly #urgentLine = new Set<Key>();
  readonly #line = new Set<Key>();
  /** Lane → keys that wait for it to be free. */
  readonly #blocked = new Map<string, Set<Key>>();
  /** Blocked key → its lane. */
  readonly #blockedBy = new Map<Key, string>();
  /** Keys taken from a lane's waiting list, which have not started yet → that lane. */
  readonly #called = new Map<Key, string>();
  readonly #running = new Map<Key, Promise<void>>();
  readonly #busyLanes = new Set<string>();
  /** Key → its planned return. */
  readonly #timers = new Map<Key, Timer>();
  /** Key → failures in a row. */
  readonly #failures = new Map<Key, number>();
  #phase: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: QueueOptions<Key>) {
    this.#options = options;
    this.#rules = options.rules ?? queueRules;
    this.#workers = options.workers ?? 32;
  }

  /** Asks for a pass over this key, now or later. */
  add(key: Key, { delayMs = 0, urgent = false }: AddOptions = {}): void {
    if (this.#phase === 'stopped') return;
    if (delayMs > 0) this.#schedule(key, delayMs, urgent);
    else this.#enqueue(key, urgent);
  }

  /** Forgets the failures of a key whose cause has changed: the next back-off starts small again. */
  forget(key: Key): void {
    this.#failures.delete(key);
  }

  /** Passes begin. What was added before is waiting, urgent keys first. */
  start(): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'started';
    this.#dispatch();
  }

  /** Starts nothing more, aborts what is under way and resolves when it has ended. */
  async stop(reason: unknown = new Error('the queue stops')): Promise<void> {
    this.#phase = 'stopped';
    for (const key of this.#timers.keys()) this.#unschedule(key);
    for (const keys of [this.#waiting, this.#urgentLine, this.#line, this.#blocked, this.#blockedBy])
      keys.clear();
    this.#abort.abort(reason);
    await Promise.all(this.#running.values());
  }

  /** For metrics and the debug endpoint. */
  get state(): QueueState {
    const now = this.#options.clock.now();
    let oldestMs = 0;
    for (const { since } of this.#waiting.values()) oldestMs = Math.max(oldestMs, now - since);
    return {
      ready: this.#urgentLine.size + this.#line.size,
      blocked: this.#blockedBy.size,
      delayed: this.#timers.size,
      inFlight: this.#running.size,
      oldestMs,
      failing: this.#failures.size,
    };
  }

  /** Where one key stands. */
  keyState(key: Key): KeyState {
    const timer = this.#timers.get(key);
    return {
      running: this.#running.has(key),
      waiting: this.#waiting.has(key),
      dueInMs: timer === undefined ? undefined : Math.max(0, timer.due - this.#options.clock.now()),
      failures: this.#failures.get(key) ?? 0,
    };
  }

  #enqueue(key: Key, urgent: boolean): void {
    this.#unschedule(key);
    const before = this.#waiting.get(key);
    this.#waiting.set(key, {
      since: before?.since ?? this.#options.clock.now(),
      urgent: urgent || (before?.urgent ?? false),
    });
    // A running key is lined up when its pass ends, a blocked one when its lane calls it.
    if (this.#running.has(key) || this.#blockedBy.has(key)) return;
    this.#lineUp(key);
    this.#dispatch();
  }

  /** A key that is in its line already keeps its place. */
  #lineUp(key: Key): void {
    if (this.#waiting.get(key)?.urgent) {
      this.#line.delete(key);
      this.#urgentLine.add(key);
    } else {
      this.#line.add(key);
    }
  }

  #dispatch(): void {
    while (this.#phase === 'started' && this.#running.size < this.#workers) {
      const next = this.#urgentLine.values().next();
      const { value: key, done } = next.done ? this.#line.values().next() : next;
      if (done || key === undefined) return;
      this.#urgentLine.delete(key);
      this.#line.delete(key);
      const lane = this.#options.lane?.(key);
      const calledBy = this.#called.get(key);
      this.#called.delete(key);
      if (lane !== undefined && this.#busyLanes.has(lane)) this.#block(key, lane);
      else this.#begin(key, lane);
      // It was called by a lane that it does not use any more: the next one in that lane gets its turn.
      if (calledBy !== undefined && calledBy !== lane) this.#call(calledBy);
    }
  }

  #block(key: Key, lane: string): void {
    const keys = this.#blocked.get(lane) ?? new Set();
    this.#blocked.set(lane, keys.add(key));
    this.#blockedBy.set(key, lane);
  }

  /** Lines up the key that has waited longest for a lane. */
  #call(lane: string): void {
    const keys = this.#blocked.get(lane);
    const { value: key } = keys?.values().next() ?? {};
    if (keys === undefined || key === undefined) return;
    keys.delete(key);
    if (keys.size === 0) this.#blocked.delete(lane);
    this.#blockedBy.delete(key);
    this.#called.set(key, lane);
    this.#lineUp(key);
  }

  #begin(key: Key, lane: string | undefined): void {
    const since = this.#waiting.get(key)?.since ?? this.#options.clock.now();
    this.#waiting.delete(key);
    if (lane !== undefined) this.#busyLanes.add(lane);
    this.#running.set(key, this.#pass(key, lane, since));
  }

  async #pass(key: Key, lane: string | undefined, since: number): Promise<void> {
    const { clock, work, onPass } = this.#options;
    const started = clock.now();
    // Let `#begin` note that the key runs before any code of the pass does.
    await Promise.resolve();
    let outcome: Outcome = { kind: 'done' };
    try {
      if (this.#phase === 'started') outcome = await work(key, this.#abort.signal);
    } catch (thrown) {
      outcome = { kind: 'retry', error: asSluiceError(thrown) };
    }
    this.#running.delete(key);
    if (lane !== undefined) {
      this.#busyLanes.delete(lane);
      this.#call(lane);
    }
    if (this.#phase === 'stopped') return;
    this.#settle(key, outcome);
    onPass?.({ key, outcome, waitedMs: started - since, ms: clock.now() - started });
    if (this.#waiting.has(key)) this.#lineUp(key);
    this.#dispatch();
  }

  /** Books an outcome. A key that changed meanwhile runs again at once, whatever delay the outcome names. */
  #settle(key: Key, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'done':
        this.#failures.delete(key);
        return;
      case 'after':
        this.#schedule(key, outcome.ms, false);
        return;
      case 'terminal':
        this.#failures.delete(key);
        this.#schedule(key, this.#jittered(this.#rules.terminalMs), false);
        return;
      case 'retry': {
        const failures = (this.#failures.get(key) ?? 0) + 1;
        this.#failures.set(key, failures);
        this.#schedule(key, this.#backOff(failures, outcome.error.retryAfterMs), false);
        return;
      }
    }
  }

  #backOff(failures: number, retryAfterMs = 0): number {
    const { baseMs, capMs, jitter } = this.#rules;
    const grown = this.#jittered(Math.min(capMs, baseMs * 2 ** (failures - 1)));
    // What the other side asked for is a minimum, so chance may only add to it.
    return Math.max(grown, retryAfterMs * (1 + jitter * this.#options.random()));
  }

  #jittered(ms: number): number {
    return ms * (1 - this.#rules.jitter * this.#options.random());
  }

  #schedule(key: Key, delayMs: number, urgent: boolean): void {
    // It will run before that anyway.
    if (this.#waiting.has(key)) return;
    const before = this.#timers.get(key);
    const due = Math.min(before?.due ?? Infinity, this.#options.clock.now() + delayMs);
    before?.cancel();
    const cancel = this.#options.clock.schedule(Math.max(0, due - this.#options.clock.now()), () => {
      this.#timers.delete(key);
      this.#enqueue(key, urgent || (before?.urgent ?? false));
    });
    this.#timers.set(key, { due, urgent: urgent || (before?.urgent ?? false), cancel });
  }

  #unschedule(key: Key): void {
    this.#timers.get(key)?.cancel();
    this.#timers.delete(key);
  }
}
