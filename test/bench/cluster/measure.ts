/** What the benches on a real API server share: making Services, waiting for addresses, counting calls and writes. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../../src/core/clock.ts';
import type { ObjectKey, ServiceObject } from '../../../src/core/objects.ts';
import { connect, type Connection } from '../../../src/kube/connection.ts';
import { services as serviceKind } from '../../../src/kube/kinds.ts';
import { Reader } from '../../../src/kube/reader.ts';
import { apply, create, remove, type Manifest } from '../../../src/sandbox/objects.ts';
import {
  packageRoot,
  startSandbox,
  type RunningController,
  type Sandbox,
  type SandboxOptions,
} from '../../../src/sandbox/sandbox.ts';
import { callsOf, cloudOf } from './clouds.ts';

/** Builds the bundle, so that what is measured is what is shipped. */
export async function buildBundle(): Promise<void> {
  await promisify(execFile)(process.execPath, ['scripts/build.ts'], { cwd: packageRoot });
}

/** A cluster with `services` served and healthy, and nothing left to do. */
export async function servedCluster(
  services: number,
  options: SandboxOptions,
): Promise<{ readonly sandbox: Sandbox; readonly watcher: Watcher; readonly stop: () => Promise<void> }> {
  const sandbox = await startSandbox({ ...options, bundle: true });
  await addNodes(sandbox, 1, 3);
  const own = await connect({ path: sandbox.kubeconfig });
  const watcher = new Watcher(own);
  await watcher.start();
  await spread(services, 4, (index) => create(sandbox.api, benchService(index, cloudOf(sandbox).provider)));
  const settled = (service: ServiceObject | undefined): boolean =>
    service?.conditions.some(({ type, status }) => type === 'TargetsReady' && status === 'True') === true;
  await watcher.when(
    Array.from({ length: services }, (_, index) => `default/bench-${index}`),
    settled,
    180_000,
  );
  return {
    sandbox,
    watcher,
    stop: async () => {
      await watcher.stop();
      await own.close();
      await sandbox.stop();
    },
  };
}

/** Waits until no cloud call was made for `quietMs`. @returns the number of the last call. */
export async function quiet(sandbox: Sandbox, quietMs: number): Promise<number> {
  for (;;) {
    const before = await lastCall(sandbox);
    await new Promise((resolve) => setTimeout(resolve, quietMs));
    if ((await lastCall(sandbox)) === before) return before;
  }
}

/** A one-port Service that our controller serves. */
export function benchService(index: number, provider = 'aws'): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name: `bench-${index}` },
    spec: {
      type: 'LoadBalancer',
      loadBalancerClass: `sluice.dev/${provider}`,
      selector: { app: 'bench' },
      ports: [{ name: 'http', port: 80 }],
    },
  };
}

export async function addNodes(sandbox: Sandbox, from: number, to: number): Promise<void> {
  for (let index = from; index <= to; index += 1) {
    await apply(sandbox.api, cloudOf(sandbox).node(index));
  }
}

/** Runs `work` for 0 … n-1, `lanes` at once. */
export async function spread(
  n: number,
  lanes: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < n; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Watches the Services of a cluster on a connection of its own. */
export class Watcher {
  readonly #reader: Reader<ObjectKey, ServiceObject>;
  readonly #waiting = new Set<() => void>();
  /** Writes to existing Services that were seen: the API server tells each one. */
  updates = 0;

  constructor(api: Connection) {
    this.#reader = new Reader({ api, kind: serviceKind() });
    this.#reader.subscribe((change) => {
      if (change.kind === 'updated') this.updates += 1;
      for (const check of this.#waiting) check();
    });
  }

  async start(): Promise<void> {
    this.#reader.start();
    await this.#reader.synced();
  }

  stop(): Promise<void> {
    return this.#reader.stop();
  }

  get(key: string): ServiceObject | undefined {
    return this.#reader.store.get(key as ObjectKey);
  }

  /** When each key passed `test` for the first time, in milliseconds of the monotonic clock. Fails after `limitMs`. */
  when(
    keys: readonly string[],
    test: (service: ServiceObject | undefined) => boolean,
    limitMs: number,
  ): Promise<ReadonlyMap<string, number>> {
    const passed = new Map<string, number>();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`after ${limitMs / 1000} s only ${passed.size} of ${keys.length} are there`));
      }, limitMs);
      const check = (): void => {
        for (const key of keys)
          if (!passed.has(key) && test(this.get(key))) passed.set(key, systemClock.now());
        if (passed.size < keys.length) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve(passed);
      };
      this.#waiting.add(check);
      check();
    });
  }
}

export async function removeServices(sandbox: Sandbox, watcher: Watcher, n: number): Promise<number> {
  const started = systemClock.now();
  await spread(n, 8, (index) => remove(sandbox.api, benchService(index)));
  await watcher.when(
    Array.from({ length: n }, (_, index) => `default/bench-${index}`),
    (service) => service === undefined,
    120_000,
  );
  return systemClock.now() - started;
}

/** Cloud calls made since, by kind. */
export async function cloudCalls(
  sandbox: Sandbox,
  since: number,
): Promise<{
  readonly reads: number;
  readonly writes: number;
  readonly byOperation: Readonly<Record<string, number>>;
}> {
  const calls = await callsOf(sandbox, since);
  const byOperation: Record<string, number> = {};
  for (const { operation } of calls) byOperation[operation] = (byOperation[operation] ?? 0) + 1;
  const writes = calls.filter(({ mutating }) => mutating).length;
  return { reads: calls.length - writes, writes, byOperation };
}

/** Number of the last call so far. */
export async function lastCall(sandbox: Sandbox): Promise<number> {
  return (await callsOf(sandbox)).at(-1)?.seq ?? 0;
}

/** Events about the bench's Services that stand on the API server: each is one write. */
export async function eventsWritten(api: Connection): Promise<number> {
  const list = (await api.request('GET', '/apis/events.k8s.io/v1/namespaces/default/events')) as {
    readonly items?: readonly { readonly regarding?: { readonly name?: string } }[];
  };
  return (list.items ?? []).filter(({ regarding }) => regarding?.name?.startsWith('bench-')).length;
}

export interface Usage {
  /** Seconds of CPU, user and system. */
  readonly cpu: number;
  /** Resident memory, now and at its highest, in MB. */
  readonly rss: number;
  readonly peak: number;
}

/** What a controller has used so far (Linux: /proc). */
export async function usageOf(controller: RunningController): Promise<Usage> {
  const { pid } = controller.process;
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kb = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`, 'u').exec(status)?.[1] ?? 0);
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) / 100,
    rss: kb('VmRSS') / 1024,
    peak: kb('VmHWM') / 1024,
  };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
