/**
 * The words of the cases: rows of packets, and what becomes of them.
 *
 * Rules are named as in the field notes of the data plane: C cluster IP, N node port, E external IP, L balancer IP,
 * M masquerade, T external traffic policy, Z no endpoints, A affinity, R eligibility and topology, P protocols and
 * kinds of packets. Where the real kube-proxy does something else on purpose, the row says what and why.
 */
import type { IpFamily } from '../../../src/core/objects.ts';
import type { Spot, World, WorldEndpoint } from '../world.ts';

/** What holds for the node, whatever the world. */
export interface Settings {
  /** Which sources count as pods; by default all pods of the cluster, by their ranges. */
  readonly local?:
    | { readonly kind: 'cluster' }
    | { readonly kind: 'none' }
    | { readonly kind: 'bridge'; readonly name: string }
    | { readonly kind: 'prefix'; readonly prefix: string };
  readonly masqueradeAll?: boolean;
  /** CIDRs; by default the node's primary addresses. */
  readonly nodePortAddresses?: readonly string[];
}

export type Target =
  /** A Service's cluster IP, external IP or balancer IP. `port` is an index into its ports. */
  | { readonly at: Spot; readonly of: string; readonly port?: number; readonly portNumber?: number }
  /** A Service's node port, by default at n1's primary address. */
  | {
      readonly at: 'node port';
      readonly of: string;
      readonly port?: number;
      readonly node?: string;
      readonly address?: string;
    }
  /** An address of the service range that no Service has. */
  | { readonly at: 'free cluster IP' };

export type Expectation =
  /**
   * Each of these and nothing else. The server sees the client's own address (`kept`) or one of n1's (`node`); a pod
   * that answers itself sees n1's in any case (M3), and n1 itself sees the client's: what stays on the node is not
   * masqueraded.
   */
  | { readonly kind: 'reaches'; readonly who: readonly string[]; readonly source: 'kept' | 'node' }
  /** One of these, the same each time. */
  | { readonly kind: 'sticks'; readonly who: readonly string[] }
  /** Told at once that nobody is there. */
  | { readonly kind: 'refused' }
  /** Dropped. */
  | { readonly kind: 'silence' }
  /** Not translated: it goes the way of any packet, to where the bed answers "unreachable". */
  | { readonly kind: 'untouched' };

export type Reference = 'kube-proxy iptables' | 'kube-proxy nftables';

export interface PacketRow {
  readonly rule: string;
  readonly says: string;
  readonly from: string;
  readonly to: Target;
  readonly expect: Expectation;
  /** By default TCP over both families. */
  readonly protocol?: 'TCP' | 'UDP';
  readonly families?: readonly IpFamily[];
  /** Size of the datagram. */
  readonly size?: number;
  /** The client's source address, a place: `n1/second`. */
  readonly source?: string;
  readonly differs?: Readonly<
    Partial<Record<Reference, { readonly expect: Expectation; readonly why: string }>>
  >;
}

export interface Case {
  readonly name: string;
  readonly settings?: Settings;
  readonly world: World;
  /** Addresses of the world that n1 owns for the time of the case. */
  readonly owns?: readonly { readonly at: 'E' | 'L'; readonly of: string }[];
  readonly rows: readonly PacketRow[];
}

export const reaches = (source: 'kept' | 'node', ...who: readonly string[]): Expectation => ({
  kind: 'reaches',
  who,
  source,
});
export const sticks = (...who: readonly string[]): Expectation => ({ kind: 'sticks', who });
export const refused: Expectation = { kind: 'refused' };
export const silence: Expectation = { kind: 'silence' };
export const untouched: Expectation = { kind: 'untouched' };

export const on = (...places: readonly string[]): WorldEndpoint[] => places.map((at) => ({ at }));
export const V = (of: string, port = 0): Target => ({ at: 'V', of, port });
export const E = (of: string, port = 0): Target => ({ at: 'E', of, port });
export const L = (of: string, port = 0): Target => ({ at: 'L', of, port });
export const np = (of: string, node = 'n1', port = 0): Target => ({ at: 'node port', of, node, port });

export const twoPorts = [
  { name: 'http', port: 80 },
  { name: 'dns', port: 53, protocol: 'UDP' as const },
];
export const x1Only = ['172.31.0.201/32', 'fd00:172:31::c9/128'];

export const onlyPrimary = 'kube-proxy in iptables mode answers node ports at every local address';
export const noOutput = 'kube-proxy in iptables mode does not reject at external and balancer IPs in OUTPUT';
export const looksAway = 'kube-proxy in iptables mode leaves undefined ports and free cluster IPs to routing';
