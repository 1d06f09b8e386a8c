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

interface Entry {
  readonly claim: Claim;
  readonly version: number;
}

export class ClaimTable {
  /** Who holds, or held, an address. */
  readonly #holders = new Map<string, Entry>();
  /** Who said whether he can, by address. */
  readonly #abilities = new Map<string, Map<MemberId, Entry>>();
  /** In the order of versions; entries that another has replaced are swept out now and then. */
  #log: Entry[] = [];
  #live = 0;
  #version = 0;

  get version(): number {
    return this.#version;
  }

  /** Who holds, or held, the address. */
  of(address: string): Claim | undefined {
    return this.#holders.get(address)?.claim;
  }

  /** The member has said that it cannot hold the address. */
  unable(address: string, member: MemberId): boolean {
    return this.#abilities.get(address)?.get(member)?.claim.state === 'unable';
  }

  /** Takes what a peer says. True where it is news that stands. */
  hear(claim: Claim): boolean {
    const before = this.#current(claim)?.claim;
    if (before !== undefined && !beats(claim, before)) {
      // Whoever sent it does not know better: ours goes out again.
      if (beats(before, claim)) this.#store(before);
      return false;
    }
    this.#store(claim);
    return true;
  }

  /** A word of our own, greater than any heard so far. */
  say(address: string, member: MemberId, state: ClaimState): Claim {
    const draft = { address, member, state, epoch: 0 };
    const epoch = Math.min(lastEpoch, (this.#current(draft)?.claim.epoch ?? 0) + 1);
    const claim = { ...draft, epoch };
    this.#store(claim);
    return claim;
  }

  /** What changed after `version`, oldest first, each with its version. */
  *after(version: number): Iterable<Entry> {
    if (version >= this.#version) return;
    const log = this.#log;
    for (let index = firstAfter(log, version); index < log.length; index += 1) {
      const entry = log[index];
      if (entry !== undefined && this.#current(entry.claim) === entry) yield entry;
    }
  }

  /** Whatever is known of what a member said is news again. */
  retell(member: MemberId): void {
    const said = this.#log.filter(
      (entry) => entry.claim.member === member && this.#current(entry.claim) === entry,
    );
    for (const { claim } of said) this.#store(claim);
  }

  /** Of an address that is no more: nobody need hear of it again. */
  forget(address: string): void {
    this.#live -= (this.#holders.has(address) ? 1 : 0) + (this.#abilities.get(address)?.size ?? 0);
    this.#holders.delete(address);
    this.#abilities.delete(address);
  }

  *addresses(): Iterable<string> {
    yield* this.#holders.keys();
    for (const address of this.#abilities.keys()) if (!this.#holders.has(address)) yield address;
  }

  /** At least as many as there are addresses. */
  get size(): number {
    return this.#holders.size + this.#abilities.size;
  }

  #current({ address, member, state }: Claim): Entry | undefined {
    return isAbility(state) ? this.#abilities.get(address)?.get(member) : this.#holders.get(address);
  }

  #store(claim: Claim): void {
    const { address, member, state } = claim;
    if (this.#current(claim) === undefined) this.#live += 1;
    this.#version += 1;
    const entry = { claim, version: this.#version };
    if (isAbility(state)) {
      const of = this.#abilities.get(address) ?? new Map<MemberId, Entry>();
      of.set(member, entry);
      this.#abilities.set(address, of);
    } else this.#holders.set(address, entry);
    this.#log.push(entry);
    if (this.#log.length > 2 * this.#live + 64)
      this.#log = this.#log.filter((one) => this.#current(one.claim) === one);
  }
}

function isAbility(state: ClaimState): boolean {
  return state === 'unable' || state === 'able';
}

/** The index of the first entry whose version is greater. */
function firstAfter(log: readonly Entry[], version: number): number {
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((log[middle]?.version ?? 0) <= version) low = middle + 1;
    else high = middle;
  }
  return low;
}
