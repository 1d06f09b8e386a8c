/**
 * The running part of announcing on one node: hears the other agents, decides about every address, tells the engine
 * what this node holds, and tells the others.
 *
 * Invariants: the engine is told before anybody else hears that an address is ours (`held` is said when the kernel has
 * it); one call of the engine at a time, always with the whole list; nothing here waits for the API server; time is the
 * monotonic clock, and a process that has slept hears what came meanwhile before it judges anybody dead.
 */
import type { Clock } from '../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../core/errors.ts';
import type { NodeName } from '../../core/objects.ts';
import type { Announcer, Holding, Link } from './announcer.ts';
import { ClaimTable } from './claims.ts';
import { decide, type Act, type Mine } from './decide.ts';
import type { AddressFacts } from './facts.ts';
import { chooseLinks, type LinkChoice } from './links.ts';
import { Liveness, type View } from './liveness.ts';
import { open, seal, type Beat } from './packet.ts';
import { standing, type Known, type Standing } from './quorum.ts';
import { memberId, type MemberId } from './rank.ts';
import { announceTimings, type AnnounceTimings } from './timings.ts';

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

interface Owned extends Mine {
  readonly sinceWall: number;
  readonly reason: string;
  readonly interfaces: readonly string[];
}

/** A timer that comes later than this finds a process that has slept. */
const sleptMs = 50;
const listenFirstMs = 20;
const answerGapMs = 20;
const repeatGapMs = 1_000;
const mendMs = 500;
const wokenMs = 1_000;
const mostStrangers = 256;
const strangerMs = 3_000;

