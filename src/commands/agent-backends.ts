/**
 * The backends of this build: which one this node gets, how each is opened, and how all of ours is removed.
 *
 * The only place that names them. Each is imported when it is chosen, so that an unused one costs nothing.
 */
import { access, readFile } from 'node:fs/promises';
import type { Backend } from '../agent/backend.ts';
import type { Decision } from '../agent/decision.ts';
import { allowRouteLocalnet, procSysctls, type ServiceFinding } from '../agent/preflight.ts';
import { isProgram, toolRunner, type RunTool, type Spawn, type ToolResult } from '../agent/tool.ts';
import { systemClock } from '../core/clock.ts';
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
  /** What it cannot do on this node for some of these. */
  limits(decisions: Iterable<Decision>): Promise<readonly ServiceFinding[]>;
  /**
   * Removes what the other backend, or the other variant, has left: two sets of rules would both translate. To be
   * called when everything has been written. @returns one line for each thing removed.
   */
  removeOthers(): Promise<readonly string[]>;
}

const allowLocalhost = (): Promise<void> => allowRouteLocalnet(procSysctls);

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
        for (const family of families) await checkNftables(family, spawn);
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

/** Rules and packets are the same without it. */
const noPerlNote =
  'there is no program perl on this node: nft writes every element, so the first load and each change take longer; install perl-base';

function hasPerl(): boolean {
  return isProgram('perl', process.env['PATH'] ?? '');
}

/** The legacy tool is not held up by changes, and needs none. */
const noPerlForLooksNote =
  'there is no program perl on this node: where rules change all the time, changes wait once an hour for a look at the kernel; install perl-base';

async function nftablesKit(
  families: readonly IpFamily[],
  spawn: Spawn,
  notes: readonly string[],
): Promise<BackendKit> {
  const { NftablesBackend } = await import('../agent/nftables/backend.ts');
  const { Monitor } = await import('../agent/nftables/monitor.ts');
  const monitor = new Monitor(spawn, systemClock);
  const opened = new Map(
    families.map((family) => [family, new NftablesBackend({ family, start: spawn, monitor })] as const),
  );
  return {
    name: 'nftables',
    text: 'nftables',
    families,
    notes: hasPerl() ? notes : [...notes, noPerlNote],
    open: (family) => backendOf(opened, family),
    limits: () => Promise.resolve([]),
    removeOthers: async () => (await removeIptables(spawn, ['nft', 'legacy'], false)).removed,
  };
}

async function iptablesKit(
  asked: AgentChoice['variant'],
  families: readonly IpFamily[],
  spawn: Spawn,
  notes: readonly string[],
): Promise<BackendKit> {
  const { openIptables, leaveOtherVariant } = await import('../agent/iptables/open.ts');
  const { limitFindings, noHashNote } = await import('../agent/iptables/limits.ts');
  const told = [...notes];
  const opened = new Map<IpFamily, Awaited<ReturnType<typeof openIptables>>['backend']>();
  let variant = asked === 'auto' ? undefined : asked;
  let able = { bpf: true, randomFully: true };
  for (const family of families) {
    const { backend, reason, abilities } = await openIptables({ family, spawn, variant, allowLocalhost });
    // One kernel: what one family lacks counts for both.
    if (!abilities.bpf && able.bpf) told.push(noHashNote);
    able = { bpf: able.bpf && abilities.bpf, randomFully: able.randomFully && abilities.randomFully };
    if (variant === undefined) told.push(`iptables-${backend.variant} is used: ${reason}`);
    // One answer for both families: never are both variants used by us.
    ({ variant } = backend);
    opened.set(family, backend);
  }
  if (variant === 'nft' && !hasPerl()) told.push(noPerlForLooksNote);
  return {
    name: 'iptables',
    text: `iptables-${variant ?? ''}`,
    families,
    notes: told,
    open: (family) => backendOf(opened, family),
    limits: (decisions) => limitFindings({ abilities: able, decisions }),
    removeOthers: async () => {
      const { removed } = await removeNftables(spawn);
      const lines = [...removed];
      for (const [family, backend] of opened) {
        const count = await leaveOtherVariant(backend, spawn);
        if (count > 0) lines.push(`removed ${count} objects of the other variant of iptables (${family})`);
      }
      return lines;
    },
  };
}

function backendOf<B extends Backend>(opened: ReadonlyMap<IpFamily, B>, family: IpFamily): B {
  const backend = opened.get(family);
  if (backend === undefined)
    throw new SluiceError('bug', `no backend of ${family} was opened`, { code: 'NotOpened' });
  return backend;
}

export interface Removal {
  /** One line each. */
  readonly removed: readonly string[];
  readonly problems: readonly SluiceError[];
}

/** `--cleanup`: everything of ours, by whichever backend it was written. */
export async function removeEverything(spawn: Spawn): Promise<Removal> {
  const parts = [
    await removeCounting(spawn),
    await removeNftables(spawn),
    await removeIptables(spawn, ['nft', 'legacy'], false),
  ];
  return {
    removed: parts.flatMap(({ removed }) => removed),
    problems: parts.flatMap(({ problems }) => problems),
  };
}

