/**
 * Changes that wait to be written, one for each decision: a later change of the same decision takes the place of
 * an earlier one and keeps what the kernel holds as its `before`. A change that has been undone is forgotten.
 */
import type { DecisionChange, DecisionKey } from './decision.ts';

export class PendingChanges {
  #changes = new Map<DecisionKey, DecisionChange>();

  get size(): number {
    return this.#changes.size;
  }

  add(changes: Iterable<DecisionChange>): void {
    for (const change of changes) {
      const earlier = this.#changes.get(change.key);
      const before = earlier === undefined ? change.before : earlier.before;
      if (before === change.after) this.#changes.delete(change.key);
      else this.#changes.set(change.key, { key: change.key, before, after: change.after });
    }
  }

  /** Everything that waits. */
  all(): readonly DecisionChange[] {
    return [...this.#changes.values()];
  }

  /** Everything that waits, which then waits no longer. */
  take(): readonly DecisionChange[] {
    const taken = [...this.#changes.values()];
    if (taken.length > 0) this.#changes = new Map();
    return taken;
  }

  clear(): void {
    this.#changes = new Map();
  }
}
