/**
 * The controller's picture and writes on a real API server: three readers, the writer and the events of
 * `src/kube`, in the form that the controller asks for (cluster.ts).
 */
import { finalizer } from '../core/claim.ts';
import type { Clock, Random } from '../core/clock.ts';
import { isSluiceError } from '../core/errors.ts';
import type { EndpointSliceObject, NodeName, NodeObject, ObjectKey, ServiceObject } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { makeIntern } from '../kube/intern.ts';
import { byService, endpointSlices, nodes, services } from '../kube/kinds.ts';
import { Reader } from '../kube/reader.ts';
import type { ReaderReport, ReaderState } from '../kube/reader-report.ts';
import type { Writer } from '../kube/writer.ts';
import type { ClusterView, ClusterWriter, EventNote } from './cluster.ts';
import type { Controller } from './controller.ts';

export interface DoorOptions {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: (event: ReaderReport) => void;
}

/** Reads Services, Nodes and EndpointSlices; feeds every change to whoever is connected. */
export class Door implements ClusterView {
  readonly #services: Reader<ObjectKey, ServiceObject>;
  readonly #nodes: Reader<NodeName, NodeObject>;
  readonly #slices: Reader<ObjectKey, EndpointSliceObject>;

  constructor({ api, clock, random, report }: DoorOptions) {
    const intern = makeIntern();
    const shared = { api, clock, random, report };
    this.#services = new Reader({ ...shared, kind: services({ intern }) });
    this.#nodes = new Reader({ ...shared, kind: nodes({ intern }) });
    this.#slices = new Reader({
      ...shared,
      kind: endpointSlices({ intern }),
      indexes: { service: byService },
    });
  }

  /** Resolves when every list is complete; until then nothing may be decided on this picture. */
  async start(): Promise<void> {
    for (const reader of this.#readers()) reader.start();
    await Promise.all(this.#readers().map((reader) => reader.synced()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#readers().map((reader) => reader.stop()));
  }

  /** From now on the controller hears of every change. The returned function ends that. */
  connect(controller: Pick<Controller, 'serviceChanged' | 'nodeChanged' | 'slicesChanged'>): () => void {
    const ends = [
      this.#services.subscribe((change) => {
        controller.serviceChanged(
          change.kind === 'added' ? undefined : change.kind === 'updated' ? change.before : change.object,
          change.kind === 'deleted' ? undefined : change.object,
        );
      }),
      this.#nodes.subscribe((change) => {
        controller.nodeChanged(
          change.kind === 'added' ? undefined : change.kind === 'updated' ? change.before : change.object,
          change.kind === 'deleted' ? undefined : change.object,
        );
      }),
      this.#slices.subscribe((change) => {
        if (
          change.kind === 'updated' &&
          change.before.service &&
          change.before.service !== change.object.service
        ) {
          controller.slicesChanged(change.before.service);
        }
        if (change.object.service) controller.slicesChanged(change.object.service);
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  states(): Readonly<Record<'services' | 'nodes' | 'endpointslices', ReaderState>> {
    return { services: this.#services.state, nodes: this.#nodes.state, endpointslices: this.#slices.state };
  }

  service(key: ObjectKey): ServiceObject | undefined {
    return this.#services.store.get(key);
  }

  services(): Iterable<ServiceObject> {
    return this.#services.store.values();
  }

  nodes(): readonly NodeObject[] {
    return this.#nodes.store.list();
  }

  slices(service: ObjectKey): readonly EndpointSliceObject[] {
    return this.#slices.store.by('service', service);
  }

  caughtUp(key: ObjectKey, version: string): boolean {
    return this.#services.store.caughtUp(key, version);
  }

  #readers(): readonly { start(): void; synced(): Promise<void>; stop(): Promise<void> }[] {
    return [this.#services, this.#nodes, this.#slices];
  }
}

/** Where events of the controller go; `src/kube/events.ts` has the one for a real API server. */
export interface EventSink {
  event(service: ServiceObject, note: EventNote): void;
}

/** The writes of the controller, through the one writer. */
export function clusterWriter(writer: Writer, events: EventSink): ClusterWriter {
  return {
    addFinalizer: (service, annotations, signal) =>
      writer.addFinalizer(service, finalizer, { annotations, signal }),
    removeFinalizer: async (service, annotations, signal) => {
      await writer.removeFinalizer(service, finalizer, { annotations, signal });
    },
    patchStatus: (service, patch, signal) => writer.patchStatus(service, patch, { signal }),
    getService: async (key, signal) => {
      try {
        return await writer.getService(key, { signal });
      } catch (error) {
        if (isSluiceError(error) && error.kind === 'gone') return undefined;
        throw error;
      }
    },
    event: (service, note) => events.event(service, note),
  };
}
