/** The first packet of a connection as a node sees it, and what becomes of it: the words of evaluator, tracers and explain. */
import type { IpFamily, TransportProtocol } from '../core/objects.ts';
import type { Endpoint } from './decision.ts';

export interface Packet {
  readonly family: IpFamily;
  readonly protocol: TransportProtocol;
  readonly source: string;
  readonly destination: string;
  /** Destination port. */
  readonly port: number;
  /** A process on the node itself (OUTPUT), or the interface that it came in by (PREROUTING). */
  readonly from: { readonly kind: 'process' } | { readonly kind: 'interface'; readonly name: string };
}

/** The node that a packet meets, as far as it is not in the decisions. */
export interface NodeFacts {
  /** Every address of the node's interfaces, 127/8 and ::1 included: what the kernel calls LOCAL. */
  readonly addresses: ReadonlySet<string>;
}

export type Outcome =
  /** No Service of ours: the packet goes on as it is. */
  | { readonly kind: 'untouched' }
  /** Answered at once with ICMP port unreachable. */
  | { readonly kind: 'reject' }
  | { readonly kind: 'drop' }
  /** Each endpoint that may be picked, and whether the source becomes the node's when it is (hairpin differs). */
  | {
      readonly kind: 'deliver';
      readonly to: readonly { readonly endpoint: Endpoint; readonly masquerade: boolean }[];
    };
