/**
 * The engine that puts addresses on interfaces: the kernel answers ARP and neighbour discovery for them, we renew their
 * short lifetime and tell the neighbours.
 *
 * Invariants: the guard stands before an address answers, and until it has gone. An address lives as long as its
 * lifetime after the last renewal, never longer than somebody decides; after a stand-still of the whole process nothing
 * is renewed or put back until `hold` is called again. What does not bear our mark is never touched.
 */
import { systemClock, type Clock, type Random } from '../../../core/clock.ts';
import { SluiceError, asSluiceError } from '../../../core/errors.ts';
import { systemSpawn, type Spawn } from '../../tool.ts';
import { spawnPiped, type SpawnPiped } from '../../nftables/process.ts';
import type { Announcer, AnnouncerEvents, Holding, Link, ProbeAnswer } from '../announcer.ts';
import { Ears } from './ears.ts';
import { Guard, attempt } from './guard.ts';
import type { GuardState } from './guard-text.ts';
import { HeldReport } from './held-report.ts';
import { Herald } from './herald.ts';
import { Kernel } from './kernel.ts';
import { LinkTable, type Effect } from './link-table.ts';
import type { Message } from './netlink.ts';
import { Placements, type Placement } from './placements.ts';
import { probeLink } from './probe.ts';
import { planPutUp, untilTaken } from './put-up.ts';
import { listAddresses, listLinks, listRoutes, putAddress, takeAddress } from './rtnetlink.ts';
import { lapsed, lost, refused, removed } from './troubles.ts';
import { addressBytes, keyOf } from './wire.ts';

export interface KernelAnnouncerOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Start perl and nft; tests hand in ones that start them inside a network namespace. */
  readonly start?: Spawn;
  readonly startNft?: SpawnPiped;
}

/** Of an address, seconds: how long it outlives whoever renews it. */
export const lifetimeSeconds = 2;
const renewEveryMs = 500;
/** The kernel counts lifetimes a little short. */
const standsMs = lifetimeSeconds * 1_000 - 50;
/** A write that comes later than this is not carried out. */
const putWithinMs = 1_000;
const probeWithinMs = 500;
const lookAgainMs = 10_000;
const guardCheckMs = 5_000;
const linksTellMs = 50;
const longestPauseMs = 2_000;

/** The announcer of a node's kernel. */
export class KernelAnnouncer implements Announcer {
  readonly #clock: Clock;
  readonly #start: Spawn;
  readonly #guard: Guard;
  readonly #table = new LinkTable();
  readonly #placements = new Placements();
  readonly #herald: Herald;
  readonly #report = new HeldReport((address, error) => this.#events?.held(address, error));
  #events: AnnouncerEvents | undefined;
  #ears: Ears | undefined;
  #kernel: Kernel | undefined;
  #wanted: readonly Holding[] = [];
  /** Nobody has said what this run holds: what an earlier one left stays. */
  #fresh = true;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #lastTick = 0;
  #lookedAt = 0;
  #guardSeenAt = 0;
  #toldLinks = '';
  #cancelTick: () => void = () => undefined;
  #cancelLinks: (() => void) | undefined;
  #reopenAfterMs = 0;
  #stopped = false;

