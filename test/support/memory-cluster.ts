/** The cluster of local mode as values: what an API server would hold, with agents that a test plays and faults to order. */
import type { AddressSpec, ClusterHearer, LocalCluster, PoolStatus } from '../../providers/local/cluster.ts';
import {
  poolFigures,
  type AddressPoolObject,
  type ProbeRecord,
  type ServiceAddressObject,
} from '../../src/core/address-objects.ts';
import type { Clock } from '../../src/core/clock.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { aNodeName, aUid } from '../../src/core/fixtures.ts';
import type { NodeObject, ObjectKey, ServiceObject } from '../../src/core/objects.ts';

export type Call = 'get' | 'list' | 'create' | 'patch' | 'delete' | 'picture';
/** Throws to refuse; `after` runs once the call had its effect, and may throw to lose the answer. */
export type Trouble = (call: Call) => { readonly after?: () => void } | undefined;

export class MemoryCluster implements LocalCluster {
  readonly #clock: Clock;
  readonly #pools = new Map<string, AddressPoolObject>();
  readonly #addresses = new Map<string, ServiceAddressObject>();
  readonly #services = new Map<ObjectKey, ServiceObject>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #hearers = new Set<ClusterHearer>();
  #nodes: readonly NodeObject[] = [];
  #version = 1;
  readonly statuses = new Map<string, PoolStatus>();
  readonly counts = { reads: 0, writes: 0 };
  trouble: Trouble = () => undefined;
  /** What the agents say of an address, and after how long; undefined where no agent runs. */
  link:
    | ((
        address: string,
      ) =>
        | { readonly outcome: ProbeRecord['outcome']; readonly mac?: string; readonly afterMs: number }
        | undefined)
    | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  setPool(pool: AddressPoolObject): void {
    const before = this.#pools.get(pool.name);
    this.#pools.set(pool.name, pool);
    this.#tell((hearer) => hearer.pool(before, pool));
  }

  removePool(name: string): void {
    const before = this.#pools.get(name);
    this.#pools.delete(name);
    this.#tell((hearer) => hearer.pool(before, undefined));
  }

  setService(service: ServiceObject): void {
    const before = this.#services.get(service.key);
    this.#services.set(service.key, service);
    this.#tell((hearer) => hearer.service(before, service));
  }

  removeService(key: ObjectKey): void {
    const before = this.#services.get(key);
    this.#services.delete(key);
    this.#tell((hearer) => hearer.service(before, undefined));
  }

  setNodes(nodes: readonly NodeObject[]): void {
    this.#nodes = nodes;
    this.#tell((hearer) => hearer.nodes());
  }

  /** Somebody edits an object, or an agent writes its status. */
  edit(name: string, change: Partial<ServiceAddressObject>): void {
    const before = this.#addresses.get(name);
    if (before !== undefined) this.#put({ ...before, ...change }, before);
  }

  /** Somebody makes an object. */
  write(name: string, spec: AddressSpec): ServiceAddressObject {
    const made = {
      ...spec,
      name,
      uid: aUid(`uid-${name}-${this.#version}`),
      resourceVersion: '',
      probe: undefined,
      holder: undefined,
      conditions: [],
    };
    return this.#put(made, undefined);
  }

  drop(name: string): void {
    const before = this.#addresses.get(name);
    this.#addresses.delete(name);
    this.#tell((hearer) => hearer.address(before, undefined));
  }

  complete(): boolean {
    this.counts.reads += 1;
    try {
      this.trouble('picture');
      return true;
    } catch {
      return false;
    }
  }

