/**
 * Announcing as a part of a running agent: brings up readers, heartbeats and the engine, lets `Ownership` decide, and
 * carries what comes of it to status, probes and whoever listens.
 *
 * The order matters for an agent that comes back: it is heard before it has read the cluster, so that the others keep
 * its addresses for it, and the engine leaves what it finds until the first decision.
 */
import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '../../core/clock.ts';
import { sleep } from '../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../core/errors.ts';
import type { NodeName, NodeObject, ObjectKey, ServiceObject } from '../../core/objects.ts';
import type { Api } from '../../kube/api.ts';
import type { ReaderReport, ReaderState } from '../../kube/reader-report.ts';
import { Writer } from '../../kube/writer.ts';
import type { Announcer } from './announcer.ts';
import { LeaseArbiter } from './arbiter.ts';
import { AnnounceCluster, type SliceSource } from './cluster.ts';
import { KeyWatch } from './keys.ts';
import type { OwnershipEvent } from './ownership-port.ts';
import { Ownership } from './ownership.ts';
import { Probes } from './probes.ts';
import type { Standing } from './quorum.ts';
import { Registry } from './registry.ts';
import { StatusKeeper, type Heard } from './status.ts';
import { Heartbeats, type Endpoint } from './udp.ts';

/** What is heard of announcing. None of these may throw. */
export interface AnnounceTelemetry {
  event(event: OwnershipEvent, services: readonly ObjectKey[]): void;
  asked(address: string, count: number): void;
  trouble(what: string, error: SluiceError): void;
  reader(event: ReaderReport): void;
}

export interface AnnouncePartOptions {
  readonly api: Api;
  readonly nodeName: NodeName;
  /** Of the controller: the Secret with the key of the heartbeats. */
  readonly namespace: string;
  /** Of the agents: their Leases, out of reach of the controller's own. */
  readonly leaseNamespace: string;
  readonly bind: Endpoint;
  readonly announcer: Announcer;
  readonly slices: SliceSource;
  /** The slices are complete. */
  readonly slicesComplete: Promise<unknown>;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: AnnounceTelemetry;
}

const sweepMs = 10_000;
const againMs = 2_000;

export class AnnouncePart {
  readonly #options: AnnouncePartOptions;
  readonly #cluster: AnnounceCluster;
  readonly #keys: KeyWatch;
  readonly #registry: Registry;
  readonly #arbiter: LeaseArbiter;
  readonly #heartbeats: Heartbeats;
  readonly #ownership: Ownership;
  readonly #status: StatusKeeper;
  readonly #probes: Probes;
  readonly #heard = new Map<string, Heard>();
  readonly #stop = new AbortController();
  #port: number | undefined;
  #problem: SluiceError | undefined;
  /** What has failed and is tried again. */
  readonly #waiting = new Map<string, SluiceError>();
  #ready = false;
  #cancelSweep: () => void = () => undefined;

