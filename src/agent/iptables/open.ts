/** Opens the backend: the variant chosen once, abilities asked once, the other variant never left with rules of ours. */
import { systemClock, type Clock } from '../../core/clock.ts';
import type { IpFamily } from '../../core/objects.ts';
import { IptablesBackend } from './backend.ts';
import { cleanUp } from './cleanup.ts';
import { detectVariant, probe } from './detect.ts';
import type { Abilities } from './layout.ts';
import { readOwnSets, readRules } from './held.ts';
import { prefix } from './names.ts';
import { makeTools, saveTables, type Spawn, type Variant } from './programs.ts';

export interface OpenOptions {
  readonly family: IpFamily;
  readonly spawn: Spawn;
  /** By default the one that the machine uses already. */
  readonly variant?: Variant | undefined;
  readonly clock?: Clock;
  readonly allowLocalhost?: () => Promise<void>;
  readonly pollMs?: number;
}

export interface Opened {
  readonly backend: IptablesBackend;
  /** Why this variant, for the log. */
  readonly reason: string;
  readonly abilities: Abilities;
}

/**
 * Nothing is written but a trial chain that goes at once.
 *
 * @throws SluiceError invalid (tools or kernel parts missing, each named) or denied.
 */
export async function openIptables(options: OpenOptions): Promise<Opened> {
  const { family, spawn } = options;
  const { variant, reason } =
    options.variant === undefined
      ? await detectVariant(spawn, family)
      : { variant: options.variant, reason: 'it was asked for' };
  const tools = makeTools(spawn, variant, family);
  const at = (options.clock ?? systemClock).now();
  const rules = readRules(tools);
  const held = Promise.all([rules, readOwnSets(tools)]).then(([saved, sets]) => ({ saved, sets }));
  // Whoever needs it reads again, and tells.
  held.catch(() => undefined);
  const abilities = await probe(spawn, tools, await rules);
  const opening = { at, held };
  return { backend: new IptablesBackend({ ...options, variant, abilities, opening }), reason, abilities };
}

/**
 * Removes what an earlier run has written with the other variant: to be called after the first `replace`, so that no
 * connection finds neither.
 *
 * @returns how many objects there were.
 * @throws SluiceError where they are there and cannot be removed.
 */
export async function leaveOtherVariant(backend: IptablesBackend, spawn: Spawn): Promise<number> {
  const other = backend.variant === 'nft' ? 'legacy' : 'nft';
  try {
    if (!(await saveTables(spawn, other, backend.family)).includes(prefix)) return 0;
  } catch {
    // It is not installed, or the kernel has no such tables: then there is nothing of ours in it.
    return 0;
  }
  return cleanUp(spawn, other, backend.family, { keepSets: true });
}
