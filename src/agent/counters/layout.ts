/**
 * What is counted, and where: new connections of each Service, and those that are not served by reason, as counting
 * elements of an nft table of our own (pure).
 *
 * Nothing is decided here, and nothing here decides about a packet: the table stands a little before the rules that
 * serve, nftables or iptables, in a nat chain, which sees the first packet of a connection only. Its clauses come in the
 * order of the evaluator: addresses before node ports, source ranges, who may take the shortcut of policy Local, fate.
 *
 * A destination holds the number of its kind, which leads to a chain; what counts are elements of other sets. So a
 * Service that loses its last endpoint, or gets one, changes a number and no count, and endpoints do not occur here at
 * all. A counting element is made when its reason first applies, and stays for as long as its destination.
 */
import { SluiceError, unreachable } from '../../core/errors.ts';
import type { Decision, Fate, LocalSource, NodeDecision } from '../decision.ts';
import type { BaseChain, SetShape } from '../nftables/table.ts';
import {
  checkedAddress,
  checkedPort,
  disjointRanges,
  protocolNumbers,
  wordsOf,
  type Words,
} from '../nftables/words.ts';

/** Ours in both families, beside the table that serves. */
export const counterTable = 'sluice-counters';

/** Bytes cost every packet of every Service, connections only the first of each. */
export type CounterMode = 'connections' | 'bytes';

/** Why a connection was not served. */
export const dropReasons = ['NoEndpoints', 'NoLocalEndpoints', 'OutsideSourceRanges'] as const;
export type DropReason = (typeof dropReasons)[number];

export type Counted = 'connections' | DropReason | 'bytes-in' | 'bytes-out';

/** Destinations found by address or, node ports, by port alone: they have sets of their own. */
export type Place = 'address' | 'port';
const places: readonly Place[] = ['address', 'port'];

const setWords: Readonly<Record<Counted, string>> = {
  connections: 'connections',
  NoEndpoints: 'no-endpoints',
  NoLocalEndpoints: 'no-local-endpoints',
  OutsideSourceRanges: 'outside-ranges',
  'bytes-in': 'bytes-in',
  'bytes-out': 'bytes-out',
};

function prefixOf(place: Place): string {
  return place === 'address' ? '' : 'nodeport-';
}

export function countingSet(place: Place, counted: Counted): string {
  return `${prefixOf(place)}${setWords[counted]}`;
}

export function destinationMap(place: Place): string {
  return `${prefixOf(place)}destinations`;
}

export function rangeSet(place: Place): string {
  return `${prefixOf(place)}allowed`;
}

/** Every set that counts in this mode. */
export function countingSets(
  mode: CounterMode,
): readonly { readonly set: string; readonly place: Place; readonly counted: Counted }[] {
  const all: readonly Counted[] = [
    'connections',
    ...dropReasons,
    ...(mode === 'bytes' ? (['bytes-in', 'bytes-out'] as const) : []),
  ];
  return places.flatMap((place) =>
    all.map((counted) => ({ set: countingSet(place, counted), place, counted })),
  );
}

// ── kinds of destinations ──

const counting = ['connections', 'NoEndpoints', 'NoLocalEndpoints'] as const;
type Ending = (typeof counting)[number];

const endingOf: Readonly<Record<Fate['kind'], Ending>> = {
  balance: 'connections',
  reject: 'NoEndpoints',
  drop: 'NoLocalEndpoints',
};

/** How the connections to a destination are counted. */
interface Kind {
  readonly chain: string;
  /** As nft lists a traffic class. */
  readonly number: string;
  readonly place: Place;
  readonly guarded: boolean;
  /** What pods and processes of the node get, and everybody else. */
  readonly shortcut: Ending;
  readonly others: Ending;
}

/**
 * What differs between pods or processes of the node and everybody else: only that the former find endpoints elsewhere,
 * under policy Local on a node that has none. Any other pair of fates counts as that of everybody else.
 */
const pairs: readonly Pick<Kind, 'shortcut' | 'others'>[] = [
  ...counting.map((one) => ({ shortcut: one, others: one })),
  { shortcut: 'connections', others: 'NoLocalEndpoints' },
];

const kinds: readonly Kind[] = places
  .flatMap((place) => [false, true].flatMap((guarded) => pairs.map((pair) => ({ place, guarded, ...pair }))))
  .map((kind, index) => ({ ...kind, chain: chainName(kind), number: `0:${(index + 1).toString(16)}` }));

function chainName({ place, guarded, shortcut, others }: Omit<Kind, 'number' | 'chain'>): string {
  const end = shortcut === others ? setWords[others] : `${setWords[shortcut]}-else-${setWords[others]}`;
  return `${prefixOf(place)}${guarded ? 'guarded-' : ''}count-${end}`;
}

