/** What goes on in a bed until it is closed: servers, probers, open connections, loads. */
import type { Attempt, Destination, LoadResult, Outcome } from './traffic.ts';

export interface ServeOptions {
  /** What the server calls itself; by default the place's name. */
  readonly name?: string;
  /** By default all addresses of the destination's family. */
  readonly address?: string;
  readonly port: number;
  readonly protocol?: Destination['protocol'];
  /** Without an address: the family whose addresses are meant; by default IPv4. */
  readonly family?: 'IPv4' | 'IPv6';
  /** TCP: greet with `address:port` and hang up at once, for loads. */
  readonly fast?: boolean;
  /** Milliseconds before each answer. */
  readonly delayMs?: number;
}

/** Something that goes on in the bed until it is closed. */
export interface Ongoing<Result> {
  /** Ends it. */
  close(): Promise<Result>;
}

/** What a server has done: connections or datagrams so far, connections that were still open. */
export interface Served {
  readonly served: number;
  readonly open: number;
}

export interface Prober extends Ongoing<readonly Attempt[]> {
  /** What came in since the last look. */
  peek(): Promise<readonly Attempt[]>;
}

export interface Held extends Ongoing<unknown> {
  /** Sends a byte through the open connection and waits for the echo. */
  check(): Promise<Outcome>;
}

export interface Load extends Ongoing<LoadResult> {
  peek(): Promise<{ readonly connections: number; readonly lost: number; readonly seconds: number }>;
  /** Endpoints (`address:port`) that have been taken away or put back, at a moment of the monotonic clock (default: now). */
  mark(change: {
    readonly away?: readonly string[];
    readonly back?: readonly string[];
    readonly atUs?: number;
  }): Promise<void>;
}
