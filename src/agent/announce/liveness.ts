/**
 * Who is there: what one agent knows of the others from heartbeats, on its own monotonic clock alone.
 *
 * A packet counts when it repeats a counter that we have sent to this peer within the last moments. That makes replayed
 * and misdirected packets worthless, and every link that counts a link both ways: who hears us and is not heard, or the
 * other way round, is not there for either of us.
 *
 * Members pass on how old their own evidence of others is. Evidence never gets younger on the way (but for the time in
 * flight), so a dead member ages everywhere at once; and since links count both ways, who is reachable over others
 * reaches us too: all members of one connected part see the same part.
 */
import type { Claim, ClaimTable } from './claims.ts';
import { Delivery } from './delivery.ts';
import { roomForClaims, type Beat, type Evidence } from './packet.ts';
import type { MemberId } from './rank.ts';
import type { AnnounceTimings } from './timings.ts';

interface Peer {
  /** Of the peer's process, as last seen, believed or not. */
  session: string;
  /** The greatest seen of it: what we repeat. */
  counter: number;
  /** Those seen lately: packets may overtake one another, and none counts twice. */
  readonly seen: Set<number>;
  /** We have believed a packet of this session. */
  believed: boolean;
  /** When we sent which counter; the oldest first. */
  sent: { readonly counter: number; readonly at: number }[];
  nextCounter: number;
  /** When the last believed packet came. */
  heardAt: number;
  /** Newest evidence, by any way. */
  evidenceAt: number;
  ready: boolean;
  arbiter: boolean;
  /** When it was said last that it holds the Lease. */
  arbiterAt: number;
  /** Its agent is gone and its addresses stay until then. */
  pausedUntil: number;
  readonly delivery: Delivery;
}

export interface Own {
  readonly ready: boolean;
  readonly arbiter: boolean;
  readonly goodbyeMs: number | undefined;
  /** Where heartbeats are heard. */
  readonly port: number;
}

export interface Received {
  /** The packet proves that its sender is there. */
  readonly believed: boolean;
  /** The sender has a new process, or has not heard us lately: an answer at once helps. */
  readonly answer: boolean;
  readonly claims: readonly Claim[];
  readonly goodbye: boolean;
  /** Members whose claims the sender may have missed: it has lost them, and we have not. */
  readonly retell: readonly MemberId[];
}

export interface View {
  /** Reachable, ourselves among them. */
  readonly live: ReadonlySet<MemberId>;
  /** Without an agent for a moment; their addresses are up. */
  readonly paused: ReadonlySet<MemberId>;
  readonly ready: ReadonlySet<MemberId>;
  /** Of the reachable, the one that holds the Lease. */
  readonly arbiter: boolean;
}

const never = Number.NEGATIVE_INFINITY;
/** Packets that may overtake one another. */
const windowSize = 1_024;
const nothing: Received = { believed: false, answer: false, claims: [], goodbye: false, retell: [] };
/** Packets with claims that go out at once, to all peers together; what is left goes with the next heartbeats. */
const mostParts = 400;

export class Liveness {
  readonly #me: MemberId;
  readonly #session: string;
  readonly #timings: AnnounceTimings;
  readonly #peers = new Map<MemberId, Peer>();
  #firstCounter = 0;
  #said: { readonly at: number; readonly members: readonly Evidence[] } | undefined;

  /** @param session sixteen random hexadecimal digits. */
  constructor(me: MemberId, session: string, timings: AnnounceTimings) {
    this.#me = me;
    this.#session = session;
    this.#timings = timings;
  }

