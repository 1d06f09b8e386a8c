/** What has been written since a look at the kernel began: it may have been seen or not, so the look says nothing of it. */
import type { ChainId, Delta } from './delta.ts';
import type { SetName } from './names.ts';

export class Touched {
  readonly #chains = new Set<ChainId>();
  readonly #entries = new Map<SetName, Set<string>>();

  add(delta: Delta): void {
    this.addChains(delta.chains.keys());
    for (const edits of [delta.add, delta.remove]) {
      for (const [set, entries] of edits) {
        const known = this.#entries.get(set) ?? new Set();
        for (const entry of entries) known.add(entry);
        this.#entries.set(set, known);
      }
    }
  }

  addChains(ids: Iterable<ChainId>): void {
    for (const id of ids) this.#chains.add(id);
  }

  chain(id: ChainId): boolean {
    return this.#chains.has(id);
  }

  entry(set: SetName, entry: string): boolean {
    return this.#entries.get(set)?.has(entry) === true;
  }
}
