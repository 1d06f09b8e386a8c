/**
 * The backends of this build: which one this node gets, how each is opened, and how all of ours is removed.
 *
 * The only place that names them. Each is imported when it is chosen, so that an unused one costs nothing.
 */
import { access } from 'node:fs/promises';
import type { Backend } from '../agent/backend.ts';
import { allowRouteLocalnet, procSysctls } from '../agent/preflight.ts';
import type { Spawn } from '../agent/tool.ts';
import { asSluiceError, SluiceError } from '../core/errors.ts';
import type { IpFamily } from '../core/objects.ts';
import type { AgentChoice } from './agent-flags.ts';

export interface BackendKit {
  readonly name: 'nftables' | 'iptables';
  /** Name and variant, for the log. */
  readonly text: string;
  readonly families: readonly IpFamily[];
  /** What a person should know of the choice. */
  readonly notes: readonly string[];
  open(family: IpFamily): Backend;
  /**
   * Removes what the other backend, or the other variant, has left: two sets of rules would both translate. To be
   * called when everything has been written. @returns one line for each thing removed.
   */
  removeOthers(): Promise<readonly string[]>;
}

const bothFamilies: readonly IpFamily[] = ['IPv4', 'IPv6'];

/** The families that the kernel has: IPv6 may be built without, or switched off at boot. */
export async function familiesOfKernel(): Promise<readonly IpFamily[]> {
  try {
    await access('/proc/net/if_inet6');
    return bothFamilies;
  } catch {
    return ['IPv4'];
  }
}

/** @throws SluiceError `invalid` where what was asked for cannot work here, with what is missing. */
export async function chooseBackends(
  choice: Pick<AgentChoice, 'backend' | 'variant'>,
  families: readonly IpFamily[],
  spawn: Spawn,
): Promise<BackendKit> {
  switch (choice.backend) {
    case 'nftables':
      return await nftablesKit(families, spawn, []);
    case 'iptables':
      return await iptablesKit(choice.variant, families, spawn, []);
    case 'auto': {
      // Who names a variant of iptables has chosen.
      if (choice.variant !== 'auto') return await iptablesKit(choice.variant, families, spawn, []);
      try {
        return await nftablesKit(families, spawn, []);
      } catch (thrown) {
        const error = asSluiceError(thrown);
        // Without the right to write, iptables would fail in the same way.
        if (error.kind === 'denied') throw error;
        const note = `nftables cannot be used here (${error.message}); trying iptables`;
        return await iptablesKit(choice.variant, families, spawn, [note]).catch((alas: unknown) => {
          const other = asSluiceError(alas);
          throw new SluiceError(
            'invalid',
            `neither backend can be used here. nftables: ${error.message}. iptables: ${other.message}`,
            { code: 'NoBackend', cause: alas },
          );
        });
      }
    }
  }
}

async function nftablesKit(
  families: readonly IpFamily[],
  spawn: Spawn,
  notes: readonly string[],
): Promise<BackendKit> {
  throw new SluiceError('invalid', `not part of this build ${families.length} ${notes.length} ${String(spawn)}`, { code: 'NotBuilt' });
}

async function iptablesKit(
  asked: AgentChoice['variant'],
  families: readonly IpFamily[],
  spawn: Spawn,
  notes: readonly string[],
): Promise<BackendKit> {
  const { detectVariant, probe } = await import('../agent/iptables/detect.ts');
  const { IptablesBackend } = await import('../agent/iptables/backend.ts');
  const told = [...notes];
  let variant = asked === 'auto' ? undefined : asked;
  if (variant === undefined) {
    // One answer for both families: never are both variants used by us.
    const detected = await detectVariant(spawn, families[0] ?? 'IPv4');
    ({ variant } = detected);
    told.push(`iptables-${detected.variant}: ${detected.reason}`);
  }
  const chosen = variant;
  const abilities = new Map(
    await Promise.all(
      families.map(async (family) => [family, await probe(spawn, chosen, family)] as const),
    ),
  );
  return {
    name: 'iptables',
    text: `iptables-${chosen}`,
    families,
    notes: told,
    open: (family) => {
      const able = abilities.get(family);
      if (able === undefined) throw new SluiceError('bug', `no probe of ${family}`, { code: 'NotProbed' });
      return new IptablesBackend({
        family,
        variant: chosen,
        abilities: able,
        spawn,
        allowLocalhost: () => allowRouteLocalnet(procSysctls),
      });
    },
    removeOthers: async () => [
      ...(await removeNftables(spawn)).removed,
      // The ipsets are shared by both variants.
      ...(await removeIptables(spawn, [chosen === 'nft' ? 'legacy' : 'nft'], true)).removed,
    ],
  };
}

export interface Removal {
  /** One line each. */
  readonly removed: readonly string[];
  readonly problems: readonly SluiceError[];
}

/** `--cleanup`: everything of ours, by whichever backend it was written. */
export async function removeEverything(spawn: Spawn): Promise<Removal> {
  const parts = [await removeNftables(spawn), await removeIptables(spawn, ['nft', 'legacy'], false)];
  return {
    removed: parts.flatMap(({ removed }) => removed),
    problems: parts.flatMap(({ problems }) => problems),
  };
}

async function removeNftables(spawn: Spawn): Promise<Removal> {
  void spawn;
  return { removed: [], problems: [] };
}

async function removeIptables(
  spawn: Spawn,
  variants: readonly ('nft' | 'legacy')[],
  keepSets: boolean,
): Promise<Removal> {
  const { cleanUp } = await import('../agent/iptables/cleanup.ts');
  const removed: string[] = [];
  const problems: SluiceError[] = [];
  for (const variant of variants) {
    for (const family of bothFamilies) {
      try {
        const last = variant === variants.at(-1);
        const count = await cleanUp(spawn, variant, family, { keepSets: keepSets || !last });
        if (count > 0) removed.push(`removed ${count} jumps, chains and sets (iptables-${variant}, ${family})`);
      } catch (thrown) {
        const error = asSluiceError(thrown);
        // What is not installed has written nothing.
        if (error.code !== 'ToolMissing') problems.push(error);
      }
    }
  }
  return { removed, problems };
}
