/**
 * The running part of announcing on one node: hears the other agents, decides about every address, tells the engine
 * what this node holds, and tells the others.
 *
 * This is the round of decision; it stands on `Liveness` (who is there), `Rights` (whether we may), `ClaimTable` (who
 * says what), `Holdings` (the engine), `Beats` (sending) and `Turns` (when). Invariants: nothing here waits for the API
 * server; time is the monotonic clock.
 */
import { sleep } from '../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../core/errors.ts';
import { abilityToTell } from './ability.ts';
import { Acts } from './acts.ts';
import { Beats } from './beats.ts';
import { ClaimTable } from './claims.ts';
import { decide, type Outcome } from './decide.ts';
import type { AddressFacts } from './facts.ts';
import { Gone } from './gone.ts';
import { Holdings } from './holdings.ts';
import { LastResort } from './last-resort.ts';
import { LinkChoices } from './link-choices.ts';
import type { LinkChoice } from './links.ts';
import { Liveness, type View } from './liveness.ts';
import type { Held, OwnershipEvent, OwnershipOptions } from './ownership-port.ts';
import { open } from './packet.ts';
import type { Standing } from './quorum.ts';
import { memberId, type MemberId } from './rank.ts';
import { Repeats } from './repeats.ts';
import { Rights } from './rights.ts';
import { announceTimings, type AnnounceTimings } from './timings.ts';
import { Turns } from './turns.ts';

const listenMs = 10;
const mostListens = 20;

