/**
 * The agent of one node: hears of Services, slices, its Node and its addresses, lets the tracker decide, hands what
 * has changed to the writer of each family, and sees to what follows the rules (tracked flows, health ports).
 *
 * Invariants: nothing is decided or written before every list is complete and the node's own object is known; each
 * word from outside costs work in proportion to what it changes; every part but the writers only ever acts on what
 * is in the kernel already.
 */
import type { Clock, Random } from '../core/clock.ts';
import type { SluiceError } from '../core/errors.ts';
import type {
  EndpointSliceObject,
  IpFamily,
  NodeName,
  NodeObject,
  ObjectKey,
  ServiceObject,
} from '../core/objects.ts';
import type { Backend } from './backend.ts';
import { ConntrackReconciler, type ConntrackReport } from './conntrack/reconcile.ts';
import type { Served } from './conntrack/stale.ts';
import type { ConntrackTable, Tracked } from './conntrack/table.ts';
import type { Decision, DecisionChange, DecisionKey, NodeDecision } from './decision.ts';
import type { AgentHearer, AgentView } from './door.ts';
import { judgeHealth } from './health/judge.ts';
import { HealthListeners, type HealthPort } from './health/listeners.ts';
import type { Finding } from './preflight.ts';
import { readyOnNode, retiredBy, servedBy } from './slice-facts.ts';
import { FamilySync, type SyncReport, type SyncState, type SyncTimings } from './sync.ts';

/** What a change of the world means for the decisions: which are others now, and whose node part is. */
export interface Decided {
  readonly changes: readonly DecisionChange[];
  readonly nodes: readonly IpFamily[];
}

/** Decides, remembers, and answers a change with what it changes. */
export interface Tracker {
  /** Everything at once. */
  load(services: Iterable<ServiceObject>): void;
  service(key: ObjectKey): Decided;
  slices(service: ObjectKey): Decided;
  node(): Decided;
  nodeDecision(family: IpFamily): NodeDecision;
  decisions(family: IpFamily): Iterable<Decision>;
  decision(key: DecisionKey): Decision | undefined;
  /** Decisions of one Service. */
  ofService(service: ObjectKey): Iterable<Decision>;
}

/** What is heard of the agent. None of these may throw. */
export interface AgentTelemetry {
  sync(event: SyncReport): void;
  conntrack(event: ConntrackReport): void;
  changes(kind: 'services' | 'slices', count: number): void;
  queued(family: IpFamily): void;
  /** A change is in the kernel: so long after it was heard of, and after what triggered it, where that is known. */
  programmed(
    family: IpFamily,
    times: { readonly heardMs: number; readonly triggeredMs: number | undefined },
  ): void;
  healthPortFailed(service: ObjectKey, address: string, port: number, error: SluiceError): void;
  found(finding: Finding & { readonly service?: ObjectKey }): void;
  addresses(count: number): void;
  trouble(message: string, error: SluiceError): void;
}

export interface AgentOptions {
  readonly view: AgentView;
  readonly tracker: Tracker;
  /** One for each family that the node has. */
  readonly backends: readonly Backend[];
  readonly nodeName: NodeName;
  /** Addresses of the node's interfaces, as of now. */
  readonly addresses: () => ReadonlySet<string>;
  /** Undefined: tracked flows are left alone. */
  readonly conntrack: ConntrackTable | undefined;
  /** Cut TCP connections to endpoints that are no more. */
  readonly resetTcp: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly timings?: SyncTimings;
  readonly telemetry: AgentTelemetry;
  readonly soon?: (run: () => void) => void;
}

interface Family {
  readonly name: IpFamily;
  readonly sync: FamilySync;
  readonly conntrack: ReadonlyMap<Tracked, ConntrackReconciler>;
}

