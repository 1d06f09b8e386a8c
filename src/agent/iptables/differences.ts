/** Compares what the kernel holds of ours with what was written, object by object. */
import type { Difference } from '../backend.ts';
import type { DecisionKey } from '../decision.ts';
import { jumps } from './layout.ts';
import type { ChainId } from './delta.ts';
import type { Model } from './model.ts';
import { fullSetName, setNames, type SetName } from './names.ts';
import type { SavedSet, SavedTables } from './saved.ts';
import { canonical, nameOf, tableOf } from './text.ts';
import { Touched } from './touched.ts';

/** @param touched what is left out. */
export function differences(
  model: Model,
  saved: SavedTables,
  sets: ReadonlyMap<SetName, SavedSet>,
  touched = new Touched(),
): readonly Difference[] {
  const found: Difference[] = [];
  const unknown = new Set(saved.chains.keys());
  const chain = (id: ChainId, rules: readonly string[], key: DecisionKey | undefined): void => {
    unknown.delete(id);
    if (touched.chain(id)) return;
    const kept = saved.chains.get(id);
    const name = `${tableOf(id)} chain ${nameOf(id)}`;
    if (kept === undefined) {
      found.push({ kind: 'missing', object: name, key });
      return;
    }
    if (kept.holds(rules)) return;
    const held = kept.rules();
    const wanted = rules.map(canonical);
    const missing = wanted.filter((rule) => !held.includes(rule));
    const extra = held.filter((rule) => !wanted.includes(rule));
    for (const rule of missing)
      found.push({ kind: 'missing', object: `${tableOf(id)} rule -A ${nameOf(id)} ${rule}`, key });
    for (const rule of extra)
      found.push({ kind: 'unexpected', object: `${tableOf(id)} rule -A ${nameOf(id)} ${rule}`, key });
    if (missing.length + extra.length === 0) {
      found.push({ kind: 'different', object: `${name}: order of rules`, key });
    }
  };
  for (const [key, chains] of model.serviceChains()) for (const [id, rules] of chains) chain(id, rules, key);
  for (const [id, rules] of model.sharedChains()) chain(id, rules, undefined);
  for (const id of unknown) {
    if (touched.chain(id)) continue;
    found.push({ kind: 'unexpected', object: `${tableOf(id)} chain ${nameOf(id)}`, key: undefined });
  }
  for (const { table, from, rule } of jumps) {
    const held = saved.jumps.filter(
      (jump) => jump.table === table && jump.from === from && jump.rule === rule,
    );
    if (held.length === 0)
      found.push({ kind: 'missing', object: `${table} rule -A ${from} ${rule}`, key: undefined });
  }
  return [...found, ...setDifferences(model, sets, touched)];
}

/** Of the sets alone. */
export function setDifferences(
  model: Model,
  sets: ReadonlyMap<SetName, SavedSet>,
  touched: Touched,
): readonly Difference[] {
  const found: Difference[] = [];
  for (const name of setNames) {
    const held = sets.get(name);
    const full = fullSetName(model.layout.family, name);
    if (held === undefined) {
      found.push({ kind: 'missing', object: `ipset ${full}`, key: undefined });
      continue;
    }
    const wanted = model.entriesOf(name);
    const counts = (entry: string): boolean => !touched.entry(name, entry);
    const missing = [...wanted].filter((entry) => !held.entries.has(entry) && counts(entry));
    const extra = [...held.entries].filter((entry) => !wanted.has(entry) && counts(entry));
    const owners =
      missing.length + extra.length === 0 ? new Map<string, DecisionKey>() : entryOwners(model, name);
    for (const entry of missing) {
      found.push({ kind: 'missing', object: `ipset ${full} entry ${entry}`, key: owners.get(entry) });
    }
    for (const entry of extra) {
      found.push({ kind: 'unexpected', object: `ipset ${full} entry ${entry}`, key: owners.get(entry) });
    }
  }
  return found;
}

function entryOwners(model: Model, name: SetName): Map<string, DecisionKey> {
  const owners = new Map<string, DecisionKey>();
  for (const key of model.decisions.keys()) {
    for (const [set, entry] of model.describe(key).members) if (set === name) owners.set(entry, key);
  }
  return owners;
}
