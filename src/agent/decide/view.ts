/**
 * What the decisions about Services depend on besides the Services themselves: the settings and a few facts of the own
 * Node object. Anything else about the node may change without a look at any Service.
 */
import type { IpFamily, NodeObject } from '../../core/objects.ts';
import { canonical } from './addresses.ts';
import type { AgentSettings } from './settings.ts';

export interface NodeView {
  readonly settings: AgentSettings;
  /** Label `topology.kubernetes.io/zone` of the node; empty where it has none. */
  readonly zone: string;
  /** The node's first address of each family: internal ones before external ones. */
  readonly primary: { readonly [family in IpFamily]: string | undefined };
}

/** @param node the own Node object, or undefined while it is not known. */
export function viewNode(node: NodeObject | undefined, settings: AgentSettings): NodeView {
  return {
    settings,
    zone: node?.zone ?? '',
    primary: { IPv4: primaryOf(node, 'IPv4'), IPv6: primaryOf(node, 'IPv6') },
  };
}

function primaryOf(node: NodeObject | undefined, family: IpFamily): string | undefined {
  if (node === undefined) return undefined;
  for (const text of [...node.internalIPs, ...node.externalIPs]) {
    const address = canonical(text, family);
    if (address !== undefined) return address;
  }
  return undefined;
}

/** Two views that give the same decisions for any Service, given that the settings are the same object. */
export function sameView(a: NodeView, b: NodeView): boolean {
  return (
    a.settings === b.settings &&
    a.zone === b.zone &&
    a.primary.IPv4 === b.primary.IPv4 &&
    a.primary.IPv6 === b.primary.IPv6
  );
}
