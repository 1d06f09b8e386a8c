/**
 * The announcer port: how one node makes an address answer on a link. The engine that puts the address on the
 * interface and tells the neighbours is one; a speaker of BGP would be another.
 *
 * The engine decides nothing: it is told what this node holds now, carries that out, keeps it alive, and lets it end by
 * itself when nobody tells it any more (dead or frozen agent).
 */
import type { TransportProtocol } from '../../core/objects.ts';
import type { SluiceError } from '../../core/errors.ts';

/** One address that this node is to hold. */
export interface Holding {
  /** Canonical form. */
  readonly address: string;
  /** Names of interfaces, at least one; chosen by `choose` from what the pool says. */
  readonly interfaces: readonly string[];
  /** What may be reached on the address; everything else is turned away before a daemon of the node hears it. */
  readonly ports: readonly { readonly protocol: TransportProtocol; readonly port: number }[];
}

export type ProbeAnswer =
  | { readonly kind: 'free' }
  /** Somebody on the link has it. */
  | { readonly kind: 'taken'; readonly mac: string }
  | { readonly kind: 'failed'; readonly error: SluiceError };

/** A link of this node that an address can be announced on. */
export interface Link {
  readonly name: string;
  readonly mac: string;
  /** Operational state; an address on a link that is down answers nobody. */
  readonly up: boolean;
  /** Enslaved to a bridge or bond, or without ARP: never chosen by itself. */
  readonly usable: boolean;
  /** `address/length` of what the link has, ours left out. */
  readonly networks: readonly string[];
  readonly defaultRoute: { readonly ipv4: boolean; readonly ipv6: boolean };
}

export interface AnnouncerEvents {
  /**
   * Asked right before an address is put up or renewed: false while this process has slept for so long that the others
   * may have given it up, and has not listened to them since. It is asked again a moment later.
   */
  mayRenew(): boolean;
  /** A neighbour asked for an address that we hold. */
  asked(address: string, count: number): void;
  /** Somebody else says that an address that we hold is his. */
  contested(address: string, mac: string): void;
  /** An address could not be held, or is held again (error undefined). */
  held(address: string, error: SluiceError | undefined): void;
  /** Links came, went, or changed. */
  links(links: readonly Link[]): void;
}

export interface Announcer {
  /**
   * Looks at links and at addresses of ours that an earlier run left. Those stay for what is left of their lifetime: the
   * first `hold` takes over the ones that it names, without a gap, and takes the others away.
   */
  start(events: AnnouncerEvents): Promise<void>;
  links(): readonly Link[];
  /**
   * Everything that this node holds from now on. New ones are put up and told to the neighbours at once, those not
   * named any more are taken away; a change of ports changes only the guard. Resolves when the kernel has it, and also
   * where it cannot be done: `held` tells which addresses, and it is tried again until they are not named any more.
   *
   * A process that stood still for longer than a lifetime (`held` with code `Lapsed`) holds nothing until it has decided
   * anew and calls this again, with the same holdings if they are still right: what it decided before may be another's.
   */
  hold(holdings: readonly Holding[]): Promise<void>;
  /** Tells the neighbours again (a partition has healed). */
  repeat(addresses: readonly string[]): void;
  /** Asks the link whether anybody has the address. Never rejects. */
  probe(address: string, link: string, signal: AbortSignal): Promise<ProbeAnswer>;
  /**
   * Ends. `release`: addresses are taken away at once (the node is drained); `keep`: they stay for what is left of
   * their lifetime, so that the next agent finds them.
   */
  stop(how: 'release' | 'keep'): Promise<void>;
}