export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #timings: AnnounceTimings;
  readonly #me: MemberId;
  readonly #table = new ClaimTable();
  readonly #liveness: Liveness;
  readonly #rights: Rights;
  readonly #links = new LinkChoices();
  readonly #holdings: Holdings;
  readonly #beats: Beats;
  readonly #turns: Turns;
  readonly #repeats: Repeats;
  readonly #unclaimedSince = new Map<string, number>();
  readonly #lastResort: LastResort;
  readonly #acts: Acts;
  readonly #gone: Gone;
  readonly #ended = new AbortController();
  #ready = false;
  #leaving = false;
  /** Somebody that we hear had the Lease at the last look. */
  #arbiter = false;
  #settledAt = Number.POSITIVE_INFINITY;
  #emptied: (() => void) | undefined;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    const { clock, announcer, facts } = options;
    const timings = options.timings ?? announceTimings;
    const me = memberId(options.node);
    const ended = this.#ended.signal;
    this.#timings = timings;
    this.#me = me;
    this.#liveness = new Liveness(me, options.session, timings);
    this.#rights = new Rights(me, timings);
    this.#turns = new Turns({
      clock,
      look: () => this.look(),
      awakeMs: timings.beatMs / 2,
      slept: (ms) => this.#slept(ms),
    });
    this.#repeats = new Repeats({ clock, announcer, mayTell: () => this.mayRenew() });
    this.#holdings = new Holdings({
      me,
      clock,
      announcer,
      facts,
      timings,
      table: this.#table,
      linksFor: (found) => this.linksFor(found),
      say: (event) => this.#say(event),
      look: () => this.#turns.now(),
      ended,
    });
    this.#lastResort = new LastResort({ announcer, clock, retryMs: timings.retryMs, ended });
    this.#acts = new Acts({
      me,
      table: this.#table,
      holdings: this.#holdings,
      lastResort: this.#lastResort,
      linksOf: (address) => {
        const found = facts().get(address);
        return found && this.linksFor(found);
      },
      right: () => this.standing.right.kind,
      owned: (address) => this.owner(address) !== undefined,
      say: (event) => this.#say(event),
      lookSoon: () => this.#turns.soon(),
    });
    this.#gone = new Gone(timings.forgetMs);
    this.#beats = new Beats({
      ...options,
      me,
      timings,
      table: this.#table,
      liveness: this.#liveness,
      own: () => this.#own(),
      awake: () => this.#turns.awake(),
    });
  }

  /** Begins to be heard. Nothing is taken before `setReady`. */
  start(): void {
    this.#beats.start();
  }

  /** Every list is complete. */
  setReady(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#settledAt = this.#options.clock.now() + this.#timings.settleMs;
    this.look();
    this.#beats.sendAll();
  }

  /** A packet has come, from an address. Never throws. */
  received(bytes: Buffer, host = ''): void {
    if (this.#ended.signal.aborted) return;
    this.#turns.awake();
    const { clock, keys } = this.#options;
    let beat;
    try {
      beat = open(bytes, keys());
    } catch (thrown) {
      this.#say({ kind: 'bad-packet', error: asSluiceError(thrown) });
      return;
    }
    const now = clock.now();
    this.#beats.meet(beat, host, now);
    const got = this.#liveness.receive(beat, now);
    let news = false;
    for (const claim of got.claims) news = this.#table.hear(claim) || news;
    for (const member of got.retell) this.#table.retell(member);
    if (got.answer) this.#beats.answer(beat.from, now);
    const changed = got.believed && (!this.#repeats.has(beat.from) || got.goodbye);
    if (news || changed || got.retell.length > 0 || this.#mayMatter(now)) this.#turns.soon();
  }

  /** Without the right to hold, whoever is heard of may give it: by others too. */
  #mayMatter(now: number): boolean {
    const { live, arbiter } = this.#liveness.view(this.#own(), now);
    if (arbiter !== this.#arbiter) return true;
    return !this.#rights.good && [...live].some((member) => !this.#repeats.has(member));
  }

  /** The machine of a member answers that nobody listens there. */
  refused(member: MemberId): void {
    if (this.#liveness.refused(member, this.#options.clock.now())) this.#turns.soon();
  }

  /** Facts, known members, links or the Lease may be others now. */
  changed(): void {
    this.#turns.soon();
  }

  /**
   * Addresses may be put up and renewed: this process has not slept since it last listened, or so shortly that nobody
   * can have given it up. The last heartbeat was sent up to a beat before it fell asleep.
   */
  mayRenew(): boolean {
    return !this.#turns.sleptUnheard(this.#timings.deadMs - this.#timings.beatMs);
  }

  /** The engine could not hold an address, or holds it again. */
  engineHeld(address: string, error: SluiceError | undefined): void {
    if (error?.code !== 'Lapsed') {
      this.#holdings.engineHeld(address, error);
      return;
    }
    // The process stood still. What is still right after listening is asked for anew.
    this.#rights.stoodStill(this.#options.clock.now());
    this.#holdings.tellAnew();
    this.#turns.listenFirst();
  }

  /**
   * Somebody on the link says that an address of ours is his. @returns whether that is so, and this node answers for it
   * all the same.
   */
  contested(address: string, mac: string): boolean {
    const claim = this.#table.of(address);
    const mine = this.#holdings.get(address);
    // While an address goes from one of us to another both are heard of for a moment.
    if (mine?.state !== 'up' || claim?.member !== this.#me || claim.state !== 'held') return false;
    if (!this.mayRenew()) {
      // Whoever has it by now is right to say so. If it is still ours after listening, that is told.
      this.#repeats.tell([address]);
      return false;
    }
    this.#say({ kind: 'contested', address, mac });
    if (this.standing.right.kind === 'last-resort') {
      this.#lastResort.rest(address);
      this.#acts.drop(address, 'contested');
      this.#holdings.apply();
      return false;
    }
    this.#repeats.tell([address]);
    return true;
  }

  // ── what others ask ──

  held(): Iterable<Held> {
    return this.#holdings.held();
  }

  holds(address: string): Held | undefined {
    const mine = this.#holdings.get(address);
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
    return this.#rights.standing;
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
    return this.#rights.good && [...ready].every((member) => this.#me <= member) && this.#ready;
  }

  /** For how long this agent may not hold anything, in milliseconds. */
  get withoutRightMs(): number {
    return this.#rights.withoutMs(this.#options.clock.now());
  }

  linksFor(facts: AddressFacts): LinkChoice {
    return this.#links.for(facts);
  }

  /** The kernel has refused the address on this node a moment ago. */
  refusal(address: string): boolean {
    return (this.#holdings.refusedUntil(address) ?? 0) > this.#options.clock.now();
  }

  unable(address: string, member: MemberId): boolean {
    return this.#table.unable(address, member);
  }

  /**
   * Ends. `keep`: a successor is expected within the lifetime of the addresses; `release`: every address is handed
   * over first, so far as there is somebody to take it, and then taken down.
   */
  async stop(how: 'keep' | 'release'): Promise<void> {
    const { announcer, clock } = this.#options;
    if (how === 'release' && this.#holdings.size > 0) {
      const done = Promise.withResolvers<void>();
      this.#emptied = done.resolve;
      this.#leaving = true;
      this.look();
      const cancel = clock.schedule(this.#timings.leaveMs + this.#timings.beatMs, done.resolve);
      await done.promise;
      cancel();
    }
    // The engine renews as its last act, which it may not before it has been listened.
    for (let tries = 0; tries < mostListens && !this.mayRenew(); tries += 1) await sleep(clock, listenMs);
    this.#ended.abort();
    this.#turns.stop();
    this.#repeats.stop();
    // Heard until the engine has ended, however long that takes: silence would say that this node is gone.
    await announcer.stop(how);
    this.#beats.stop();
    // Said when the kernel will not hear of us again; twice, since nobody repeats it.
    // The engine renews once more before it ends; a little earlier than that runs out others take over.
    const goodbyeMs = how === 'keep' ? this.#timings.lifetimeMs - this.#timings.beatMs : 0;
    for (let times = 0; times < 2; times += 1) this.#beats.sendAll(goodbyeMs);
  }

  // ── the round ──

  /** Looks at everything now. Called by itself in time; tests and `setReady` call it at once. */
  look(): void {
    if (this.#ended.signal.aborted) return;
    const { clock, arbiter, facts, known, announcer } = this.#options;
    const now = clock.now();
    this.#links.see(announcer.links());
    const members = known();
    const view = this.view();
    this.#arbiter = view.arbiter;
    const seen = this.#repeats.see(view.live);
    if (seen !== 'the same') this.#say({ kind: 'members', live: view.live.size, paused: view.paused.size });
    if (this.#rights.judge(view, members, now)) this.#say({ kind: 'standing', standing: this.standing });
    arbiter.want(this.standing.contend);
    let acts = 0;
    let again = this.#liveness.nextExpiry(now);
    const all = facts();
    const addresses = new Set([...all.keys(), ...this.#holdings.addresses()]);
    for (const address of addresses) {
      const { act, unclaimed, again: due } = this.#decide(address, all.get(address), view, now);
      if (!unclaimed) this.#unclaimedSince.delete(address);
      else if (!this.#unclaimedSince.has(address)) this.#unclaimedSince.set(address, now);
      if (due !== undefined && due > now && (again === undefined || due < again)) again = due;
      if (act.kind !== 'none' && act.kind !== 'keep') acts += 1;
      this.#acts.carryOut(address, act, now);
    }
    this.#forget(all, now);
    if (acts > 0) this.#say({ kind: 'decided', addresses: addresses.size, acts, ms: clock.now() - now });
    this.#holdings.tell(all);
    // After a cut, neighbours may have been told something else meanwhile. Only now is it known what is held still.
    if (seen === 'somebody came')
      this.#repeats.tell(
        [...this.held()].filter(({ state }) => state === 'up').map(({ address }) => address),
      );
    this.#beats.sendNews();
    if (this.#leaving && this.#holdings.size === 0) this.#emptied?.();
    this.#turns.at(again);
  }

  #decide(address: string, found: AddressFacts | undefined, view: View, now: number): Outcome {
    const links = found === undefined ? undefined : this.linksFor(found);
    const refusedUntil = this.#holdings.refusedUntil(address) ?? 0;
    const refused = refusedUntil > now;
    const able = links?.kind === 'links' && !refused;
    const eligible = found?.eligible ?? [];
    const word = abilityToTell({
      able,
      said: this.#table.unable(address, this.#me) ? 'unable' : 'able',
      concerned: this.#ready && found?.poolNodes.includes(this.#options.node) === true,
      facts: found,
    });
    if (word !== undefined) this.#table.say(address, this.#me, word);
    const result = decide({
      address,
      me: this.#me,
      now,
      right: this.standing.right,
      view,
      wanted: found?.wanted ?? false,
      eligible: this.#leaving ? eligible.filter((member) => member !== this.#me) : eligible,
      able,
      unable: (member) => this.#table.unable(address, member),
      claim: this.#table.of(address),
      mine: this.#holdings.get(address),
      unclaimedSince: this.#unclaimedSince.get(address),
      settledAt: this.#settledAt,
      timings: this.#timings,
    });
    const retryAt = refused ? refusedUntil : this.#lastResort.retryAt(address);
    return retryAt === undefined || retryAt <= now
      ? result
      : { ...result, again: Math.min(result.again ?? retryAt, retryAt) };
  }

  #slept(ms: number): void {
    if (ms < this.#timings.lifetimeMs - this.#timings.renewMs) return;
    // Addresses may have run out, and may be another's by now: what is still ours after listening is asked for anew.
    this.#rights.stoodStill(this.#options.clock.now());
    this.#holdings.tellAnew();
  }

  #own(): { readonly ready: boolean; readonly arbiter: boolean } {
    return { ready: this.#ready && !this.#leaving, arbiter: this.#options.arbiter.held() };
  }

  /** Records of addresses that are no more. */
  #forget(all: ReadonlyMap<string, AddressFacts>, now: number): void {
    for (const address of this.#unclaimedSince.keys())
      if (!all.has(address)) this.#unclaimedSince.delete(address);
    if (this.#table.size <= all.size) return;
    const there = (address: string): boolean => all.has(address) || this.#holdings.get(address) !== undefined;
    for (const address of this.#gone.due(this.#table.addresses(), there, now)) {
      this.#table.forget(address);
      this.#holdings.forget(address);
    }
    this.#lastResort.keepOnly(all);
  }

  #say(event: OwnershipEvent): void {
    this.#options.report?.(event);
  }
}
