/**
 * Who has which address, kept in step with the cluster: the allocator, fed from the status of the Services, from the
 * ServiceAddress objects and from the pools.
 *
 * Invariants: what a Service's status or an object says is held is adopted before anybody is given anything; the
 * objects are the truth where a reservation of ours and an object differ (another replica may have led meanwhile);
 * each change costs what it concerns, never a walk over everything, but for changes of pools.
 */
import type { AddressPoolObject, ServiceAddressObject } from '../../src/core/address-objects.ts';
import { formatAddress, parseAddress } from '../../src/core/cidr.ts';
import type { Clock } from '../../src/core/clock.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { eligibleNodes } from '../../src/core/nodes.ts';
import type { NodeObject, ObjectKey, ServiceObject, Uid } from '../../src/core/objects.ts';
import { Allocator } from './allocator/allocator.ts';
import { judgePools, type JudgedPool } from './allocator/pools.ts';
import type { AddressRequest, Outcome } from './allocator/request.ts';
import { matches } from '../../src/core/selectors.ts';
import { anySelects } from './allocator/selectors.ts';
import type { ClusterHearer, LocalCluster } from './cluster.ts';
import type { LocalConfig } from './config.ts';
import { asks, byAge, ghost, hasLost, mayAsk, shownBy } from './ledger-service.ts';
import { rival } from './neighbours.ts';
import { answerOf, isOf, seen } from './observed.ts';
import { parseService } from './settings.ts';
import { requestOf, wantedOf, type LocalWanted } from './wanted.ts';

export interface LedgerParts {
  readonly cluster: LocalCluster;
  readonly config: LocalConfig;
  readonly clock: Clock;
  /** The Service has to look again. */
  readonly wake: (key: ObjectKey) => void;
  /** The controller serves this Service by this provider. */
  readonly serves: (service: ServiceObject) => boolean;
}