export class Agent implements AgentHearer {
  readonly #options: AgentOptions;
  readonly #families: ReadonlyMap<IpFamily, Family>;
  readonly #listeners: HealthListeners;
  /** Services with a health-check node port. */
  readonly #withHealthPort = new Set<ObjectKey>();
  /** Decisions of which tracked flows are looked after, by protocol and family. */
  readonly #tracked = new Map<string, Map<DecisionKey, Decision>>();
  #disconnect: (() => void) | undefined;
  #started = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { clock, random, telemetry } = options;
    this.#families = new Map(options.backends.map((backend) => [backend.family, this.#family(backend)]));
    this.#listeners = new HealthListeners({
      clock,
      random,
      ready: (service, family) => this.readyEndpoints(service, family),
      proxyHealthy: () => this.health().healthy,
      onFailed: (service, address, port, error) => telemetry.healthPortFailed(service, address, port, error),
    });
  }

  /** The picture is complete: decides on all of it and begins to write. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    const { view, tracker } = this.#options;
    tracker.load(view.services());
    this.#disconnect = view.connect(this);
    for (const service of view.services()) this.#noteHealthPort(service.key, service);
    for (const { name, sync, conntrack } of this.#families.values()) {
      for (const decision of tracker.decisions(name)) this.#noteTracked(decision.key, undefined, decision);
      sync.start();
      for (const reconciler of conntrack.values()) reconciler.request();
      // No balancer is told to send traffic before there are rules for it.
      sync.whenWritten(() => this.#syncListeners());
    }
  }

  /** Resolves when everything that is known now is in the kernel, in every family. */
  async written(): Promise<void> {
    const all = [...this.#families.values()];
    await Promise.all(all.map(({ sync }) => new Promise<void>((resolve) => sync.whenWritten(resolve))));
  }

  /** Ends after the writes under way. Rules stay. */
  async stop(): Promise<void> {
    this.#disconnect?.();
    await this.#listeners.close();
    const all = [...this.#families.values()];
    await Promise.all(all.flatMap(({ conntrack }) => [...conntrack.values()].map((one) => one.stop())));
    await Promise.all(all.map(({ sync }) => sync.stop()));
  }

  serviceChanged(before: ServiceObject | undefined, after: ServiceObject | undefined): void {
    const key = after?.key ?? before?.key;
    if (key === undefined) return;
    this.#options.telemetry.changes('services', 1);
    this.#noteHealthPort(key, after);
    this.#carry(this.#options.tracker.service(key), undefined);
    if (before?.healthCheckNodePort !== after?.healthCheckNodePort) this.#syncListeners();
  }

  slicesChanged(service: ObjectKey, slice: EndpointSliceObject, gone: boolean): void {
    if (this.#options.view.service(service) === undefined) return;
    this.#options.telemetry.changes('slices', 1);
    const triggered = gone || slice.triggeredAt === undefined ? Number.NaN : Date.parse(slice.triggeredAt);
    this.#carry(this.#options.tracker.slices(service), Number.isNaN(triggered) ? undefined : triggered);
    // Who may answer a tracked flow can change without any decision being another one.
    for (const decision of this.#options.tracker.ofService(service)) {
      const protocol = trackedAs(decision);
      if (protocol) this.#families.get(decision.family)?.conntrack.get(protocol)?.request();
    }
  }

  nodeChanged(_node: NodeObject | undefined): void {
    this.#carry(this.#options.tracker.node(), undefined);
    this.#syncListeners();
  }

  /** The addresses of the interfaces are others now. */
  addressesChanged(): void {
    if (!this.#started) return;
    this.#options.telemetry.addresses(this.#options.addresses().size);
    this.nodeChanged(this.#options.view.node());
  }

  /** Ready endpoints of a Service on this node; undefined where it is not served here. */
  readyEndpoints(service: ObjectKey, family: IpFamily): number | undefined {
    const { view, nodeName } = this.#options;
    return view.service(service) === undefined
      ? undefined
      : readyOnNode(view.slices(service), nodeName, family);
  }

  health(): ReturnType<typeof judgeHealth> {
    return judgeHealth({
      families: [...this.#families.values()].map(({ name, sync }) => ({ family: name, state: sync.state })),
      node: this.#options.view.node(),
      now: this.#options.clock.now(),
    });
  }

  /** State of each writer. */
  states(): ReadonlyMap<IpFamily, SyncState> {
    return new Map([...this.#families].map(([name, { sync }]) => [name, sync.state]));
  }

  get listening(): number {
    return this.#listeners.listening;
  }

  /** The decisions that have a node port, one for each port and protocol. */
  nodePorts(): readonly Decision[] {
    const found = new Map<string, Decision>();
    for (const name of this.#families.keys()) {
      for (const decision of this.#options.tracker.decisions(name))
        if (decision.nodePort !== 0) found.set(`${decision.protocol} ${decision.nodePort}`, decision);
    }
    return [...found.values()];
  }

  /** What is decided about a Service and how it stands in the kernel; undefined where it is not served here. */
  describe(service: ObjectKey): readonly object[] | undefined {
    if (this.#options.view.service(service) === undefined) return undefined;
    return [...this.#options.tracker.ofService(service)].map((decision) => {
      const sync = this.#families.get(decision.family)?.sync;
      return {
        decision,
        kernel: sync?.backend.describe(decision.key) ?? [],
        refused: sync?.state.quarantined.get(decision.key),
      };
    });
  }

  #family(backend: Backend): Family {
    const { clock, random, timings, telemetry, tracker, conntrack, resetTcp, soon } = this.#options;
    const { family } = backend;
    const sync = new FamilySync({
      backend,
      source: {
        node: () => tracker.nodeDecision(family),
        decisions: () => tracker.decisions(family),
        decision: (key) => tracker.decision(key),
      },
      clock,
      random,
      ...(timings === undefined ? {} : { timings }),
      ...(soon === undefined ? {} : { soon }),
      report: (event) => telemetry.sync(event),
    });
    const reconcilers = new Map<Tracked, ConntrackReconciler>();
    const protocols: readonly Tracked[] = conntrack === undefined ? [] : resetTcp ? ['udp', 'tcp'] : ['udp'];
    for (const protocol of protocols) {
      if (conntrack === undefined) break;
      const reconciler = new ConntrackReconciler({
        family,
        protocol,
        table: conntrack,
        served: () => this.#served(family, protocol),
        isNodePortAddress: (address) => this.#isNodePortAddress(family, address),
        whenWritten: (then) => sync.whenWritten(then),
        clock,
        random,
        report: (event) => telemetry.conntrack(event),
      });
      reconcilers.set(protocol, reconciler);
    }
    return { name: family, sync, conntrack: reconcilers };
  }

  /** Hands what was decided to whom it concerns. */
  #carry({ changes, nodes }: Decided, triggeredAt: number | undefined): void {
    const { clock, telemetry } = this.#options;
    const heardAt = clock.now();
    for (const [name, { sync, conntrack }] of this.#families) {
      const own = changes.filter(({ after, before }) => (after ?? before)?.family === name);
      const rewrite = nodes.includes(name);
      if (own.length === 0 && !rewrite) continue;
      telemetry.queued(name);
      sync.changed(own);
      if (rewrite) sync.rewrite();
      // Only now: what asks for the rules to be written first must find that they are not.
      for (const { key, before, after } of own) {
        this.#noteTracked(key, before, after);
        const protocol = trackedAs(after ?? before);
        const reconciler = protocol && conntrack.get(protocol);
        const retired = before && retiredBy(before, after);
        if (retired) reconciler?.retire(retired);
        else reconciler?.request();
      }
      sync.whenWritten(() =>
        telemetry.programmed(name, {
          heardMs: clock.now() - heardAt,
          triggeredMs: triggeredAt === undefined ? undefined : Math.max(0, clock.wall() - triggeredAt),
        }),
      );
    }
  }

  #noteTracked(key: DecisionKey, before: Decision | undefined, after: Decision | undefined): void {
    const of = after ?? before;
    const protocol = trackedAs(of);
    if (of === undefined || protocol === undefined || !this.#families.get(of.family)?.conntrack.has(protocol))
      return;
    const name = `${of.family} ${protocol}`;
    const decisions = this.#tracked.get(name) ?? new Map<DecisionKey, Decision>();
    this.#tracked.set(name, decisions);
    if (after === undefined) decisions.delete(key);
    else decisions.set(key, after);
  }

  #served(family: IpFamily, protocol: Tracked): readonly Served[] {
    const decisions = this.#tracked.get(`${family} ${protocol}`)?.values() ?? [];
    return [...decisions].map((decision) => servedBy(decision, this.#options.view.slices(decision.service)));
  }

  #isNodePortAddress(family: IpFamily, address: string): boolean {
    const { nodePortAddresses } = this.#options.tracker.nodeDecision(family);
    return nodePortAddresses === 'all'
      ? this.#options.addresses().has(address)
      : nodePortAddresses.includes(address);
  }

  #noteHealthPort(key: ObjectKey, service: ServiceObject | undefined): void {
    if (service !== undefined && healthPort(service) !== 0) this.#withHealthPort.add(key);
    else this.#withHealthPort.delete(key);
  }

  #syncListeners(): void {
    const programmed = [...this.#families.values()].filter(({ sync }) => sync.state.programmed);
    this.#listeners.sync(programmed.flatMap(({ name }) => [...this.#healthPorts(name)]));
  }

  *#healthPorts(family: IpFamily): Iterable<HealthPort> {
    const { view, tracker } = this.#options;
    const { nodePortAddresses } = tracker.nodeDecision(family);
    const everywhere = family === 'IPv4' ? '0.0.0.0' : '::';
    const addresses = nodePortAddresses === 'all' ? [everywhere] : nodePortAddresses;
    for (const service of this.#withHealthPort) {
      const object = view.service(service);
      if (object?.ipFamilies.includes(family) !== true) continue;
      yield { service, family, port: healthPort(object), addresses };
    }
  }
}

/** The protocols whose tracked flows are looked after. */
function trackedAs(decision: Decision | undefined): Tracked | undefined {
  if (decision?.protocol === 'UDP') return 'udp';
  return decision?.protocol === 'TCP' ? 'tcp' : undefined;
}

/** 0 where the Service has none that is in force. */
function healthPort({ type, externalTrafficPolicy, healthCheckNodePort }: ServiceObject): number {
  return type === 'LoadBalancer' && externalTrafficPolicy === 'Local' ? healthCheckNodePort : 0;
}