  pools(): readonly AddressPoolObject[] {
    return [...this.#pools.values()];
  }

  addresses(): Iterable<ServiceAddressObject> {
    return [...this.#addresses.values()];
  }

  address(name: string): ServiceAddressObject | undefined {
    return this.#addresses.get(name);
  }

  services(): Iterable<ServiceObject> {
    return this.#services.values();
  }

  service(key: ObjectKey): ServiceObject | undefined {
    return this.#services.get(key);
  }

  setNamespace(name: string, labels: Readonly<Record<string, string>>): void {
    const before = this.namespaceLabels(name);
    this.#namespaces.set(name, labels);
    this.#tell((hearer) => hearer.namespace(name, before));
  }

  namespaceLabels(name: string): Readonly<Record<string, string>> {
    return this.#namespaces.get(name) ?? {};
  }

  nodes(): readonly NodeObject[] {
    return this.#nodes;
  }

  connect(hearer: ClusterHearer): () => void {
    this.#hearers.add(hearer);
    return () => this.#hearers.delete(hearer);
  }

  readAddress: LocalCluster['readAddress'] = (name, signal) =>
    this.#call('get', signal, () => this.#addresses.get(name));

  listAddresses: LocalCluster['listAddresses'] = (signal) =>
    this.#call('list', signal, () => [...this.#addresses.values()]);

  createAddress: LocalCluster['createAddress'] = (name, spec, signal) =>
    this.#call('create', signal, () => {
      if (this.#addresses.has(name)) throw refused('conflict', 'create', 'AlreadyExists');
      return this.write(name, spec);
    });

  changeAddress: LocalCluster['changeAddress'] = ({ name, uid, resourceVersion }, spec, signal) =>
    this.#call('patch', signal, () => {
      const before = this.#addresses.get(name);
      if (before?.uid !== uid) throw refused('gone', 'patch', 'NotFound');
      if (before.resourceVersion !== resourceVersion) throw refused('conflict', 'patch', 'Conflict');
      return this.#put({ ...before, ...spec }, before);
    });

  deleteAddress: LocalCluster['deleteAddress'] = ({ name, resourceVersion }, signal) =>
    this.#call('delete', signal, () => {
      const before = this.#addresses.get(name);
      if (before === undefined) return;
      if (before.resourceVersion !== resourceVersion) throw refused('conflict', 'delete', 'Conflict');
      this.drop(name);
    });

  writePoolStatus: LocalCluster['writePoolStatus'] = (pool, status) => {
    this.statuses.set(pool.name, status);
    const live = this.#pools.get(pool.name);
    // No hearer is told, as the door tells nobody of a status.
    if (live?.uid === pool.uid)
      this.#pools.set(pool.name, { ...live, conditions: status.conditions, figures: poolFigures(status) });
    return Promise.resolve();
  };

  async #call<Value>(call: Call, signal: AbortSignal, run: () => Value): Promise<Value> {
    await Promise.resolve();
    signal.throwIfAborted();
    this.counts[call === 'get' || call === 'list' ? 'reads' : 'writes'] += 1;
    const told = this.trouble(call);
    const value = run();
    told?.after?.();
    return value;
  }

  #put(object: ServiceAddressObject, before: ServiceAddressObject | undefined): ServiceAddressObject {
    this.#version += 1;
    const after = { ...object, resourceVersion: String(this.#version) };
    this.#addresses.set(after.name, after);
    this.#tell((hearer) => hearer.address(before, after));
    if (after.probeAfter !== undefined && after.probeAfter !== before?.probeAfter) this.#ask(after);
    return after;
  }

  #ask({ name, address, probeAfter }: ServiceAddressObject): void {
    const said = this.link?.(address);
    if (said === undefined) return;
    this.#clock.schedule(said.afterMs, () => {
      const at = new Date(Math.max(this.#clock.wall(), Date.parse(probeAfter ?? '') + 1)).toISOString();
      const { outcome, mac } = said;
      const probe = {
        node: aNodeName('n1'),
        interface: 'eth0',
        at,
        outcome,
        ...(mac === undefined ? {} : { mac }),
      };
      this.edit(name, { probe });
    });
  }

  #tell(say: (hearer: ClusterHearer) => void): void {
    for (const hearer of this.#hearers) say(hearer);
  }
}

/** As the door to the API server tells it. */
export function refused(kind: SluiceError['kind'], verb: string, code: string): SluiceError {
  const action = `${verb} serviceaddresses.sluice.dev`;
  return new SluiceError(kind, `${action}: the API server answered ${code}`, { code, action });
}
