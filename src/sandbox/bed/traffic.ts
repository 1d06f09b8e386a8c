/** The words for traffic in the bed: where it goes, what became of it. */
import type { TransportProtocol } from '../../core/objects.ts';

export interface Destination {
  readonly address: string;
  readonly port: number;
  /** By default TCP. */
  readonly protocol?: TransportProtocol;
}

export interface DialOptions {
  /** Source address and port; by default the kernel's choice. */
  readonly source?: string;
  readonly sourcePort?: number;
  /** By default 1,000. */
  readonly timeoutMs?: number;
  /** UDP: size of the datagram. TCP: bytes that are sent after the greeting and have to come back. */
  readonly size?: number;
  /** Set "do not fragment"; without it datagrams may be taken apart on the way. */
  readonly df?: boolean;
}

export type Kind =
  | 'answered'
  /** Port unreachable, or a reset in answer to the first packet. */
  | 'refused'
  /** Nothing came back in time. */
  | 'silence'
  /** Another ICMP error, or no route: in the bed, what nobody translated (topology.ts). */
  | 'unreachable'
  /** The connection stood, and was cut. */
  | 'reset'
  /** Larger than the path lets through. */
  | 'too-big'
  /** Our own packet was refused by a rule on its way out. */
  | 'denied'
  | 'failed';

/** What became of one try. */
export interface Outcome {
  readonly kind: Kind;
  /** The name of the server that answered. */
  readonly self?: string;
  /** `address:port` where the server was reached, IPv6 addresses in brackets. */
  readonly local?: string;
  /** `address:port` of the peer that the server saw. */
  readonly peer?: string;
  /** `address:port` of our own end. */
  readonly source?: string;
  /** Microseconds that it took. */
  readonly us: number;
  /** Bytes that came back (TCP), or that the server received (UDP). */
  readonly received?: number;
  /** What the kernel believes of the path afterwards. */
  readonly mtu?: number;
  readonly error?: string;
}

/** What became of many tries, counted. */
export interface Tally {
  readonly kinds: Readonly<Partial<Record<Kind, number>>>;
  /** Answers by the server's name, by the address where it was reached, by the peer's address that it saw. */
  readonly self: Readonly<Record<string, number>>;
  readonly local: Readonly<Record<string, number>>;
  readonly peer: Readonly<Record<string, number>>;
  /** The peer's addresses that each server saw. */
  readonly seen: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The first ten tries that nobody answered, with the ports that they came from. */
  readonly failures: readonly Outcome[];
}

/** One try of a prober or a flow: start and duration in microseconds of the monotonic clock. */
export interface Attempt {
  readonly atUs: number;
  readonly us: number;
  readonly kind: Kind;
  /** The name of the server that answered; empty where none did. */
  readonly self: string;
}

export interface LoadOptions {
  /** Addresses of the client to take turns with; the kernel's choice by default. */
  readonly sources?: readonly string[];
  /** By default 4. */
  readonly threads?: number;
  /** After which a connection counts as lost; by default 1,000. */
  readonly timeoutMs?: number;
  /** Upper bound of new connections a second; without it as many as the machine gives. */
  readonly perSecond?: number;
}

export interface LoadResult {
  readonly connections: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Answers by `address:port` of the endpoint. */
  readonly endpoints: Readonly<Record<string, number>>;
  /** Connections that nobody answered, by kind. */
  readonly lost: Readonly<Partial<Record<Kind, number>>>;
  /** The first hundred of them. */
  readonly failures: readonly {
    readonly atUs: number;
    readonly kind: Kind;
    readonly us: number;
    readonly error: string;
  }[];
  /** Connections begun while their endpoint was marked as away, with the age of the oldest. */
  readonly stale: Readonly<Record<string, { readonly count: number; readonly oldestUs: number }>>;
  /** Connect to first byte in microseconds, of a sample of one in sixteen. */
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
}

/** Microseconds of the clock that the bed's program uses too. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