const kindsByName = new Map(kinds.map((kind) => [kind.chain, kind]));

function kindOf(place: Place, guarded: boolean, shortcut: Fate, others: Fate): Kind {
  const ending = endingOf[others.kind];
  const wanted = { place, guarded, shortcut: endingOf[shortcut.kind], others: ending };
  const kind =
    kindsByName.get(chainName(wanted)) ?? kindsByName.get(chainName({ ...wanted, shortcut: ending }));
  if (kind === undefined)
    throw new SluiceError('bug', `no chain counts ${chainName(wanted)}`, { code: 'NoSuchKind' });
  return kind;
}

// ── destinations ──

/** One destination of a decision, as elements. */
export interface Destination {
  readonly place: Place;
  /** Begins every element of it. */
  readonly key: string;
  /** Of its kind. */
  readonly number: string;
  /** What may be counted for it now. */
  readonly counts: readonly Counted[];
  /** Elements of the set of ranges. */
  readonly allowed: readonly string[];
}

/** @throws SluiceError `invalid` where a value of the decision cannot stand in a rule. */
export function destinationsOf(decision: Decision, mode: CounterMode): readonly Destination[] {
  const words = wordsOf(decision.family);
  const { clusterIP, externalIPs, balancerIPs, nodePort, internal, external, shortcut } = decision;
  const protocol = protocolNumbers[decision.protocol];
  const found = new Map<string, Destination>();
  const put = (place: Place, key: string, guarded: boolean, pods: Fate, others: Fate): void => {
    const id = `${place} ${key}`;
    if (found.has(id)) return;
    const kind = kindOf(place, guarded, pods, others);
    const counts = new Set<Counted>([kind.shortcut, kind.others]);
    if (guarded) counts.add('OutsideSourceRanges');
    if (mode === 'bytes') counts.add('bytes-in').add('bytes-out');
    const ranges = guarded ? disjointRanges(words, decision.sourceRanges ?? []) : [];
    const allowed = ranges.map((range) => `${key} . ${range}`);
    found.set(id, { place, key, number: kind.number, counts: [...counts], allowed });
  };
  const at = (address: string): string =>
    `${checkedAddress(words, address)} . ${protocol} . ${checkedPort(decision.port)}`;
  const ranges = decision.sourceRanges !== undefined;
  const everywhere = ranges && decision.guardEverything;
  const pods = shortcut ?? external;
  if (clusterIP !== undefined) put('address', at(clusterIP), false, internal, internal);
  for (const address of balancerIPs) put('address', at(address), ranges, pods, external);
  for (const address of externalIPs) put('address', at(address), everywhere, pods, external);
  if (nodePort !== 0) put('port', `${protocol} . ${checkedPort(nodePort)}`, everywhere, pods, external);
  return [...found.values()];
}

// ── the table ──

export interface CounterShape {
  readonly words: Words;
  readonly sets: readonly SetShape[];
  readonly chains: readonly BaseChain[];
}

/** The map from kinds to chains: its elements follow from nothing but this program. */
const kindMap = 'kinds';

export function counterShape(node: NodeDecision, mode: CounterMode): CounterShape {
  const words = wordsOf(node.family);
  return { words, sets: setShapes(node, words, mode), chains: chains(node, words, mode) };
}

function shape(
  kind: SetShape['kind'],
  name: string,
  lines: readonly string[],
  fixed?: readonly string[],
): SetShape {
  return { name, kind, lines, dynamic: false, fixed };
}

function setShapes(node: NodeDecision, words: Words, mode: CounterMode): SetShape[] {
  const { address } = words;
  const own = node.nodePortAddresses === 'all' ? [] : node.nodePortAddresses;
  const pods = node.localSource.kind === 'cidrs' ? node.localSource.cidrs : [];
  const key = (place: Place): string =>
    `${place === 'address' ? `${address} . ` : ''}inet_proto . inet_service`;
  return [
    shape(
      'map',
      kindMap,
      ['type classid : verdict'],
      kinds.map(({ number, chain }) => `${number} : goto ${chain}`),
    ),
    shape('set', 'pods', [`type ${address}`, 'flags interval'], disjointRanges(words, pods)),
    shape(
      'set',
      'nodeport-ips',
      [`type ${address}`],
      own.filter((one) => one !== '::1' && !one.startsWith('127.')).map((one) => checkedAddress(words, one)),
    ),
    ...places.flatMap((place) => [
      shape('map', destinationMap(place), [`type ${key(place)} : classid`]),
      shape('set', rangeSet(place), [`type ${key(place)} . ${address}`, 'flags interval']),
    ]),
    ...countingSets(mode).map(({ set, place }) => shape('set', set, [`type ${key(place)}`, 'counter'])),
  ];
}

