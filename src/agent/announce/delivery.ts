/**
 * How the table of claims gets from one agent to one peer: what the peer has acknowledged, what is on its way, and what
 * we have of the peer's own table.
 *
 * Invariant: every member tells its own claims to every peer that it exchanges packets with, until they are
 * acknowledged. So what others say is passed on only to peers that do not hear its author themselves: otherwise a
 * hundred agents would each tell ninety-nine others what these have heard already. Where a peer loses an author that we
 * still hear, `retell` names him, for what may have been lost in that moment.
 */
import type { Claim, ClaimTable } from './claims.ts';
import { claimBytes, type Beat, type Evidence } from './packet.ts';
import type { MemberId } from './rank.ts';

/** One packet's share of the table. */
export type Part = Beat['claims'];

/** What is not acknowledged for so long goes out again: a heartbeat is due by then, and says what has arrived. */
const againMs = 100;
const mostAhead = 1_024;
const never = Number.NEGATIVE_INFINITY;

export class Delivery {
  /** The peer has our table up to this version. */
  #acknowledged = 0;
  /** This is on its way, since then. */
  #told = 0;
  #toldAt = never;
  /** We have its table up to this version. */
  #heard = 0;
  /** Parts of its table that came before the parts that go before them. */
  #ahead: { readonly after: number; readonly upto: number }[] = [];
  /** With whom the peer exchanges packets. */
  #hears: ReadonlySet<MemberId> = new Set();
  /** With whom it did, and since when it does not. */
  readonly #lost = new Map<MemberId, number>();

  /** The peer is another process now. */
  renew(): void {
    this.#acknowledged = 0;
    this.#told = 0;
    this.#toldAt = never;
    this.#heard = 0;
    this.#ahead = [];
    this.#hears = new Set();
    this.#lost.clear();
  }

  get heard(): number {
    return this.#heard;
  }

  acknowledge(version: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, version);
  }

  /** What the peer says of whom it hears. */
  hears(members: readonly Evidence[], now: number): void {
    const next = new Set(members.flatMap(({ member, direct }) => (direct ? [member] : [])));
    for (const member of this.#hears)
      if (!next.has(member) && !this.#lost.has(member)) this.#lost.set(member, now);
    for (const member of next) this.#lost.delete(member);
    this.#hears = next;
  }

  /** Authors that the peer has lost for `afterMs` and that are `there` for us. Each is named once. */
  retell(there: (member: MemberId) => boolean, afterMs: number, now: number): readonly MemberId[] {
    const found = [...this.#lost].filter(([member, since]) => now - since > afterMs && there(member));
    for (const [member] of found) this.#lost.delete(member);
    return found.map(([member]) => member);
  }

  keepOnly(members: ReadonlySet<MemberId>): void {
    for (const member of this.#lost.keys()) if (!members.has(member)) this.#lost.delete(member);
  }

  /** There is something that the peer has not been told. */
  owes(table: ClaimTable): boolean {
    for (const { claim } of table.after(Math.max(this.#acknowledged, this.#told)))
      if (this.#concerns(claim)) return true;
    return false;
  }

  /**
   * What goes out now: always one part, which may say nothing, and at most `most`.
   *
   * @param rooms bytes for claims in the first packet and in each further one.
   */
  parts(
    table: ClaimTable,
    rooms: { readonly first: number; readonly further: number },
    most: number,
    now: number,
  ): readonly Part[] {
    if (this.#told <= this.#acknowledged || now - this.#toldAt >= againMs) {
      this.#told = this.#acknowledged;
      this.#toldAt = now;
    }
    const parts: Part[] = [];
    let list: Claim[] = [];
    let room = rooms.first;
    let after = this.#told;
    let upto = after;
    for (const { claim, version } of table.after(after)) {
      if (this.#concerns(claim)) {
        const bytes = claimBytes(claim);
        if (bytes > room) {
          if (parts.length + 1 >= most) break;
          parts.push({ after, upto, list });
          list = [];
          after = upto;
          room = rooms.further;
        }
        list.push(claim);
        room -= bytes;
      }
      upto = version;
    }
    parts.push({ after, upto, list });
    this.#told = upto;
    return parts;
  }

  /** For a peer that does not answer: nothing of the table. */
  silence(): Part {
    return { after: this.#acknowledged, upto: this.#acknowledged, list: [] };
  }

  /** What a packet says of the peer's table. Parts count in any order; acknowledged is what is whole. */
  news({ after, upto, list }: Part): readonly Claim[] {
    if (upto <= this.#heard) return [];
    this.#ahead.push({ after, upto });
    this.#ahead.sort((one, other) => one.after - other.after);
    while ((this.#ahead[0]?.after ?? Infinity) <= this.#heard)
      this.#heard = Math.max(this.#heard, this.#ahead.shift()?.upto ?? 0);
    if (this.#ahead.length > mostAhead) this.#ahead = [];
    return list;
  }

  #concerns({ member }: Claim): boolean {
    return !this.#hears.has(member);
  }
}