  constructor(options: AnnouncePartOptions) {
    this.#options = options;
    const { api, nodeName, namespace, leaseNamespace, clock, random, announcer, telemetry } = options;
    const shared = { api, clock, random };
    const report = (event: ReaderReport): void => telemetry.reader(event);
    const changed = (): void => this.#changed();
    this.#cluster = new AnnounceCluster({ ...shared, slices: options.slices, onChange: changed, report });
    this.#keys = new KeyWatch({ ...shared, namespace, onChange: changed, report });
    this.#registry = new Registry({
      ...shared,
      namespace: leaseNamespace,
      nodeName,
      node: () => this.#cluster.node(nodeName),
      heartbeat: () => this.#place(),
      onChange: changed,
      report,
      failed: (error) => telemetry.trouble('the agent could not register itself', error),
    });
    const session = randomBytes(8).toString('hex');
    this.#arbiter = new LeaseArbiter({
      ...shared,
      namespace: leaseNamespace,
      identity: `${nodeName}-${session}`,
      onChange: changed,
      report: (error) => telemetry.trouble('the Lease that breaks ties', error),
    });
    this.#heartbeats = new Heartbeats({
      bind: options.bind,
      peer: (member) => this.#registry.peer(member),
      received: (bytes, from) => this.#ownership.received(bytes, from),
      refused: (member) => this.#ownership.refused(member),
      report: (error) => telemetry.trouble('heartbeats', error),
    });
    this.#ownership = new Ownership({
      node: nodeName,
      session,
      keys: () => this.#keys.keys(),
      clock,
      announcer,
      arbiter: this.#arbiter,
      send: (to, bytes) => this.#heartbeats.send(to, bytes),
      port: () => this.#port ?? 0,
      met: (member, port, host) => {
        if (host !== '' && port > 0) this.#heartbeats.met(member, { host, port });
      },
      facts: () => this.#cluster.facts(),
      known: () => this.#registry.known(),
      report: (event) => this.#event(event),
    });
    const writer = new Writer(api);
    const about = {
      node: nodeName,
      object: (name: string) => this.#cluster.object(name),
      facts: (name: string) => this.#cluster.factsOf(name),
      ownership: this.#ownership,
      writer,
      clock,
    };
    this.#status = new StatusKeeper({
      ...about,
      random,
      links: () => announcer.links(),
      heard: (address) => this.#heard.get(address) ?? { contested: undefined, asked: 0 },
      failed: (name, error) => telemetry.trouble(`status of ServiceAddress ${name}`, error),
    });
    this.#probes = new Probes({
      ...about,
      announcer,
      failed: (name, error) => telemetry.trouble(`probe of ServiceAddress ${name}`, error),
    });
  }

  /** Resolves when this node takes part, or when it is stopped before. */
  async start(): Promise<void> {
    const ear = this.#listen();
    const engine = this.#startEngine();
    const lists = [this.#keys.start(), this.#registry.start(), this.#cluster.start()];
    this.#ownership.start();
    await Promise.all([...lists, this.#options.slicesComplete, engine, ear]).catch((thrown: unknown) => {
      if (this.#stop.signal.aborted) return;
      this.#problem = asSluiceError(thrown);
      this.#options.telemetry.trouble('announcing cannot begin', this.#problem);
    });
    if (this.#stop.signal.aborted || this.#problem !== undefined) return;
    this.#ready = true;
    this.#ownership.setReady();
    this.#sweep();
  }

  /** See `Ownership.stop`. */
  async end(how: 'keep' | 'release'): Promise<void> {
    const started = this.#ready;
    this.#stop.abort();
    this.#cancelSweep();
    this.#status.stop();
    this.#probes.stop();
    await this.#ownership.stop(started ? how : 'keep');
    await this.#arbiter.stop();
    await this.#registry.stop(how === 'release' ? 'gone' : 'stays');
    await Promise.all([this.#keys.stop(), this.#cluster.stop()]);
    this.#heartbeats.close();
  }

  /** For readiness: what is missing. */
  get waitsFor(): string {
    if (this.#problem !== undefined) return this.#problem.message;
    for (const { message } of this.#waiting.values()) return message;
    if (!this.#ready) return 'the lists, the engine or the registration are not complete yet';
    const { members } = this.#registry.known();
    if (members.size > 1 && this.#keys.keys().length === 0)
      return `Secret sluice-heartbeat in namespace ${this.#options.namespace} has no key (data.key, 16 bytes or more): other agents cannot be heard; is the controller running?`;
    return '';
  }

  get standing(): Standing {
    return this.#ownership.standing;
  }

  /** Addresses that this node answers for. */
  *held(): Iterable<string> {
    for (const { address, state } of this.#ownership.held()) if (state === 'up') yield address;
  }

  service(key: ObjectKey): ServiceObject | undefined {
    return this.#cluster.service(key);
  }

  /** The own Node. */
  get node(): NodeObject | undefined {
    return this.#cluster.node(this.#options.nodeName);
  }

  states(): Readonly<Record<string, ReaderState>> {
    return { ...this.#cluster.states(), 'agent leases': this.#registry.state };
  }

  // ── events of the engine ──

  #startEngine(): Promise<void> {
    const { announcer } = this.#options;
    return this.#until('the announcer cannot start', () =>
      announcer.start({
        mayRenew: () => this.#ownership.mayRenew(),
        asked: (address, count) => this.#asked(address, count),
        contested: (address, mac) => this.#contested(address, mac),
        held: (address, error) => this.#ownership.engineHeld(address, error),
        links: () => this.#changed(),
      }),
    );
  }

  /** The port may be an earlier agent's that is about to end, and the address of the node may be yet to come. */
  #listen(): Promise<void> {
    return this.#until('announcing cannot begin', async () => {
      this.#port = await this.#heartbeats.start();
    });
  }

  /** Tries until it works, or until the end. */
  async #until(what: string, run: () => Promise<void>): Promise<void> {
    const { clock, telemetry } = this.#options;
    const { signal } = this.#stop;
    let told = '';
    while (!signal.aborted) {
      try {
        await run();
        this.#waiting.delete(what);
        return;
      } catch (thrown) {
        const error = asSluiceError(thrown);
        if (error.message !== told) telemetry.trouble(what, error);
        told = error.message;
        this.#waiting.set(what, error);
        await sleep(clock, againMs, signal).catch(() => undefined);
      }
    }
  }

  #asked(address: string, count: number): void {
    this.#options.telemetry.asked(address, count);
    const before = this.#heard.get(address);
    this.#heard.set(address, { contested: before?.contested, asked: (before?.asked ?? 0) + count });
    // Told by powers of ten; the sweep finds the others.
    if (before === undefined || before.asked < 2) this.#touch(address);
  }

  #contested(address: string, mac: string): void {
    const wallMs = this.#options.clock.wall();
    if (!this.#ownership.contested(address, mac)) return;
    const before = this.#heard.get(address);
    if (before?.contested?.mac === mac && wallMs - before.contested.wallMs < sweepMs) return;
    this.#heard.set(address, { contested: { mac, wallMs }, asked: before?.asked ?? 0 });
    this.#touch(address);
  }

  #event(event: OwnershipEvent): void {
    const address = 'address' in event ? event.address : undefined;
    const services = address === undefined ? [] : (this.#cluster.facts().get(address)?.services ?? []);
    this.#options.telemetry.event(event, services);
    if (event.kind === 'given-up' && address !== undefined) this.#heard.delete(address);
    if (address !== undefined) this.#touch(address);
  }

  #touch(address: string): void {
    const name = this.#cluster.facts().get(address)?.name;
    if (name !== undefined) this.#status.touch(name);
  }

  // ── the cluster ──

  #changed(): void {
    this.#ownership.changed();
    if (!this.#ready) return;
    for (const { name } of this.#cluster.objects()) {
      const facts = this.#cluster.factsOf(name);
      if (facts?.asked === true) this.#probes.touch(name);
    }
  }

  /** The net under what no event tells: addresses that nobody holds, and agents that are no more. */
  #sweep(): void {
    const { clock } = this.#options;
    this.#cancelSweep = clock.schedule(sweepMs, () => this.#sweep());
    for (const { name } of this.#cluster.objects()) this.#status.touch(name);
    this.#changed();
    if (this.#ownership.leads && this.#ownership.standing.right.kind === 'majority')
      void this.#registry.retire(this.#ownership.view().live);
    this.#heartbeats.keepOnly(this.#registry.known().members);
  }

  #place(): Endpoint | undefined {
    const { bind, nodeName } = this.#options;
    if (this.#port === undefined) return undefined;
    const host = bind.host === '' ? this.#cluster.node(nodeName)?.internalIPs[0] : bind.host;
    return host === undefined ? undefined : { host, port: this.#port };
  }
}