/**
 * The chains. A packet that came by a destination of ours leaves with its priority cleared, as it does behind the rules
 * that serve; all others keep theirs.
 */
function chains(node: NodeDecision, words: Words, mode: CounterMode): BaseChain[] {
  const { header, loopback } = words;
  const key = (place: Place): string =>
    `${place === 'address' ? `${header} daddr . ` : ''}meta l4proto . th dport`;
  const find = (where: string, place: Place): string =>
    `${where}meta priority set ${key(place)} map @${destinationMap(place)} goto kind`;
  const atNode =
    node.nodePortAddresses === 'all'
      ? `${header} daddr != ${loopback} fib daddr type local `
      : `${header} daddr @nodeport-ips `;
  const end = 'meta priority set none accept';
  const pods = podMatch(node.localSource);
  const kindChains = kinds.map(({ chain, place, guarded, shortcut, others }): BaseChain => {
    const count = (counted: Counted): string => `${key(place)} @${countingSet(place, counted)} ${end}`;
    const guard = `${key(place)} . ${header} saddr != @${rangeSet(place)} ${count('OutsideSourceRanges')}`;
    const local = shortcut === others ? [] : [...(pods === undefined ? [] : [pods]), 'fib saddr type local'];
    return {
      name: chain,
      hook: undefined,
      rules: [
        ...(guarded ? [guard] : []),
        ...local.map((who) => `${who} ${count(shortcut)}`.replace(/^ip6? /, `${header} `)),
        count(others),
        end,
      ],
    };
  });
  const localhost =
    node.localhostNodePorts && node.family === 'IPv4' ? [find(`${header} daddr ${loopback} `, 'port')] : [];
  return [
    ...kindChains,
    { name: 'kind', hook: undefined, rules: [`meta priority vmap @${kindMap}`, 'meta priority set none'] },
    { name: 'count', hook: undefined, rules: [find('', 'address'), find(atNode, 'port')] },
    { name: 'count-processes', hook: undefined, rules: ['jump count', ...localhost] },
    // Asking for the state has the kernel track connections, without which no nat chain is asked.
    hooked('prerouting', 'nat', 'prerouting', -106, ['ct state new jump count']),
    hooked('output', 'nat', 'output', -106, ['ct state new goto count-processes']),
    ...(mode === 'bytes' ? byteChains(words, atNode) : []),
  ];

  function podMatch(source: LocalSource): string | undefined {
    switch (source.kind) {
      case 'cidrs':
        return `${header} saddr @pods`;
      case 'interface':
        return `iifname ${JSON.stringify(source.name)}`;
      case 'interface-prefix':
        return `iifname ${JSON.stringify(`${source.prefix}*`)}`;
      case 'none':
        return undefined;
      default:
        return unreachable(source);
    }
  }
}

/**
 * Every packet of a Service: on its way there before it is translated, on its way back once that has been undone. What
 * goes through the loopback interface is seen once, where it leaves.
 */
function byteChains({ header }: Words, atNode: string): BaseChain[] {
  const inwards = `meta l4proto . th dport @${countingSet('port', 'bytes-in')}`;
  const back = `meta l4proto . th sport @${countingSet('port', 'bytes-out')}`;
  const toUs = [
    `${header} daddr . meta l4proto . th dport @${countingSet('address', 'bytes-in')} accept`,
    `${atNode}${inwards}`,
  ];
  const ofUs = [
    `${header} saddr . meta l4proto . th sport @${countingSet('address', 'bytes-out')} accept`,
    `${atNode.replaceAll('daddr', 'saddr')}${back}`,
  ];
  const home = 'ct direction reply ct status dnat goto bytes-back';
  return [
    { name: 'bytes-there', hook: undefined, rules: toUs },
    {
      name: 'bytes-known',
      hook: undefined,
      // Nothing else is looked up: neither connections of no Service nor their packets.
      rules: ['ct direction original ct status dnat goto bytes-there', 'ct state new goto bytes-there'],
    },
    { name: 'bytes-back', hook: undefined, rules: ofUs },
    hooked('bytes-prerouting', 'filter', 'prerouting', -150, ['iifname != "lo" goto bytes-known']),
    hooked('bytes-output', 'filter', 'output', -150, ['goto bytes-known']),
    hooked('bytes-input', 'filter', 'input', 150, [`iifname != "lo" ${home}`]),
    hooked('bytes-postrouting', 'filter', 'postrouting', 150, [home]),
  ];
}

function hooked(
  name: string,
  type: 'nat' | 'filter',
  at: string,
  priority: number,
  rules: readonly string[],
): BaseChain {
  return { name, hook: `type ${type} hook ${at} priority ${priority}; policy accept;`, rules };
}
