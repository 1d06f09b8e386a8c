/**
 * One controller process as it runs in a cluster: the same parts, wired in the same order as the command
 * `sluice controller` wires them, on the simulated API server, account and clock.
 *
 * `Plants` replaces a part by a broken one: that is how planted bugs show what the simulation can catch.
 */
import type { ClusterView, ClusterWriter } from '../../src/controller/cluster.ts';
import { Controller } from '../../src/controller/controller.ts';
import type { ControllerOptions } from '../../src/controller/context.ts';
import type { Telemetry } from '../../src/core/telemetry.ts';
import { clusterWriter, Door } from '../../src/controller/door.ts';
import { either } from '../../src/core/abort.ts';
import { seededRandom, type Random } from '../../src/core/clock.ts';
import type { AnyProvider, ProviderName } from '../../src/core/provider.ts';
import { EventRecorder } from '../../src/kube/events.ts';
import { Elector, type Term } from '../../src/kube/lease.ts';
import { Writer } from '../../src/kube/writer.ts';
import { guardRules } from '../../src/core/guard.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';
import { SimApi, type Wire } from './api-client.ts';
import type { ApiServer } from './api-server.ts';
import type { Cloud, CloudClient, SimAccount } from './cloud.ts';
import { clockOf, Life } from './life.ts';
import { clusterId } from './marks.ts';

/** Parts to replace. Each is given the right one and returns what is used instead. */
export interface Plants {
  readonly provider?: (provider: AnyProvider) => AnyProvider;
  readonly writer?: (writer: ClusterWriter, view: ClusterView) => ClusterWriter;
  readonly view?: (view: ClusterView) => ClusterView;
  readonly permit?: (permit: () => void) => () => void;
  readonly client?: (client: CloudClient) => CloudClient;
  readonly options?: Partial<ControllerOptions>;
  /** The end of a term is not heard of. */
  readonly deaf?: boolean;
}

export interface ProcessParts {
  readonly clock: VirtualClock;
  readonly server: ApiServer;
  readonly cloud: Cloud;
  readonly account: SimAccount;
  /** Names the process: its identity in the lease and in records of calls. */
  readonly name: string;
  readonly seed: number;
  readonly wire: Wire;
  /** Asked before each cloud call goes out: whether and when the process dies at it. */
  readonly cloudFault: (mutating: boolean) => 'before' | 'after' | undefined;
  readonly onCloudWrite: (operation: string) => void;
  readonly plants: Plants;
  readonly telemetry?: Telemetry;
  /** It ended by itself, or could not go on. */
  readonly onEnd: (error: unknown) => void;
}

/** Longer than in production, so that an hour costs fewer renewals; the proportions are the same. */
export const leaseTimings = { durationMs: 60_000, renewDeadlineMs: 40_000, retryMs: 8_000 };
export const fullEveryMs = 600_000;
export const surveyEveryMs = 120_000;

const options: Omit<ControllerOptions, 'claim'> = {
  guard: guardRules,
  publishEarly: false,
  driftPolicy: 'correct',
  strays: 'remove',
  fullEveryMs,
  surveyEveryMs,
};

export class Process {
  readonly name: string;
  readonly life = new Life();
  readonly api: SimApi;
  readonly #parts: ProcessParts;
  readonly #random: Random;
  readonly #stop = new AbortController();
  #controller: Controller | undefined;
  #elector: Elector | undefined;

  constructor(parts: ProcessParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.#random = seededRandom(parts.seed);
    const { server, clock, wire, name } = parts;
    this.api = new SimApi({ server, clock, life: this.life, by: name, wire });
  }

  start(): void {
    this.#main().then(
      () => this.#parts.onEnd(undefined),
      (error: unknown) => this.#parts.onEnd(error),
    );
  }

  /** SIGTERM. */
  stop(): void {
    this.#stop.abort(new Error('SIGTERM'));
  }

  /** SIGKILL. */
  kill(): void {
    this.life.kill();
    this.api.abandon();
  }

  /** It believes that it leads. */
  get leads(): boolean {
    return this.life.state !== 'dead' && (this.#elector?.held() ?? false);
  }

  get controller(): Controller | undefined {
    return this.#controller;
  }

  async #main(): Promise<void> {
    const { plants, cloud, account } = this.#parts;
    const clock = clockOf(this.life, this.#parts.clock);
    const random = this.#random;
    const { api } = this;
    const cluster = { name: 'sim', id: clusterId };
    const client = this.#client();
    const own = account.provider(plants.client?.(client) ?? client, clock, random);
    const provider = plants.provider?.(own) ?? own;
    const providers = new Map<ProviderName, AnyProvider>([[cloud.provider, provider]]);
    const claim = {
      providers: [cloud.provider],
      defaultProvider: cloud.provider,
      classes: { aws: [], alibaba: [], local: [], [cloud.provider]: [cloud.className] },
      claimClassless: true,
    };
    const events = new EventRecorder({ api, instance: this.name, clock, random });
    const door = new Door({ api, clock, random, report: () => {} });
    const elector = new Elector({
      api,
      lease: { namespace: 'sluice-system', name: 'sluice-controller' },
      identity: this.name,
      clock,
      random,
      timings: leaseTimings,
    });
    this.#elector = elector;
    const lead = async (term: Term): Promise<void> => {
      const writer = clusterWriter(new Writer(api), events);
      const permit = (): void => term.guard();
      const controller = new Controller({
        clock,
        random,
        cluster,
        view: plants.view?.(door) ?? door,
        writer: plants.writer?.(writer, door) ?? writer,
        providers,
        options: { ...options, claim, ...plants.options },
        workers: 16,
        permit: plants.permit?.(permit) ?? permit,
        ...(this.#parts.telemetry === undefined ? {} : { telemetry: this.#parts.telemetry }),
      });
      const ended = plants.deaf ? this.#stop.signal : either(term.signal, this.#stop.signal).signal;
      const disconnect = door.connect(controller);
      this.#controller = controller;
      controller.start();
      await new Promise<void>((resolve) => {
        if (ended.aborted) resolve();
        ended.addEventListener('abort', () => resolve(), { once: true });
      });
      disconnect();
      this.#controller = undefined;
      await controller.stop(ended.reason);
    };
    const stopped = new Promise<void>((resolve) => {
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([door.start(), stopped]);
    if (!this.#stop.signal.aborted) await elector.run(lead, this.#stop.signal);
    await events.stop();
    await door.stop();
  }

  /** The account as this process reaches it: what arrives while it is frozen waits, and it may die at a call. */
  #client(): CloudClient {
    const { account, clock, cloudFault, onCloudWrite } = this.#parts;
    const inner = account.client(this.name);
    const { life } = this;
    return {
      call: (operation, input, signal) => {
        const mutating = account.isWrite(operation);
        const death = cloudFault(mutating);
        if (mutating) onCloudWrite(operation);
        return new Promise((resolve, reject) => {
          if (death === 'before') {
            this.kill();
            return;
          }
          const settle = (finish: () => void): void => {
            cancelLimit();
            if (death === 'after') this.kill();
            else life.enter(finish);
          };
          const cancelLimit = clock.schedule(account.answerMs, () => {
            settle(() => reject(account.noAnswer()));
          });
          inner.call(operation, input, signal).then(
            (answer) => settle(() => resolve(answer)),
            (error: unknown) => settle(() => reject(error)),
          );
        });
      },
    };
  }
}
