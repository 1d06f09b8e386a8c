/**
 * The rules that do not depend on any Service: jumps, dispatch by ipsets, masquerading, refusals, forwarding.
 *
 * A packet that opens a connection and is for no Service pays one set look-up in nat and one in filter, whatever the
 * number of Services: is its address one of ours at all? Other packets that are forwarded pay none. Set look-ups and
 * matches of connection tracking are what costs, a tenth of a microsecond or two each. The dispatch is only entered
 * where an ipset knows the destination. Refusals are set look-ups too, and only for connections that nobody has
 * translated: what was sent to an endpoint whose address happens to be a refused destination is let through.
 */
import type { IpFamily } from '../../core/objects.ts';
import type { LocalSource, NodeDecision } from '../decision.ts';
import { sameAddress } from './bytecode.ts';
import { chain, fullSetName, type SetName } from './names.ts';

export type Table = 'nat' | 'filter';

/** What the tools and the kernel can do, found out once. */
export interface Abilities {
  /** `MASQUERADE --random-fully` (iptables 1.6.2). */
  readonly randomFully: boolean;
  /** The `bpf` match: hairpin without a set, and balancing by a hash. */
  readonly bpf: boolean;
}

export interface Layout {
  readonly family: IpFamily;
  readonly node: NodeDecision;
  readonly abilities: Abilities;
}

/** A jump from a chain of the kernel's into one of ours. */
export interface Jump {
  readonly table: Table;
  readonly from: string;
  /** Everything after `-A FROM `. */
  readonly rule: string;
}

export const jumps: readonly Jump[] = [
  { table: 'nat', from: 'PREROUTING', rule: `-j ${chain.services}` },
  { table: 'nat', from: 'OUTPUT', rule: `-j ${chain.processes}` },
  { table: 'nat', from: 'POSTROUTING', rule: `-j ${chain.postrouting}` },
  { table: 'filter', from: 'INPUT', rule: `-j ${chain.input}` },
  { table: 'filter', from: 'FORWARD', rule: `-j ${chain.forward}` },
  { table: 'filter', from: 'OUTPUT', rule: `-j ${chain.output}` },
];

/** `-m set --match-set NAME FIELDS`, negated where asked. */
export function matchSet(family: IpFamily, name: SetName, fields: string, not = false): string {
  return `-m set ${not ? '! ' : ''}--match-set ${fullSetName(family, name)} ${fields}`;
}

function bit({ node }: Layout): string {
  return `0x${(2 ** node.markBit).toString(16)}`;
}

/** Asks for masquerading: the bit is set, the others stay. */
export function setMark(layout: Layout): string {
  return `-j MARK --or-mark ${bit(layout)}`;
}

/** How rules tell pods (or everybody but pods) by their packets. */
export type SourceMatch =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'everybody' }
  /** Options before the destination's (`-s`), after it (`-i`), and among the matches. */
  | { readonly kind: 'some'; readonly source: string; readonly way: string; readonly match: string };

function some(part: Partial<Record<'source' | 'way' | 'match', string>>): SourceMatch {
  return { kind: 'some', source: '', way: '', match: '', ...part };
}

export function podSource(family: IpFamily, source: LocalSource, not = false): SourceMatch {
  const no = not ? '! ' : '';
  switch (source.kind) {
    case 'none':
      return { kind: not ? 'everybody' : 'nobody' };
    case 'interface':
      return some({ way: `${no}-i ${source.name}` });
    case 'interface-prefix':
      return some({ way: `${no}-i ${source.prefix}+` });
    case 'cidrs': {
      const [only, ...more] = source.cidrs;
      if (only === undefined) return { kind: not ? 'everybody' : 'nobody' };
      if (source.cidrs.some(anySource)) return { kind: not ? 'nobody' : 'everybody' };
      return more.length === 0
        ? some({ source: `${no}-s ${only}` })
        : some({ match: matchSet(family, 'PODS', 'src', not) });
    }
  }
}

function anySource(range: string): boolean {
  return range.endsWith('/0');
}

/** Joins parts of a rule, leaving out the empty ones. */
export function rule(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}

