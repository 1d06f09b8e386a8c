/**
 * Who says that he holds what: one record for each address, which every agent keeps and passes on.
 *
 * Invariants: of two records of one address the greater epoch stands; of equal epochs the member that outranks the
 * other; so all agents that have heard the same records have the same table, in whatever order they heard them. Every
 * change of a record makes its epoch greater. Each change of the table gets the next version, so that a peer is sent
 * only what it has not acknowledged.
 */
import { outranks, type MemberId } from './rank.ts';

export type ClaimState =
  /** Is being put up; nobody else is to begin. */
  | 'taking'
  /** Answers. */
  | 'held'
  /** Still answers, and wants somebody else to take it. */
  | 'leaving'
  /** Let go. */
  | 'free'
  /** Not about the holder: this member cannot hold the address (or, `able`, can again). */
  | 'unable'
  | 'able';

export interface Claim {
  readonly address: string;
  readonly member: MemberId;
  readonly epoch: number;
  readonly state: ClaimState;
}

const order: readonly ClaimState[] = ['taking', 'held', 'leaving', 'free', 'unable', 'able'];
/** Epochs fit into 32 bits on the wire. */
export const lastEpoch = 0xffff_ffff;

export function beats(a: Claim, b: Claim): boolean {
  if (a.epoch !== b.epoch) return a.epoch > b.epoch;
  if (a.member !== b.member) return outranks(a.member, b.member, a.address);
  return order.indexOf(a.state) > order.indexOf(b.state);
}

function keyOf({ address, member, state }: Claim): string {
  return state === 'unable' || state === 'able' ? `${address}|${member}` : address;
}

interface Entry {
  readonly claim: Claim;
  readonly version: number;
}

export class ClaimTable {
  /** In the order of versions: what changes goes to the end. */
  readonly #entries = new Map<string, Entry>();
  readonly #unable = new Set<string>();
  #version = 0;

  get version(): number {
    return this.#version;
  }

  /** Who holds, or held, the address. */
  of(address: string): Claim | undefined {
    return this.#entries.get(address)?.claim;
  }

  /** The member has said that it cannot hold the address. */
  unable(address: string, member: MemberId): boolean {
    // Asked for every address and member, and hardly ever true of any.
    if (this.#unable.size === 0) return false;
    return this.#entries.get(`${address}|${member}`)?.claim.state === 'unable';
  }

  /** Takes what a peer says. True where it is news that stands. */
  hear(claim: Claim): boolean {
    const key = keyOf(claim);
    const before = this.#entries.get(key);
    if (before !== undefined && !beats(claim, before.claim)) {
      // Whoever sent it does not know better: ours goes out again.
      if (beats(before.claim, claim)) this.#store(key, before.claim);
      return false;
    }
    this.#store(key, claim);
    return true;
  }

  /** A word of our own, greater than any heard so far. */
  say(address: string, member: MemberId, state: ClaimState): Claim {
    const draft = { address, member, state, epoch: 0 };
    const key = keyOf(draft);
    const epoch = Math.min(lastEpoch, (this.#entries.get(key)?.claim.epoch ?? 0) + 1);
    const claim = { ...draft, epoch };
    this.#store(key, claim);
    return claim;
  }

  /** What changed after `version`, oldest first, each with its version. */
  *after(version: number): Iterable<Entry> {
    if (version >= this.#version) return;
    for (const entry of this.#entries.values()) if (entry.version > version) yield entry;
  }

  /** Of an address that is no more: nobody need hear of it again. */
  forget(address: string): void {
    for (const key of this.#entries.keys())
      if (key === address || key.startsWith(`${address}|`)) {
        this.#entries.delete(key);
        this.#unable.delete(key);
      }
  }

  *addresses(): Iterable<string> {
    for (const key of this.#entries.keys()) if (!key.includes('|')) yield key;
  }

  get size(): number {
    return this.#entries.size;
  }

  #store(key: string, claim: Claim): void {
    this.#version += 1;
    this.#entries.delete(key);
    this.#entries.set(key, { claim, version: this.#version });
    if (claim.state === 'unable') this.#unable.add(key);
    else this.#unable.delete(key);
  }
}
