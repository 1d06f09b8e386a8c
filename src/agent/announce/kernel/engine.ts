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
import { Carrier, standsMs } from './carrier.ts';
import { Ears } from './ears.ts';
import { Guard, attempt } from './guard.ts';
import type { GuardState } from './guard-text.ts';
import { HeldReport } from './held-report.ts';
import { Herald } from './herald.ts';
import { KernelKeeper } from './kernel-keeper.ts';
import type { Kernel } from './kernel.ts';
import { LinkTable, type Effect } from './link-table.ts';
import type { Message } from './netlink.ts';
import { Placements, type Placement } from './placements.ts';
import { probeLink } from './probe.ts';
import { listAddresses, listLinks, listRoutes } from './rtnetlink.ts';
import { lapsed, lost, removed } from './troubles.ts';
import { addressBytes, keyOf } from './wire.ts';

export interface KernelAnnouncerOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Start perl and nft; tests hand in ones that start them inside a network namespace. */
  readonly start?: Spawn;
  readonly startNft?: SpawnPiped;
}

const renewEveryMs = 500;
/** What must wait until this process has listened is tried again after this. */
const listenedMs = 25;
const probeWithinMs = 500;
const lookAgainMs = 10_000;
const guardCheckMs = 5_000;
const linksTellMs = 50;

/** The announcer of a node's kernel. */
export class KernelAnnouncer implements Announcer {
  readonly #clock: Clock;
  readonly #guard: Guard;
  readonly #table = new LinkTable();
  readonly #placements = new Placements();
  readonly #herald: Herald;
  readonly #carrier: Carrier;
  readonly #keeper: KernelKeeper;
  readonly #report = new HeldReport((address, error) => this.#events?.held(address, error));
  #events: AnnouncerEvents | undefined;
  #ears: Ears | undefined;
  /** By address. */
  #wanted: ReadonlyMap<string, Holding> = new Map();
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
  #cancelListened: (() => void) | undefined;
  /** The last pass is under way: from now on addresses are renewed, and nothing else is done. */
  #ending = false;
  /** That pass is over. */
  #stopped = false;

