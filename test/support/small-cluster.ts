/**
 * The API server as far as the controller sees it, as plain values: objects with versions, finalizers that
 * hold a deletion, a class that is wiped when the type changes, and changes that are told a moment later.
 *
 * What the wire adds (watches that break, lists that lag, rivals) is the simulation's (test/sim).
 */
import type { ClusterView, ClusterWriter, EventNote, StatusPatch } from '../../src/controller/cluster.ts';
import type { Controller } from '../../src/controller/controller.ts';
import { finalizer } from '../../src/core/claim.ts';
import type { Clock } from '../../src/core/clock.ts';
import { SluiceError } from '../../src/core/errors.ts';
import type { EndpointSliceObject, NodeObject, ObjectKey, ServiceObject } from '../../src/core/objects.ts';

export interface ToldEvent extends EventNote {
  readonly service: ObjectKey;
  /** Monotonic milliseconds. */
  readonly at: number;
}

/** How late a change is told, in milliseconds. */
const toldAfterMs = 5;

type Listener = Pick<Controller, 'serviceChanged' | 'nodeChanged' | 'slicesChanged'>;

export class SmallCluster implements ClusterView {
  readonly events: ToldEvent[] = [];
  /** Writes of the controller by what they were: `status default/web`. */
  readonly writes: string[] = [];
  readonly #clock: Clock;
  readonly #services = new Map<ObjectKey, ServiceObject>();
  readonly #listeners = new Set<Listener>();
  #nodes: readonly NodeObject[] = [];
  #slices: readonly EndpointSliceObject[] = [];
  #version = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on told of every change. The returned function ends that. */
  connect(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  // ── what people and Kubernetes do ──

  apply(service: ServiceObject): void {
    this.#put(service);
  }

  /** `kubectl edit`. A type that goes away from LoadBalancer takes the class along, as the API server does. */
  edit(key: ObjectKey, change: Partial<ServiceObject>): void {
    const before = this.#get(key);
    const after = { ...before, generation: before.generation + 1, ...change };
    this.#put(after.type === 'LoadBalancer' ? after : { ...after, loadBalancerClass: undefined });
  }

  delete(key: ObjectKey): void {
    const before = this.#get(key);
    if (before.finalizers.length === 0) this.#drop(before);
    else this.#put({ ...before, deleting: true });
  }

  /** Somebody takes all finalizers off and the object is gone at once. */
  deleteByForce(key: ObjectKey): void {
    this.#drop(this.#get(key));
  }

  setNodes(nodes: readonly NodeObject[]): void {
    const before = new Map(this.#nodes.map((node) => [node.name, node]));
    this.#nodes = nodes;
    for (const node of nodes) {
      const old = before.get(node.name);
      before.delete(node.name);
      if (old !== node) this.#tell((one) => one.nodeChanged(old, node));
    }
    for (const gone of before.values()) this.#tell((one) => one.nodeChanged(gone, undefined));
  }

  setSlices(slices: readonly EndpointSliceObject[]): void {
    const keys = [...this.#slices, ...slices].map(({ service }) => service);
    this.#slices = slices;
    for (const key of new Set(keys)) if (key !== undefined) this.#tell((one) => one.slicesChanged(key));
  }

  // ── what the controller reads ──

  service(key: ObjectKey): ServiceObject | undefined {
    return this.#services.get(key);
  }

  services(): Iterable<ServiceObject> {
    return this.#services.values();
  }

  nodes(): readonly NodeObject[] {
    return this.#nodes;
  }

  slices(service: ObjectKey): readonly EndpointSliceObject[] {
    return this.#slices.filter((slice) => slice.service === service);
  }

  caughtUp(key: ObjectKey, version: string): boolean {
    const service = this.#services.get(key);
    return service === undefined || Number(service.resourceVersion) >= Number(version);
  }

  // ── what the controller writes ──

  writer(): ClusterWriter {
    return {
      addFinalizer: (service, annotations) =>
        this.#write(`finalizer ${service.key}`, service, (live) => ({
          ...live,
          finalizers: live.finalizers.includes(finalizer) ? live.finalizers : [...live.finalizers, finalizer],
          annotations: { ...live.annotations, ...annotations },
        })),
      removeFinalizer: async (service, annotations) => {
        await this.#write(`no finalizer ${service.key}`, service, (live) => ({
          ...live,
          finalizers: live.finalizers.filter((one) => one !== finalizer),
          annotations: Object.fromEntries(
            Object.entries(live.annotations).filter(([key]) => !annotations.includes(key)),
          ),
        }));
      },
      patchStatus: (service, patch) =>
        this.#write(`status ${service.key}`, service, (live) => withStatus(live, patch)),
      getService: (key) => Promise.resolve(this.#services.get(key)),
      event: (service, note) => {
        this.events.push({ ...note, service: service.key, at: this.#clock.now() });
      },
    };
  }

  async #write(
    what: string,
    service: ServiceObject,
    change: (live: ServiceObject) => ServiceObject,
  ): Promise<ServiceObject> {
    await Promise.resolve();
    this.writes.push(what);
    const live = this.#services.get(service.key);
    if (live?.uid !== service.uid) {
      throw new SluiceError('gone', `${service.key} is not there`, {
        code: 'NotFound',
        action: 'patch services',
      });
    }
    const after = change(live);
    if (after.deleting && after.finalizers.length === 0) {
      this.#drop(live);
      return after;
    }
    return this.#put(after);
  }

  #get(key: ObjectKey): ServiceObject {
    const service = this.#services.get(key);
    if (service === undefined) throw new Error(`there is no Service ${key}`);
    return service;
  }

  #put(service: ServiceObject): ServiceObject {
    const before = this.#services.get(service.key);
    this.#version += 1;
    const after = { ...service, resourceVersion: String(this.#version) };
    this.#services.set(service.key, after);
    this.#tell((one) => one.serviceChanged(before, after));
    return after;
  }

  #drop(service: ServiceObject): void {
    this.#services.delete(service.key);
    this.#tell((one) => one.serviceChanged(service, undefined));
  }

  #tell(what: (listener: Listener) => void): void {
    for (const listener of this.#listeners) {
      this.#clock.schedule(toldAfterMs, () => {
        if (this.#listeners.has(listener)) what(listener);
      });
    }
  }
}

/** Refuses what the API server refuses: `ipMode` beside a host name makes it refuse the whole status. */
function withStatus(live: ServiceObject, { ingress, conditions = [], dropConditions = [] }: StatusPatch) {
  if (ingress?.some(({ hostname, ipMode }) => hostname !== undefined && ipMode !== undefined)) {
    throw new SluiceError('invalid', 'ipMode may only be set beside ip', {
      code: 'Invalid',
      action: 'patch services/status',
    });
  }
  const replaced = new Set([...conditions.map(({ type }) => type), ...dropConditions]);
  return {
    ...live,
    ingress: ingress ?? live.ingress,
    ingressManagers: ingress === undefined ? live.ingressManagers : ingress.length === 0 ? [] : ['sluice'],
    conditions: [...live.conditions.filter(({ type }) => !replaced.has(type)), ...conditions],
  };
}
