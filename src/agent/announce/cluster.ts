/**
 * What announcing reads of the cluster, and the facts of every address that follow from it, kept up to date.
 *
 * Facts are made anew only for addresses that something concerns; where nothing about an address has changed the very
 * same object is given again. Nothing is given before every list is complete.
 */
import type { AddressPoolObject, ServiceAddressObject } from '../../core/address-objects.ts';
import type { Clock, Random } from '../../core/clock.ts';
import type {
  EndpointSliceObject,
  NodeName,
  NodeObject,
  ObjectKey,
  ServiceObject,
} from '../../core/objects.ts';
import { addressPools, serviceAddresses } from '../../kube/address-kinds.ts';
import type { Api } from '../../kube/api.ts';
import { makeIntern } from '../../kube/intern.ts';
import { nodes, services } from '../../kube/kinds.ts';
import { Reader } from '../../kube/reader.ts';
import type { ReaderReport, ReaderState } from '../../kube/reader-report.ts';
import { headlessLabel } from '../decide/service.ts';
import { factsOf, nodesOfPool, type AddressFacts, type PoolNodes } from './facts.ts';

/** The slices, which the agent watches anyway. */
export interface SliceSource {
  slices(service: ObjectKey): readonly EndpointSliceObject[];
  /** Tells the Service whose slices changed. */
  onSlice(heard: (service: ObjectKey) => void): () => void;
}

export interface AnnounceClusterOptions {
  readonly api: Api;
  readonly slices: SliceSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly onChange: () => void;
  readonly report: (event: ReaderReport) => void;
}

type Kinds = 'addresspools' | 'serviceaddresses' | 'all services' | 'all nodes';

export class AnnounceCluster {
  readonly #options: AnnounceClusterOptions;
  readonly #pools: Reader<string, AddressPoolObject>;
  readonly #addresses: Reader<string, ServiceAddressObject>;
  readonly #services: Reader<ObjectKey, ServiceObject>;
  readonly #nodes: Reader<NodeName, NodeObject>;
  /** By address. */
  #facts: ReadonlyMap<string, AddressFacts> = new Map();
  /** By name of the object. */
  readonly #made = new Map<string, AddressFacts>();
  readonly #ofPool = new Map<string, PoolNodes>();
  readonly #dirty = new Set<string>();
  readonly #ofService = new Map<ObjectKey, Set<string>>();
  /** The other way round. */
  readonly #servicesOf = new Map<string, ReadonlySet<ObjectKey>>();
  #stale = true;
  #ends: readonly (() => void)[] = [];
  #complete = false;