/** Addresses at which node ports answer from outside, where it is not all. */
function nodeAddresses({ nodePortAddresses }: NodeDecision): readonly string[] {
  if (nodePortAddresses === 'all') return [];
  const outside = nodePortAddresses.filter((address) => address !== '::1' && !address.startsWith('127.'));
  return [...new Set(outside)];
}

/** A rule for packets to a port in a set, at the addresses where node ports answer from outside. */
function atNode({ family, node }: Layout): (name: SetName, action: string) => string {
  return (name, action) => {
    const port = matchSet(family, name, 'dst,dst');
    // Only packets to the node itself and to our addresses come here, so the port says more than the address.
    if (node.nodePortAddresses !== 'all') return rule(port, matchSet(family, 'NODE', 'dst'), action);
    const loopback = family === 'IPv4' ? '127.0.0.0/8' : '::1/128';
    return rule(`! -d ${loopback}`, port, '-m addrtype --dst-type LOCAL', action);
  };
}

export function rejectWith(family: IpFamily): string {
  return `-j REJECT --reject-with ${family === 'IPv4' ? 'icmp' : 'icmp6'}-port-unreachable`;
}

/** Everything that connection tracking may say of a packet but that it opens a connection and nobody translated it. */
const notFresh = 'INVALID,RELATED,ESTABLISHED,UNTRACKED,DNAT';

/** Every chain whose rules follow from the node alone; dispatch and drops only have their beginning. */
export function nodeChains(layout: Layout): ReadonlyMap<string, { table: Table; rules: readonly string[] }> {
  const { family, node, abilities } = layout;
  const nodePort = atNode(layout);
  const mark = bit(layout);
  // One match for two questions: a packet that opens a connection, which no rule has translated; and every other one.
  const fresh = `-m conntrack ! --ctstate ${notFresh}`;
  const other = `-m conntrack --ctstate ${notFresh}`;
  const translated = '-m conntrack --ctstate DNAT';
  const reject = rejectWith(family);
  const ours = matchSet(family, 'OUR', 'dst');
  const notOurs = matchSet(family, 'OUR', 'dst', true);
  const closed = rule(matchSet(family, 'CIP', 'dst'), reject);
  const unallocated = (match: string): string[] =>
    node.serviceRanges.map((range) => rule(anySource(range) ? '' : `-d ${range}`, match, '-j DROP'));
  const hairpin = abilities.bpf
    ? `-m bpf --bytecode "${sameAddress(family)}"`
    : matchSet(family, 'LOOP', 'dst,dst,src');
  const loopback = (name: SetName, action: string): string[] =>
    node.localhostNodePorts ? [rule('-d 127.0.0.0/8', matchSet(family, name, 'dst,dst'), action)] : [];
  const anyLocal = node.nodePortAddresses === 'all';
  // Of addresses that are not among ours: all local ones, and the loopback's.
  const elsewhere = (name: SetName, action: string): string[] => [
    ...loopback(name, action),
    ...(anyLocal ? [nodePort(name, action)] : []),
  ];
  const refusedPorts = [...elsewhere('NPD', `-g ${chain.dropPorts}`), ...elsewhere('NPR', reject)];
  const nat: [string, string[]][] = [
    [
      chain.services,
      [
        ...(anyLocal ? [] : [rule(notOurs, '-j RETURN')]),
        rule(anyLocal ? ours : '', matchSet(family, 'DST', 'dst,dst'), `-g ${chain.dispatch}`),
        nodePort('NP', `-g ${chain.nodePorts}`),
      ],
    ],
    // From outside, a packet to a loopback address is a martian; only the node's own processes have node ports there.
    [chain.processes, [...loopback('NP', `-g ${chain.nodePorts}`), `-g ${chain.services}`]],
    [chain.dispatch, clusterMasquerade(layout)],
    [chain.nodePorts, []],
    [
      chain.postrouting,
      [
        rule(translated, hairpin, setMark(layout)),
        `-m mark ! --mark ${mark}/${mark} -j RETURN`,
        `-j MARK --xor-mark ${mark}`,
        rule('-j MASQUERADE', abilities.randomFully ? '--random-fully' : ''),
      ],
    ],
  ];
  const filter: [string, string[]][] = [
    [
      chain.input,
      [
        rule(matchSet(family, 'HC', 'dst,dst'), '-j ACCEPT'),
        ...(node.localhostNodePorts
          ? // Without it, route_localnet would open the node's loopback to its neighbours (CVE-2020-8558).
            ['! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP']
          : []),
        rule(fresh, `-g ${chain.filter}`),
      ],
    ],
    [
      chain.forward,
      [
        // First, because it is all that most packets of a node meet.
        '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        ...(node.dropInvalid ? ['-m conntrack --ctstate INVALID -j DROP'] : []),
        rule(ours, `-j ${chain.unknown}`),
        ...unallocated(rule(notOurs, fresh)),
        `-m mark --mark ${mark}/${mark} -j ACCEPT`,
      ],
    ],
    [
      chain.output,
      [rule(other, '-j RETURN'), rule(ours, `-g ${chain.unknown}`), ...refusedPorts, ...unallocated('')],
    ],
    [
      chain.filter,
      [
        rule(matchSet(family, 'DST', 'dst,dst'), `-g ${chain.refuse}`),
        nodePort('NPD', `-g ${chain.dropPorts}`),
        nodePort('NPR', reject),
      ],
    ],
    // For addresses of ours. Not on INPUT: what listens on the node itself, say a DNS cache at a cluster IP, is let alone.
    [
      chain.unknown,
      [
        rule(other, '-j RETURN'),
        rule(matchSet(family, 'DST', 'dst,dst'), `-g ${chain.refuse}`),
        ...loopback('NPD', `-g ${chain.dropPorts}`),
        ...loopback('NPR', reject),
        nodePort('NPD', `-g ${chain.dropPorts}`),
        nodePort('NPR', reject),
        closed,
        ...unallocated(''),
      ],
    ],
    [
      chain.refuse,
      [
        rule(matchSet(family, 'DRP', 'dst,dst'), `-g ${chain.drop}`),
        rule(matchSet(family, 'REJ', 'dst,dst'), reject),
        // Between the end of a Service's rules and the end of its set entry, nothing of it goes out untranslated.
        closed,
      ],
    ],
    [chain.drop, []],
    [chain.dropPorts, []],
  ];
  const chains = new Map<string, { table: Table; rules: readonly string[] }>();
  for (const [name, rules] of nat) chains.set(name, { table: 'nat', rules });
  for (const [name, rules] of filter) chains.set(name, { table: 'filter', rules });
  return chains;
}

