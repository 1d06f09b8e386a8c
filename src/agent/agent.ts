/**
 * The agent of one node: hears of Services, slices, its Node and its addresses, lets the tracker decide, hands what
 * has changed to the writer of each family, and sees to what follows the rules (tracked flows, health ports).
 *
 * Invariants: nothing is decided or written before every list is complete and the node's own object is known; each
 * word from outside costs work in proportion to what it changes; every part but the writers only ever acts on what
 * is in the kernel already.
 */
import { SluiceError } from '../core/errors.ts';
import type { EndpointSliceObject, IpFamily, NodeObject, ObjectKey, ServiceObject } from '../core/objects.ts';
import { makeFamily, type Family, type FamilyParts } from './agent-family.ts';
import type { Backend, PacketCounts, RuleCount } from './backend.ts';
import { forget } from './conntrack/forget.ts';
import type { CounterRow } from './counters/rows.ts';
import { agentProblems } from './decide/service-check.ts';
import type { Decision, DecisionChange, NodeDecision } from './decision.ts';
import type { AgentHearer, Foreteller } from './door.ts';
import { Foresight } from './foresight.ts';
import { HealthChecks } from './health/checks.ts';
import { LoadGate } from './load-gate.ts';
import { judgeHealth } from './health/judge.ts';
import { destinations } from './slice-facts.ts';
import type { SyncState } from './sync-report.ts';

export interface AgentOptions extends FamilyParts {
  /** One for each family that the node has. */
  readonly backends: readonly Backend[];
  readonly soon?: (run: () => void) => void;
}

/** A word from outside that has not been carried to the writers yet. */
interface Heard {
  readonly service: ObjectKey;
  /** Monotonic. */
  readonly at: number;
  /** Wall clock; undefined where nobody tells. */
  readonly triggeredAt: number | undefined;
}

