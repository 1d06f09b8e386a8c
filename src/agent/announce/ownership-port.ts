/** What `Ownership` needs of its surroundings, and what it tells them. */
import type { Clock } from '../../core/clock.ts';
import type { SluiceError } from '../../core/errors.ts';
import type { NodeName } from '../../core/objects.ts';
import type { Announcer } from './announcer.ts';
import type { Mine } from './decide.ts';
import type { AddressFacts } from './facts.ts';
import type { Known, Standing } from './quorum.ts';
import type { MemberId } from './rank.ts';
import type { AnnounceTimings } from './timings.ts';

/** The Lease that breaks ties. */
export interface Arbiter {
  /** Try to get it and keep it; or give it back. Cheap to repeat. */
  want(wanted: boolean): void;
  held(): boolean;
}

export type OwnershipEvent =
  | { readonly kind: 'taken'; readonly address: string; readonly reason: string }
  /** The kernel has it. */
  | { readonly kind: 'up'; readonly address: string; readonly ms: number }
  | { readonly kind: 'given-up'; readonly address: string; readonly reason: string }
  | { readonly kind: 'refused'; readonly address: string; readonly error: SluiceError }
  | { readonly kind: 'contested'; readonly address: string; readonly mac: string }
  | { readonly kind: 'standing'; readonly standing: Standing }
  | { readonly kind: 'members'; readonly live: number; readonly paused: number }
  | { readonly kind: 'bad-packet'; readonly error: SluiceError }
  | { readonly kind: 'engine-failed'; readonly error: SluiceError }
  | { readonly kind: 'decided'; readonly addresses: number; readonly acts: number; readonly ms: number };

export interface OwnershipOptions {
  readonly node: NodeName;
  /** Sixteen random hexadecimal digits, new for each process. */
  readonly session: string;
  /** The first one seals; each opens. None: nobody can be heard. */
  readonly keys: () => readonly Buffer[];
  readonly clock: Clock;
  readonly announcer: Pick<Announcer, 'links' | 'hold' | 'repeat' | 'probe' | 'stop'>;
  readonly arbiter: Arbiter;
  readonly send: (to: MemberId, bytes: Buffer) => void;
  /** Where this agent hears heartbeats. */
  readonly port?: () => number;
  /** An agent that is not among the known ones says where it hears. */
  readonly met?: (member: MemberId, port: number, host: string) => void;
  /** By address. The same object for as long as nothing of an address changes. */
  readonly facts: () => ReadonlyMap<string, AddressFacts>;
  readonly known: () => Known;
  readonly timings?: AnnounceTimings;
  readonly report?: (event: OwnershipEvent) => void;
}

/** One that this node holds, for status and answers. */
export interface Held {
  readonly address: string;
  readonly interfaces: readonly string[];
  readonly state: Mine['state'];
  /** Milliseconds since the epoch. */
  readonly sinceWall: number;
  readonly reason: string;
}
