/**
 * What the agent is told: the settings of one node's agent as plain data, and their defaults.
 *
 * Flags are read elsewhere; `settings-check.ts` finds everything that is wrong with a value. Defaults are equal for both
 * backends, so that the same flags give the same packets.
 */
import type { IpFamily, NodeName } from '../../core/objects.ts';

/** How pods are told from others (§1.14); `node-cidr` is the pod range of this Node object. */
export type DetectLocal =
  | { readonly kind: 'cluster-cidr'; readonly cidrs: readonly string[] }
  | { readonly kind: 'node-cidr' }
  | { readonly kind: 'bridge'; readonly name: string }
  | { readonly kind: 'interface-prefix'; readonly prefix: string }
  | { readonly kind: 'none' };

/**
 * Where node ports answer: the primary address of each family, every local address, or the node's addresses in these
 * ranges. Where ranges name one family only, the other answers at all its addresses (rule N1).
 */
export type NodePortAddresses = 'primary' | 'all' | readonly string[];

export interface AgentSettings {
  readonly backend: 'nftables' | 'iptables';
  /** Beside kube-proxy the Services labelled for us, or instead of it all but those labelled for another proxy. */
  readonly scope: 'labelled' | 'all';
  /** Exactly as endpoints and the Node object have it. */
  readonly nodeName: NodeName;
  /** At least one. */
  readonly families: readonly IpFamily[];
  readonly detectLocal: DetectLocal;
  /** Masquerade every connection to a cluster IP (C2). */
  readonly masqueradeAll: boolean;
  readonly nodePortAddresses: NodePortAddresses;
  /** `127.0.0.1:nodePort` (N3): iptables backend and IPv4 only. */
  readonly localhostNodePorts: boolean;
  /** Bit of the packet mark that asks for masquerading, 0–31. */
  readonly markBit: number;
  /** Ranges that the cluster's Services get their addresses from, where known; heeded in scope `all` only. */
  readonly serviceRanges: readonly string[];
  /** Drop what conntrack calls INVALID in FORWARD (M5): iptables backend only. */
  readonly dropInvalid: boolean;
  /** Source ranges guard external IPs and node ports too, unless a Service says otherwise by annotation. */
  readonly guardEverything: boolean;
  /**
   * A Service whose source ranges name the other family only is closed to this family. Off: open, as with kube-proxy.
   */
  readonly strictSourceRanges: boolean;
}

/**
 * Bit 13. Not kube-proxy's and kubelet's (14, 15), and outside what the known CNIs take: Cilium 8–11 and 16–31, Calico
 * 16–31, the AWS CNI 7.
 */
const defaultMarkBit = 13;

/** The settings of a node, where only the name is known. */
export function defaultSettings(nodeName: NodeName): AgentSettings {
  return {
    backend: 'nftables',
    scope: 'labelled',
    nodeName,
    families: ['IPv4', 'IPv6'],
    detectLocal: { kind: 'none' },
    masqueradeAll: false,
    nodePortAddresses: 'primary',
    localhostNodePorts: false,
    markBit: defaultMarkBit,
    serviceRanges: [],
    dropInvalid: true,
    guardEverything: false,
    strictSourceRanges: false,
  };
}
