/**
 * The port of a kernel backend: what writes decisions of one address family into one kernel.
 *
 * One backend object per family; the caller serialises its calls (one writer queue per family). A backend remembers
 * what it has written and writes differences only. It never touches what is not its own, never reads the kernel back
 * in the hot path, and leaves its rules in place when it is closed.
 */
import type { IpFamily, TransportProtocol } from '../core/objects.ts';
import type { Decision, DecisionChange, DecisionKey, NodeDecision } from './decision.ts';

/** A decision that the kernel refused: left out, while the rest was written. */
export interface Quarantined {
  readonly key: DecisionKey;
  /** The tool's own words. */
  readonly message: string;
}

/** A destination that the kernel had rules of ours for and that nobody asks for any more. */
export interface Left {
  readonly protocol: TransportProtocol;
  /** Undefined: a node port. */
  readonly address: string | undefined;
  readonly port: number;
}

export interface Written {
  /** Kernel operations sent (elements, rules, chains): 0 when everything was there already. */
  readonly operations: number;
  readonly quarantined: readonly Quarantined[];
  /** From `replace`: what was taken away of an earlier run, whose flows may live on. */
  readonly left?: readonly Left[];
}

/** One difference between the kernel and what was decided. */
export interface Difference {
  readonly kind: 'missing' | 'unexpected' | 'different';
  /** The kernel object, in the backend's own words: a table, chain, rule, map element, ipset entry. */
  readonly object: string;
  /** The decision that it belongs to, where there is one. */
  readonly key: DecisionKey | undefined;
}

/** Somebody else changed or removed kernel objects of ours. */
export interface ForeignChange {
  readonly message: string;
  /** Name and id of the process, where the kernel tells. */
  readonly process: string | undefined;
}

/** Rules of ours in one table of the kernel. */
export interface RuleCount {
  readonly table: 'nat' | 'filter';
  readonly total: number;
  /** Sent by the last write. */
  readonly written: number;
}

/** Packets that rules of the node's own have met since they were written; undefined where there is no such rule. */
export interface PacketCounts {
  /** Dropped, for connection tracking calls them invalid. */
  readonly invalidDropped: number | undefined;
  /** First packets of connections to node ports at 127.0.0.1. */
  readonly toLocalhost: number | undefined;
}

export interface Backend {
  readonly name: 'nftables' | 'iptables';
  readonly family: IpFamily;

  /**
   * Begins to read what the kernel holds, while the lists of the API server are still on their way: the first `replace`
   * need not wait for it then. What was read is used once, and only while it is fresh.
   */
  prepare(): void;

  /**
   * Decisions that are likely, while the lists are still on their way: the first `replace` may have its work half done
   * by them. Nothing is written of them before that, and nothing at all where it never comes.
   */
  foretell?(node: NodeDecision, decisions: readonly Decision[]): void;

  /**
   * Brings the kernel to exactly these decisions, whatever it held before: the first load, and the way back after a
   * failure. Writes nothing when the kernel is right already, and never opens a gap for decisions that stay.
   *
   * @throws SluiceError where nothing at all could be written (tool missing, lock held, permission).
   */
  replace(node: NodeDecision, decisions: Iterable<Decision>): Promise<Written>;

  /**
   * Writes what changed, in one transaction where the kernel allows.
   *
   * @throws SluiceError where the state of the kernel is unknown afterwards: the caller then replaces.
   */
  apply(changes: readonly DecisionChange[]): Promise<Written>;

  /**
   * Takes out of the kernel what waiting changes would remove, where that is much cheaper than to write them. They are
   * applied all the same, later.
   *
   * @returns whether something was taken out: `apply` has to come after that, if with no change at all.
   * @throws SluiceError where the state of the kernel is unknown afterwards: the caller then replaces.
   */
  hasten?(changes: readonly DecisionChange[]): Promise<boolean>;

  /** `hasten` nearly always takes out what changes would remove: only what they add waits for them. Default: no. */
  readonly hastens?: boolean;

  /** How many rules there are, where that is what the backend writes; nothing where it is not known. */
  ruleCounts?(): readonly RuleCount[];

  /** @throws SluiceError where the kernel cannot be read. */
  packetCounts?(): Promise<PacketCounts>;

  /** What `verify` says holds whatever is written while it looks: no write has to wait for it. Default: it does not. */
  readonly verifiesBesideWrites?: boolean;

  /**
   * Compares the live kernel with what has been written; slow, for `verify` and the background check.
   *
   * @throws SluiceError transient (`Crossed`) where it could not, for something was written meanwhile.
   */
  verify(): Promise<readonly Difference[]>;

  /** Rules or map elements that serve a decision, as text, for `explain`. */
  describe(key: DecisionKey): readonly string[];

  /** Calls back for each change to our objects that was not ours, until the signal fires. */
  watch(onChange: (change: ForeignChange) => void, signal: AbortSignal): void;

  /** Ends the children; rules stay. */
  close(): Promise<void>;
}
