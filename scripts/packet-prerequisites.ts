/**
 * What the packet tests need beyond Node: root on Linux, the tools of the network, a few parts of the kernel, Go for
 * their own program, and the programs of the control plane with kube-proxy.
 *
 * Missing Debian packages are installed where that can be done (root, apt-get); everything else that is missing is
 * named with its cure. Parts of the kernel are tried out in a network namespace that is removed again.
 */
import { findBinaries } from '../src/sandbox/binaries.ts';
import { bedProgram } from '../src/sandbox/bed-program.ts';
import { newNames } from '../src/sandbox/bed/names.ts';
import { isProgram } from '../src/agent/tool.ts';
import { withSystemFolders } from '../src/sandbox/tools.ts';
import type { Found } from './prerequisites.ts';
import { run, type Run } from './run.ts';

/** Debian's package of each tool. */
export const toolPackages: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  nft: 'nftables',
  iptables: 'iptables',
  ip6tables: 'iptables',
  'iptables-legacy': 'iptables',
  ipset: 'ipset',
  conntrack: 'conntrack',
};

const aptLimitMs = 5 * 60_000;
const probeLimitMs = 20_000;

interface KernelPart {
  /** What people know it by, and the modules that hold it. */
  readonly name: string;
  readonly args: readonly string[];
}

/** Each tried in a namespace of its own making, in this order. */
const kernelParts: readonly KernelPart[] = [
  { name: 'bridges (module bridge)', args: ['ip', 'link', 'add', 'br0', 'type', 'bridge'] },
  {
    name: 'pairs of interfaces (module veth)',
    args: 'ip link add v0 type veth peer name v1'.split(' '),
  },
  {
    name: 'VXLAN (module vxlan)',
    args: ['ip', 'link', 'add', 'x0', 'type', 'vxlan', 'id', '1', 'dstport', '8472', 'dev', 'v0'],
  },
  { name: 'nftables (modules nf_tables, nft_nat)', args: ['nft', 'add', 'table', 'inet', 'probe'] },
  {
    name: 'NAT in nftables (modules nf_nat, nft_chain_nat)',
    args: 'nft add chain inet probe nat { type nat hook prerouting priority -100 ; }'.split(' '),
  },
  {
    name: 'iptables on nftables (module nft_compat)',
    args: 'iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j RETURN'.split(' '),
  },
  {
    name: 'ip6tables (module nft_compat)',
    args: 'ip6tables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j RETURN'.split(' '),
  },
  { name: 'ipset (modules ip_set, ip_set_hash_ipport)', args: 'ipset create probe hash:ip,port'.split(' ') },
  { name: 'connection tracking (module nf_conntrack_netlink)', args: ['conntrack', '-L'] },
  {
    name: 'firewalling of bridges (module br_netfilter)',
    args: ['test', '-e', '/proc/sys/net/bridge/bridge-nf-call-iptables'],
  },
];

/** Everything that the stage `packets` needs. */
export async function packetBed(): Promise<Found> {
  if (process.platform !== 'linux') {
    return missing(`they need Linux (network namespaces), and this is ${process.platform}`);
  }
  if (process.getuid?.() !== 0)
    return missing('they need root, for network namespaces: run npm test with sudo');
  const path = withSystemFolders(process.env['PATH'] ?? '');
  process.env['PATH'] = path;
  const trouble = (await tools(path)) ?? (await kernel());
  if (trouble !== undefined) return missing(trouble);
  try {
    await bedProgram();
    await findBinaries(['etcd', 'kube-apiserver', 'kube-proxy'], {
      progress: (line) => console.log(`packets    ${line}`),
    });
  } catch (error) {
    return missing(error instanceof Error ? error.message : String(error));
  }
  return { kind: 'ready', env: { PATH: path } };
}

function missing(why: string): Found {
  return { kind: 'missing', message: `the packet tests cannot run: ${why}` };
}

/** What is wrong with the tools after everything was tried, in words. */
async function tools(path: string): Promise<string | undefined> {
  const absent = absentTools(path);
  if (absent.length === 0) return undefined;
  const packages = packagesOf(absent);
  const named = `${absent.join(', ')} (Debian: apt-get install ${packages.join(' ')})`;
  if (!isProgram('apt-get', path)) return `missing ${named}`;
  console.log(`packets    installing ${packages.join(', ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const updated = await run('apt-get', ['update', '-q'], { limitMs: aptLimitMs, env });
  const args = ['install', '-q', '-y', '--no-install-recommends', ...packages];
  const installed = await run('apt-get', args, { limitMs: aptLimitMs, env });
  const still = absentTools(path);
  if (still.length === 0) return undefined;
  return `missing ${named}; installing failed: ${lastLines(updated.code === 0 ? installed : updated)}`;
}

/** Tools that are in none of the folders of `path`. */
export function absentTools(path: string): string[] {
  return Object.keys(toolPackages).filter((tool) => !isProgram(tool, path));
}

/** The packages of tools, each once, in order. */
export function packagesOf(absent: readonly string[]): string[] {
  return [...new Set(absent.flatMap((tool) => toolPackages[tool] ?? []))].toSorted();
}

/** What the kernel lacks, in words. */
async function kernel(): Promise<string | undefined> {
  const name = newNames()('probe');
  const made = await run('ip', ['netns', 'add', name], { limitMs: probeLimitMs });
  if (made.code !== 0) return `network namespaces cannot be made here: ${lastLines(made)}`;
  try {
    const lacking: string[] = [];
    for (const part of kernelParts) {
      const tried = await run('ip', ['netns', 'exec', name, ...part.args], { limitMs: probeLimitMs });
      if (tried.code !== 0) lacking.push(`${part.name}: ${lastLines(tried)}`);
    }
    if (lacking.length === 0) return undefined;
    return `the kernel lacks ${lacking.join('; ')}. Load the modules (modprobe), or use a kernel that has them`;
  } finally {
    await run('ip', ['netns', 'del', name], { limitMs: probeLimitMs });
  }
}

function lastLines({ output }: Run): string {
  return output.trim().split('\n').slice(-2).join(' ');
}