export class Ledger implements ClusterHearer {
  readonly #parts: LedgerParts;
  readonly #allocator: Allocator;
  /** Service → names of the objects that bear its mark. */
  readonly #objectsOf = new Map<Uid, Set<string>>();
  readonly #holderMacs = new Map<string, string>();
  /** Address → who had been given it when the link said that it is taken, or a node came with it. */
  readonly #passedOver = new Map<string, ReadonlySet<Uid>>();
  /** Address → until when it rests, wall clock. */
  readonly #resting = new Map<string, number>();
  readonly #nodeAddresses = new Set<string>();
  #judged: readonly JudgedPool[] = [];
  #started = false;
  #disconnect: () => void = () => undefined;
  #cancelTimer: () => void = () => undefined;
  #homes = new WeakMap<readonly NodeObject[], Map<string, boolean>>();
  /** Pool → whether it was homeless when last asked. */
  readonly #homeless = new Map<string, boolean>();
  #changed: () => void = () => undefined;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
    this.#allocator = new Allocator((key) => parts.wake(key));
  }

  /** Called whenever what pools show of themselves may be another thing. */
  onChange(hear: () => void): void {
    this.#changed = hear;
  }

  /** The picture is complete. */
  get canStart(): boolean {
    return this.#parts.cluster.complete();
  }

  /** Takes in what is there, once. Throws `transient` where the picture is not complete. */
  start(): void {
    const { cluster } = this.#parts;
    if (!cluster.complete()) {
      throw new SluiceError('transient', 'the lists of pools and addresses are not complete yet', {
        code: 'NotListed',
      });
    }
    if (this.#started) return;
    this.#started = true;
    this.#disconnect = cluster.connect(this);
    this.#blockNodes();
    const served = [...cluster.services()].filter((service) => this.#parts.serves(service)).toSorted(byAge);
    for (const service of served) this.#adoptStatus(service);
    for (const object of cluster.addresses()) this.#takeIn(object);
    const ours = new Set(served);
    for (const service of cluster.services()) if (!ours.has(service)) this.#noteForeign(service);
    this.#judge();
    const waiting = served.filter((service) => service.ingress.length === 0 && mayAsk(service));
    const requests = waiting
      .map((service) => this.#requestFor(service))
      .toSorted((a, b) => a.since - b.since);
    for (const request of requests) this.#allocator.ask(request);
    this.#setTimer();
  }

  stop(): void {
    this.#disconnect();
    this.#cancelTimer();
    this.#changed = () => undefined;
  }

  get allocator(): Allocator {
    return this.#allocator;
  }

  get judged(): readonly JudgedPool[] {
    return this.#judged;
  }

  /** What the pools give the Service. */
  ask(wanted: LocalWanted): Outcome {
    const outcome = this.#allocator.ask(
      requestOf(wanted, this.#parts.cluster.namespaceLabels(wanted.namespace)),
    );
    this.#changed();
    return outcome;
  }

  /** Names of the objects that bear the Service's mark, as far as the picture goes. */
  objectsOf(uid: Uid): Iterable<string> {
    return this.#objectsOf.get(uid) ?? [];
  }

  /** One of our own nodes has this MAC on a link where it announces. */
  isOurMac(mac: string | undefined): boolean {
    return mac !== undefined && [...this.#holderMacs.values()].includes(mac);
  }

  /** No node may announce addresses of the pool. */
  isHomeless(pool: string): boolean {
    const nodes = this.#parts.cluster.nodes();
    let known = this.#homes.get(nodes);
    if (known === undefined) {
      known = new Map();
      this.#homes.set(nodes, known);
    }
    let homeless = known.get(pool);
    if (homeless === undefined) {
      const selectors = this.#pool(pool)?.nodeSelectors ?? [];
      homeless = !eligibleNodes(nodes).nodes.some(
        ({ labels, networkUnavailable }) => !networkUnavailable && anySelects(selectors, labels),
      );
      known.set(pool, homeless);
      this.#homeless.set(pool, homeless);
    }
    return homeless;
  }

  /** The link says that something else has the address: nobody gets it for a while. */
  noteProbe(object: Parameters<typeof answerOf>[0] & { readonly address: string }): void {
    const { address, probe } = object;
    if (answerOf(object) !== 'taken' || this.isOurMac(probe?.mac)) return;
    const until = Date.parse(probe?.at ?? '') + this.#parts.config.rest;
    if (!(until > this.#parts.clock.wall()) || this.#resting.get(address) === until) return;
    this.#resting.set(address, until);
    this.#passedOver.set(address, new Set(this.#allocator.entryOf(address)?.holders.keys() ?? []));
    this.#allocator.block(
      address,
      `${probe?.mac ?? 'something'} has it on the link (seen from node ${probe?.node ?? ''} on ${probe?.interface ?? ''})`,
    );
    this.#setTimer();
  }

  /** Why the Service was given other addresses than the first ones: what the link said, while they rest, or a node. */
  passedOver(uid: Uid): readonly string[] {
    return [...this.#passedOver].flatMap(([address, uids]) =>
      uids.has(uid)
        ? [`${address} was passed over: ${this.#allocator.blockedWhy(address) ?? 'it was taken'}`]
        : [],
    );
  }

  /** The address rests, and until when; undefined when it does not. */
  restsUntil(address: string): number | undefined {
    return this.#resting.get(address);
  }

  pool(): void {
    this.#homes = new WeakMap();
    this.#judge();
    this.#tellHomes();
  }

  address(before: ServiceAddressObject | undefined, after: ServiceAddressObject | undefined): void {
    if (before !== undefined) this.#forget(before, after);
    if (after !== undefined) this.#takeIn(after);
    const moved =
      before === undefined ||
      after === undefined ||
      JSON.stringify(before.probe) !== JSON.stringify(after.probe) ||
      (before.holder === undefined) !== (after.holder === undefined) ||
      seen(before).complaint !== seen(after).complaint;
    const keys = new Set([...(before?.services ?? []), ...(after?.services ?? [])].map(({ key }) => key));
    if (moved) for (const key of keys) this.#parts.wake(key);
    this.#setTimer();
    this.#changed();
  }

  service(before: ServiceObject | undefined, after: ServiceObject | undefined): void {
    const gone = before !== undefined && before.uid !== after?.uid ? before : undefined;
    if (gone !== undefined && !this.#objectsOf.has(gone.uid)) this.#allocator.release(gone.uid);
    if (after === undefined) return this.#changed();
    const ours = this.#parts.serves(after);
    if (!ours || rival(after) !== undefined) this.#noteForeign(after);
    if (!ours) return;
    // What the core does not look at, and addresses depend on.
    if (before?.uid === after.uid && (asks(before) !== asks(after) || hasLost(before, after)))
      this.#parts.wake(after.key);
  }

  namespace(name: string, before: Readonly<Record<string, string>>): void {
    const { cluster, serves, wake } = this.#parts;
    const labels = cluster.namespaceLabels(name);
    const concerned = new Set<string>();
    for (const { name: pool, namespaceSelectors } of cluster.pools())
      if (namespaceSelectors.some((one) => matches(one, before) !== matches(one, labels)))
        concerned.add(pool);
    // Those who wait ask in their order, before any newcomer; also where no pool cares yet, as one may later.
    for (const key of this.#allocator.waitingOf(name)) {
      const service = cluster.service(key);
      if (service === undefined || !serves(service)) continue;
      if (mayAsk(service)) this.#allocator.ask(this.#requestFor(service));
      if (concerned.size > 0) wake(key);
    }
    if (concerned.size === 0) return;
    for (const { pool, holders } of this.#allocator.inUse()) {
      if (!concerned.has(pool)) continue;
      for (const { key } of holders.values()) if (key.startsWith(`${name}/`)) wake(key);
    }
    this.#changed();
  }

  nodes(): void {
    this.#blockNodes();
    this.#tellHomes();
  }

  /** Wakes those whose pool has a node to announce it now, or has none any more. */
  #tellHomes(): void {
    const before = [...this.#homeless];
    const changed = new Set(
      before.filter(([pool, was]) => this.isHomeless(pool) !== was).map(([pool]) => pool),
    );
    if (changed.size === 0) return;
    for (const { pool, holders } of this.#allocator.inUse())
      if (changed.has(pool)) for (const { key } of holders.values()) this.#parts.wake(key);
  }

  #judge(): void {
    this.#judged = judgePools(this.#parts.cluster.pools());
    const names = new Map<string, string>();
    for (const { text, pool } of this.#allocator.inUse()) names.set(text, pool);
    this.#allocator.setPools(this.#judged);
    // Those whose address lies elsewhere now, or in no pool: their condition changes, or they may move.
    for (const entry of this.#allocator.inUse()) {
      if (names.get(entry.text) === entry.pool && this.#allocator.poolOf(entry.text) !== undefined) continue;
      for (const { key } of entry.holders.values()) this.#parts.wake(key);
    }
    for (const key of this.#allocator.waiting()) this.#parts.wake(key);
    this.#changed();
  }

  #pool(name: string): AddressPoolObject | undefined {
    return this.#parts.cluster.pools().find((pool) => pool.name === name);
  }

  #adoptStatus(service: ServiceObject): void {
    const places = shownBy(service).map((text) => ({ text, pool: this.#allocator.poolOf(text) ?? '' }));
    if (places.length > 0) this.#allocator.adopt(this.#requestFor(service), places);
  }

  /** What another controller gave a Service is in use, and given to no other; what it waited for is over. */
  #noteForeign(service: ServiceObject): void {
    const { uid } = service;
    if (this.#objectsOf.has(uid)) return;
    const shown = shownBy(service);
    this.#allocator.stopWaiting(uid);
    const held = this.#allocator.heldBy(uid).map(({ text }) => text);
    for (const text of held) if (!shown.includes(text)) this.#allocator.release(uid, text);
    if (shown.some((text) => !held.includes(text))) this.#adoptStatus(service);
  }

  #requestFor(service: ServiceObject): AddressRequest {
    const wanted = wantedOf(parseService(service).settings, service);
    return requestOf(wanted, this.#parts.cluster.namespaceLabels(service.namespace));
  }

  /** What an object says is so: its Services hold the address, or it is kept for somebody, or it rests. */
  #takeIn(object: ServiceAddressObject): void {
    const { name, address, pool, services, rememberedFor, holder } = object;
    if (holder === undefined) this.#holderMacs.delete(name);
    else this.#holderMacs.set(name, holder.mac);
    for (const { key, uid } of services) {
      const objects = this.#objectsOf.get(uid) ?? new Set();
      this.#objectsOf.set(uid, objects.add(name));
      const service = this.#parts.cluster.service(key);
      const request = service?.uid === uid ? this.#requestFor(service) : ghost(key, uid);
      this.#evict(address, services);
      this.#allocator.adopt(request, [{ text: address, pool }]);
    }
    const place = parseAddress(address);
    if (services.length === 0 && rememberedFor !== undefined && place !== undefined) {
      const until = Date.parse(rememberedFor.until);
      const free = this.#allocator.holdersOf(address).length === 0;
      if (free && until > this.#parts.clock.wall())
        this.#allocator.remember({ ...place, text: address, key: rememberedFor.key, until });
    }
    this.noteProbe(seen(object));
  }

  /** A reservation of ours that an object contradicts: those who had only reserved it choose anew. */
  #evict(address: string, services: ServiceAddressObject['services']): void {
    for (const entry of this.#allocator.entryOf(address)?.holders ?? []) {
      const [uid, { key }] = entry;
      if (services.some((one) => one.uid === uid) || this.#publishes(key, uid, address)) continue;
      this.#allocator.release(uid, address);
      this.#parts.wake(key);
    }
  }

  #publishes(key: ObjectKey, uid: Uid, address: string): boolean {
    const service = this.#parts.cluster.service(key);
    return service?.uid === uid && service.ingress.some(({ ip }) => ip === address);
  }

  #forget(before: ServiceAddressObject, after: ServiceAddressObject | undefined): void {
    const { name, address } = before;
    for (const { key, uid } of before.services) {
      if (after !== undefined && isOf(after, uid)) continue;
      const objects = this.#objectsOf.get(uid);
      objects?.delete(name);
      if (objects?.size === 0) this.#objectsOf.delete(uid);
      // An object that somebody deleted takes nothing from a Service that still shows the address.
      if (!this.#publishes(key, uid, address) || after !== undefined) this.#allocator.release(uid, address);
      const service = this.#parts.cluster.service(key);
      if (this.#objectsOf.has(uid)) continue;
      if (service?.uid !== uid) this.#allocator.release(uid);
      else if (!this.#parts.serves(service)) this.#noteForeign(service);
    }
    if (before.services.length === 0 && after?.rememberedFor === undefined) this.#allocator.forget(address);
    if (after === undefined) this.#holderMacs.delete(name);
  }

  /** The nodes' own addresses are nobody's. */
  #blockNodes(): void {
    this.#homes = new WeakMap();
    const now = new Map<string, string>();
    for (const { name, internalIPs, externalIPs } of this.#parts.cluster.nodes())
      for (const ip of [...internalIPs, ...externalIPs]) {
        const address = parseAddress(ip);
        // However it is written: 2001:DB8::0:1 is 2001:db8::1.
        if (address !== undefined) now.set(formatAddress(address), name);
      }
    for (const ip of this.#nodeAddresses) {
      if (now.has(ip)) continue;
      this.#nodeAddresses.delete(ip);
      if (this.#resting.has(ip)) continue;
      this.#passedOver.delete(ip);
      this.#allocator.unblock(ip);
    }
    for (const [ip, name] of now) {
      if (this.#nodeAddresses.has(ip)) continue;
      this.#nodeAddresses.add(ip);
      const holders = this.#allocator.entryOf(ip)?.holders;
      if (holders !== undefined) this.#passedOver.set(ip, new Set(holders.keys()));
      this.#allocator.block(ip, `it is an address of node ${name}`);
      for (const key of this.#allocator.holdersOf(ip)) this.#parts.wake(key);
    }
  }

  #setTimer(): void {
    this.#cancelTimer();
    const now = this.#parts.clock.wall();
    const next = Math.min(...this.#resting.values(), this.#allocator.nextEnd() ?? Infinity);
    if (!Number.isFinite(next)) return;
    const wait = Math.min(Math.max(next - now, 100), 3_600_000);
    this.#cancelTimer = this.#parts.clock.schedule(wait, () => this.#timeIsUp());
  }

  #timeIsUp(): void {
    const now = this.#parts.clock.wall();
    for (const [address, until] of this.#resting) {
      if (until > now) continue;
      this.#resting.delete(address);
      if (this.#nodeAddresses.has(address)) continue;
      this.#passedOver.delete(address);
      this.#allocator.unblock(address);
    }
    this.#allocator.expire(now);
    this.#setTimer();
    this.#changed();
  }
}
