/** What a change of decisions touches in the kernel: exactly that, and in an order in which it can be written. */
import type { Table } from './layout.ts';
import type { SetName } from './names.ts';

/** `table chain`. */
export type ChainId = `${Table} ${string}`;

export interface Delta {
  /** New rules of changed chains; undefined: the chain goes. In an order in which targets come before jumps to them. */
  readonly chains: Map<ChainId, readonly string[] | undefined>;
  readonly add: Map<SetName, Set<string>>;
  readonly remove: Map<SetName, Set<string>>;
  /** By name of a nat chain that is written anew: rules that may go ahead of that. */
  readonly gone: Map<string, readonly string[]>;
}

export function emptyDelta(): Delta {
  return { chains: new Map(), add: new Map(), remove: new Map(), gone: new Map() };
}

/** Chains, rules and set entries in it. */
export function countOf(delta: Delta): number {
  let count = 0;
  for (const rules of delta.chains.values()) count += 1 + (rules?.length ?? 0);
  for (const changes of [delta.add, delta.remove])
    for (const entries of changes.values()) count += entries.size;
  return count;
}
