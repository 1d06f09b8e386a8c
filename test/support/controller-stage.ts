/**
 * What the controller's tests stand on: a cluster of plain values, the AWS provider on a simulated account,
 * and one log of everything that was written to either, in order.
 *
 * The cluster keeps two copies of each Service, what the server holds and what the controller sees, so that
 * a test can let the picture lag behind.
 */
import { createAwsProvider } from '../../providers/aws/provider.ts';
import { Account } from '../../providers/aws/simulator/account.ts';
import { inMemoryClient } from '../../providers/aws/simulator/client.ts';
import type { SettingsInput } from '../../providers/aws/simulator/settings.ts';
import type { ClusterView, ClusterWriter, EventNote, StatusPatch } from '../../src/controller/cluster.ts';
import type { Context, ControllerOptions } from '../../src/controller/context.ts';
import { Memories, type ServiceMemory } from '../../src/controller/memory.ts';
import { reconcile } from '../../src/controller/reconcile.ts';
import { finalizer } from '../../src/core/claim.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { aNode, aService } from '../../src/core/fixtures.ts';
import { guardRules } from '../../src/core/guard.ts';
import { silent, type Telemetry } from '../../src/core/telemetry.ts';
import type {
  Condition,
  EndpointSliceObject,
  NodeObject,
  ObjectKey,
  ServiceObject,
} from '../../src/core/objects.ts';
import type { AnyProvider, Depth, ProviderName } from '../../src/core/provider.ts';
import type { Outcome } from '../../src/core/queue.ts';
import { drive, testCluster, testConfig } from './aws-bench.ts';
import { VirtualClock } from './virtual-clock.ts';

type Write = 'addFinalizer' | 'removeFinalizer' | 'patchStatus' | 'getService';

/** A cluster as plain values, with the writes of the controller. */
export class PlainCluster implements ClusterView, ClusterWriter {
  nodeList: readonly NodeObject[] = [aNode('n1'), aNode('n2')];
  readonly sliceLists = new Map<ObjectKey, readonly EndpointSliceObject[]>();
  readonly events: (EventNote & { readonly service: ObjectKey })[] = [];
  /** What the server was asked to write, beside the cloud's operations. */
  readonly log: string[];
  /** The picture stays as it is until `catchUp`. */
  lags = false;
  readonly #live = new Map<ObjectKey, ServiceObject>();
  readonly #seen = new Map<ObjectKey, ServiceObject>();
  readonly #refusals: { readonly write: Write; readonly error: SluiceError }[] = [];
  #version = 1;

  constructor(log: string[]) {
    this.log = log;
  }

