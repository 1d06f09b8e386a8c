/**
 * Of the rules that serve a Service port, those that one packet meets (pure): its destination's entry, then chain by
 * chain what that leads to, by the branch that the evaluator took.
 *
 * It reads the texts that the backends describe themselves with. What it does not know it leaves in.
 */
import type { Branch } from '../evaluate.ts';
import type { Packet } from '../packet.ts';

export interface Met {
  readonly packet: Packet;
  readonly branch: Branch;
  readonly byNodePort: boolean;
}

const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;

export function relevantRules(
  backend: 'nftables' | 'iptables',
  described: readonly string[],
  met: Met,
): readonly string[] {
  return backend === 'nftables' ? nftables(described, met) : iptables(described, met);
}

/** Rules of no Service in particular: the one that refuses an undefined port, or drops an address that nobody has. */
export function generalRules(
  backend: 'nftables' | 'iptables',
  written: string,
  { packet, branch }: Pick<Met, 'packet' | 'branch'>,
): readonly string[] {
  const process = packet.from.kind === 'process';
  const lines = written.split('\n');
  if (backend === 'nftables') {
    const set = branch === 'undefined-port' ? 'cluster-ips' : 'service-ranges';
    const rule = lines.filter(
      (line) => line.includes(`daddr @${set} `) && line.includes('fib daddr type') !== process,
    );
    const header = packet.family === 'IPv4' ? 'ip' : 'ip6';
    const elements = lines.filter((line) => line.startsWith(`add element ${header} sluice ${set} `));
    const table = `rule ${header} sluice ${process ? 'output' : 'prerouting'}`;
    return [
      ...elements.map((line) => line.slice('add '.length)),
      ...rule.map((line) => `${table} ${line.trim()}`),
    ];
  }
  const ours = `add SLUICE-${packet.family === 'IPv4' ? 4 : 6}-OUR ${packet.destination}`;
  const wanted =
    branch === 'undefined-port'
      ? /^-A SLUICE-UNKNOWN .*-CIP dst|^add SLUICE-\d-CIP /
      : unallocated(lines.includes(ours), process);
  return lines.filter((line) => wanted.test(line));
}

/** Where the iptables backend drops what is sent to an address of a service range: another rule for each way there. */
function unallocated(ours: boolean, process: boolean): RegExp {
  // Another port of it is somebody's.
  if (ours) return /^-A SLUICE-UNKNOWN (?:-d \S+ )?-j DROP/;
  return process
    ? /^-A SLUICE-OUTPUT (?:-d \S+ )?-j DROP/
    : /^-A SLUICE-FORWARD .*! --match-set SLUICE-\d-OUR dst .*-j DROP/;
}

interface NftElement {
  readonly line: string;
  readonly set: string;
  readonly key: string;
  readonly value: string;
}

function nftables(described: readonly string[], { packet, branch, byNodePort }: Met): readonly string[] {
  const key = `${byNodePort ? '' : `${packet.destination} . `}${protocolNumbers[packet.protocol]} . ${packet.port}`;
  const chains = chainsOf(described, /^rule \S+ \S+ (\S+) (.*)$/u);
  const kept: string[] = [];
  const elements: NftElement[] = [];
  for (const line of described) {
    const parts = /^element \S+ \S+ (\S+) \{ (.*?)(?: : (.*))? \}$/u.exec(line);
    if (parts === null) continue;
    const [, set = '', at = '', value = ''] = parts;
    elements.push({ line, set, key: at, value });
  }
  const entry = elements.find(
    (one) => one.key === key && one.set === (byNodePort ? 'service-nodeports' : 'service-ips'),
  );
  if (entry === undefined) return described;
  kept.push(entry.line);
  // The destination holds the number of a shape, and the shape leads to a chain.
  const shape = elements.find((one) => one.set === 'shapes' && one.key === entry.value);
  if (shape !== undefined) kept.push(shape.line);
  const path = follow(chains, targetOf((shape ?? entry).value), branch);
  const rules = path.flatMap(({ lines }) => lines.map(({ line }) => line));
  // A chain names the maps that it asks.
  const named = new Set(
    rules.flatMap((line) => [...line.matchAll(/@([\w-]+)/gu)].map(([, name = '']) => name)),
  );
  for (const { line, set, key: at } of elements) {
    if (named.has(set) && at.startsWith(`${key} . `)) kept.push(line);
  }
  return [...kept, ...rules];
}

function iptables(described: readonly string[], { packet, branch, byNodePort }: Met): readonly string[] {
  const protocol = packet.protocol.toLowerCase();
  const chains = chainsOf(described, /^-A (\S+) (.*)$/u);
  const entry = described.filter((line) =>
    byNodePort
      ? line.startsWith('-A SLUICE-NP') &&
        line.includes(`-p ${protocol} `) &&
        line.includes(`--dport ${packet.port} `)
      : new RegExp(
          `-d ${escaped(packet.destination)}/\\d+ -p ${protocol} .*--dport ${packet.port} `,
          'u',
        ).test(line),
  );
  const members = described.filter((line) =>
    byNodePort
      ? line.startsWith('add ') && line.endsWith(`,${protocol}:${packet.port}`) && / SLUICE-\d-N/u.test(line)
      : line.startsWith('add ') && line.includes(` ${packet.destination},${protocol}:${packet.port}`),
  );
  if (entry.length === 0 && members.length === 0) return described;
  const rules = entry.flatMap((line) =>
    follow(chains, targetOf(line), branch).flatMap(({ lines }) => lines.map((one) => one.line)),
  );
  return [...members, ...entry, ...new Set(rules)];
}

interface Chain {
  readonly lines: readonly { readonly line: string; readonly rule: string }[];
}

function chainsOf(described: readonly string[], form: RegExp): ReadonlyMap<string, Chain> {
  const chains = new Map<string, { lines: { line: string; rule: string }[] }>();
  for (const line of described) {
    const [, name, rule = ''] = form.exec(line) ?? [];
    if (name === undefined) continue;
    const held = chains.get(name);
    if (held === undefined) chains.set(name, { lines: [{ line, rule }] });
    else held.lines.push({ line, rule });
  }
  return chains;
}

/** The chains from one on, each once; where a chain tells pods, processes and others apart, only the branch's way. */
function follow(
  chains: ReadonlyMap<string, Chain>,
  from: string | undefined,
  branch: Branch,
  seen: ReadonlySet<string> = new Set(),
): readonly Chain[] {
  const chain = from === undefined || seen.has(from) ? undefined : chains.get(from);
  if (from === undefined || chain === undefined) return [];
  const known = new Set([...seen, from]);
  // Who is outside the ranges goes no further.
  if (branch === 'guard') return [chain];
  const jumps = chain.lines
    .map(({ rule }) => ({ rule, to: targetOf(rule) }))
    .filter(({ to }) => to !== undefined && chains.has(to));
  const process = jumps.filter(({ rule }) => /fib saddr type local|--src-type LOCAL/u.test(rule));
  const ways =
    process.length === 0
      ? jumps
      : branch === 'local-process'
        ? process
        : branch === 'local-pod'
          ? jumps.slice(0, 1)
          : jumps.slice(-1);
  return [chain, ...ways.flatMap(({ to }) => follow(chains, to, branch, known))];
}

function targetOf(rule: string): string | undefined {
  return /(?:^|\s)(?:goto|jump|-g|-j) (\S+)/u.exec(rule)?.[1];
}

function escaped(text: string): string {
  return text.replaceAll('.', '\\.');
}