  constructor(options: KernelAnnouncerOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#guard = new Guard(options.startNft ?? spawnPiped);
    this.#herald = new Herald({
      clock: this.#clock,
      random: options.random ?? Math.random,
      where: (id) => {
        const placement = this.#placements.get(id);
        // Given up a moment ago, and not taken away yet.
        if (placement?.link === undefined || !this.#wanted.has(placement.address)) return undefined;
        const facts = this.#table.link(placement.link);
        return facts && { address: placement.bytes, link: facts.index, mac: facts.mac };
      },
      send: (link, frame, until) => this.#keeper.kernel?.frame(link, frame, until),
      mayTell: () => this.#awake(),
    });
    this.#carrier = new Carrier({
      clock: this.#clock,
      table: this.#table,
      placements: this.#placements,
      herald: this.#herald,
      mayRenew: () => this.#awake(),
    });
    this.#keeper = new KernelKeeper({
      start: options.start ?? systemSpawn,
      clock: this.#clock,
      hearer: {
        arp: (frame, link) => this.#ears?.arp(frame, link),
        discovery: (frame, link) => this.#ears?.discovery(frame, link),
        change: (message) => this.#changed(message),
        lost: () => void this.#look(),
      },
      opened: (kernel) => {
        // Before anything else: time has passed.
        void this.#renew();
        return this.#fill(kernel);
      },
      again: () => void this.#pass(),
      lost: (error) => {
        for (const placement of this.#placements.values()) placement.trouble = error;
        this.#report.update(this.#placements.values());
      },
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
    await this.#keeper.open();
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
    this.#wanted = new Map(holdings.map((holding) => [holding.address, holding]));
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
        const { kernel } = this.#keeper;
        kernel?.frame(index, frame, this.#clock.now() + probeWithinMs);
        return kernel !== undefined;
      },
    });
  }

  async stop(how: 'release' | 'keep'): Promise<void> {
    this.#ending = true;
    if (how === 'release') this.#wanted = new Map();
    await this.#pass();
    this.#stopped = true;
    await attempt(how === 'release' ? this.#guard.remove() : this.#guard.close());
    // The last thing of all: the next agent has the whole of the lifetime to come.
    if (how === 'keep') await this.#renew();
    this.#cancelTick();
    this.#cancelLinks?.();
    this.#cancelListened?.();
    this.#herald.end();
    await this.#keeper.close();
  }

  /** Looks at everything: what is not there any more is put back. */
  async #look(): Promise<void> {
    const { kernel } = this.#keeper;
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
      if (link !== undefined && !this.#table.bearsOurs(key, link)) this.#carrier.fell(placement, removed);
    }
    this.#linksChanged();
  }

  #changed(message: Message): void {
    // What came in while this process stood still may be read before any timer has run.
    this.#checkStandStill();
    const effect: Effect = this.#table.apply(message);
    switch (effect.kind) {
      case 'none':
        break;
      case 'address-gone': {
        const placement = this.#placements.of(effect.key).find(({ link }) => link === effect.link);
        if (placement === undefined) break;
        this.#carrier.fell(placement, removed);
        this.#report.update(this.#placements.values());
        void this.#pass();
        break;
      }
      case 'link-gone':
        for (const placement of this.#placements.values()) {
          if (placement.link === effect.link) this.#carrier.fell(placement, undefined);
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
      if (this.#ending) void this.#renew();
      else this.#tick();
      this.#scheduleTick();
    });
  }

  #tick(): void {
    const now = this.#clock.now();
    for (const placement of this.#placements.values()) {
      if (placement.link !== undefined && placement.standsUntil <= now) this.#carrier.fell(placement, lost);
    }
    void this.#renew();
    this.#ears?.tellQuestions();
    if (now - this.#lookedAt >= lookAgainMs) void this.#look();
    if (now - this.#guardSeenAt >= guardCheckMs && !this.#fresh) void this.#checkGuard();
    if ([...this.#placements.values()].some(({ link }) => link === undefined)) void this.#pass();
  }

  /** This process has run of late, and who decides says that it has listened since it last slept. */
  #awake(): boolean {
    return this.#clock.now() - this.#lastTick < standsMs && (this.#events?.mayRenew() ?? false);
  }

  /** The process has not run for longer than its addresses live: somebody else may hold them by now. */
  #checkStandStill(): void {
    const now = this.#clock.now();
    if (this.#events === undefined || now - this.#lastTick < standsMs) return;
    this.#lastTick = now;
    if (this.#fresh) return;
    for (const placement of this.#placements.values()) this.#carrier.fell(placement, lapsed);
    this.#report.update(this.#placements.values());
    this.#wanted = new Map();
    void this.#pass();
  }

  /** Renews now, or as soon as this process has listened. */
  async #renew(): Promise<void> {
    const { kernel } = this.#keeper;
    if (kernel === undefined) return;
    if (!(await this.#carrier.renew(kernel))) this.#whenListened();
    this.#report.update(this.#placements.values());
  }

  #whenListened(): void {
    if (this.#stopped) return;
    this.#cancelListened ??= this.#clock.schedule(listenedMs, () => {
      this.#cancelListened = undefined;
      void this.#renew();
      void this.#pass();
    });
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
    const { kernel } = this.#keeper;
    if (this.#fresh || this.#stopped || kernel === undefined) return;
    const wanted = this.#wanted;
    const dropped = this.#placements.become(wanted.values());
    for (const placement of dropped) this.#herald.stop(placement.id);
    const guarded = await this.#guardAll(wanted, dropped);
    // Taken away after the guard has been asked, so that one that is moved to another link stays guarded.
    await this.#carrier.takeDown(kernel);
    if (guarded === undefined && !(await this.#carrier.putUp(kernel))) this.#whenListened();
    else if (guarded !== undefined) this.#troubleAll(guarded);
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
}

function guardState(wanted: ReadonlyMap<string, Holding>): GuardState {
  return new Map([...wanted.values()].map(({ address, ports }) => [address, ports]));
}
