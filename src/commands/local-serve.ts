/**
 * Laptop mode as one object: the controller of the cluster, run here, with listeners in this process for balancers.
 *
 * Nothing is installed in the cluster. On a clean end the Services are as they were found: address, conditions and
 * finalizer go, and the next start gives the same addresses again. After a crash the finalizer stays on the Services
 * until the next `sluice local`, which adopts them, or `sluice local --release`.
 */
import { hostname } from 'node:os';
import { Controller } from '../controller/controller.ts';
import type { ClusterWriter, EventNote } from '../controller/cluster.ts';
import type { Context, ControllerOptions } from '../controller/context.ts';
import { clusterWriter, Door } from '../controller/door.ts';
import { Memories, newMemory } from '../controller/memory.ts';
import { release } from '../controller/release.ts';
import { servedByAnnotation } from '../core/annotations.ts';
import { claimOf, finalizer } from '../core/claim.ts';
import { sleep, type Clock, type Random } from '../core/clock.ts';
import { asSluiceError } from '../core/errors.ts';
import type { ObjectKey, ServiceObject } from '../core/objects.ts';
import type { ClusterIdentity } from '../core/provider.ts';
import { silent } from '../core/telemetry.ts';
import type { Api } from '../kube/api.ts';
import { EventRecorder } from '../kube/events.ts';
import type { ReaderReport } from '../kube/reader-report.ts';
import { Writer } from '../kube/writer.ts';
import { Engine, type ForwardDoor } from '../../providers/local/laptop/engine/engine.ts';
import { machine, type Network } from '../../providers/local/laptop/engine/network.ts';
import { createLaptopProvider } from '../../providers/local/laptop/provider.ts';
import type { Table } from '../../providers/local/laptop/table.ts';
import type { LaptopConfig } from '../../providers/local/laptop/wanted.ts';
import { Claims, timeNow, type ClaimTimings } from './local-claims.ts';
import { elsewhere, elsewhereMessage, hearing, hiding, marking } from './local-elsewhere.ts';
import { rowsOf, type LocalRow } from './local-table.ts';

export interface LocalParts {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly cluster: ClusterIdentity;
  /** What this machine calls itself. */
  readonly machine: string;
  readonly config: LaptopConfig;
  readonly table: Table;
  /** Serve Services without a class too. */
  readonly classless: boolean;
  readonly forward: (door: Door) => ForwardDoor;
  readonly network?: Network;
  /** For how long claims of other machines hold. */
  readonly claims?: ClaimTimings;
  /** Rows may have changed. */
  readonly onChange: () => void;
  /** Services of other machines are served here from now on, one line each. */
  readonly onTaken: (lines: readonly string[]) => void;
  readonly onEvent: (service: ObjectKey, note: EventNote) => void;
  readonly report: (event: ReaderReport) => void;
}

/** How long a failed Service waits for its next try, milliseconds: a person sits before it. */
const retryMs = 5_000;
const surveyMs = 60_000;
/** Changes of health that come together cause one look. */
const settleMs = 150;
/** For taking our mark off one Service at the end. */
const releaseMs = 8_000;
const releasesAtOnce = 8;

export class LocalMode {
  readonly #parts: LocalParts;
  readonly #door: Door;
  readonly #engine: Engine;
  readonly #context: Omit<Context, 'memories'>;
  readonly #events: EventRecorder;
  readonly #claims: Claims;
  #controller: Controller | undefined;
  #disconnect: (() => void) | undefined;
  #cancelLook: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;

