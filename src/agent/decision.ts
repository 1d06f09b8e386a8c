/**
 * What a node does with the traffic of one Service port, as plain data: the one meaning that every backend writes,
 * the evaluator evaluates, `verify` compares with the kernel and `explain` reads out.
 *
 * A decision is complete in itself: together with the node's own part (`NodeDecision`) it says what becomes of any
 * packet to the cluster IP, the external IPs, the balancer IPs and the node port of one port in one address family.
 * It holds no rule text, no clock and no kernel state; two worlds that mean the same give equal decisions, so a
 * backend writes nothing when a decision has not changed.
 */
import type { IpFamily, ObjectKey, TransportProtocol } from '../core/objects.ts';

declare const branded: unique symbol;

/** `namespace/name:portName/protocol/family`, protocol and family in lower case: one Service port in one family. */
export type DecisionKey = string & { readonly [branded]: 'DecisionKey' };

export function decisionKey(
  service: ObjectKey,
  portName: string,
  protocol: TransportProtocol,
  family: IpFamily,
): DecisionKey {
  return `${service}:${portName}/${protocol.toLowerCase()}/${family.toLowerCase()}` as DecisionKey;
}

/** One address and port that new connections may be sent to. */
export interface Endpoint {
  /** Canonical text of the address, without brackets. */
  readonly address: string;
  readonly port: number;
  /** It runs on this node. */
  readonly local: boolean;
  /** Share of new connections relative to the others, at least 1. */
  readonly weight: number;
}

/** What becomes of a new connection to one kind of destination. */
export type Fate =
  /** One of the decision's `cluster` or `local` endpoints, which then is not empty. */
  | { readonly kind: 'balance'; readonly to: 'cluster' | 'local' }
  /** No endpoint exists anywhere: the client is told at once (ICMP port unreachable). */
  | { readonly kind: 'reject' }
  /** Endpoints exist, but none that this policy allows: silence, so that a balancer tries elsewhere. */
  | { readonly kind: 'drop' };

export interface Decision {
  readonly key: DecisionKey;
  readonly service: ObjectKey;
  readonly portName: string;
  readonly protocol: TransportProtocol;
  readonly family: IpFamily;

  /** Port at the cluster IP, the external IPs and the balancer IPs. */
  readonly port: number;
  /** Undefined only where another Service has this address, protocol and port; `nodePort` is 0 then likewise. */
  readonly clusterIP: string | undefined;
  /** Sorted, without repeats, none of them a balancer IP as well. Addresses of this family only. */
  readonly externalIPs: readonly string[];
  /** `status.loadBalancer.ingress[].ip` whose `ipMode` is not Proxy; sorted, of this family only. */
  readonly balancerIPs: readonly string[];
  /** 0: none. */
  readonly nodePort: number;

  /**
   * Usable under policy Cluster (readiness, terminating fallback and topology hints applied); sorted, unique. Empty where
   * no policy of the port asks for it, as `local` is. The two are one array where they are equal.
   */
  readonly cluster: readonly Endpoint[];
  /** Usable under policy Local on this node; sorted, unique. */
  readonly local: readonly Endpoint[];

  /** New connections to the cluster IP. */
  readonly internal: Fate;
  /** New connections to external IPs, balancer IPs and the node port, from clients that no shortcut takes. */
  readonly external: Fate;
  /**
   * `externalTrafficPolicy: Local` only: what local pods (source kept) and processes of the node itself (masqueraded)
   * get at the external destinations, "as if it went out and came back". Undefined under policy Cluster, where
   * `external` holds for all and every such connection is masqueraded.
   */
  readonly shortcut: Fate | undefined;

  /** `sessionAffinity: ClientIP`: seconds without a new connection after which a client is forgotten. */
  readonly affinitySeconds: number | undefined;
  /**
   * `loadBalancerSourceRanges` of this family, canonical and sorted, none inside another; who is outside them is dropped
   * at the balancer IPs, endpoints or none. Undefined: open. Empty: nobody is let in. Holds each guarded address itself,
   * as /32 or /128, where the node's own address is in a range.
   */
  readonly sourceRanges: readonly string[] | undefined;
  /** The ranges guard the external IPs and the node port too (opt-in). */
  readonly guardEverything: boolean;
  /** How an endpoint is picked: at random, or by a stable hash of the client's address and port (opt-in). */
  readonly balancing: 'random' | 'hash';
  /** Port of the Service's health check on the node, 0 where there is none (`externalTrafficPolicy: Local` only). */
  readonly healthCheckNodePort: number;
}

/** Which sources count as pods: of this node, or with `cidrs` of the whole cluster as far as it can be told. */
export type LocalSource =
  | { readonly kind: 'cidrs'; readonly cidrs: readonly string[] }
  | { readonly kind: 'interface'; readonly name: string }
  | { readonly kind: 'interface-prefix'; readonly prefix: string }
  /** Nobody is known to be a pod: nothing is masqueraded at the cluster IP but hairpin, and there is no pod shortcut. */
  | { readonly kind: 'none' };

/** What holds for every Service of one family on this node. */
export interface NodeDecision {
  readonly family: IpFamily;
  /** Addresses of the node at which node ports answer; `all` means whatever address is local. Sorted. */
  readonly nodePortAddresses: 'all' | readonly string[];
  /** `127.0.0.1:nodePort` answers too. Only ever true for IPv4 in the iptables backend. */
  readonly localhostNodePorts: boolean;
  readonly localSource: LocalSource;
  /** Every connection to a cluster IP is masqueraded. */
  readonly masqueradeAll: boolean;
  /** Bit number (0–31) of the packet mark that asks for masquerading. */
  readonly markBit: number;
  /** Ranges that cluster IPs are given from, where known: an address in them that no Service has is dropped. */
  readonly serviceRanges: readonly string[];
  /** Drop packets that conntrack calls INVALID in FORWARD (M5). Only ever true in the iptables backend. */
  readonly dropInvalid: boolean;
}

/** A changed decision: `before` undefined where it is new, `after` undefined where it is gone. */
export interface DecisionChange {
  readonly key: DecisionKey;
  readonly before: Decision | undefined;
  readonly after: Decision | undefined;
}
