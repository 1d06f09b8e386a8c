/**
 * What holds for every Service of this node, per family: node-port addresses resolved from the addresses that the
 * interfaces have right now (N1), pods told from others (§1.14), and the switches.
 */
import { parseCidr } from '../../core/cidr.ts';
import { unreachable } from '../../core/errors.ts';
import type { IpFamily, NodeObject } from '../../core/objects.ts';
import type { LocalSource, NodeDecision } from '../decision.ts';
import { canonical, canonicalRange, inRanges, isLoopback, sortedSet } from './addresses.ts';
import type { AgentSettings } from './settings.ts';
import { viewNode } from './view.ts';

/**
 * @param node the own Node object, undefined while it is not known.
 * @param addresses every address of the node's interfaces, both families, without prefix lengths.
 * @returns one for each family of the settings, in their order.
 */
export function decideNode(
  node: NodeObject | undefined,
  addresses: Iterable<string>,
  settings: AgentSettings,
): readonly NodeDecision[] {
  const all = [...addresses];
  return settings.families.map((family) => ({
    family,
    nodePortAddresses: nodePortAddresses(node, all, settings, family),
    localhostNodePorts: localhostNodePorts(settings, family),
    localSource: localSource(node, settings, family),
    masqueradeAll: settings.masqueradeAll,
    markBit: settings.markBit,
    // Beside kube-proxy most addresses of the range belong to Services that are not ours.
    serviceRanges: settings.scope === 'all' ? ofFamily(settings.serviceRanges, family) : [],
    dropInvalid: settings.dropInvalid && settings.backend === 'iptables',
  }));
}

/** The ranges that choose node-port addresses in a family; undefined: no range of this family, so all (N1). */
function chosenRanges(chosen: readonly string[], family: IpFamily): readonly string[] | undefined {
  const mine = ofFamily(chosen, family);
  return mine.length === 0 ? undefined : mine;
}

function nodePortAddresses(
  node: NodeObject | undefined,
  addresses: readonly string[],
  settings: AgentSettings,
  family: IpFamily,
): 'all' | readonly string[] {
  const { nodePortAddresses: chosen } = settings;
  if (chosen === 'all') return 'all';
  if (chosen === 'primary') {
    const primary = viewNode(node, settings).primary[family];
    return primary === undefined ? [] : [primary];
  }
  const ranges = chosenRanges(chosen, family);
  if (ranges === undefined || ranges.some((text) => text.endsWith('/0'))) return 'all';
  const held = addresses.flatMap((text) => canonical(text, family) ?? []);
  return sortedSet(held.filter((address) => !isLoopback(address) && inRanges(address, ranges)));
}

/** N3. With ranges, one of them must hold 127.0.0.1; `primary` and `all` leave it to the switch. */
function localhostNodePorts(settings: AgentSettings, family: IpFamily): boolean {
  if (!settings.localhostNodePorts || family !== 'IPv4' || settings.backend !== 'iptables') return false;
  const { nodePortAddresses: chosen } = settings;
  if (typeof chosen === 'string') return true;
  const ranges = chosenRanges(chosen, family);
  return ranges === undefined || inRanges('127.0.0.1', ranges);
}

function localSource(node: NodeObject | undefined, settings: AgentSettings, family: IpFamily): LocalSource {
  const { detectLocal } = settings;
  switch (detectLocal.kind) {
    case 'cluster-cidr':
      return inCidrs(ofFamily(detectLocal.cidrs, family));
    case 'node-cidr':
      return inCidrs(ofFamily(node?.podCIDRs ?? [], family));
    case 'bridge':
      return { kind: 'interface', name: detectLocal.name };
    case 'interface-prefix':
      return { kind: 'interface-prefix', prefix: detectLocal.prefix };
    case 'none':
      return { kind: 'none' };
    default:
      return unreachable(detectLocal);
  }
}

/** A family without a range has no detector, as with kube-proxy. */
function inCidrs(cidrs: readonly string[]): LocalSource {
  return cidrs.length === 0 ? { kind: 'none' } : { kind: 'cidrs', cidrs };
}

function ofFamily(texts: readonly string[], family: IpFamily): readonly string[] {
  return sortedSet(texts.flatMap((text) => canonicalRange(text, family) ?? []));
}

/**
 * What must be known before the first rule is written, beside the two lists: the own Node object where something is
 * read from it. Undefined: nothing is missing. The text names what is awaited.
 */
export function awaited(node: NodeObject | undefined, settings: AgentSettings): string | undefined {
  const { nodeName, detectLocal, families } = settings;
  if (node === undefined) return `the Node object "${nodeName}"`;
  if (detectLocal.kind !== 'node-cidr') return undefined;
  const cidrs = node.podCIDRs.map((text) => parseCidr(text));
  const some = cidrs.some((one) => one.kind === 'cidr' && families.includes(one.cidr.family));
  return some ? undefined : `spec.podCIDRs of node "${nodeName}"`;
}
