/** Everything of ours that the kernel holds of one family, rules and sets: for a start, a repair, a look. */
import type { SetName } from './names.ts';
import type { Tools } from './programs.ts';
import { readSets, TableReader, type SavedSet, type SavedTables } from './saved.ts';

export interface Held {
  readonly saved: SavedTables;
  readonly sets: ReadonlyMap<SetName, SavedSet>;
}

/** A reading that somebody may use who needs to know no more than how it was at that time. */
export interface Reading {
  /** Monotonic milliseconds of its beginning. */
  readonly at: number;
  readonly held: Promise<Held>;
}

/** @throws SluiceError where the kernel cannot be read, or `signal` ended it. */
export async function readHeld(tools: Tools, signal?: AbortSignal): Promise<Held> {
  const [saved, sets] = await Promise.all([readRules(tools, signal), readOwnSets(tools, signal)]);
  return { saved, sets };
}

/**
 * The nft variant fetches all rules of the family whichever table is asked for, so it is asked once for all of them. The
 * legacy tool would load the modules of no table that way.
 */
export async function readRules(tools: Tools, signal?: AbortSignal): Promise<SavedTables> {
  const until = signal === undefined ? {} : { signal };
  const tables = tools.variant === 'nft' ? [undefined] : ['filter', 'nat'];
  const readers = await Promise.all(
    tables.map(async (table) => {
      const reader = new TableReader();
      await tools.save(table, { onOut: reader.take, ...until });
      return reader;
    }),
  );
  return {
    chains: new Map(readers.flatMap(({ chains }) => [...chains])),
    jumps: readers.flatMap(({ jumps }) => jumps),
  };
}

export async function readOwnSets(
  tools: Pick<Tools, 'family' | 'saveSets'>,
  signal?: AbortSignal,
): Promise<Held['sets']> {
  return readSets(await tools.saveSets(signal), tools.family);
}