/** Connections to a cluster IP whose source is not known to be a pod get the node's address. */
function clusterMasquerade(layout: Layout): string[] {
  const { family, node } = layout;
  const toClusterIP = matchSet(family, 'CIP', 'dst');
  if (node.masqueradeAll) return [rule(toClusterIP, setMark(layout))];
  const others = podSource(family, node.localSource, true);
  // Where nobody can be told to be a pod, nobody can be told to be none.
  if (node.localSource.kind === 'none' || others.kind === 'nobody') return [];
  if (others.kind === 'everybody') return [rule(toClusterIP, setMark(layout))];
  return [rule(others.source, others.way, toClusterIP, others.match, setMark(layout))];
}

/** Entries of the sets that follow from the node alone. */
export function nodeMembers({ node }: Layout): readonly (readonly [SetName, string])[] {
  const addresses = nodeAddresses(node);
  const pods =
    node.localSource.kind === 'cidrs' && node.localSource.cidrs.length > 1 ? node.localSource.cidrs : [];
  return [
    ...addresses.map((address) => ['OUR', address] as const),
    ...addresses.map((address) => ['NODE', address] as const),
    ...halved(node.family, pods).map((range) => ['PODS', range] as const),
  ];
}

/** Ranges as the set types take them: a range of everything in two halves, a single address without its length. */
function halved(family: IpFamily, ranges: readonly string[]): readonly string[] {
  const halves = family === 'IPv4' ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1'];
  const single = family === 'IPv4' ? '/32' : '/128';
  const entries = ranges.flatMap((range) => (anySource(range) ? halves : [range.replace(single, '')]));
  return [...new Set(entries)].toSorted();
}
