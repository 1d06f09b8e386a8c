/** What this machine allows without root: which addresses and ports laptop mode may use, and where it keeps its state. */
import { readFile } from 'node:fs/promises';
import { homedir, networkInterfaces } from 'node:os';
import { join } from 'node:path';

export interface Machine {
  /** Every address of 127.0.0.0/8 can be listened on. */
  readonly ownAddresses: boolean;
  readonly loopback6: boolean;
  /** Least port that this user may listen on. */
  readonly unprivilegedFrom: number;
}

const portStart = '/proc/sys/net/ipv4/ip_unprivileged_port_start';

export async function lookAtMachine(): Promise<Machine> {
  const loopback6 = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === '::1'),
  );
  return {
    // macOS has 127.0.0.1 alone; Linux (WSL2 included) and Windows have all of 127.0.0.0/8.
    ownAddresses: process.platform !== 'darwin',
    loopback6,
    unprivilegedFrom: await unprivilegedFrom(),
  };
}

async function unprivilegedFrom(): Promise<number> {
  if (process.platform === 'win32' || process.getuid?.() === 0) return 1;
  if (process.platform !== 'linux') return 1_024;
  try {
    return Number((await readFile(portStart, 'utf8')).trim()) || 1;
  } catch {
    // Kernels before 4.11.
    return 1_024;
  }
}

/** The folder of laptop mode's own files: the XDG state folder, or its counterpart. */
export function stateFolder(env: Readonly<Record<string, string | undefined>>): string {
  const chosen = env['SLUICE_STATE_DIR'] ?? '';
  if (chosen !== '') return chosen;
  const base =
    (process.platform === 'win32' ? env['LOCALAPPDATA'] : env['XDG_STATE_HOME']) ??
    join(homedir(), '.local', 'state');
  return join(base, 'sluice');
}

/** A text that changes when the machine is in another network. */
export function networkMark(): string {
  const names = Object.entries(networkInterfaces()).flatMap(([name, all]) =>
    (all ?? []).map(({ cidr }) => `${name} ${cidr ?? ''}`),
  );
  return names.toSorted((a, b) => (a < b ? -1 : 1)).join('\n');
}