  /** Somebody writes the Service, or removes it. */
  put(service: ServiceObject): ServiceObject {
    this.#version += 1;
    const stored = { ...service, resourceVersion: String(this.#version) };
    this.#live.set(service.key, stored);
    if (!this.lags) this.#seen.set(service.key, stored);
    return stored;
  }

  /** Changes fields of a Service that is there. */
  edit(key: ObjectKey, change: Partial<ServiceObject>): ServiceObject {
    return this.put({ ...this.#mustHave(key), ...change });
  }

  drop(key: ObjectKey): void {
    this.#live.delete(key);
    if (!this.lags) this.#seen.delete(key);
  }

  catchUp(): void {
    this.lags = false;
    this.#seen.clear();
    for (const [key, service] of this.#live) this.#seen.set(key, service);
  }

  /** The server's own copy. */
  live(key: ObjectKey): ServiceObject | undefined {
    return this.#live.get(key);
  }

  /** The next write of this kind is refused. */
  refuse(write: Write, error: SluiceError): void {
    this.#refusals.push({ write, error });
  }

  service(key: ObjectKey): ServiceObject | undefined {
    return this.#seen.get(key);
  }

  services(): Iterable<ServiceObject> {
    return this.#seen.values();
  }

  nodes(): readonly NodeObject[] {
    return this.nodeList;
  }

  slices(key: ObjectKey): readonly EndpointSliceObject[] {
    return this.sliceLists.get(key) ?? [];
  }

  caughtUp(key: ObjectKey, version: string): boolean {
    const seen = this.#seen.get(key);
    return seen === undefined || Number(seen.resourceVersion) >= Number(version);
  }

  async addFinalizer(
    service: ServiceObject,
    annotations: Readonly<Record<string, string>>,
  ): Promise<ServiceObject> {
    const live = this.#begin('addFinalizer', service);
    const finalizers = [...live.finalizers.filter((name) => name !== finalizer), finalizer];
    return this.put({ ...live, finalizers, annotations: { ...live.annotations, ...annotations } });
  }

  async removeFinalizer(service: ServiceObject, annotations: readonly string[]): Promise<void> {
    const live = this.#begin('removeFinalizer', service);
    const finalizers = live.finalizers.filter((name) => name !== finalizer);
    if (live.deleting && finalizers.length === 0) {
      this.drop(live.key);
      return;
    }
    const kept = Object.entries(live.annotations).filter(([key]) => !annotations.includes(key));
    this.put({ ...live, finalizers, annotations: Object.fromEntries(kept) });
  }

  async patchStatus(service: ServiceObject, patch: StatusPatch): Promise<ServiceObject> {
    const live = this.#begin('patchStatus', service);
    const given = patch.conditions ?? [];
    const gone = new Set([...given.map(({ type }) => type), ...(patch.dropConditions ?? [])]);
    return this.put({
      ...live,
      ingress: patch.ingress ?? live.ingress,
      conditions: [...live.conditions.filter(({ type }) => !gone.has(type)), ...given],
    });
  }

  async getService(key: ObjectKey): Promise<ServiceObject | undefined> {
    this.#refuse('getService');
    return this.#live.get(key);
  }

  event(service: ServiceObject, note: EventNote): void {
    this.events.push({ ...note, service: service.key });
  }

  #begin(write: Write, { key, uid }: ServiceObject): ServiceObject {
    this.log.push(write);
    this.#refuse(write);
    const live = this.#live.get(key);
    if (live?.uid === uid) return live;
    throw new SluiceError('gone', `services "${key}" not found`, {
      code: 'NotFound',
      action: 'patch services',
    });
  }

  #refuse(write: Write): void {
    const index = this.#refusals.findIndex((one) => one.write === write);
    const [refusal] = index === -1 ? [] : this.#refusals.splice(index, 1);
    if (refusal) throw refusal.error;
  }

  #mustHave(key: ObjectKey): ServiceObject {
    const live = this.#live.get(key);
    if (live === undefined) throw new Error(`there is no Service ${key}`);
    return live;
  }
}

export const stageOptions: ControllerOptions = {
  claim: {
    providers: ['aws'],
    defaultProvider: 'aws',
    classes: { aws: [], alibaba: [], local: [] },
    claimClassless: true,
  },
  guard: guardRules,
  publishEarly: false,
  driftPolicy: 'correct',
  strays: 'remove',
  fullEveryMs: 0,
  surveyEveryMs: 0,
};

/** Times 0.9 + 0.2 × this is the time itself: jitter without effect. */
const noJitter = 0.5;

/** A condition that somebody else keeps on the Service. */
export const theirCondition: Condition = {
  type: 'example.com/Audited',
  status: 'True',
  reason: 'Yes',
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
};

export const web = aService().key;

/** One controller's inner parts over one cluster and one account, passes made by hand. */
export class ControllerStage {
  readonly clock = new VirtualClock();
  /** Writes to the API server and calls that change the cloud, in order. */
  readonly log: string[] = [];
  /** Depths of the looks so far. */
  readonly looks: Depth[] = [];
  readonly cluster = new PlainCluster(this.log);
  readonly account: Account;
  readonly abort = new AbortController();
  /** Thrown before the next cloud write, as when the lease is not held. */
  permitRefusal: Error | undefined;
  context: Context;

  constructor(
    change: {
      readonly options?: Partial<ControllerOptions>;
      readonly account?: SettingsInput;
      readonly telemetry?: Partial<Telemetry>;
    } = {},
  ) {
    const random = (): number => noJitter;
    this.account = new Account({
      clock: this.clock,
      random,
      ...(change.account === undefined ? {} : { settings: change.account }),
    });
    this.context = {
      clock: this.clock,
      random,
      cluster: testCluster,
      view: this.cluster,
      writer: this.cluster,
      providers: new Map<ProviderName, AnyProvider>([['aws', this.#provider()]]),
      options: { ...stageOptions, ...change.options },
      memories: new Memories(),
      telemetry: { ...silent, ...change.telemetry },
      permit: () => {
        if (this.permitRefusal) throw this.permitRefusal;
      },
    };
  }

  /** One pass over `default/web`, or another Service, as the queue would make it. */
  async pass(key: ObjectKey = web): Promise<Outcome> {
    return await this.drive(reconcile(this.context, key, this.abort.signal));
  }

  /** `default/web` is there and in force, its targets healthy, nothing left to do. */
  async settled(change: Parameters<typeof aService>[0] = {}): Promise<void> {
    this.cluster.put(aService(change));
    for (let passes = 0; passes < 10; passes += 1) {
      const outcome = await this.pass();
      if (outcome.kind === 'done') return;
      await this.clock.advance(60_000);
    }
    throw new Error('the Service did not settle');
  }

  /** Nodes of these names are the cluster's. */
  nodes(...names: readonly string[]): void {
    this.cluster.nodeList = names.map((name) => aNode(name));
  }

  /** Somebody deletes the only listener in the console. */
  deleteListener(): void {
    const arn = this.account.resources().find(({ kind }) => kind === 'listener')?.arn;
    this.account.byHand('DeleteListener', { ListenerArn: arn });
  }

  /** Somebody takes a node's target away in the console. */
  deregister(node: string): void {
    const arn = this.account.resources().find(({ kind }) => kind === 'target-group')?.arn;
    this.account.byHand('DeregisterTargets', {
      TargetGroupArn: arn,
      Targets: [{ Id: `i-${node}`, Port: 30_080 }],
    });
  }

  /** The process is new: nothing is remembered. */
  restart(): void {
    this.context = {
      ...this.context,
      providers: new Map<ProviderName, AnyProvider>([['aws', this.#provider()]]),
      memories: new Memories(),
    };
  }

  /** What is remembered of `default/web`. */
  get memory(): ServiceMemory {
    const memory = this.context.memories.underKey(web);
    if (memory === undefined) throw new Error('nothing is remembered of the Service');
    return memory;
  }

  get provider(): AnyProvider {
    const provider = this.context.providers.get('aws');
    if (provider === undefined) throw new Error('the stage has no provider');
    return provider;
  }

  condition(type: string): Condition | undefined {
    return this.cluster.live(web)?.conditions.find((one) => one.type === type);
  }

  /** What `run` writes, reads and says. */
  async during(run: () => Promise<unknown>): Promise<{
    readonly writes: readonly string[];
    readonly looks: readonly Depth[];
    readonly events: readonly string[];
    readonly outcome: unknown;
  }> {
    const from = { log: this.log.length, looks: this.looks.length, events: this.cluster.events.length };
    const outcome = await run();
    return {
      writes: this.log.slice(from.log),
      looks: this.looks.slice(from.looks),
      events: this.cluster.events.slice(from.events).map(({ reason }) => reason),
      outcome,
    };
  }

  /** The cloud refuses calls of this name until `calm`. */
  refuseCalls(operation: string, code: string): void {
    this.account.faults.order({
      match: { operation },
      times: 'until-cleared',
      effect: { kind: 'error', code },
    });
  }

  calm(): void {
    this.account.faults.clear();
  }

  /** Lets virtual time pass until the promise has settled. */
  async drive<Value>(promise: Promise<Value>): Promise<Value> {
    return await drive(this.clock, promise);
  }

  #provider(): AnyProvider {
    const inner = inMemoryClient(this.account);
    const own = createAwsProvider({
      client: {
        call: (operation, input, signal) => {
          if (!operation.startsWith('Describe')) this.log.push(operation);
          return inner.call(operation, input, signal);
        },
      },
      config: testConfig(),
      clock: this.clock,
      random: () => noJitter,
    }) as AnyProvider;
    return {
      ...own,
      observe: async (request) => {
        this.looks.push(request.depth);
        return await own.observe(request);
      },
    };
  }
}