/** The tables that count, which stand beside either backend. Where there is no nft there are none. */
export async function removeCounting(spawn: Spawn): Promise<Removal> {
  const { removeCounters } = await import('../agent/counters/counters.ts');
  const removed: string[] = [];
  const problems: SluiceError[] = [];
  try {
    const tables = await tablesThere(toolRunner(spawn));
    for (const family of bothFamilies) {
      const table = `${family === 'IPv4' ? 'ip' : 'ip6'} sluice-counters`;
      if (!tables.has(table)) continue;
      await removeCounters(spawn, family);
      removed.push(`removed nftables table ${table}`);
    }
  } catch (thrown) {
    const error = asSluiceError(thrown);
    if (error.code !== 'ToolMissing') problems.push(error);
  }
  return { removed, problems };
}

/** Everything that the backend stands on, asked at once; only where that is refused, piece by piece. */
async function checkNftables(family: IpFamily, spawn: Spawn): Promise<void> {
  const { missingPiece } = await import('../agent/nftables/probes.ts');
  const { runNft } = await import('../agent/nftables/process.ts');
  const { wordsOf } = await import('../agent/nftables/words.ts');
  const words = wordsOf(family);
  const check = async (text: string): Promise<string> => {
    const { code, error } = await runNft(spawn, ['--check', '-f', '-'], [text]);
    return code === 0 ? '' : error || 'nft said nothing';
  };
  const texts: string[] = [];
  await missingPiece(words, async (text) => {
    texts.push(text.replace('sluice-probe', `sluice-probe-${texts.length}`));
    return '';
  });
  if ((await check(texts.join(''))) === '') return;
  const missing = await missingPiece(words, check);
  if (missing) throw missing;
}

async function removeNftables(spawn: Spawn): Promise<Removal> {
  const { NftablesBackend } = await import('../agent/nftables/backend.ts');
  const { Guard } = await import('../agent/announce/kernel/guard.ts');
  const { guardTable } = await import('../agent/announce/kernel/guard-text.ts');
  const removed: string[] = [];
  const problems: SluiceError[] = [];
  try {
    const tables = await tablesThere(toolRunner(spawn));
    for (const family of bothFamilies) {
      const table = `${family === 'IPv4' ? 'ip' : 'ip6'} sluice`;
      if (!tables.has(table)) continue;
      const backend = new NftablesBackend({ family, start: spawn });
      await backend.cleanup();
      await backend.close();
      removed.push(`removed nftables table ${table}`);
    }
    if (tables.has(`inet ${guardTable}`)) {
      await new Guard(spawn).remove();
      removed.push(`removed nftables table inet ${guardTable}`);
    }
  } catch (thrown) {
    const error = asSluiceError(thrown);
    if (error.code !== 'ToolMissing') problems.push(error);
  }
  return { removed, problems };
}

function unreadable(action: string, error: string): SluiceError {
  const denied = /not permitted|denied/iu.test(error);
  const cure = denied ? '; run it as root, with the capability NET_ADMIN' : '';
  return new SluiceError(denied ? 'denied' : 'transient', `${action}: ${error}${cure}`, {
    code: denied ? 'NotPermitted' : 'KernelUnreadable',
    action,
  });
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
        if (count > 0)
          removed.push(`removed ${count} jumps, chains and ipsets (iptables-${variant}, ${family})`);
      } catch (thrown) {
        const error = asSluiceError(thrown);
        // What is not installed has written nothing.
        if (error.code !== 'ToolMissing') problems.push(error);
      }
    }
  }
  return { removed, problems };
}

export interface RulesThere {
  readonly backend: Backend['name'];
  readonly variant: 'nft' | 'legacy' | undefined;
  readonly family: IpFamily;
  readonly what: string;
}

/** Which backends have rules of ours in the kernel now. Reads only. */
export async function rulesInKernel(spawn: Spawn): Promise<readonly RulesThere[]> {
  const there: RulesThere[] = [];
  const run = toolRunner(spawn);
  const tables = await tablesThere((...given) => run(...given).catch(missingTool));
  for (const family of bothFamilies) {
    const table = `${family === 'IPv4' ? 'ip' : 'ip6'} sluice`;
    if (tables.has(table))
      there.push({ backend: 'nftables', variant: undefined, family, what: `nftables table ${table}` });
  }
  for (const variant of ['nft', 'legacy'] as const) {
    for (const family of bothFamilies) {
      // Asking the legacy tool for a table would make it.
      if (variant === 'legacy' && !(await hasLegacyNat(family))) continue;
      const name = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}-save`;
      const { out } = await run(name, ['-t', 'nat']).catch(missingTool);
      if (/^:SLUICE-/mu.test(out))
        there.push({
          backend: 'iptables',
          variant,
          family,
          what: `chains of iptables-${variant} (${family})`,
        });
    }
  }
  return there;
}

/**
 * The tables that have sets, as all of ours do: `ip sluice` … For `list tables` nft reads every rule of every table
 * first, a second of work with 10,000 Services; for this it does not.
 */
async function tablesThere(run: RunTool): Promise<ReadonlySet<string>> {
  const { code, out, error } = await run('nft', ['-t', 'list', 'sets']);
  if (code !== 0) throw unreadable('nft list sets', error);
  return new Set(out.split('\n').flatMap((line) => /^table (\S+ \S+) \{$/u.exec(line)?.[1] ?? []));
}

async function hasLegacyNat(family: IpFamily): Promise<boolean> {
  try {
    const names = await readFile(`/proc/net/${family === 'IPv4' ? 'ip' : 'ip6'}_tables_names`, 'utf8');
    return names.split('\n').includes('nat');
  } catch {
    return false;
  }
}

/** What is not installed has written nothing. */
function missingTool(thrown: unknown): ToolResult {
  const error = asSluiceError(thrown);
  if (error.code !== 'ToolMissing') throw error;
  return { code: 0, out: '', error: '' };
}
