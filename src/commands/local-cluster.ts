/**
 * The cluster as local mode needs it, on a real API server: three readers of its own beside those of the controller,
 * and the writes.
 */
import type { ClusterHearer, LocalCluster } from '../../providers/local/cluster.ts';
import type { Door } from '../controller/door.ts';
import type { AddressPoolObject, ServiceAddressObject } from '../core/address-objects.ts';
import type { Clock, Random } from '../core/clock.ts';
import { nodeMatters } from '../core/service-diff.ts';
import { addressPools, namespaces, serviceAddresses, type NamespaceObject } from '../kube/address-kinds.ts';
import { AddressWriter } from '../kube/address-writer.ts';
import type { Api } from '../kube/api.ts';
import { Reader } from '../kube/reader.ts';
import type { ReaderReport, ReaderState } from '../kube/reader-report.ts';
import type { Change } from '../kube/store.ts';
import { Writer } from '../kube/writer.ts';

export interface LocalDoorOptions {
  readonly api: Api;
  /** Services and nodes are read there already. */
  readonly door: Door;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: (event: ReaderReport) => void;
}

const noLabels: Readonly<Record<string, string>> = {};

export class LocalDoor implements LocalCluster {
  readonly #door: Door;
  readonly #pools: Reader<string, AddressPoolObject>;
  readonly #addresses: Reader<string, ServiceAddressObject>;
  readonly #namespaces: Reader<string, NamespaceObject>;
  readonly #writer: AddressWriter;

  constructor({ api, door, clock, random, report }: LocalDoorOptions) {
    const shared = { api, clock, random, report };
    this.#door = door;
    this.#pools = new Reader({ ...shared, kind: addressPools() });
    this.#addresses = new Reader({ ...shared, kind: serviceAddresses() });
    this.#namespaces = new Reader({ ...shared, kind: namespaces() });
    this.#writer = new AddressWriter(api, new Writer(api));
  }

  /** Resolves when every list is complete. */
  async start(): Promise<void> {
    for (const reader of this.#readers()) reader.start();
    await Promise.all(this.#readers().map((reader) => reader.synced()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#readers().map((reader) => reader.stop()));
  }

  states(): Readonly<Record<string, ReaderState>> {
    return {
      addresspools: this.#pools.state,
      serviceaddresses: this.#addresses.state,
      namespaces: this.#namespaces.state,
    };
  }

  complete(): boolean {
    const all = [...Object.values(this.states()), ...Object.values(this.#door.states())];
    return all.every(({ synced }) => synced);
  }

  pools(): readonly AddressPoolObject[] {
    return this.#pools.store.list();
  }

  addresses(): Iterable<ServiceAddressObject> {
    return this.#addresses.store.values();
  }

  address(name: string): ServiceAddressObject | undefined {
    return this.#addresses.store.get(name);
  }

  services(): ReturnType<Door['services']> {
    return this.#door.services();
  }

  service(key: Parameters<Door['service']>[0]): ReturnType<Door['service']> {
    return this.#door.service(key);
  }

  namespaceLabels(name: string): Readonly<Record<string, string>> {
    return this.#namespaces.store.get(name)?.labels ?? noLabels;
  }

  nodes(): ReturnType<Door['nodes']> {
    return this.#door.nodes();
  }

  connect(hearer: ClusterHearer): () => void {
    const ends = [
      this.#door.connect({
        serviceChanged: (before, after) => hearer.service(before, after),
        nodeChanged: (before, after) => {
          if (before === undefined || after === undefined || nodeMatters(before, after)) hearer.nodes();
        },
        slicesChanged: () => undefined,
      }),
      this.#pools.subscribe((change) => {
        const [before, after] = sides(change);
        // Our own writes of the status are no news.
        if (
          before === undefined ||
          after === undefined ||
          before.generation !== after.generation ||
          before.deleting !== after.deleting
        )
          hearer.pool(before, after);
      }),
      this.#addresses.subscribe((change) => hearer.address(...sides(change))),
      this.#namespaces.subscribe((change) => {
        const [before, after] = sides(change);
        if (JSON.stringify(before?.labels) !== JSON.stringify(after?.labels))
          hearer.namespace(change.object.name, before?.labels ?? noLabels);
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  readAddress(name: string, signal: AbortSignal): Promise<ServiceAddressObject | undefined> {
    return this.#writer.read(name, { signal });
  }

  listAddresses(signal: AbortSignal): Promise<readonly ServiceAddressObject[]> {
    return this.#writer.list({ signal });
  }

  createAddress: LocalCluster['createAddress'] = (name, spec, signal) =>
    this.#writer.create(name, spec, { signal });

  changeAddress: LocalCluster['changeAddress'] = (of, spec, signal) =>
    this.#writer.change(of, spec, { signal });

  deleteAddress: LocalCluster['deleteAddress'] = (of, signal) => this.#writer.delete(of, { signal });

  writePoolStatus: LocalCluster['writePoolStatus'] = (pool, status, signal) =>
    this.#writer.poolStatus(pool, status, { signal });

  #readers(): readonly { start(): void; synced(): Promise<void>; stop(): Promise<void> }[] {
    return [this.#pools, this.#addresses, this.#namespaces];
  }
}

function sides<T>(change: Change<T>): [T | undefined, T | undefined] {
  switch (change.kind) {
    case 'added':
      return [undefined, change.object];
    case 'updated':
      return [change.before, change.object];
    case 'deleted':
      return [change.object, undefined];
  }
}
