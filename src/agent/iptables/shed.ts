/**
 * Rules that have been taken out of the kernel before the write that they belong to: what the kernel lacks of the model.
 *
 * Invariant: a chain that lacks rules is written whole by the next write, also where the change that took them out has
 * been undone since.
 */
import type { Difference } from '../backend.ts';
import type { Decision, DecisionChange, DecisionKey } from '../decision.ts';
import type { ChainId, Delta } from './delta.ts';
import type { Layout } from './layout.ts';
import type { Model } from './model.ts';
import type { Refusal } from './programs.ts';
import { deletions, goAhead } from './quick.ts';
import { compile } from './service.ts';
import { canonical } from './text.ts';

/** By decision, by nat chain. */
type Rules = ReadonlyMap<DecisionKey, ReadonlyMap<string, readonly string[]>>;

export class Shed {
  readonly #rules = new Map<DecisionKey, Map<string, readonly string[]>>();

  /**
   * Takes out what may go of what these changes would take out, as long as they wait.
   *
   * @param edit carries a restore text out, which takes rules out of these chains.
   * @returns whether something has gone.
   */
  async take(
    model: Model,
    changes: readonly DecisionChange[],
    edit: (text: string, chains: readonly ChainId[]) => Promise<Refusal | undefined>,
  ): Promise<boolean> {
    const rules = this.#more(model, changes);
    const goes = new Map([...rules.values()].flatMap((chains) => [...chains]));
    const text = deletions('nat', goes);
    // A refusal: somebody else has taken a rule away, and nothing went. The write does without.
    if (text === '' || (await edit(text, natChains(goes))) !== undefined) return false;
    for (const [key, chains] of rules) {
      const held = this.#rules.get(key) ?? new Map<string, readonly string[]>();
      for (const [name, gone] of chains) held.set(name, [...(held.get(name) ?? []), ...gone]);
      this.#rules.set(key, held);
    }
    return true;
  }

  #more(model: Model, changes: readonly DecisionChange[]): Rules {
    const found = new Map<DecisionKey, Map<string, readonly string[]>>();
    for (const { key, after } of changes) {
      const is = chainsOf(after, model.layout);
      for (const [name, rules] of chainsOf(model.decisions.get(key), model.layout)) {
        const lacks = this.#rules.get(key)?.get(name) ?? [];
        const left = rules.filter((rule) => !lacks.includes(rule));
        const gone = goAhead(left, is.get(name) ?? []);
        if (gone.length === 0) continue;
        const chains = found.get(key) ?? new Map<string, readonly string[]>();
        found.set(key, chains.set(name, gone));
      }
    }
    return found;
  }

  /** Adds to what is to be written the chains that lack rules; what has gone already is not to be deleted again. */
  complete(model: Model, delta: Delta): void {
    for (const [key, chains] of this.#rules) {
      const now = chainsOf(model.decisions.get(key), model.layout);
      for (const [name, lacks] of chains) {
        const rules = now.get(name);
        if (rules !== undefined && !delta.chains.has(`nat ${name}`)) delta.chains.set(`nat ${name}`, rules);
        const gone = (delta.gone.get(name) ?? []).filter((rule) => !lacks.includes(rule));
        if (gone.length > 0) delta.gone.set(name, gone);
        else delta.gone.delete(name);
      }
    }
  }

  /** Without the differences that are of our own making. */
  known(differences: readonly Difference[]): readonly Difference[] {
    const lacking = new Set<string>();
    for (const chains of this.#rules.values()) {
      for (const [name, rules] of chains)
        for (const rule of rules) lacking.add(`nat rule -A ${name} ${canonical(rule)}`);
    }
    return differences.filter(({ kind, object }) => kind !== 'missing' || !lacking.has(object));
  }

  /** Chains that lack rules. */
  chains(): readonly ChainId[] {
    return [...this.#rules.values()].flatMap(natChains);
  }

  /** Everything has been written. */
  clear(): void {
    this.#rules.clear();
  }
}

function natChains(rules: ReadonlyMap<string, unknown>): readonly ChainId[] {
  return Array.from(rules.keys(), (name) => `nat ${name}` as const);
}

/** Chains of a decision; none where it cannot be written. */
function chainsOf(decision: Decision | undefined, layout: Layout): ReadonlyMap<string, readonly string[]> {
  try {
    return new Map(decision === undefined ? [] : compile(decision, layout).chains);
  } catch {
    return new Map();
  }
}
