/**
 * The fixed part of our table: its maps and sets, and the chains that are hooked into the kernel. It depends on the
 * node's settings alone.
 *
 * Everything happens in nat chains, which see the first packet of a connection only, so established traffic pays
 * nothing. The translation stands a little before the usual place (−100), so that where another program translates the
 * same destination (a host port of the CNI), ours wins and the other never sees it.
 */
import type { NodeDecision } from '../decision.ts';
import {
  clientMap,
  destinationKey,
  dispatchMaps,
  gotoText,
  guardSet,
  markText,
  refuse,
  rowMaps,
  shapeMap,
} from './chains.ts';
import type { List, Place } from './chains.ts';
import { digitSet, sameAddressMatches, sameDigits } from './hairpin.ts';
import { markSet } from './marks.ts';
import { checkedAddress, disjointRanges, wordsOf, type Words } from './words.ts';

export interface SetShape {
  readonly name: string;
  readonly kind: 'map' | 'set';
  /** Lines inside the braces but for the elements, as nft lists them. */
  readonly lines: readonly string[];
  /** The kernel fills it from packets, or every write does: its elements are not compared. */
  readonly dynamic: boolean;
  /** Elements that follow from the node's settings. */
  readonly fixed: readonly string[] | undefined;
}

export interface BaseChain {
  readonly name: string;
  /** The hook line; undefined for a chain that is only jumped to. */
  readonly hook: string | undefined;
  readonly rules: readonly string[];
}

export interface TableShape {
  readonly words: Words;
  readonly sets: readonly SetShape[];
  readonly chains: readonly BaseChain[];
}

/** What a kernel's nft may lack, found by probing. */
export interface Features {
  /** `masquerade fully-random`: source ports drawn at random, so that two flows rarely race for one. */
  readonly fullyRandom: boolean;
}

export const allFeatures: Features = { fullyRandom: true };

/** Clients remembered at most, for all Services with affinity together: 20 MB of kernel memory when full. */
const mostClients = 131_072;

const places: readonly Place[] = ['address', 'port'];
const lists: readonly List[] = ['cluster', 'local'];

export function tableShape(node: NodeDecision, features: Features): TableShape {
  const words = wordsOf(node.family);
  return { words, sets: setShapes(node, words), chains: baseChains(node, words, features) };
}

function setShapes(node: NodeDecision, words: Words): SetShape[] {
  const { address } = words;
  const pods = node.localSource.kind === 'cidrs' ? node.localSource.cidrs : [];
  const nodePortIPs = node.nodePortAddresses === 'all' ? [] : node.nodePortAddresses;
  return [
    map(dispatchMaps.address, `type ${address} . inet_proto . inet_service : classid`),
    map(dispatchMaps.port, 'type inet_proto . inet_service : classid'),
    map(shapeMap, 'type classid : verdict'),
    { ...set(markSet, 'classid'), dynamic: true },
    set('cluster-ips', address),
    set(digitSet, `${address} . ${address}`, sameDigits(words), false),
    set('pods', address, disjointRanges(words, pods)),
    set('service-ranges', address, disjointRanges(words, node.serviceRanges)),
    set(
      'nodeport-ips',
      address,
      nodePortIPs.filter((ip) => !isLoopback(ip)).map((ip) => checkedAddress(words, ip)),
      false,
    ),
    set(guardSet('address'), `${address} . inet_proto . inet_service . ${address}`, undefined, true),
    set(guardSet('port'), `inet_proto . inet_service . ${address}`, undefined, true),
    ...places.flatMap((place) => {
      const key = `${place === 'address' ? `${address} . ` : ''}inet_proto . inet_service`;
      return lists.flatMap((list) => {
        const { rows, draws, slots } = rowMaps(place, list);
        return [
          map(rows, `type ${key} . classid : ${address} . inet_service`),
          map(draws, `type ${key} . classid : classid`),
          map(slots, `type ${key} . classid : ${address} . inet_service`),
        ];
      });
    }),
    {
      ...map(
        clientMap,
        words.family === 'IPv4'
          ? `type ${address} . classid : classid`
          : 'typeof numgen random mod 2 : meta priority',
        `size ${mostClients}`,
        'flags dynamic,timeout',
      ),
      dynamic: true,
    },
  ];
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function baseChains(node: NodeDecision, words: Words, { fullyRandom }: Features): BaseChain[] {
  const { header, loopback } = words;
  const mark = markText(node.markBit);
  const masquerade = fullyRandom ? 'masquerade fully-random' : 'masquerade';
  const refused = gotoText(refuse);
  const [reachedItself = '', ...further] = sameAddressMatches(words);
  const ways = further.map((_, index) => `reached-itself-${index + 1}`);
  const ranges = node.serviceRanges.length > 0;
  const then = (index: number): string => {
    const name = ways[index];
    return name === undefined ? masquerade : gotoText({ name });
  };
  const dispatch = (where: string, place: Place): string =>
    `${where}meta priority set ${destinationKey(words, place)} map @${dispatchMaps[place]} goto dispatch`;
  // Rule N2: addresses first, so that an external IP at the node's own address wins over a node port.
  const services = [
    dispatch('', 'address'),
    node.nodePortAddresses === 'all'
      ? dispatch(`${header} daddr != ${loopback} fib daddr type local `, 'port')
      : dispatch(`${header} daddr @nodeport-ips `, 'port'),
  ];
  // Rule C3. What comes in for an address of the node itself is the node's to answer, whoever gave it that address.
  const undefinedPorts = (where: string): string[] => [
    `${header} daddr @cluster-ips ${where}${refused}`,
    ...(ranges ? [`${header} daddr @service-ranges ${where}drop`] : []),
  ];
  return [
    // Deepest first: a chain must be there before a rule leads to it.
    ...further
      .map((match, index) => ({
        name: ways[index] ?? '',
        hook: undefined,
        rules: [`${match} ${then(index + 1)}`],
      }))
      .toReversed(),
    // A number without a chain can only be one that has just gone: such a packet must not go out untranslated.
    { name: 'dispatch', hook: undefined, rules: [`meta priority vmap @${shapeMap}`, 'drop'] },
    { name: 'services', hook: undefined, rules: services },
    { name: 'masquerade-now', hook: undefined, rules: [`meta mark set meta mark ^ ${mark}`, masquerade] },
    hook('prerouting', 'prerouting', -105, ['jump services', ...undefinedPorts('fib daddr type != local ')]),
    hook('output', 'output', -105, ['jump services', ...undefinedPorts('')]),
    hook('postrouting', 'postrouting', 95, [
      'ct status dnat meta priority set none',
      `meta mark & ${mark} == ${mark} goto masquerade-now`,
      `ct status dnat ${reachedItself} ${then(0)}`,
    ]),
  ];
}

function map(name: string, ...lines: string[]): SetShape {
  return { name, kind: 'map', lines, dynamic: false, fixed: undefined };
}

function set(
  name: string,
  type: string,
  fixed?: readonly string[],
  interval = fixed !== undefined,
): SetShape {
  const lines = interval ? [`type ${type}`, 'flags interval'] : [`type ${type}`];
  return { name, kind: 'set', lines, dynamic: false, fixed };
}

function hook(name: string, at: string, priority: number, rules: readonly string[]): BaseChain {
  return { name, hook: `type nat hook ${at} priority ${priority}; policy accept;`, rules };
}
