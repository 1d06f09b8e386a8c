/**
 * What the cluster tests stand on: a sandbox, and the few things that every test does on it.
 *
 * What is made for one Service is found by our tag with its name, so that tests can share a sandbox and run
 * side by side. Calls are told apart by who made them and by the Service that they touched.
 */
import { readFile } from 'node:fs/promises';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { merge } from '../../src/sandbox/demo/patch.ts';
import { condition, statusOf, until, untilService } from '../../src/sandbox/demo/stage.ts';
import { apply, nodeManifest, read, remove, type Manifest } from '../../src/sandbox/objects.ts';
import {
  startSandbox,
  type RunningController,
  type Sandbox,
  type SandboxOptions,
} from '../../src/sandbox/sandbox.ts';
import type { RecordedCall } from '../../providers/aws/simulator/record.ts';
import type { AccountDump } from '../../providers/aws/simulator/dump.ts';
import { refusals, shippedPolicy } from './policy.ts';

/** Prefix of the annotations that AWS users write. */
export const awsPrefix = 'service.beta.kubernetes.io/aws-load-balancer-';
export const finalizer = 'sluice.dev/balancer';

export interface ServiceShape {
  readonly name?: string;
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

export class Ground {
  readonly sandbox: Sandbox;
  #count = 0;

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  /** A sandbox with `nodes` nodes. */
  static async open(options: SandboxOptions = {}, nodes = 3): Promise<Ground> {
    const ground = new Ground(
      await startSandbox({ ...options, awsSettings: { ...fastAws, ...options.awsSettings } }),
    );
    for (let index = 1; index <= nodes; index += 1) await apply(ground.api, nodeOf(index));
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

  /** A Service that nobody has applied yet. */
  service({ name, spec, annotations }: ServiceShape = {}): Manifest {
    this.#count += 1;
    return {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        namespace: 'default',
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
  }

  /** Applies a Service and waits until all of it is in force. */
  async served(shape: ServiceShape | Manifest = {}, limitMs = 30_000): Promise<Manifest> {
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
    limitMs = 30_000,
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
  async gone(service: Manifest, limitMs = 30_000): Promise<void> {
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
    limitMs = 30_000,
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
    const { value } = await until(`event ${reason}`, async () =>
      (await this.events(object)).find((event) => event.reason === reason),
    );
    return value.note;
  }

  /** Waits until the cloud has not been called for `ms`. */
  async quiet(ms = 1_000, limitMs = 30_000): Promise<void> {
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

/** A gauge or counter of a controller, summed over its labels; `where` is text that the line must hold. */
export async function metric(controller: RunningController, name: string, where = ''): Promise<number> {
  const text = await (await fetch(`${controller.url}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && line.includes(where))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Stops a process in its tracks, and waits until it has: signals travel by way of the watchdog. */
export async function freeze(process: ManagedProcess): Promise<void> {
  process.signal('SIGSTOP');
  await frozen(process.pid);
}

/** Waits until the process with this id has stopped in its tracks. */
export async function frozen(pid: number): Promise<void> {
  await until(`process ${pid} to be frozen`, async () => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T') || undefined;
  });
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