  constructor(options: KernelAnnouncerOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#start = options.start ?? systemSpawn;
    this.#guard = new Guard(options.startNft ?? spawnPiped);
    this.#herald = new Herald({
      clock: this.#clock,
      random: options.random ?? Math.random,
      where: (id) => {
        const { bytes, link } = this.#placements.get(id) ?? {};
        const facts = link === undefined ? undefined : this.#table.link(link);
        return bytes === undefined || facts === undefined
          ? undefined
          : { address: bytes, link: facts.index, mac: facts.mac };
      },
      send: (link, frame, until) => this.#kernel?.frame(link, frame, until),
      stale: () => this.#clock.now() - this.#lastTick >= standsMs,
    });
  }

  /** @throws SluiceError where perl or a capability is missing: with its cure. */
  async start(events: AnnouncerEvents): Promise<void> {
    this.#events = events;
    this.#ears = new Ears({
      clock: this.#clock,
      events,
      heldOn: (key, link) => this.#placements.heldOn(key, link),
      isOwnMac: (mac) => this.#table.isOwnMac(mac),
    });
    await this.#open();
    this.#lastTick = this.#clock.now();
    this.#tellLinks();
    this.#scheduleTick();
  }

  links(): readonly Link[] {
    return this.#table.snapshot();
  }

  hold(holdings: readonly Holding[]): Promise<void> {
    // A decision made after a stand-still counts; what was held before it does not any more.
    this.#checkStandStill();
    this.#wanted = holdings;
    this.#fresh = false;
    return this.#pass();
  }

  repeat(addresses: readonly string[]): void {
    const keys = addresses.flatMap((address) => this.#placements.of(keyOf(addressBytes(address))));
    this.#herald.tell(keys.filter(({ link }) => link !== undefined).map(({ id }) => id));
  }

  probe(address: string, link: string, signal: AbortSignal): Promise<ProbeAnswer> {
    const ears = this.#ears;
    if (ears === undefined) {
      const error = new SluiceError('bug', 'the announcer has not been started', { code: 'NotStarted' });
      return Promise.resolve({ kind: 'failed', error });
    }
    return probeLink({
      address,
      linkName: link,
      table: this.#table,
      ears,
      clock: this.#clock,
      signal,
      send: (index, frame) => {
        this.#kernel?.frame(index, frame, this.#clock.now() + probeWithinMs);
        return this.#kernel !== undefined;
      },
    });
  }

  async stop(how: 'release' | 'keep'): Promise<void> {
    this.#cancelTick();
    this.#cancelLinks?.();
    if (how === 'release') this.#wanted = [];
    else await this.#renew();
    await this.#pass();
    await attempt(how === 'release' ? this.#guard.remove() : this.#guard.close());
    this.#stopped = true;
    this.#herald.end();
    this.#kernel?.close();
    this.#kernel = undefined;
  }

  async #open(): Promise<void> {
    // What this child still says after another has taken its place concerns nobody.
    const ifMine = (run: () => void): void => {
      if (this.#kernel === opened) run();
    };
    let opened: Kernel | undefined;
    const kernel = await Kernel.open({
      start: this.#start,
      clock: this.#clock,
      hearer: {
        arp: (frame, link) => this.#ears?.arp(frame, link),
        discovery: (frame, link) => this.#ears?.discovery(frame, link),
        change: (message) => this.#changed(message),
        lost: () => void this.#look(),
        ended: (error) => ifMine(() => this.#ended(error)),
      },
    });
    opened = kernel;
    if (this.#stopped) return kernel.close();
    this.#kernel = kernel;
    // Before anything else: time has passed.
    void this.#renew();
    try {
      await this.#fill(kernel);
    } catch (error) {
      // Where it has ended meanwhile, another is on its way.
      if (this.#kernel !== kernel) return;
      this.#kernel = undefined;
      kernel.close();
      throw error;
    }
    this.#reopenAfterMs = 0;
  }

  #ended(error: SluiceError): void {
    this.#kernel = undefined;
    for (const placement of this.#placements.values()) placement.trouble = error;
    this.#report.update(this.#placements.values());
    this.#reopen();
  }

  #reopen(): void {
    if (this.#stopped) return;
    const pause = this.#reopenAfterMs;
    this.#reopenAfterMs = Math.min(longestPauseMs, pause * 2 + 50);
    this.#clock.schedule(pause, () => {
      if (this.#stopped) return;
      this.#open().then(
        () => this.#pass(),
        (error: unknown) => {
          for (const placement of this.#placements.values()) placement.trouble = asSluiceError(error);
          this.#report.update(this.#placements.values());
          this.#reopen();
        },
      );
    });
  }

  /** Looks at everything: what is not there any more is put back. */
  async #look(): Promise<void> {
    const kernel = this.#kernel;
    if (kernel === undefined) return;
    this.#lookedAt = this.#clock.now();
    // A child that ends meanwhile is told elsewhere.
    if ((await attempt(this.#fill(kernel))) === undefined) await this.#pass();
  }

  async #fill(kernel: Kernel): Promise<void> {
    const [links, addresses, routes4, routes6] = await Promise.all([
      kernel.list(listLinks()),
      kernel.list(listAddresses()),
      kernel.list(listRoutes(4)),
      kernel.list(listRoutes(6)),
    ]);
    this.#table.replaceAll({ links, addresses, routes4, routes6 });
    this.#lookedAt = this.#clock.now();
    for (const placement of this.#placements.values()) {
      const { key, link } = placement;
      if (link !== undefined && !this.#table.bearsOurs(key, link)) this.#fell(placement, removed);
    }
    this.#linksChanged();
  }

  #changed(message: Message): void {
    const effect: Effect = this.#table.apply(message);
    switch (effect.kind) {
      case 'none':
        break;
      case 'address-gone': {
        const placement = this.#placements.of(effect.key).find(({ link }) => link === effect.link);
        if (placement === undefined) break;
        this.#fell(placement, removed);
        this.#report.update(this.#placements.values());
        void this.#pass();
        break;
      }
      case 'link-gone':
        for (const placement of this.#placements.values()) {
          if (placement.link === effect.link) this.#fell(placement, undefined);
        }
        void this.#pass();
        break;
      case 'link-ready':
      case 'link-changed':
        this.#herald.tell(
          [...this.#placements.values()].filter((p) => p.link === effect.link).map((p) => p.id),
        );
        void this.#pass();
    }
    this.#linksChanged();
  }

  #linksChanged(): void {
    this.#cancelLinks ??= this.#clock.schedule(linksTellMs, () => {
      this.#cancelLinks = undefined;
      this.#tellLinks();
    });
  }

  #tellLinks(): void {
    const links = this.links();
    const text = JSON.stringify(links);
    if (text === this.#toldLinks) return;
    this.#toldLinks = text;
    this.#events?.links(links);
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#clock.schedule(renewEveryMs, () => {
      this.#checkStandStill();
      this.#lastTick = this.#clock.now();
      this.#tick();
      if (!this.#stopped) this.#scheduleTick();
    });
  }

  #tick(): void {
    const now = this.#clock.now();
    for (const placement of this.#placements.values()) {
      if (placement.link !== undefined && placement.standsUntil <= now) this.#fell(placement, lost);
    }
    void this.#renew();
    this.#ears?.tellQuestions();
    if (now - this.#lookedAt >= lookAgainMs) void this.#look();
    if (now - this.#guardSeenAt >= guardCheckMs && !this.#fresh) void this.#checkGuard();
    if ([...this.#placements.values()].some(({ link }) => link === undefined)) void this.#pass();
  }

  /** The process has not run for longer than its addresses live: somebody else may hold them by now. */
  #checkStandStill(): void {
    const now = this.#clock.now();
    if (this.#events === undefined || now - this.#lastTick < standsMs) return;
    this.#lastTick = now;
    if (this.#fresh) return;
    for (const placement of this.#placements.values()) this.#fell(placement, lapsed);
    this.#report.update(this.#placements.values());
    this.#wanted = [];
    void this.#pass();
  }

  #fell(placement: Placement, why: ((placement: Placement) => SluiceError) | undefined): void {
    placement.link = undefined;
    placement.standsUntil = -Infinity;
    if (why !== undefined) placement.trouble = why(placement);
    this.#herald.stop(placement.id);
  }

  /** Renews everything that certainly stands, in one go before anything that is asked later. */
  async #renew(): Promise<void> {
    const kernel = this.#kernel;
    const now = this.#clock.now();
    const standing = this.#placements.standing(now);
    if (kernel === undefined || standing.length === 0) return;
    const requests = standing.flatMap(({ bytes, link }) =>
      link === undefined ? [] : [putAddress({ address: bytes, link }, lifetimeSeconds, 'renew')],
    );
    const until = Math.min(...standing.map(({ standsUntil }) => standsUntil));
    await kernel.ask(requests, until).then(
      (failures) => {
        const failed = new Map(failures.map(({ at, errno }) => [at, errno]));
        standing.forEach((placement, i) => {
          const errno = failed.get(i);
          if (placement.link === undefined) return;
          placement.trouble = errno === undefined ? undefined : refused(placement, errno);
          if (errno === undefined) placement.standsUntil = Math.max(placement.standsUntil, now + standsMs);
        });
        this.#report.update(this.#placements.values());
      },
      // Too late, or the child is gone: what is not renewed falls at its time.
      () => undefined,
    );
  }

  async #checkGuard(): Promise<void> {
    this.#guardSeenAt = this.#clock.now();
    const intact = await this.#guard.intact().catch(() => true);
    if (!intact) await this.#pass();
  }

  /** One at a time; whoever comes while one waits shares it. */
  #pass(): Promise<void> {
    if (this.#next === undefined) {
      const next = this.#running.then(() => {
        this.#next = undefined;
        return this.#carryOut();
      });
      this.#next = next;
      this.#running = next.catch((error: unknown) => this.#troubleAll(asSluiceError(error)));
      return this.#running;
    }
    return this.#running;
  }

  #troubleAll(error: SluiceError): void {
    for (const placement of this.#placements.values()) {
      if (placement.link === undefined) placement.trouble = error;
    }
    this.#report.update(this.#placements.values());
  }

  async #carryOut(): Promise<void> {
    const kernel = this.#kernel;
    if (this.#fresh || this.#stopped || kernel === undefined) return;
    const wanted = new Map(this.#wanted.map((holding) => [holding.address, holding]));
    const dropped = this.#placements.become(wanted.values());
    for (const placement of dropped) this.#herald.stop(placement.id);
    const guarded = await this.#guardAll(wanted, dropped);
    // Taken away after the guard has been asked, so that one that is moved to another link stays guarded.
    await this.#takeDown(kernel);
    if (guarded === undefined) await this.#putUp(kernel);
    else this.#troubleAll(guarded);
    const error = guarded ?? (await attempt(this.#guard.become(guardState(wanted))));
    if (error !== undefined && guarded === undefined) this.#troubleAll(error);
    this.#report.update(this.#placements.values());
  }

  /** What is held and what is still there is guarded; new ports are open, old ones not yet shut. */
  async #guardAll(
    wanted: ReadonlyMap<string, Holding>,
    dropped: readonly Placement[],
  ): Promise<SluiceError | undefined> {
    const state = new Map(guardState(wanted));
    for (const { address } of dropped) if (!state.has(address)) state.set(address, []);
    return attempt(this.#guard.become(state));
  }

  /** Everything that bears our mark and is not wanted, from whichever run. */
  async #takeDown(kernel: Kernel): Promise<void> {
    const unwanted = [...this.#table.ours()].filter(
      ({ address, link }) =>
        !this.#placements
          .of(keyOf(address))
          .some(({ linkName }) => linkName === this.#table.link(link)?.name),
    );
    if (unwanted.length === 0) return;
    for (const { address, link } of unwanted) this.#table.noteTaken(address, link);
    // One that has gone by itself is refused, and that is well.
    await attempt(kernel.ask(unwanted.map(takeAddress)));
  }

  async #putUp(kernel: Kernel): Promise<void> {
    const { put, requests, arp } = planPutUp(this.#placements.values(), this.#table, lifetimeSeconds);
    if (put.length === 0) return;
    if ((await attempt(kernel.ask(arp.map(({ request }) => request)))) === undefined) {
      for (const { link, settings } of arp) this.#table.noteArp(link, settings);
    }
    const sent = this.#clock.now();
    for (const { placement, link } of put) placement.link = link;
    let failures;
    try {
      failures = await kernel.ask(requests, sent + putWithinMs);
    } catch (error) {
      for (const { placement } of put) this.#fell(placement, () => asSluiceError(error));
      return;
    }
    const failed = new Map(failures.map(({ at, errno }) => [at, errno]));
    const up: Placement[] = [];
    for (const [i, { placement, link }] of put.entries()) {
      const errno = failed.get(i);
      if (errno !== undefined) {
        this.#fell(placement, (each) => refused(each, errno));
        continue;
      }
      this.#table.noteOurs(placement.bytes, link);
      // It may have been given up while the kernel was asked.
      if (placement.link !== link) continue;
      placement.standsUntil = sent + standsMs;
      placement.trouble = undefined;
      up.push(placement);
    }
    await attempt(
      untilTaken(
        kernel,
        this.#clock,
        up.map(({ bytes }) => bytes),
      ),
    );
    this.#herald.tell(up.map(({ id }) => id));
  }
}

function guardState(wanted: ReadonlyMap<string, Holding>): GuardState {
  return new Map([...wanted.values()].map(({ address, ports }) => [address, ports]));
}
