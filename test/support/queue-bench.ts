/** A bench for the work queue: passes begin by themselves and end when the test says so. */
import type { AddOptions, Outcome, QueueOptions } from '../../src/core/queue.ts';
import { WorkQueue } from '../../src/core/queue.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface Doubles {
  readonly workers?: number;
  readonly lanes?: Readonly<Record<string, string>>;
  readonly random?: number;
  /** Wraps `add`, for planting defects. */
  readonly add?: (queue: WorkQueue<string>, key: string, options: AddOptions) => void;
}

/** A queue whose passes end when the test says so. It checks by itself that no key or lane runs twice at once. */
export class Bench {
  readonly clock = new VirtualClock();
  /** Keys in the order of their starts. */
  readonly starts: string[] = [];
  readonly running = new Map<string, (outcome: Outcome | Error) => void>();
  readonly signals: AbortSignal[] = [];
  /** Keys or lanes that ran twice at once: must stay empty. */
  readonly violations: string[] = [];
  /** Keys added since their last start. */
  readonly owed = new Set<string>();
  readonly queue: WorkQueue<string>;
  lanes: Readonly<Record<string, string>>;
  readonly #doubles: Doubles;

  constructor(doubles: Doubles = {}) {
    this.#doubles = doubles;
    this.lanes = doubles.lanes ?? {};
    const options: QueueOptions<string> = {
      clock: this.clock,
      random: () => doubles.random ?? 0,
      workers: doubles.workers ?? 2,
      lane: (key) => this.lanes[key],
      work: (key, signal) => this.#work(key, signal),
    };
    this.queue = new WorkQueue(options);
  }

  add(key: string, options: AddOptions = {}): void {
    this.owed.add(key);
    if (this.#doubles.add) this.#doubles.add(this.queue, key, options);
    else this.queue.add(key, options);
  }

  /** Adds, lets it start and ends the pass. */
  async once(key: string, outcome: Outcome | Error): Promise<void> {
    this.add(key);
    await this.clock.settle();
    await this.end(key, outcome);
  }

  async end(key: string, outcome: Outcome | Error = { kind: 'done' }): Promise<void> {
    const finish = this.running.get(key);
    this.running.delete(key);
    finish?.(outcome);
    await this.clock.settle();
  }

  #work(key: string, signal: AbortSignal): Promise<Outcome> {
    const lane = this.lanes[key];
    const rivals = [...this.running.keys()].filter(
      (other) => other === key || (lane !== undefined && this.lanes[other] === lane),
    );
    // Thrown here it would pass for a failed pass.
    if (rivals.length > 0) this.violations.push(`${key} starts beside ${rivals.join()}`);
    this.starts.push(key);
    this.signals.push(signal);
    this.owed.delete(key);
    return new Promise((resolve, reject) => {
      this.running.set(key, (outcome) => {
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      });
    });
  }
}