  constructor(parts: LocalParts) {
    this.#parts = parts;
    const { api, clock, random, config, table, cluster, machine: here } = parts;
    this.#door = new Door({ api, clock, random, report: parts.report });
    this.#engine = new Engine({
      clock,
      network: parts.network ?? machine,
      table,
      forward: parts.forward(this.#door),
      onChange: () => this.#lookSoon(),
    });
    this.#events = new EventRecorder({ api, instance: `local-${hostname()}`, clock, random });
    const door = this.#door;
    const direct = new Writer(api);
    const writer = marking(clusterWriter(direct, this.#events), {
      writer: direct,
      door,
      machine: here,
      time: () => timeNow(clock),
    });
    this.#claims = new Claims({
      machine: here,
      view: door,
      writer: direct,
      clock,
      onTaken: parts.onTaken,
      ...(parts.claims === undefined ? {} : { timings: parts.claims }),
    });
    this.#context = {
      clock,
      random,
      cluster,
      view: hiding(this.#door, here),
      writer: heard(writer, parts.onEvent),
      providers: new Map([['local', createLaptopProvider(this.#engine, config)]]),
      options: optionsFor(parts.classless),
      telemetry: silent,
      permit: () => undefined,
    };
  }

  /** Serves from now on. Throws what the first list that fails says. */
  async start(signal: AbortSignal, { takeOver }: { readonly takeOver: boolean }): Promise<void> {
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(asSluiceError(signal.reason)), { once: true }),
    );
    await Promise.race([this.#door.start(), aborted]);
    const taken = takeOver ? await this.#claims.takeAll(signal) : [];
    const controller = new Controller({ ...this.#context, workers: 8 });
    this.#controller = controller;
    const shown = hearing(controller, this.#parts.machine);
    this.#disconnect = this.#door.connect({
      ...shown,
      serviceChanged: (before, after) => {
        shown.serviceChanged(before, after);
        this.#parts.onChange();
      },
      slicesChanged: (service) => {
        shown.slicesChanged(service);
        this.#lookSoon();
      },
    });
    controller.start();
    this.#retryLater();
    this.#claims.start();
    this.#parts.onChange();
    if (taken.length > 0) this.#parts.onTaken(taken);
  }

  /** The machine slept, or is in another network: everything is looked at again. */
  woke(): void {
    this.#engine.recheck();
    this.#lookSoon();
  }

  /** One row for each Service that is ours, or would be, or is served by another machine. */
  rows(): readonly LocalRow[] {
    const others = new Map<ObjectKey, string>();
    const services = new Set(this.#ours());
    for (const service of this.#door.services()) {
      const on = elsewhere(service, this.#parts.machine);
      if (on === undefined) continue;
      others.set(service.key, elsewhereMessage(on, service));
      services.add(service);
    }
    return rowsOf([...services], this.#engine.view(), others);
  }

  /** Ends every listener; takes our mark off the Services unless they are to be kept as they are. */
  async stop({ keep }: { readonly keep: boolean }): Promise<readonly string[]> {
    this.#cancelLook?.();
    this.#cancelRetry?.();
    this.#disconnect?.();
    await this.#claims.stop();
    await this.#controller?.stop(new Error('sluice local ends'));
    const left = keep ? [] : await this.releaseAll();
    this.#engine.close();
    await this.#events.stop();
    await this.#door.stop();
    return left;
  }

  /** Reads the cluster without serving it: for `--release`. */
  async look(signal: AbortSignal, { takeOver }: { readonly takeOver: boolean }): Promise<void> {
    await this.#door.start();
    if (takeOver) await this.#claims.takeAll(signal);
  }

  /** How many Services other machines serve. */
  get others(): number {
    const { machine: here } = this.#parts;
    return [...this.#door.services()].filter((service) => elsewhere(service, here) !== undefined).length;
  }

  /** Takes our mark off every Service that bears it. @returns what could not be done, one line each. */
  async releaseAll(): Promise<readonly string[]> {
    const ours = [...this.#door.services()].filter(
      ({ finalizers, annotations }) =>
        finalizers.includes(finalizer) &&
        annotations[servedByAnnotation] === 'local' &&
        elsewhere({ finalizers, annotations }, this.#parts.machine) === undefined,
    );
    const left: string[] = [];
    const context: Context = { ...this.#context, memories: new Memories() };
    const work = async (): Promise<void> => {
      for (let service = ours.pop(); service !== undefined; service = ours.pop()) {
        const why = await releaseOne(context, service);
        if (why !== undefined) left.push(`${service.key}: ${why}`);
      }
    };
    await Promise.all(Array.from({ length: releasesAtOnce }, work));
    return left.toSorted();
  }

  #ours(): readonly ServiceObject[] {
    const { claim } = this.#context.options;
    return [...this.#door.services()].filter((service) => claimOf(service, claim).kind === 'ours');
  }

  #lookSoon(): void {
    const controller = this.#controller;
    if (controller === undefined || this.#cancelLook !== undefined) return;
    this.#cancelLook = this.#parts.clock.schedule(settleMs, () => {
      this.#cancelLook = undefined;
      controller.survey().catch(() => undefined);
      this.#parts.onChange();
    });
  }

  #retryLater(): void {
    this.#cancelRetry = this.#parts.clock.schedule(retryMs, () => {
      const controller = this.#controller;
      for (const { key } of this.#ours()) {
        if (controller?.memory(key)?.lastPass?.error === undefined) continue;
        controller.queue.forget(key);
        controller.queue.add(key);
      }
      this.#retryLater();
    });
  }
}

function optionsFor(classless: boolean): ControllerOptions {
  return {
    claim: { providers: ['local'], defaultProvider: 'local', claimClassless: classless },
    // Nothing is lost by a removal that is undone a moment later: connections stay.
    guard: { share: 1, least: 1_000, windowMs: 60_000, checks: 1, spanMs: 0 },
    publishEarly: false,
    driftPolicy: 'correct',
    strays: 'remove',
    fullEveryMs: 0,
    surveyEveryMs: surveyMs,
  };
}

function heard(writer: ClusterWriter, onEvent: LocalParts['onEvent']): ClusterWriter {
  return {
    ...writer,
    event: (service, note) => {
      writer.event(service, note);
      onEvent(service.key, note);
    },
  };
}

async function releaseOne(context: Context, service: ServiceObject): Promise<string | undefined> {
  const { clock, cluster, writer, providers } = context;
  const owner = { cluster, service: service.key, uid: service.uid };
  const memory = newMemory(owner, service.key, 'local', clock.now());
  const until = clock.now() + releaseMs;
  const signal = AbortSignal.timeout(releaseMs);
  for (;;) {
    try {
      const live = await writer.getService(service.key, signal);
      if (live?.uid !== service.uid || !live.finalizers.includes(finalizer)) return undefined;
      const outcome = await release(context, [...providers.values()], live, memory, signal);
      if (outcome.kind === 'done') return undefined;
      if (outcome.kind === 'retry') throw outcome.error;
    } catch (thrown) {
      const error = asSluiceError(thrown);
      if (clock.now() > until || error.kind === 'denied') return error.message;
    }
    await sleep(clock, 200);
    if (clock.now() > until) return 'the API server does not answer in time';
  }
}