  constructor(options: AnnounceClusterOptions) {
    this.#options = options;
    const { api, clock, random, report } = options;
    const intern = makeIntern();
    const shared = { api, clock, random, report };
    this.#pools = new Reader({ ...shared, kind: addressPools() });
    this.#addresses = new Reader({ ...shared, kind: serviceAddresses() });
    this.#services = new Reader({
      ...shared,
      kind: services({ intern, labelSelector: `!${headlessLabel}` }),
    });
    this.#nodes = new Reader({ ...shared, kind: nodes({ intern }) });
  }

  /** Resolves when every list is complete. */
  async start(): Promise<void> {
    const everything = (): void => this.#touchAll();
    this.#ends = [
      this.#pools.subscribe(everything),
      this.#nodes.subscribe((change) => {
        if (change.kind !== 'updated' || !sameForUs(change.before, change.object)) everything();
      }),
      this.#addresses.subscribe(({ object }) => this.#touch(object.name)),
      this.#services.subscribe(({ object }) => this.#touchService(object.key)),
      this.#options.slices.onSlice((service) => this.#touchService(service)),
    ];
    for (const reader of this.#readers()) reader.start();
    await Promise.all(this.#readers().map((reader) => reader.synced()));
    this.#complete = true;
    this.#touchAll();
  }

  async stop(): Promise<void> {
    for (const end of this.#ends) end();
    await Promise.all(this.#readers().map((reader) => reader.stop()));
  }

  states(): Readonly<Record<Kinds, ReaderState>> {
    return {
      addresspools: this.#pools.state,
      serviceaddresses: this.#addresses.state,
      'all services': this.#services.state,
      'all nodes': this.#nodes.state,
    };
  }

  /** By address. */
  facts(): ReadonlyMap<string, AddressFacts> {
    if (this.#complete && (this.#stale || this.#dirty.size > 0)) this.#makeFacts();
    return this.#facts;
  }

  factsOf(name: string): AddressFacts | undefined {
    this.facts();
    return this.#made.get(name);
  }

  object(name: string): ServiceAddressObject | undefined {
    return this.#addresses.store.get(name);
  }

  objects(): Iterable<ServiceAddressObject> {
    return this.#addresses.store.values();
  }

  node(name: NodeName): NodeObject | undefined {
    return this.#nodes.store.get(name);
  }

  service(key: ObjectKey): ServiceObject | undefined {
    return this.#services.store.get(key);
  }

  #makeFacts(): void {
    const all = this.#nodes.store.list();
    if (this.#stale) {
      this.#ofPool.clear();
      for (const { name } of this.#addresses.store.values()) this.#dirty.add(name);
      for (const name of this.#made.keys()) this.#dirty.add(name);
    }
    const pool = (name: string): AddressPoolObject | undefined => this.#pools.store.get(name);
    const view = {
      pool,
      service: (key: ObjectKey) => this.#services.store.get(key),
      slices: (key: ObjectKey) => this.#options.slices.slices(key),
    };
    for (const name of this.#dirty) {
      const object = this.#addresses.store.get(name);
      this.#file(name, object);
      if (object === undefined) {
        this.#made.delete(name);
        continue;
      }
      let ofPool = this.#ofPool.get(object.pool);
      if (ofPool === undefined) {
        ofPool = nodesOfPool(all, pool(object.pool));
        this.#ofPool.set(object.pool, ofPool);
      }
      const made = factsOf(object, view, ofPool);
      const before = this.#made.get(name);
      if (before === undefined || JSON.stringify(before) !== JSON.stringify(made)) this.#made.set(name, made);
    }
    this.#dirty.clear();
    this.#stale = false;
    this.#facts = new Map([...this.#made.values()].map((facts) => [facts.address, facts]));
  }

  /** Service → the addresses that name it. */
  #file(name: string, object: ServiceAddressObject | undefined): void {
    const keys = new Set(object?.services.map(({ key }) => key));
    for (const key of this.#servicesOf.get(name) ?? []) {
      const names = this.#ofService.get(key);
      if (keys.has(key) || names === undefined) continue;
      names.delete(name);
      if (names.size === 0) this.#ofService.delete(key);
    }
    if (keys.size === 0) this.#servicesOf.delete(name);
    else this.#servicesOf.set(name, keys);
    for (const key of keys) {
      const names = this.#ofService.get(key) ?? new Set();
      names.add(name);
      this.#ofService.set(key, names);
    }
  }

  #touch(name: string): void {
    this.#dirty.add(name);
    if (this.#complete) this.#options.onChange();
  }

  #touchAll(): void {
    this.#stale = true;
    if (this.#complete) this.#options.onChange();
  }

  #touchService(key: ObjectKey): void {
    const names = this.#ofService.get(key);
    if (names === undefined) return;
    for (const name of names) this.#dirty.add(name);
    if (this.#complete) this.#options.onChange();
  }

  #readers(): readonly { start(): void; synced(): Promise<void>; stop(): Promise<void> }[] {
    return [this.#pools, this.#addresses, this.#services, this.#nodes];
  }
}

/** Nodes are written every few seconds; most of it is of no interest here. */
function sameForUs(a: NodeObject, b: NodeObject): boolean {
  return (
    a.deleting === b.deleting &&
    a.networkUnavailable === b.networkUnavailable &&
    a.unschedulable === b.unschedulable &&
    JSON.stringify([a.labels, a.taints]) === JSON.stringify([b.labels, b.taints])
  );
}