  receive(beat: Beat, now: number): Received {
    if (beat.to !== this.#me || beat.from === this.#me) return nothing;
    this.#said = undefined;
    const peer = this.#peer(beat.from);
    const renewed = beat.session !== peer.session;
    if (!renewed && (peer.seen.has(beat.counter) || beat.counter <= peer.counter - windowSize))
      return nothing;
    if (!this.#fresh(peer, beat, now)) {
      // Not believed; but it is what we repeat next, so that its sender can believe us, and then we him.
      if (renewed && now - peer.heardAt <= this.#timings.deadMs && peer.believed) return nothing;
      if (renewed) this.#newSession(peer, beat.session);
      this.#count(peer, beat.counter);
      return { ...nothing, answer: beat.echo?.session !== this.#session };
    }
    if (renewed) this.#newSession(peer, beat.session);
    const answer = !peer.believed || beat.ask;
    peer.believed = true;
    // An older packet says less than a newer one that overtook it.
    const latest = beat.counter >= peer.counter;
    this.#count(peer, beat.counter);
    peer.delivery.acknowledge(beat.acknowledged);
    if (!latest) return { ...nothing, believed: true, claims: peer.delivery.news(beat.claims) };
    peer.heardAt = now;
    peer.evidenceAt = now;
    peer.ready = beat.ready;
    peer.arbiter = beat.arbiter;
    if (beat.arbiter) peer.arbiterAt = now;
    peer.pausedUntil = never;
    if (beat.goodbyeMs !== undefined) {
      peer.pausedUntil = now + beat.goodbyeMs;
      peer.evidenceAt = never;
      peer.heardAt = never;
      peer.believed = false;
    }
    for (const evidence of beat.members) this.#pass(evidence, now);
    if (!beat.further)
      peer.delivery.hears(
        beat.members.filter(({ member }) => member !== this.#me),
        now,
      );
    return {
      believed: true,
      answer,
      claims: peer.delivery.news(beat.claims),
      goodbye: beat.goodbyeMs !== undefined,
      retell: peer.delivery.retell((member) => this.#isLive(member, now), 2 * this.#timings.deadMs, now),
    };
  }

  /** The peer's machine says that no agent listens there: what it holds stays up for a while. */
  refused(member: MemberId, now: number): boolean {
    const peer = this.#peers.get(member);
    if (peer === undefined || !peer.believed) return false;
    const { deadMs, lifetimeMs, renewMs } = this.#timings;
    // Only of one that was there a moment ago: one that never answered holds nothing.
    if (now - peer.heardAt > deadMs) return false;
    this.#said = undefined;
    peer.pausedUntil = now + lifetimeMs - renewMs;
    peer.evidenceAt = never;
    peer.heardAt = never;
    peer.believed = false;
    return true;
  }

  /** What goes to one peer now: one packet, more where many claims are news to it. */
  compose(to: MemberId, own: Own, table: ClaimTable, now: number): readonly Beat[] {
    const peer = this.#peer(to);
    const members = this.#evidence(now);
    const rooms = { first: roomForClaims(members.length), further: roomForClaims(0) };
    const most = Math.max(2, Math.floor(mostParts / this.#peers.size));
    // A peer that does not answer is not sent the table again and again.
    const parts = peer.believed ? peer.delivery.parts(table, rooms, most, now) : [peer.delivery.silence()];
    const beats = parts.map((claims, index): Beat => {
      peer.nextCounter += 1;
      peer.sent.push({ counter: peer.nextCounter, at: now });
      return {
        from: this.#me,
        to,
        session: this.#session,
        counter: peer.nextCounter,
        echo: peer.session === '' ? undefined : { session: peer.session, counter: peer.counter },
        ask: this.#isQuiet(peer, now),
        ...own,
        further: index > 0,
        members: index > 0 ? [] : members,
        acknowledged: peer.delivery.heard,
        claims,
      };
    });
    while ((peer.sent[0]?.at ?? now) < now - this.#timings.echoMs) peer.sent.shift();
    return beats;
  }

  /** There are claims that the peer has not been told yet. */
  owes(to: MemberId, table: ClaimTable): boolean {
    const peer = this.#peer(to);
    return peer.believed && peer.delivery.owes(table);
  }

  view(own: Pick<Own, 'ready' | 'arbiter'>, now: number): View {
    const live = new Set([this.#me]);
    const paused = new Set<MemberId>();
    const ready = new Set(own.ready ? [this.#me] : []);
    let { arbiter } = own;
    for (const [member, peer] of this.#peers) {
      if (now - peer.evidenceAt <= this.#timings.deadMs) {
        live.add(member);
        if (peer.ready) ready.add(member);
        if (peer.arbiter && now - peer.arbiterAt <= this.#timings.deadMs) arbiter = true;
      } else if (peer.pausedUntil > now) paused.add(member);
    }
    return { live, paused, ready, arbiter };
  }

  /** Peers whose last heartbeat is overdue and that are not given up yet: lost packets are common, dead peers are not. */
  *quiet(now: number): Iterable<MemberId> {
    for (const [member, peer] of this.#peers) if (this.#isQuiet(peer, now)) yield member;
  }

  #isQuiet({ believed, heardAt }: Peer, now: number): boolean {
    const silence = now - heardAt;
    return believed && silence > 1.4 * this.#timings.beatMs && silence <= this.#timings.deadMs;
  }

  /** When the view changes next if nothing more is heard; undefined: never. */
  nextExpiry(now: number): number | undefined {
    let next: number | undefined;
    for (const { evidenceAt, pausedUntil } of this.#peers.values()) {
      for (const at of [evidenceAt + this.#timings.deadMs, pausedUntil])
        if (at >= now && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  /**
   * Forgets peers that are neither of the cluster nor there. One that comes back is counted on from where any of them
   * was left: it may still know our session, and would take smaller numbers for a repetition.
   */
  keepOnly(members: ReadonlySet<MemberId>, now: number): void {
    const { live, paused } = this.view({ ready: false, arbiter: false }, now);
    for (const [member, peer] of this.#peers) {
      if (members.has(member) || live.has(member) || paused.has(member)) {
        peer.delivery.keepOnly(members);
        continue;
      }
      this.#firstCounter = Math.max(this.#firstCounter, peer.nextCounter);
      this.#peers.delete(member);
    }
  }

  #fresh(peer: Peer, { echo }: Beat, now: number): boolean {
    if (echo?.session !== this.#session) return false;
    const sent = peer.sent.find(({ counter }) => counter === echo.counter);
    return sent !== undefined && now - sent.at <= this.#timings.echoMs;
  }

  #newSession(peer: Peer, session: string): void {
    peer.session = session;
    peer.believed = false;
    peer.delivery.renew();
    peer.counter = 0;
    peer.seen.clear();
  }

  #count(peer: Peer, counter: number): void {
    peer.counter = Math.max(peer.counter, counter);
    peer.seen.add(counter);
    if (peer.seen.size <= 2 * windowSize) return;
    for (const one of peer.seen) if (one <= peer.counter - windowSize) peer.seen.delete(one);
  }

  #pass({ member, ageMs, ready, arbiter }: Evidence, now: number): void {
    if (member === this.#me) return;
    const peer = this.#peer(member);
    const at = now - ageMs;
    if (at <= peer.evidenceAt || ageMs > this.#timings.deadMs) return;
    peer.evidenceAt = at;
    peer.ready = ready;
    peer.arbiter = arbiter;
    if (arbiter) peer.arbiterAt = at;
  }

  #isLive(member: MemberId, now: number): boolean {
    return now - (this.#peers.get(member)?.evidenceAt ?? never) <= this.#timings.deadMs;
  }

  /** The same list for all that is sent in one moment: it is made and written once. */
  #evidence(now: number): readonly Evidence[] {
    if (this.#said?.at === now) return this.#said.members;
    const members: Evidence[] = [];
    for (const [member, { evidenceAt, heardAt, ready, arbiter }] of this.#peers) {
      const ageMs = now - evidenceAt;
      if (ageMs > this.#timings.deadMs) continue;
      members.push({ member, ageMs, direct: now - heardAt <= this.#timings.deadMs, ready, arbiter });
    }
    this.#said = { at: now, members };
    return members;
  }

  #peer(member: MemberId): Peer {
    let peer = this.#peers.get(member);
    if (peer === undefined) {
      peer = {
        session: '',
        counter: 0,
        seen: new Set(),
        believed: false,
        sent: [],
        nextCounter: this.#firstCounter,
        heardAt: never,
        evidenceAt: never,
        ready: false,
        arbiter: false,
        arbiterAt: never,
        pausedUntil: never,
        delivery: new Delivery(),
      };
      this.#peers.set(member, peer);
    }
    return peer;
  }
}