export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #timings: AnnounceTimings;
  readonly #me: MemberId;
  readonly #liveness: Liveness;
  readonly #table = new ClaimTable();
  readonly #mine = new Map<string, Owned>();
  readonly #unclaimedSince = new Map<string, number>();
  /** What the engine says stands in the way, by address. */
  readonly #troubles = new Map<string, SluiceError>();
  /** Addresses that the kernel refused, until when they are left alone. */
  readonly #refusedUntil = new Map<string, number>();
  /** Addresses that the link is being asked about, or answered for a moment ago. */
  readonly #asking = new Map<string, number>();
  readonly #goneSince = new Map<string, number>();
  /** Facts stay the same objects while nothing changes, so the choice of links is made once for each. */
  #choices = new WeakMap<AddressFacts, LinkChoice>();
  #links: readonly Link[] = [];
  #linksText = '';
  readonly #answeredAt = new Map<MemberId, number>();
  /** Agents that nobody has told us of, and when we last heard them. */
  readonly #strangers = new Map<MemberId, number>();
  readonly #ended = new AbortController();
  #ready = false;
  #leaving = false;
  #settledAt = Number.POSITIVE_INFINITY;
  #withoutSince: number | undefined;
  #beatAt = Number.POSITIVE_INFINITY;
  #stoodStillAt = Number.NEGATIVE_INFINITY;
  #standing: Standing = { right: { kind: 'none' }, contend: false, seen: 1, known: 1 };
  #live: ReadonlySet<MemberId> = new Set();
  #sentVersion = 0;
  /** What the engine was told last; undefined: it has to be told in any case. */
  #holding: Map<string, Holding> | undefined = new Map();
  #applying = false;
  #applyAgain = false;
  #repeatedAt = Number.NEGATIVE_INFINITY;
  #looking = false;
  #cancelWake: () => void = () => undefined;
  #cancelBeat: () => void = () => undefined;
  #deferred = false;
  #emptied: (() => void) | undefined;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.#timings = options.timings ?? announceTimings;
    this.#me = memberId(options.node);
    this.#liveness = new Liveness(this.#me, options.session, this.#timings);
  }

  /** Begins to be heard. Nothing is taken before `setReady`. */
  start(): void {
    this.#beat();
  }

  /** Every list is complete. */
  setReady(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#settledAt = this.#options.clock.now() + this.#timings.settleMs;
    this.look();
    this.#sendAll();
  }

  /** A packet has come, from an address. Never throws. */
  received(bytes: Buffer, host = ''): void {
    if (this.#ended.signal.aborted) return;
    const { clock, keys } = this.#options;
    let beat;
    try {
      beat = open(bytes, keys());
    } catch (thrown) {
      this.#say({ kind: 'bad-packet', error: asSluiceError(thrown) });
      return;
    }
    const now = clock.now();
    this.#meet(beat, host, now);
    const got = this.#liveness.receive(beat, now);
    let news = false;
    for (const claim of got.claims) news = this.#table.hear(claim) || news;
    if (got.answer && now - (this.#answeredAt.get(beat.from) ?? -1_000) >= answerGapMs) {
      this.#answeredAt.set(beat.from, now);
      this.#sendTo(beat.from);
    }
    const changed = got.believed && (!this.#live.has(beat.from) || got.goodbye);
    if (news || changed || beat.arbiter || !this.#standingIsGood()) this.#lookSoon();
  }

  /**
   * Who has registered while we could not read of it is answered all the same: two that cannot both reach the API
   * server must still hear each other, or both would hold.
   */
  #meet({ from, to, port }: Beat, host: string, now: number): void {
    const { known, met } = this.#options;
    if (to !== this.#me || from === this.#me || known().members.has(from)) return;
    if (this.#strangers.size >= mostStrangers && !this.#strangers.has(from)) return;
    this.#strangers.set(from, now);
    met?.(from, port, host);
  }

  /** The machine of a member answers that nobody listens there. */
  refused(member: MemberId): void {
    if (this.#liveness.refused(member, this.#options.clock.now())) this.#lookSoon();
  }

  /** Facts, known members, links or the Lease may be others now. */
  changed(): void {
    this.#lookSoon();
  }

  /** The engine could not hold an address, or holds it again. */
  engineHeld(address: string, error: SluiceError | undefined): void {
    const { clock } = this.#options;
    if (error === undefined) {
      this.#troubles.delete(address);
      return;
    }
    if (error.code === 'Lapsed') {
      // The process stood still. What is still right after listening is asked for anew.
      this.#stoodStillAt = clock.now();
      this.#holding = undefined;
      this.#cancelWake();
      this.#cancelWake = clock.schedule(listenFirstMs, () => this.look());
      return;
    }
    if (!this.#mine.has(address)) return;
    this.#troubles.set(address, error);
    // The engine mends what somebody else has broken by itself, and at once.
    const passing = error.kind === 'transient' || error.kind === 'conflict';
    clock.schedule(passing ? mendMs : 0, () => {
      if (this.#troubles.get(address) !== error || this.#ended.signal.aborted) return;
      this.#say({ kind: 'refused', address, error });
      this.#refusedUntil.set(address, clock.now() + this.#timings.retryMs);
      this.look();
    });
  }

  /** Somebody on the link says that an address of ours is his. */
  contested(address: string, mac: string): void {
    const claim = this.#table.of(address);
    const mine = this.#mine.get(address);
    // While an address goes from one of us to another both are heard of for a moment.
    if (mine?.state !== 'up' || claim?.member !== this.#me || claim.state !== 'held') return;
    this.#say({ kind: 'contested', address, mac });
    if (this.#standing.right.kind === 'last-resort') {
      this.#asking.set(address, this.#options.clock.now() + this.#timings.retryMs);
      this.#drop(address, 'contested');
      this.#apply();
      return;
    }
    this.#repeat([address]);
  }

  // ── what others ask ──

  *held(): Iterable<Held> {
    for (const [address, { state, sinceWall, reason, interfaces }] of this.#mine)
      yield { address, state, sinceWall, reason, interfaces };
  }

  holds(address: string): Held | undefined {
    const mine = this.#mine.get(address);
    return mine && { address, ...mine };
  }

  /** Who holds the address as far as is known here: one of us that is there. */
  owner(address: string): MemberId | undefined {
    const claim = this.#table.of(address);
    if (claim === undefined || claim.state === 'free') return undefined;
    const { live, paused } = this.view();
    return live.has(claim.member) || paused.has(claim.member) ? claim.member : undefined;
  }

  get standing(): Standing {
    return this.#standing;
  }

  get me(): MemberId {
    return this.#me;
  }

  view(): View {
    return this.#liveness.view(this.#own(), this.#options.clock.now());
  }

  /** The one that speaks for all where nobody holds an address: the first of those that are there. */
  get leads(): boolean {
    const { ready } = this.view();
    const may = this.#standing.right.kind !== 'none' && this.#standing.right.kind !== 'grace';
    return may && [...ready].every((member) => this.#me <= member) && this.#ready;
  }

  linksFor(facts: AddressFacts): LinkChoice {
    let choice = this.#choices.get(facts);
    if (choice === undefined) {
      choice = chooseLinks(facts.address, facts.interfaces, this.#links);
      this.#choices.set(facts, choice);
    }
    return choice;
  }

  /** The kernel has refused the address on this node a moment ago. */
  refusal(address: string): boolean {
    return (this.#refusedUntil.get(address) ?? 0) > this.#options.clock.now();
  }

  unable(address: string, member: MemberId): boolean {
    return this.#table.unable(address, member);
  }

  ageOf(member: MemberId): number | undefined {
    return this.#liveness.ageOf(member, this.#options.clock.now());
  }

  /**
   * Ends. `keep`: a successor is expected within the lifetime of the addresses; `release`: every address is handed
   * over first, so far as there is somebody to take it, and then taken down.
   */
  async stop(how: 'keep' | 'release'): Promise<void> {
    const { announcer, clock } = this.#options;
    if (how === 'release' && this.#mine.size > 0) {
      this.#leaving = true;
      this.look();
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
        clock.schedule(this.#timings.leaveMs + this.#timings.beatMs, resolve);
      });
    }
    this.#ended.abort();
    this.#cancelWake();
    this.#cancelBeat();
    await announcer.stop(how);
    // Said when the kernel will not hear of us again; twice, since nobody repeats it.
    // The engine renews once more before it ends; a little earlier than that runs out others take over.
    const goodbyeMs = how === 'keep' ? this.#timings.lifetimeMs - this.#timings.beatMs : 0;
    for (let times = 0; times < 2; times += 1) this.#sendAll(goodbyeMs);
  }

  // ── the round ──

  /** Looks at everything now. Called by itself in time; tests and `setReady` call it at once. */
  look(): void {
    if (this.#ended.signal.aborted) return;
    const { clock, arbiter, facts, known } = this.#options;
    const now = clock.now();
    const started = now;
    this.#checkStandStill(now);
    this.#lookAtLinks();
    const members = known();
    const view = this.#liveness.view(this.#own(), now);
    this.#notice(view);
    this.#stand(view, members, now);
    arbiter.want(this.#standing.contend);
    let acts = 0;
    let again = this.#liveness.nextExpiry(now);
    const all = facts();
    const addresses = new Set([...all.keys(), ...this.#mine.keys()]);
    for (const address of addresses) {
      const outcome = this.#decide(address, all.get(address), view, now);
      if (outcome.unclaimed) {
        if (!this.#unclaimedSince.has(address)) this.#unclaimedSince.set(address, now);
      } else this.#unclaimedSince.delete(address);
      if (
        outcome.again !== undefined &&
        outcome.again > now &&
        (again === undefined || outcome.again < again)
      )
        again = outcome.again;
      if (outcome.act.kind !== 'none' && outcome.act.kind !== 'keep') acts += 1;
      this.#act(address, outcome.act, now);
    }
    this.#forget(all, now);
    if (acts > 0) this.#say({ kind: 'decided', addresses: addresses.size, acts, ms: clock.now() - started });
    if (this.#holdingsChanged(all)) this.#apply();
    if (this.#table.version !== this.#sentVersion) this.#sendAll();
    if (this.#leaving && this.#mine.size === 0) this.#emptied?.();
    this.#wakeAt(again);
  }

  #lookAtLinks(): void {
    const links = this.#options.announcer.links();
    const text = JSON.stringify(links);
    if (text === this.#linksText) return;
    this.#linksText = text;
    this.#links = links;
    this.#choices = new WeakMap();
  }

  #decide(
    address: string,
    found: AddressFacts | undefined,
    view: View,
    now: number,
  ): ReturnType<typeof decide> {
    const links = found === undefined ? undefined : this.linksFor(found);
    const refused = (this.#refusedUntil.get(address) ?? 0) > now;
    const able = links?.kind === 'links' && !refused;
    const eligible = found?.eligible ?? [];
    this.#tellAbility(address, able, found);
    const result = decide({
      address,
      me: this.#me,
      now,
      right: this.#standing.right,
      view,
      wanted: found?.wanted ?? false,
      eligible: this.#leaving ? eligible.filter((member) => member !== this.#me) : eligible,
      able,
      unable: (member) => this.#table.unable(address, member),
      claim: this.#table.of(address),
      mine: this.#mine.get(address),
      unclaimedSince: this.#unclaimedSince.get(address),
      settledAt: this.#settledAt,
      timings: this.#timings,
    });
    const retryAt = refused ? this.#refusedUntil.get(address) : this.#asking.get(address);
    return retryAt === undefined || !Number.isFinite(retryAt) || retryAt <= now
      ? result
      : { ...result, again: Math.min(result.again ?? retryAt, retryAt) };
  }

  #act(address: string, act: Act, now: number): void {
    switch (act.kind) {
      case 'none':
      case 'keep':
        return;
      case 'take':
        if (this.#standing.right.kind === 'last-resort' && act.reason !== 'kept') this.#askThenTake(address);
        else this.#take(address, act.reason, now);
        return;
      case 'insist': {
        const mine = this.#mine.get(address);
        if (mine === undefined) return;
        this.#mine.set(address, { ...mine, leavingSince: undefined });
        this.#table.say(address, this.#me, mine.state === 'up' ? 'held' : 'taking');
        return;
      }
      case 'leave': {
        const mine = this.#mine.get(address);
        if (mine === undefined) return;
        this.#mine.set(address, { ...mine, leavingSince: now });
        this.#table.say(address, this.#me, 'leaving');
        return;
      }
      case 'yield':
        this.#mine.delete(address);
        this.#say({ kind: 'given-up', address, reason: 'held-by-another' });
        return;
      case 'drop':
        this.#drop(address, act.reason);
        return;
    }
  }

  #take(address: string, reason: string, now: number): void {
    const facts = this.#options.facts().get(address);
    const links = facts === undefined ? undefined : this.linksFor(facts);
    if (links?.kind !== 'links') return;
    this.#table.say(address, this.#me, 'taking');
    this.#mine.set(address, {
      state: 'putting',
      since: now,
      sinceWall: this.#options.clock.wall(),
      leavingSince: undefined,
      reason: this.#standing.right.kind === 'majority' ? reason : this.#standing.right.kind,
      interfaces: links.names,
    });
    this.#say({ kind: 'taken', address, reason });
  }

  #drop(address: string, reason: string): void {
    const had = this.#mine.delete(address);
    this.#troubles.delete(address);
    if (this.#table.of(address)?.member === this.#me) this.#table.say(address, this.#me, 'free');
    if (had) this.#say({ kind: 'given-up', address, reason });
  }

  /** Where a majority may be on the other side of a cut, who answers on our side has it. */
  #askThenTake(address: string): void {
    const { announcer, clock, facts } = this.#options;
    const now = clock.now();
    if ((this.#asking.get(address) ?? 0) > now) return;
    const found = facts().get(address);
    const links = found === undefined ? undefined : this.linksFor(found);
    const link = links?.kind === 'links' ? links.names[0] : undefined;
    if (link === undefined) return;
    this.#asking.set(address, Number.POSITIVE_INFINITY);
    void announcer.probe(address, link, this.#ended.signal).then((answer) => {
      if (this.#ended.signal.aborted) return;
      const at = clock.now();
      const still = this.#standing.right.kind === 'last-resort' && this.owner(address) === undefined;
      if (answer.kind === 'free' && still) {
        this.#asking.delete(address);
        this.#take(address, 'last-resort', at);
      } else this.#asking.set(address, at + this.#timings.retryMs);
      this.#lookSoon();
    });
  }

  /** Others pass over a member that says that it cannot. */
  #tellAbility(address: string, able: boolean, facts: AddressFacts | undefined): void {
    const said = this.#table.unable(address, this.#me);
    const concerned =
      this.#ready &&
      facts !== undefined &&
      (facts.wanted || facts.asked) &&
      facts.poolNodes.includes(this.#options.node);
    if (said === !able || (!said && !concerned)) return;
    this.#table.say(address, this.#me, able ? 'able' : 'unable');
  }

  #notice(view: View): void {
    const came = [...view.live].some((member) => !this.#live.has(member));
    const same = !came && view.live.size === this.#live.size;
    this.#live = view.live;
    if (same) return;
    this.#say({ kind: 'members', live: view.live.size, paused: view.paused.size });
    // After a cut, who asks meanwhile may have been told something else.
    if (came) this.#repeat([...this.#mine].filter(([, { state }]) => state === 'up').map(([one]) => one));
  }

  #stand(view: View, members: Known, now: number): void {
    const before = this.#standing;
    this.#standing = standing(this.#me, view, members, this.#times(now));
    const good = this.#standingIsGood();
    if (good) this.#withoutSince = undefined;
    else if (before.right.kind === 'lease' || before.right.kind === 'last-resort') {
      // The Lease has a grace of its own, and it is over: others may have it a second later.
      this.#withoutSince = now - this.#timings.graceMs;
      this.#standing = standing(this.#me, view, members, this.#times(now));
    } else this.#withoutSince ??= now;
    const next = this.#standing;
    if (
      before.right.kind !== next.right.kind ||
      before.known !== next.known ||
      before.seen !== next.seen ||
      before.contend !== next.contend
    )
      this.#say({ kind: 'standing', standing: next });
  }

  #standingIsGood(): boolean {
    const { kind } = this.#standing.right;
    return kind !== 'none' && kind !== 'grace';
  }

  #times(now: number): Parameters<typeof standing>[3] {
    const { graceMs } = this.#timings;
    // The grace is for those who were there all along: meanwhile somebody else may have got the Lease.
    const withoutSince = now - this.#stoodStillAt < wokenMs ? now - graceMs : this.#withoutSince;
    return { now, withoutSince, graceMs };
  }

  /** The process has not run for so long that its addresses may have run out, and may be another's by now. */
  #checkStandStill(now: number): void {
    if (now - this.#beatAt < this.#timings.lifetimeMs - this.#timings.renewMs) return;
    this.#beatAt = now;
    this.#stoodStillAt = now;
    // What is still ours after that is asked for anew.
    this.#holding = undefined;
  }

  #repeat(addresses: readonly string[]): void {
    const now = this.#options.clock.now();
    if (addresses.length === 0 || now - this.#repeatedAt < repeatGapMs) return;
    this.#repeatedAt = now;
    this.#options.announcer.repeat(addresses);
  }

  // ── the engine ──

  #holdingsChanged(all: ReadonlyMap<string, AddressFacts>): boolean {
    let changed = this.#mine.size !== this.#holding?.size;
    const next = new Map<string, Holding>();
    for (const [address, mine] of this.#mine) {
      const facts = all.get(address);
      const before = this.#holding?.get(address);
      const links = facts === undefined ? undefined : this.linksFor(facts);
      const interfaces = links?.kind === 'links' ? links.names : mine.interfaces;
      const ports = facts?.ports ?? before?.ports ?? [];
      if (before !== undefined && before.ports === ports && sameNames(before.interfaces, interfaces)) {
        next.set(address, before);
        continue;
      }
      changed = true;
      next.set(address, { address, interfaces, ports });
      this.#mine.set(address, { ...mine, interfaces });
    }
    if (changed) this.#holding = next;
    return changed;
  }

  #apply(): void {
    if (this.#applying) {
      this.#applyAgain = true;
      return;
    }
    this.#applying = true;
    void this.#applyAll();
  }

  async #applyAll(): Promise<void> {
    const { announcer, clock } = this.#options;
    do {
      this.#applyAgain = false;
      this.#holdingsChanged(this.#options.facts());
      const asked = new Map([...this.#mine].map(([address, { since }]) => [address, since]));
      try {
        await announcer.hold([...(this.#holding?.values() ?? [])]);
        if (this.#ended.signal.aborted) break;
        this.#confirm(asked);
      } catch (thrown) {
        this.#say({ kind: 'engine-failed', error: asSluiceError(thrown) });
        clock.schedule(this.#timings.beatMs, () => this.#apply());
        break;
      }
    } while (this.#applyAgain);
    this.#applying = false;
    this.look();
  }

  /** The kernel has what was asked for. */
  #confirm(asked: ReadonlyMap<string, number>): void {
    const { clock } = this.#options;
    const now = clock.now();
    for (const [address, since] of asked) {
      const mine = this.#mine.get(address);
      if (mine?.state !== 'putting' || mine.since !== since) continue;
      if (this.#troubles.has(address)) continue;
      this.#mine.set(address, { ...mine, state: 'up' });
      const claim = this.#table.of(address);
      // Somebody else was told a greater epoch meanwhile: the next look settles that.
      if (claim?.member === this.#me) this.#table.say(address, this.#me, 'held');
      this.#say({ kind: 'up', address, ms: now - since });
    }
  }

  // ── sending and waking ──

  #beat(): void {
    if (this.#ended.signal.aborted) return;
    const { clock } = this.#options;
    this.#checkStandStill(clock.now());
    this.#beatAt = clock.now();
    const half = this.#timings.beatMs / 2;
    this.#cancelBeat = clock.schedule(half, () => {
      // Between two heartbeats only those are asked that are overdue.
      for (const member of this.#liveness.quiet(clock.now())) this.#sendTo(member);
      this.#cancelBeat = clock.schedule(half, () => this.#beat());
    });
    this.#sendAll();
  }

  #sendAll(goodbyeMs?: number): void {
    this.#sentVersion = this.#table.version;
    const { known, clock } = this.#options;
    const { members } = known();
    const now = clock.now();
    for (const member of members) if (member !== this.#me) this.#sendTo(member, goodbyeMs);
    for (const [member, heardAt] of this.#strangers) {
      if (members.has(member) || now - heardAt > strangerMs) this.#strangers.delete(member);
      else this.#sendTo(member, goodbyeMs);
    }
  }

  #sendTo(member: MemberId, goodbyeMs?: number): void {
    const { keys, clock, send } = this.#options;
    const [key] = keys();
    if (key === undefined) return;
    const own = { ...this.#own(), goodbyeMs, port: this.#options.port?.() ?? 0 };
    for (const beat of this.#liveness.compose(member, own, this.#table, clock.now()))
      send(member, seal(beat, key));
  }

  #own(): { readonly ready: boolean; readonly arbiter: boolean } {
    return { ready: this.#ready && !this.#leaving, arbiter: this.#options.arbiter.held() };
  }

  #lookSoon(): void {
    if (this.#looking || this.#ended.signal.aborted) return;
    this.#looking = true;
    this.#options.clock.schedule(0, () => {
      this.#looking = false;
      this.look();
    });
  }

  #wakeAt(at: number | undefined): void {
    this.#cancelWake();
    if (at === undefined) return;
    const { clock } = this.#options;
    const due = at + 1;
    this.#cancelWake = clock.schedule(Math.max(1, due - clock.now()), () => {
      if (clock.now() - due > sleptMs && !this.#deferred) {
        this.#deferred = true;
        this.#cancelWake = clock.schedule(listenFirstMs, () => {
          this.#deferred = false;
          this.look();
        });
        return;
      }
      this.look();
    });
  }

  /** Records of addresses that are no more. */
  #forget(all: ReadonlyMap<string, AddressFacts>, now: number): void {
    for (const address of this.#goneSince.keys()) if (all.has(address)) this.#goneSince.delete(address);
    for (const address of this.#unclaimedSince.keys())
      if (!all.has(address)) this.#unclaimedSince.delete(address);
    if (this.#table.size <= all.size) return;
    for (const address of this.#table.addresses()) {
      if (all.has(address) || this.#mine.has(address)) continue;
      const since = this.#goneSince.get(address) ?? now;
      this.#goneSince.set(address, since);
      if (now - since < this.#timings.forgetMs) continue;
      this.#table.forget(address);
      this.#goneSince.delete(address);
      this.#refusedUntil.delete(address);
      this.#troubles.delete(address);
      this.#asking.delete(address);
    }
  }

  #say(event: OwnershipEvent): void {
    this.#options.report?.(event);
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}
