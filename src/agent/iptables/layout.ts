/**
 * The rules that do not depend on any Service: jumps, dispatch by ipsets, masquerading, refusals, forwarding.
 *
 * A packet that is for no Service pays two set look-ups in nat (and, where it opens a connection, two more in filter),
 * whatever the number of Services: the dispatch is only entered where an ipset knows the destination. Refusals are
 * set look-ups too, and only for connections that nobody has translated: what was sent to an endpoint whose address
 * happens to be a refused destination is let through.
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
  { table: 'nat', from: 'OUTPUT', rule: `-j ${chain.services}` },
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

/**
 * Options that hold for packets of pods (`not`: of everybody else), as [before the matches, among the matches]; undefined
 * where nobody is known to be a pod.
 */
export function podSource(
  family: IpFamily,
  source: LocalSource,
  not: boolean,
): readonly [string, string] | undefined {
  const no = not ? '! ' : '';
  switch (source.kind) {
    case 'none':
      return undefined;
    case 'interface':
      return [`${no}-i ${source.name}`, ''];
    case 'interface-prefix':
      return [`${no}-i ${source.prefix}+`, ''];
    case 'cidrs': {
      const [only, ...more] = source.cidrs;
      if (only === undefined) return undefined;
      return more.length === 0
        ? [anySource(only) ? '' : `${no}-s ${only}`, '']
        : ['', matchSet(family, 'PODS', 'src', not)];
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

/** Options by which a packet is for an address that node ports answer at. */
function atNode({ family, node }: Layout): readonly [string, string] {
  if (node.nodePortAddresses !== 'all') return ['', matchSet(family, 'NODE', 'dst')];
  const loopback = family === 'IPv4' ? '127.0.0.0/8' : '::1/128';
  return [node.localhostNodePorts ? '' : `! -d ${loopback}`, '-m addrtype --dst-type LOCAL'];
}

export function rejectWith(family: IpFamily): string {
  return `-j REJECT --reject-with ${family === 'IPv4' ? 'icmp' : 'icmp6'}-port-unreachable`;
}

/** Every chain whose rules follow from the node alone; `dispatch`, `nodePorts` and `drop` only have their beginning. */
export function nodeChains(layout: Layout): ReadonlyMap<string, { table: Table; rules: readonly string[] }> {
  const { family, node, abilities } = layout;
  const [where, whereMatch] = atNode(layout);
  const mark = bit(layout);
  const fresh = '-m conntrack --ctstate NEW';
  const translated = '-m conntrack --ctstate DNAT';
  const reject = rejectWith(family);
  const unreachable = rule(matchSet(family, 'CIP', 'dst'), reject);
  const hairpin = abilities.bpf
    ? `-m bpf --bytecode "${sameAddress(family)}"`
    : matchSet(family, 'LOOP', 'dst,dst,src');
  const nat: [string, string[]][] = [
    [
      chain.services,
      [
        rule(matchSet(family, 'DST', 'dst,dst'), `-g ${chain.dispatch}`),
        rule(where, matchSet(family, 'NP', 'dst,dst'), whereMatch, `-g ${chain.nodePorts}`),
      ],
    ],
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
        ...(node.dropInvalid ? ['-m conntrack --ctstate INVALID -j DROP'] : []),
        rule(fresh, `-j ${chain.filter}`),
        `-m mark --mark ${mark}/${mark} -j ACCEPT`,
        '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      ],
    ],
    [chain.output, [rule(fresh, `-g ${chain.filter}`)]],
    [
      chain.filter,
      [
        rule(translated, '-j RETURN'),
        rule(matchSet(family, 'DST', 'dst,dst'), `-g ${chain.refuse}`),
        rule(where, matchSet(family, 'NPD', 'dst,dst'), whereMatch, '-j DROP'),
        rule(where, matchSet(family, 'NPR', 'dst,dst'), whereMatch, reject),
        unreachable,
        ...node.serviceRanges.map((range) => rule(anySource(range) ? '' : `-d ${range}`, '-j DROP')),
      ],
    ],
    [
      chain.refuse,
      [
        rule(matchSet(family, 'DRP', 'dst,dst'), `-g ${chain.drop}`),
        rule(matchSet(family, 'REJ', 'dst,dst'), reject),
        // Between the end of a Service's rules and the end of its set entry, nothing of it goes out untranslated.
        unreachable,
      ],
    ],
    [chain.drop, []],
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
  if (others === undefined) return [];
  // A single range of length 0: everybody is a pod.
  if (others[0] === '' && others[1] === '') return [];
  return [rule(others[0], toClusterIP, others[1], setMark(layout))];
}

/** Entries of the sets that follow from the node alone. */
export function nodeMembers({ node }: Layout): readonly (readonly [SetName, string])[] {
  const addresses =
    node.nodePortAddresses === 'all'
      ? []
      : [...node.nodePortAddresses, ...(node.localhostNodePorts ? ['127.0.0.1'] : [])];
  const pods =
    node.localSource.kind === 'cidrs' && node.localSource.cidrs.length > 1 ? node.localSource.cidrs : [];
  return [
    ...[...new Set(addresses)].map((address) => ['NODE', address] as const),
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