export class Agent implements AgentHearer {
  readonly #options: AgentOptions;
  readonly #soon: (run: () => void) => void;
  readonly #families: ReadonlyMap<IpFamily, Family>;
  readonly #checks: HealthChecks;
  readonly #gate: LoadGate;
  readonly #foresight: Foresight;
  /** What was wrong with a Service when it was last told. */
  readonly #problems = new Map<ObjectKey, string>();
  #conflicts = '';
  #heard: Heard[] = [];
  #nodeDecisions: readonly NodeDecision[] = [];
  #carrying = false;
  #disconnect: (() => void) | undefined;
  #started = false;
  #stopped = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#soon = options.soon ?? ((run) => void setImmediate(run));
    const { clock, random, telemetry } = options;
    this.#gate = new LoadGate(clock, options.backends.length);
    this.#families = new Map(
      options.backends.map((backend) => [
        backend.family,
        makeFamily(backend, options, {
          node: () => this.#nodeDecision(backend.family),
          soon: this.#soon,
          gate: this.#gate,
        }),
      ]),
    );
    this.#foresight = new Foresight({
      ...options,
      tell: (node, decisions) => this.#families.get(node.family)?.sync.backend.foretell?.(node, decisions),
    });
    this.#checks = new HealthChecks({
      clock,
      random,
      programmed: (family) => this.#families.get(family)?.sync.state.programmed === true,
      whenWritten: (family, then) => this.#families.get(family)?.sync.whenWritten(then),
      nodePortAddresses: (family) => this.#nodeDecision(family).nodePortAddresses,
      proxyHealthy: () => this.health().healthy,
      onFailed: (service, address, port, error) => telemetry.healthPortFailed(service, address, port, error),
    });
  }

  /**
   * Reads ahead, while the picture is still on its way, what the kernel holds. What it gives is to be told of the
   * picture as it comes: what is likely is decided already, and the writers hear of it.
   */
  prepare(): Foreteller {
    for (const { sync } of this.#families.values()) sync.backend.prepare();
    return this.#foresight;
  }

  /** The picture is complete: decides on all of it and begins to write. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    const { view, tracker, addresses } = this.#options;
    tracker.setAddresses(addresses());
    tracker.setNode(view.node());
    this.#foresight.end();
    for (const service of view.services()) this.#take(service);
    for (const slice of view.allSlices()) tracker.setSlice(slice);
    tracker.setListed('services');
    tracker.setListed('slices');
    this.#disconnect = view.connect(this);
    // The first write takes everything; only what follows is a change.
    tracker.changes();
    tracker.udpChanges();
    this.#nodeDecisions = tracker.node;
    this.#checks.turn(tracker.healthChanges());
    this.#tellConflicts();
    for (const { sync, conntrack, counters } of this.#families.values()) {
      sync.start();
      if (counters) sync.whenWritten(() => counters.start());
      for (const reconciler of conntrack.values()) reconciler.request();
      // No balancer is told to send traffic before there are rules for it.
      sync.whenWritten(() => this.#syncChecks());
    }
  }

  /** Resolves when everything that is known now is in the kernel, in every family. */
  async written(): Promise<void> {
    const all = [...this.#families.values()];
    await Promise.all(all.map(({ sync }) => new Promise<void>((resolve) => sync.whenWritten(resolve))));
  }

  /** Ends after the writes under way. Rules stay. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#gate.close();
    this.#disconnect?.();
    await this.#checks.close();
    const all = [...this.#families.values()];
    await Promise.all(all.flatMap(({ conntrack }) => [...conntrack.values()].map((one) => one.stop())));
    await Promise.all(all.flatMap(({ counters }) => counters?.stop() ?? []));
    await Promise.all(all.map(({ sync }) => sync.stop()));
  }

  serviceChanged(before: ServiceObject | undefined, after: ServiceObject | undefined): void {
    const { telemetry, tracker } = this.#options;
    telemetry.changes('services', 1);
    if (after !== undefined) this.#take(after);
    else if (before !== undefined) {
      tracker.deleteService(before.key);
      if (this.#problems.delete(before.key)) telemetry.problems(before.key, []);
    }
    const key = after?.key ?? before?.key;
    if (key !== undefined) this.#hear(key, undefined);
  }

  sliceChanged(before: EndpointSliceObject | undefined, after: EndpointSliceObject | undefined): void {
    const { telemetry, tracker, view } = this.#options;
    if (after !== undefined) tracker.setSlice(after);
    else if (before !== undefined) tracker.deleteSlice(before.key);
    const services = new Set([before?.service, after?.service]);
    for (const service of services) {
      if (service === undefined || view.service(service) === undefined) continue;
      telemetry.changes('slices', 1);
      const triggered = Date.parse(after?.triggeredAt ?? '');
      this.#hear(service, Number.isNaN(triggered) ? undefined : triggered);
    }
  }

  nodeChanged(node: NodeObject | undefined): void {
    this.#options.tracker.setNode(node);
    this.#carrySoon();
  }

  /** The addresses of the interfaces are others now. */
  addressesChanged(): void {
    if (!this.#started) return;
    const addresses = this.#options.addresses();
    this.#options.telemetry.addresses(addresses.size);
    this.#options.tracker.setAddresses(addresses);
    this.#carrySoon();
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

  /** Rules in the kernel, of the families whose backend writes any. */
  ruleCounts(): ReadonlyMap<IpFamily, readonly RuleCount[]> {
    return new Map([...this.#families].map(([name, { sync }]) => [name, sync.backend.ruleCounts?.() ?? []]));
  }

  /**
   * Packets that rules of the node's own have met, of each family whose backend can tell.
   *
   * @throws SluiceError where the kernel cannot be read.
   */
  async packetCounts(): Promise<readonly PacketCounts[]> {
    const backends = [...this.#families.values()].map(({ sync }) => sync.backend);
    return await Promise.all(backends.flatMap((backend) => backend.packetCounts?.() ?? []));
  }

  /**
   * New connections of each port of a Service; undefined where nothing is counted.
   *
   * @throws SluiceError where the kernel cannot be read.
   */
  async counters(): Promise<readonly CounterRow[] | undefined> {
    const all = [...this.#families.values()].flatMap(({ counters }) => counters ?? []);
    if (all.length === 0) return undefined;
    return (await Promise.all(all.map((counters) => counters.read()))).flat();
  }

  get listening(): number {
    return this.#checks.listening;
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

  /** Where node ports answer, of each family. */
  nodePortAddresses(): readonly ('all' | readonly string[])[] {
    return this.#nodeDecisions.map(({ nodePortAddresses }) => nodePortAddresses);
  }

  /** Ports of Services' health checks, which this agent listens on. */
  healthPorts(): ReadonlySet<number> {
    return this.#checks.ports();
  }

  /** What is decided about a Service and how it stands in the kernel; undefined where it is not served here. */
  describe(service: ObjectKey): readonly object[] | undefined {
    if (this.#options.view.service(service) === undefined) return undefined;
    const own = [...this.#options.tracker.decisions()].filter((decision) => decision.service === service);
    return own.map((decision) => {
      const sync = this.#families.get(decision.family)?.sync;
      return {
        decision,
        kernel: sync?.backend.describe(decision.key) ?? [],
        refused: sync?.state.quarantined.get(decision.key),
      };
    });
  }

  #take(service: ServiceObject): void {
    const { tracker, telemetry } = this.#options;
    tracker.setService(service);
    const problems = agentProblems(service, tracker.view);
    const told = problems.length === 0 ? undefined : JSON.stringify(problems);
    if (told === this.#problems.get(service.key)) return;
    if (told === undefined) this.#problems.delete(service.key);
    else this.#problems.set(service.key, told);
    telemetry.problems(service.key, problems);
  }

  #hear(service: ObjectKey, triggeredAt: number | undefined): void {
    this.#heard.push({ service, at: this.#options.clock.now(), triggeredAt });
    this.#carrySoon();
  }

  /** What comes in one go (a chunk of a watch) is decided in one go. */
  #carrySoon(): void {
    if (this.#carrying || !this.#started) return;
    this.#carrying = true;
    this.#soon(() => {
      this.#carrying = false;
      if (!this.#stopped) this.#carry();
    });
  }

  /** Hands what has changed to whom it concerns. */
  #carry(): void {
    const { tracker, telemetry } = this.#options;
    const changes = tracker.changes();
    const nodes = tracker.node;
    const udp = tracker.udpChanges();
    const heard = this.#heard;
    this.#heard = [];
    const before = this.#nodeDecisions;
    this.#nodeDecisions = nodes;
    for (const [name, { sync, conntrack, counters }] of this.#families) {
      const own = changes.filter(({ after, before: was }) => (after ?? was)?.family === name);
      const rewrite = !sameText(before.find(isOf(name)), nodes.find(isOf(name)));
      if (own.length > 0 || rewrite) {
        telemetry.queued(name);
        sync.changed(own);
        if (rewrite) sync.rewrite();
        counters?.changed(own);
        if (rewrite) counters?.rewrite();
        this.#time(name, own, heard);
      }
      // Only now: what asks for the rules to be written first must find that they are not.
      for (const { before: was, after: is } of udp) {
        if ((is ?? was)?.family === name) forget(conntrack.get('udp'), was, is);
      }
      // An endpoint that took no new connections can vanish without a decision being another one.
      if (heard.length > 0) conntrack.get('tcp')?.request();
      for (const { before: was, after: is } of own) {
        if (was?.protocol === 'TCP') forget(conntrack.get('tcp'), destinations(was), is && destinations(is));
      }
    }
    const moved = this.#checks.turn(tracker.healthChanges()) || nodes !== before;
    if (moved) this.#syncChecks();
    if (changes.length > 0) this.#tellConflicts();
  }

  /** How long it takes until the kernel has what was heard of. */
  #time(family: IpFamily, changes: readonly DecisionChange[], heard: readonly Heard[]): void {
    const { clock, telemetry } = this.#options;
    const changed = new Set(changes.map(({ before, after }) => (after ?? before)?.service));
    const mine = heard.filter(({ service }) => changed.has(service));
    if (mine.length === 0) return;
    this.#families.get(family)?.sync.whenWritten(() => {
      for (const { at, triggeredAt } of mine) {
        telemetry.programmed(family, {
          heardMs: clock.now() - at,
          triggeredMs: triggeredAt === undefined ? undefined : Math.max(0, clock.wall() - triggeredAt),
        });
      }
    });
  }

  #tellConflicts(): void {
    const { tracker, telemetry } = this.#options;
    const conflicts = tracker.conflicts();
    const told = JSON.stringify(conflicts);
    if (told === this.#conflicts || (conflicts.length === 0 && this.#conflicts === '')) return;
    this.#conflicts = told;
    for (const conflict of conflicts) telemetry.conflict(conflict);
  }

  #nodeDecision(family: IpFamily): NodeDecision {
    const found = this.#nodeDecisions.find(isOf(family));
    if (found === undefined)
      throw new SluiceError('bug', `nothing is decided about ${family} on this node`, { code: 'NotDecided' });
    return found;
  }

  #syncChecks(): void {
    if (!this.#stopped) this.#checks.sync();
  }
}

function isOf(family: IpFamily): (decision: NodeDecision) => boolean {
  return (decision) => decision.family === family;
}

function sameText(a: NodeDecision | undefined, b: NodeDecision | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
