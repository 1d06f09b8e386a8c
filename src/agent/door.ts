/**
 * What the agent reads of the Kubernetes API: Services in its scope, the EndpointSlices of the cluster, and its own
 * Node. Read-only; the one reader of `src/kube` does the work.
 *
 * Slices are not narrowed to the scope's label: one that was made by hand, or by another controller, need not carry
 * its Service's labels. What that costs for Services that others serve, at 10,000 of them with five endpoints each:
 * 15 MB, and 3 µs for each of their changes (objects are cut down to what is used as they are parsed).
 */
import type { Clock, Random } from '../core/clock.ts';
import type { EndpointSliceObject, NodeName, NodeObject, ObjectKey, ServiceObject } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { makeIntern } from '../kube/intern.ts';
import { byService, endpointSlices, nodes, services } from '../kube/kinds.ts';
import { Reader } from '../kube/reader.ts';
import type { ReaderReport, ReaderState } from '../kube/reader-report.ts';
import type { Change } from '../kube/store.ts';
import { headlessLabel, ownProxyName, proxyNameLabel } from './decide/service.ts';
import type { AgentSettings } from './decide/settings.ts';

type Scope = AgentSettings['scope'];

/** The agent serves this Service: label selectors cannot say "absent or ours", so the answer is given here. */
export function inScope(service: Pick<ServiceObject, 'labels'>, scope: Scope): boolean {
  const name = service.labels[proxyNameLabel];
  return name === ownProxyName || (scope === 'all' && name === undefined);
}

export interface AgentDoorOptions {
  readonly api: Api;
  readonly scope: Scope;
  readonly nodeName: NodeName;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: (event: ReaderReport) => void;
  /** The lists are asked for at once, and taken in when this resolves. Default: at once too. */
  readonly takeAfter?: Promise<void> | undefined;
}

/** What the agent asks of the API: a door for a real server, values in tests. */
export interface AgentView {
  service(key: ObjectKey): ServiceObject | undefined;
  services(): Iterable<ServiceObject>;
  /** The slices of one Service. */
  slices(service: ObjectKey): readonly EndpointSliceObject[];
  /** Every slice, of Services in scope or not. */
  allSlices(): Iterable<EndpointSliceObject>;
  /** The agent's own; undefined where there is no such Node. */
  node(): NodeObject | undefined;
  /** Tells every change from now on. The returned function ends that. */
  connect(hearer: AgentHearer): () => void;
}

export interface AgentHearer {
  serviceChanged(before: ServiceObject | undefined, after: ServiceObject | undefined): void;
  sliceChanged(before: EndpointSliceObject | undefined, after: EndpointSliceObject | undefined): void;
  nodeChanged(node: NodeObject | undefined): void;
}

/** Hears of objects before it is certain that they are part of the picture. */
export interface Foreteller {
  service(service: ServiceObject): void;
  slice(slice: EndpointSliceObject): void;
}

export class AgentDoor implements AgentView {
  readonly #nodeName: NodeName;
  readonly #scope: Scope;
  readonly #services: Reader<ObjectKey, ServiceObject>;
  readonly #slices: Reader<ObjectKey, EndpointSliceObject>;
  readonly #nodes: Reader<NodeName, NodeObject>;

  constructor({ api, scope, nodeName, clock, random, report, takeAfter }: AgentDoorOptions) {
    const intern = makeIntern();
    const shared = {
      api,
      clock,
      random,
      report,
      whole: true,
      ...(takeAfter === undefined ? {} : { takeAfter }),
    };
    this.#nodeName = nodeName;
    this.#scope = scope;
    const served = scope === 'all' ? '' : `,${proxyNameLabel}=${ownProxyName}`;
    this.#services = new Reader({
      ...shared,
      kind: services({ intern, labelSelector: `!${headlessLabel}${served}` }),
    });
    this.#slices = new Reader({
      ...shared,
      kind: endpointSlices({ intern, labelSelector: `!${headlessLabel}` }),
      indexes: { service: byService },
    });
    this.#nodes = new Reader({
      ...shared,
      kind: nodes({ intern, fieldSelector: `metadata.name=${nodeName}` }),
    });
  }

  /** Resolves when every list is complete; until then nothing may be decided on this picture. */
  async start(): Promise<void> {
    for (const reader of this.#readers()) reader.start();
    await Promise.all(this.#readers().map((reader) => reader.synced()));
  }

  /** From now on the hearer is told of objects of the first lists, as they come and that have come: likely, not certain. */
  foretell(foreteller: Foreteller): void {
    this.#services.foretell((service) => {
      if (inScope(service, this.#scope)) foreteller.service(service);
    });
    this.#slices.foretell((slice) => foreteller.slice(slice));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#readers().map((reader) => reader.stop()));
  }

  states(): Readonly<Record<'services' | 'nodes' | 'endpointslices', ReaderState>> {
    return { services: this.#services.state, nodes: this.#nodes.state, endpointslices: this.#slices.state };
  }

  service(key: ObjectKey): ServiceObject | undefined {
    return this.#served(this.#services.store.get(key));
  }

  *services(): Iterable<ServiceObject> {
    for (const service of this.#services.store.values()) if (inScope(service, this.#scope)) yield service;
  }

  slices(service: ObjectKey): readonly EndpointSliceObject[] {
    return this.#slices.store.by('service', service);
  }

  allSlices(): Iterable<EndpointSliceObject> {
    return this.#slices.store.values();
  }

  node(): NodeObject | undefined {
    return this.#nodes.store.get(this.#nodeName);
  }

  connect(hearer: AgentHearer): () => void {
    const ends = [
      this.#services.subscribe((change) => {
        const before = this.#served(beforeOf(change));
        const after = this.#served(afterOf(change));
        // A Service that enters or leaves the scope by its label has come or gone.
        if (before !== undefined || after !== undefined) hearer.serviceChanged(before, after);
      }),
      this.#slices.subscribe((change) => hearer.sliceChanged(beforeOf(change), afterOf(change))),
      this.#nodes.subscribe((change) => hearer.nodeChanged(afterOf(change))),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  #served(service: ServiceObject | undefined): ServiceObject | undefined {
    return service !== undefined && inScope(service, this.#scope) ? service : undefined;
  }

  #readers(): readonly { start(): void; synced(): Promise<void>; stop(): Promise<void> }[] {
    return [this.#services, this.#slices, this.#nodes];
  }
}

function beforeOf<T>(change: Change<T>): T | undefined {
  switch (change.kind) {
    case 'added':
      return undefined;
    case 'updated':
      return change.before;
    case 'deleted':
      return change.object;
  }
}

function afterOf<T>(change: Change<T>): T | undefined {
  return change.kind === 'deleted' ? undefined : change.object;
}
