/**
 * What the cluster tests stand on: a sandbox, and the few things that every test does on it.
 *
 * What is made for one Service is found by our tag with its name, so that tests can share a sandbox and run
 * side by side. Calls are told apart by who made them and by the Service that they touched.
 */
import { merge } from '../../src/sandbox/demo/patch.ts';
import { condition, statusOf, until, untilService } from '../../src/sandbox/demo/stage.ts';
import { apply, nodeManifest, read, remove, type Manifest } from '../../src/sandbox/objects.ts';
import { startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox.ts';
import type { RecordedCall } from '../../providers/aws/simulator/record.ts';
import type { AccountDump } from '../../providers/aws/simulator/dump.ts';
import type { Settings } from '../../providers/aws/simulator/settings.ts';
import { knowNodes } from './metrics.ts';
import { refusals, shippedPolicy } from './policy.ts';

/** Prefix of the annotations that AWS users write. */
export const awsPrefix = 'service.beta.kubernetes.io/aws-load-balancer-';
export const finalizer = 'sluice.dev/balancer';

export interface ServiceShape {
  readonly name?: string;
  /** Default: `default`. */
  readonly namespace?: string;
  readonly spec?: object;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Target {
  readonly Id: string;
  readonly Port: number;
  readonly State: string;
}

export interface EventView {
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly count: number;
}

export type Balancer = AccountDump['loadBalancers'][number];
export type Group = AccountDump['targetGroups'][number];

/** What the account holds for one Service. */
export interface Held {
  readonly balancers: readonly Balancer[];
  readonly groups: readonly Group[];
  /** Those that drain are left out: they count as gone. */
  readonly targets: readonly Target[];
}

/** Rates at which the tests do not wait for buckets. */
export const fastAws = { rates: { read: 1_000, register: 1_000, modify: 1_000 } };

/** A node whose instance has an id of the form that AWS gives. */
export function nodeOf(index: number): Manifest {
  return nodeManifest({
    name: `node-${index}`,
    instance: instanceOf(index),
    zone: index % 2 === 0 ? 'eu-west-1b' : 'eu-west-1a',
  });
}

export function instanceOf(index: number): string {
  return `i-${String(index).padStart(17, '0')}`;
}

/** How long is waited for what comes in a moment on a machine that is not busy. */
const patienceMs = 60_000;

export class Ground {
  readonly sandbox: Sandbox;
  /** Of the cloud, as they were at first. */
  readonly #settings: Settings;
  readonly #nodes: number;
  /** A controller is to run after each test. */
  readonly #served: boolean;
  /** Services of the running test. */
  #made: Manifest[] = [];
  #count = 0;

  private constructor(sandbox: Sandbox, settings: Settings, nodes: number) {
    this.sandbox = sandbox;
    this.#settings = settings;
    this.#nodes = nodes;
    this.#served = sandbox.controllers.length > 0;
  }

  /** A sandbox with `nodes` nodes. */
  static async open(options: SandboxOptions = {}, nodes = 3): Promise<Ground> {
    const sandbox = await startSandbox({ ...options, awsSettings: { ...fastAws, ...options.awsSettings } });
    const ground = new Ground(sandbox, await sandbox.aws.control.settings(), nodes);
    for (let index = 1; index <= nodes; index += 1) await apply(ground.api, nodeOf(index));
    await knowNodes(sandbox, nodes);
    return ground;
  }

  get api(): Sandbox['api'] {
    return this.sandbox.api;
  }

  get cloud(): Sandbox['aws']['control'] {
    return this.sandbox.aws.control;
  }

  /**
   * Ends the sandbox, and checks on the way that the shipped policy would have let every call of the controllers
   * through.
   */
  async close(): Promise<void> {
    try {
      const { calls } = await this.cloud.calls();
      const [refused] = refusals(await shippedPolicy(), calls);
      if (refused) throw new Error(`manifests/aws/iam-policy.json refuses ${JSON.stringify(refused)}`);
    } finally {
      await this.sandbox.stop();
    }
  }

  /**
   * Takes away what a test left that failed half-way, so that the tests after it and its own second try find what they
   * expect. For `afterEach`; for `afterAll` of tests that run side by side. Services go the ordinary way, through the
   * controller: what that leaves in the account is still there to be seen.
   */
  async tidy(): Promise<void> {
    const { controllers } = this.sandbox;
    for (const { process } of controllers) process.signal('SIGCONT');
    await this.cloud.clearFaults();
    await this.cloud.configure(this.#settings);
    if (this.#served && controllers.every(({ process }) => process.ended() !== undefined))
      await this.sandbox.startController();
    const left: Manifest[] = [];
    for (const made of this.#made.splice(0)) if (await this.live(made)) left.push(made);
    for (const service of left) {
      for (const { LoadBalancerArn } of (await this.held(service)).balancers)
        await this.cloud.call('ModifyLoadBalancerAttributes', {
          LoadBalancerArn,
          Attributes: [{ Key: 'deletion_protection.enabled', Value: 'false' }],
        });
      await remove(this.api, service);
    }
    for (const service of left) await this.sees(service, 'goes', (live) => live === undefined);
    if (this.#nodes === 0) return;
    const { items } = (await this.api.request('GET', '/api/v1/nodes')) as {
      readonly items: readonly { readonly metadata: { readonly name: string } }[];
    };
    for (const { metadata } of items) {
      const index = Number(/^node-(\d+)$/u.exec(metadata.name)?.[1] ?? 0);
      if (index > this.#nodes) await remove(this.api, nodeOf(index));
    }
    await knowNodes(this.sandbox, this.#nodes);
  }

  /** What was made so far stays for the tests to come. */
  keep(): void {
    this.#made = [];
  }

  /** Ends the controller that was started last, in order: it gives its Lease back. */
  async stopController(): Promise<void> {
    // It ends at once where the machine lets it; one that is killed would leave its Lease behind for the next test.
    await this.sandbox.controllers.at(-1)?.process.stop(patienceMs);
  }

  /** A Service that nobody has applied yet. */
  service({ name, namespace = 'default', spec, annotations }: ServiceShape = {}): Manifest {
    this.#count += 1;
    const service: Manifest = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        namespace,
        name: name ?? `web-${this.#count}`,
        ...(annotations ? { annotations } : {}),
      },
      spec: {
        type: 'LoadBalancer',
        loadBalancerClass: 'sluice.dev/aws',
        selector: { app: 'web' },
        ports: [{ name: 'http', port: 80 }],
        ...spec,
      },
    };
    this.#made.push(service);
    return service;
  }

  /** Applies a Service and waits until all of it is in force. */
  async served(shape: ServiceShape | Manifest = {}, limitMs = patienceMs): Promise<Manifest> {
    const service = 'kind' in shape ? shape : this.service(shape);
    await apply(this.api, service);
    await this.sees(
      service,
      'is served',
      (live) => statusOf(live).address !== '' && condition(live, 'InSync')?.status === 'True',
      limitMs,
    );
    return service;
  }

  /** A merge patch by a user. */
  change(object: Manifest, patch: object): Promise<void> {
    return merge(this.api, object, patch);
  }

  /** Sets annotations of the AWS dialect; null takes one away. */
  annotate(service: Manifest, annotations: Readonly<Record<string, string | null>>): Promise<void> {
    const full = Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [
        key.includes('/') ? key : `${awsPrefix}${key}`,
        value,
      ]),
    );
    return this.change(service, { metadata: { annotations: full } });
  }

  live(object: Manifest): Promise<Manifest | undefined> {
    return read(this.api, object);
  }

  /** Waits until the Service as it stands passes `test`. */
  async sees(
    service: Manifest,
    awaited: string,
    test: (live: Manifest | undefined) => boolean,
    limitMs = patienceMs,
  ): Promise<Manifest | undefined> {
    return (await untilService(this.api, service, awaited, test, { limitMs })).value;
  }

  /** Waits for a condition of the Service; its message. */
  async tells(service: Manifest, type: string, status: string, reason: string): Promise<string> {
    const live = await this.sees(service, `says ${type}=${status} because ${reason}`, (one) => {
      const found = condition(one, type);
      return found?.status === status && found.reason === reason;
    });
    return condition(live, type)?.message ?? '';
  }

  /** Deletes the Service and waits until it is gone; nothing of it is left in the account. */
  async gone(service: Manifest, limitMs = patienceMs): Promise<void> {
    await remove(this.api, service);
    await this.sees(service, 'goes', (live) => live === undefined, limitMs);
    const { balancers, groups } = await this.held(service);
    if (balancers.length + groups.length > 0) {
      throw new Error(`left behind: ${JSON.stringify([...balancers, ...groups])}`);
    }
  }

  /** What bears the Service's name in our tag. */
  async held(service: Manifest): Promise<Held> {
    const name = `${service.metadata?.namespace ?? 'default'}/${service.metadata?.name ?? ''}`;
    const ours = ({ Tags }: { readonly Tags: Readonly<Record<string, string>> }): boolean =>
      Tags['sluice.dev/service'] === name;
    const { loadBalancers, targetGroups } = await this.cloud.dump();
    const groups = targetGroups.filter(ours);
    return {
      balancers: loadBalancers.filter(ours),
      groups,
      targets: groups.flatMap(targetsOf).filter(({ State }) => State !== 'draining'),
    };
  }

  /** Waits until what the account holds for the Service passes `test`. */
  async holds(
    service: Manifest,
    awaited: string,
    test: (held: Held) => boolean,
    limitMs = patienceMs,
  ): Promise<Held> {
    let last: Held | undefined;
    const { value } = await until(
      awaited,
      async () => {
        last = await this.held(service);
        return test(last) ? last : undefined;
      },
      { limitMs, seen: () => Promise.resolve(JSON.stringify(last)) },
    );
    return value;
  }

  /** Names of all balancers and groups in the account. */
  async names(): Promise<readonly string[]> {
    const { loadBalancers, targetGroups } = await this.cloud.dump();
    return [
      ...loadBalancers.map((one) => String(one['LoadBalancerName'])),
      ...targetGroups.map((one) => String(one['TargetGroupName'])),
    ];
  }

  /** Number of the last call so far. */
  async mark(): Promise<number> {
    return (await this.cloud.calls()).calls.at(-1)?.seq ?? 0;
  }

  /** Calls since a mark; those made by hand are left out. */
  async callsSince(mark: number): Promise<readonly RecordedCall[]> {
    return (await this.cloud.calls(mark)).calls.filter(({ by }) => by !== 'hand');
  }

  async writesSince(mark: number): Promise<readonly RecordedCall[]> {
    return (await this.callsSince(mark)).filter(({ mutating }) => mutating);
  }

  /** Writes since a mark that touched what is the Service's, by operation, in order. */
  async writesFor(service: Manifest, mark: number): Promise<readonly RecordedCall[]> {
    const { balancers, groups } = await this.held(service);
    const arns = [...balancers, ...groups].map((one) =>
      String(one['LoadBalancerArn'] ?? one['TargetGroupArn']),
    );
    return (await this.writesSince(mark)).filter(({ input }) => {
      const text = JSON.stringify(input);
      return arns.some((arn) => text.includes(arn));
    });
  }

  /** Events of the controller about the object, oldest first; the API server has a word of its own now and then. */
  async events(object: Manifest): Promise<readonly EventView[]> {
    const { namespace = 'default', name = '' } = object.metadata ?? {};
    const list = (await this.api.request('GET', `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, {
      query: { fieldSelector: `regarding.name=${name}` },
    })) as {
      readonly items?: readonly {
        readonly type: string;
        readonly reason: string;
        readonly note: string;
        readonly eventTime: string;
        readonly reportingController?: string;
        readonly series?: { readonly count: number };
      }[];
    };
    return (list.items ?? [])
      .filter(({ reportingController }) => reportingController === 'sluice.dev/controller')
      .toSorted((a, b) => a.eventTime.localeCompare(b.eventTime))
      .map(({ type, reason, note, series }) => ({ type, reason, note, count: series?.count ?? 1 }));
  }

  /** Waits for an event about the object; its note. */
  async warned(object: Manifest, reason: string): Promise<string> {
    const { value } = await until(
      `event ${reason}`,
      async () => (await this.events(object)).find((event) => event.reason === reason),
      { limitMs: patienceMs },
    );
    return value.note;
  }

  /** Waits until the cloud has not been called for `ms`. */
  async quiet(ms = 1_000, limitMs = patienceMs): Promise<void> {
    let last = await this.mark();
    let since = performance.now();
    await until(
      `${ms} ms without a cloud call`,
      async () => {
        const now = await this.mark();
        if (now !== last) {
          last = now;
          since = performance.now();
        }
        return performance.now() - since >= ms || undefined;
      },
      { limitMs },
    );
  }
}

export function targetsOf(group: Group): readonly Target[] {
  return group['Targets'] as readonly Target[];
}

export function finalizersOf(live: Manifest | undefined): readonly string[] {
  return live?.metadata?.finalizers ?? [];
}

/** One field of the spec. */
export function specOf(live: Manifest | undefined): Readonly<Record<string, unknown>> {
  return (live?.['spec'] ?? {}) as Readonly<Record<string, unknown>>;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
