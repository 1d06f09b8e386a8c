/** Decisions that the kernel refused: told once, told again when they are taken after all, and offered anew at a slow pace. */
import type { Clock } from '../core/clock.ts';
import type { Quarantined, Written } from './backend.ts';
import type { Decision, DecisionChange, DecisionKey } from './decision.ts';

export interface RefusedOptions {
  readonly clock: Clock;
  readonly decision: (key: DecisionKey) => Decision | undefined;
  /** Milliseconds until they are tried again. */
  readonly retryMs: () => number;
  readonly offer: (changes: readonly DecisionChange[]) => void;
  readonly refused: (decision: Decision, message: string) => void;
  readonly released: (key: DecisionKey) => void;
}

export class RefusedDecisions {
  readonly #options: RefusedOptions;
  readonly #messages = new Map<DecisionKey, string>();
  #cancelRetry: (() => void) | undefined;

  constructor(options: RefusedOptions) {
    this.#options = options;
  }

  get messages(): ReadonlyMap<DecisionKey, string> {
    return this.#messages;
  }

  /** Keeps the list in step with what a write told. */
  judge(full: boolean, changes: readonly DecisionChange[], { quarantined }: Written): void {
    const { clock, decision: decisionOf, retryMs, refused, released } = this.#options;
    const now = new Map(quarantined.map(({ key, message }: Quarantined) => [key, message]));
    const answered = full ? [...this.#messages.keys()] : changes.map(({ key }) => key);
    for (const key of answered) {
      if (now.has(key) || !this.#messages.delete(key)) continue;
      if (decisionOf(key) !== undefined) released(key);
    }
    for (const [key, message] of now) {
      const told = this.#messages.get(key) === message;
      this.#messages.set(key, message);
      const decision = decisionOf(key);
      if (!told && decision) refused(decision, message);
    }
    if (this.#messages.size === 0) {
      this.stop();
    } else {
      this.#cancelRetry ??= clock.schedule(retryMs(), () => {
        this.#cancelRetry = undefined;
        this.#offerAgain();
      });
    }
  }

  #offerAgain(): void {
    const again: DecisionChange[] = [];
    for (const key of this.#messages.keys()) {
      const after = this.#options.decision(key);
      if (after === undefined) this.#messages.delete(key);
      else again.push({ key, before: undefined, after });
    }
    this.#options.offer(again);
  }

  stop(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }
}
