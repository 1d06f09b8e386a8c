/**
 * Virtual time: hours pass in milliseconds, in an order that a seed decides.
 *
 * Invariants:
 * 1. Time never goes back, and moves only while `run` or `settle` is under way.
 * 2. Timers run in the order of their times; those of one moment in the order of their making, or in an
 *    order drawn from `random` where one is given.
 * 3. Between two timers every promise that can settle has settled: what a timer sets off is seen in full
 *    before time moves on.
 * 4. A cancelled timer never runs. A timer that was made late (its time has passed) runs at the present time.
 * 5. An error thrown by a timer ends the run with that error.
 * 6. More timers than `limit` in one run is an endless loop: the run fails and names who made the timers.
 *
 * Nothing under test may wait for the outside (a socket, a real timer): its promises would not be waited for.
 */
import type { Clock, Random } from '../../src/core/clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly seq: number;
  run: (() => void) | undefined;
}

export interface VirtualClockOptions {
  /** Wall-clock time at the start, milliseconds since the epoch. */
  readonly wall?: number;
  /** Shuffles timers that are due at one moment. */
  readonly random?: Random;
  /** Timers in one `run` before it counts as an endless loop. */
  readonly limit?: number;
}

/** Microtasks are drained between two immediates; several are queued per turn of the event loop to make turns cheap. */
const immediatesPerTurn = 32;
/** Timers whose makers are recorded once a run has gone over its limit. */
const traced = 200;

export class VirtualClock implements Clock {
  readonly #heap: Timer[] = [];
  readonly #random: Random | undefined;
  readonly #limit: number;
  #wallOffset: number;
  #now = 0;
  #seq = 0;
  #running = false;
  #makers: Map<string, number> | undefined;

  constructor(options: VirtualClockOptions = {}) {
    this.#wallOffset = options.wall ?? Date.UTC(2026, 0, 1);
    this.#random = options.random;
    this.#limit = options.limit ?? 100_000;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wallOffset + this.#now;
  }

  /** Somebody sets the clock on the wall. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }

  schedule(ms: number, run: () => void): () => void {
    this.#trace();
    this.#seq += 1;
    const timer: Timer = {
      at: this.#now + (ms > 0 ? ms : 0),
      order: this.#random ? this.#random() : 0,
      seq: this.#seq,
      run,
    };
    push(this.#heap, timer);
    return () => {
      timer.run = undefined;
    };
  }

  /** Timers that have neither run nor been cancelled. */
  get pending(): number {
    return this.#heap.filter(({ run }) => run !== undefined).length;
  }

  /** Lets every promise settle; no time passes, but timers that are due now run. */
  async settle(): Promise<void> {
    await this.run(this.#now);
  }

  /** Lets `ms` pass. */
  async advance(ms: number): Promise<void> {
    await this.run(this.#now + ms);
  }

  /** Runs every timer up to and at `untilMs` (on `now()`'s scale), and what follows from them. */
  async run(untilMs: number): Promise<void> {
    await this.runUntil(() => false, untilMs);
  }

  /**
   * Runs timers until `stop` says so (asked after each, when all promises have settled) or `untilMs` is reached.
   *
   * @returns whether `stop` ended it.
   */
  async runUntil(stop: () => boolean, untilMs: number): Promise<boolean> {
    if (this.#running) throw new Error('the virtual clock is running already: do not run it from a timer');
    this.#running = true;
    let ran = 0;
    try {
      return await new Promise<boolean>((resolve, reject) => {
        let queued = 0;
        let ended = false;
        const end = (finish: () => void): void => {
          ended = true;
          finish();
        };
        const turn = (): void => {
          queued -= 1;
          if (ended) return;
          try {
            // Each turn begins with all promises settled: those of the turn before, or of the caller.
            if (stop()) return end(() => resolve(true));
            const timer = this.#next(untilMs);
            if (timer === undefined) {
              if (untilMs > this.#now && untilMs !== Number.POSITIVE_INFINITY) this.#now = untilMs;
              return end(() => resolve(false));
            }
            ran += 1;
            this.#checkLimit(ran);
            if (timer.at > this.#now) this.#now = timer.at;
            const { run } = timer;
            timer.run = undefined;
            run?.();
          } catch (error) {
            end(() => reject(error));
            return;
          }
          if (queued === 0) refill();
        };
        const refill = (): void => {
          queued = immediatesPerTurn;
          for (let i = 0; i < immediatesPerTurn; i += 1) setImmediate(turn);
        };
        refill();
      });
    } finally {
      this.#running = false;
      this.#makers = undefined;
    }
  }

  #next(untilMs: number): Timer | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || (first.run !== undefined && first.at > untilMs)) return undefined;
      pop(this.#heap);
      if (first.run !== undefined) return first;
    }
  }

  #checkLimit(ran: number): void {
    if (ran <= this.#limit) return;
    this.#makers ??= new Map();
    if (ran < this.#limit + traced) return;
    const makers = [...this.#makers].toSorted(([, a], [, b]) => b - a).slice(0, 5);
    const list = makers.map(([stack, times]) => `${times} × ${stack}`).join('\n');
    throw new Error(
      `more than ${this.#limit} timers in one run (an endless loop?); the last were made by:\n${list}`,
    );
  }

  /** Stacks are costly, so they are taken only when the run is about to fail anyway. */
  #trace(): void {
    if (!this.#makers) return;
    const stack = (new Error('made here').stack ?? '').split('\n').slice(3, 9).join('\n');
    this.#makers.set(stack, (this.#makers.get(stack) ?? 0) + 1);
  }
}

function before(a: Timer, b: Timer): boolean {
  if (a.at !== b.at) return a.at < b.at;
  if (a.order !== b.order) return a.order < b.order;
  return a.seq < b.seq;
}

/** Binary heap: no entry stands before its parent. */
function push(heap: Timer[], timer: Timer): void {
  let index = heap.length;
  heap.push(timer);
  while (index > 0) {
    const above = (index - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || !before(timer, parent)) break;
    heap[index] = parent;
    index = above;
  }
  heap[index] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let below = 2 * index + 1;
    let child = heap[below];
    const right = heap[below + 1];
    if (child === undefined) break;
    if (right !== undefined && before(right, child)) {
      below += 1;
      child = right;
    }
    if (!before(child, last)) break;
    heap[index] = child;
    index = below;
  }
  heap[index] = last;
}
