/**
 * From the first `create` to the last address: 1, 50 and 200 Services at once against a real API server,
 * with a cloud that answers at once and one that takes 50 ms a call; and 50 Services against the documented
 * rate limits.
 *
 * The limit beside each figure is measured in the same run: the same writes to the API server and the same
 * chain of cloud calls, made by a program that decides nothing and looks at nothing.
 */
import { connect } from '../../src/kube/connection.ts';
import { patchContentType } from '../../src/kube/api.ts';
import { create, pathOf, remove } from '../../src/sandbox/objects.ts';
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts';
import type { Bench, Row } from './bench.ts';
import { benchCloud, cloudOf, type BenchCloud } from './cluster/clouds.ts';
import {
  addNodes,
  buildBundle,
  benchService,
  cloudCalls,
  eventsWritten,
  lastCall,
  percentile,
  removeServices,
  spread,
  usageOf,
  Watcher,
} from './cluster/measure.ts';

const creators = 4;

interface Sizes {
  readonly services: number;
  readonly callMs: number;
}

const sizes: readonly Sizes[] = [
  { services: 1, callMs: 0 },
  { services: 50, callMs: 0 },
  { services: 200, callMs: 0 },
  { services: 1, callMs: 50 },
  { services: 50, callMs: 50 },
  { services: 200, callMs: 50 },
];

async function measure(cloud: BenchCloud, size: Sizes): Promise<readonly Row[]> {
  const { services, callMs } = size;
  const sandbox = await startSandbox({ bundle: true, ...cloud.options(callMs) });
  try {
    await addNodes(sandbox, 1, 3);
    const limitMs = await floor(sandbox, size);
    const own = await connect({ path: sandbox.kubeconfig });
    const watcher = new Watcher(own);
    await watcher.start();
    const keys = Array.from({ length: services }, (_, index) => `default/bench-${index}`);
    const calls = await lastCall(sandbox);
    const started = performance.now();
    const created = new Map<string, number>();
    const addresses = watcher.when(keys, (service) => (service?.ingress.length ?? 0) > 0, 180_000);
    await spread(services, creators, async (index) => {
      created.set(`default/bench-${index}`, performance.now());
      await create(sandbox.api, benchService(index, cloud.provider));
    });
    const at = await addresses;
    const all = Math.max(...at.values()) - started;
    const each = keys.map((key) => (at.get(key) ?? 0) - (created.get(key) ?? 0));
    const made = await cloudCalls(sandbox, calls);
    // Events are written behind the address: let them come before they are counted.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const written = watcher.updates + (await eventsWritten(sandbox.api));
    const controller = sandbox.controllers[0];
    const usage = controller ? await usageOf(controller) : { cpu: 0, peak: 0 };
    const removedMs = await removeServices(sandbox, watcher, services);
    await watcher.stop();
    await own.close();
    const label = `${services} × ${callMs} ms`;
    const goal =
      services === 200 && callMs === 50
        ? { goal: { kind: 'at most', value: cloud.goalSeconds } as const }
        : {};
    return [
      {
        what: `${label}: last address`,
        unit: 's',
        ours: all / 1000,
        peer: { name: 'same calls, no decisions', value: limitMs / 1000 },
        ...goal,
      },
      { what: `${label}: p50 of one`, unit: 's', ours: percentile(each, 0.5) / 1000 },
      { what: `${label}: p99 of one`, unit: 's', ours: percentile(each, 0.99) / 1000 },
      {
        what: `${label}: cloud calls per Service`,
        unit: 'calls',
        ours: (made.reads + made.writes) / services,
        goal: { kind: 'at most', value: cloud.mostCalls },
      },
      {
        what: `${label}: writes to Service and events, each`,
        unit: 'writes',
        ours: written / services,
        goal: { kind: 'at most', value: 4 },
      },
      { what: `${label}: controller CPU`, unit: 's', ours: usage.cpu },
      { what: `${label}: controller peak memory`, unit: 'MB', ours: usage.peak },
      { what: `${label}: delete all`, unit: 's', ours: removedMs / 1000 },
    ];
  } finally {
    await sandbox.stop();
  }
}

/** Milliseconds for the same API writes and the same chain of cloud calls without any controller's work. */
async function floor(sandbox: Sandbox, { services, callMs }: Sizes): Promise<number> {
  const { api } = sandbox;
  const plain = (index: number) => ({
    ...benchService(index),
    metadata: { namespace: 'default', name: `floor-${index}` },
    spec: { type: 'LoadBalancer', loadBalancerClass: 'example.com/nobody', ports: [{ port: 80 }] },
  });
  const started = performance.now();
  await spread(services, creators, (index) => create(api, plain(index)));
  await spread(services, 32, async (index) => {
    const path = pathOf(plain(index));
    await api.request('PATCH', path, {
      body: { metadata: { annotations: { 'example.com/mark': 'x' } } },
      contentType: patchContentType.merge,
    });
    await new Promise((resolve) => setTimeout(resolve, callMs * cloudOf(sandbox).chain));
    await api.request('PATCH', `${path}/status`, {
      body: { status: { loadBalancer: { ingress: [{ hostname: 'floor.example.com' }] } } },
      contentType: patchContentType.merge,
    });
  });
  const ms = performance.now() - started;
  await spread(services, 8, (index) => remove(api, plain(index)));
  return ms;
}

/** One Service on 45 nodes: what its targets cost, and what a node more and a node in place of another cost. */
async function nodes(cloud: BenchCloud): Promise<readonly Row[]> {
  const { add, remove: removal, perCall } = cloud.targets;
  const sandbox = await startSandbox({
    bundle: true,
    ...cloud.options(0),
    controllerSettings: { drift: { surveyEvery: '0', fullEvery: '0' } },
  });
  try {
    await addNodes(sandbox, 1, 45);
    const rows: Row[] = [];
    const count = async (what: string, value: number, happens: () => Promise<void>): Promise<void> => {
      const since = await lastCall(sandbox);
      await happens();
      // A target that goes waits for a healthy successor, which is looked for every ten seconds.
      await new Promise((resolve) => setTimeout(resolve, 15_000));
      const { byOperation } = await cloudCalls(sandbox, since);
      const ours = (byOperation[add] ?? 0) + (byOperation[removal] ?? 0);
      rows.push({ what, unit: 'calls', ours, goal: { kind: 'at most', value } });
    };
    // Some come with the group where the cloud takes them there.
    await count('45 nodes: calls that add targets', Math.ceil(45 / perCall), async () => {
      await create(sandbox.api, benchService(0, cloud.provider));
    });
    await count('a node added to 45', 1, () => addNodes(sandbox, 46, 46));
    await count('a node replaced among 46', 2, async () => {
      await addNodes(sandbox, 47, 47);
      await remove(sandbox.api, cloud.node(1));
    });
    return rows;
  } finally {
    await sandbox.stop();
  }
}

/** 50 Services against the cloud's limits: what counts is that nothing is wasted and nobody is told of a failure. */
async function throttled(cloud: BenchCloud): Promise<readonly Row[]> {
  const services = 50;
  const sandbox = await startSandbox({ bundle: true, ...cloud.throttledOptions() });
  try {
    await addNodes(sandbox, 1, 3);
    const own = await connect({ path: sandbox.kubeconfig });
    const watcher = new Watcher(own);
    await watcher.start();
    const keys = Array.from({ length: services }, (_, index) => `default/bench-${index}`);
    const calls = await lastCall(sandbox);
    const started = performance.now();
    const addresses = watcher.when(keys, (service) => (service?.ingress.length ?? 0) > 0, 300_000);
    await spread(services, creators, (index) => create(sandbox.api, benchService(index, cloud.provider)));
    const at = await addresses;
    const seconds = (Math.max(...at.values()) - started) / 1000;
    const { byOperation } = await cloudCalls(sandbox, calls);
    const { operations, burst, perSecond } = cloud.limited;
    const mutations = operations.reduce((sum, operation) => sum + (byOperation[operation] ?? 0), 0);
    const limit = (mutations - burst) / perSecond;
    const failures = keys.filter((key) =>
      watcher
        .get(key)
        ?.conditions.some(({ status, reason }) => status === 'False' && reason !== 'TargetsRegistering'),
    ).length;
    await watcher.stop();
    await own.close();
    return [
      {
        what: `${services} throttled: last address`,
        unit: 's',
        ours: seconds,
        peer: { name: '(writes − burst) ÷ rate', value: limit },
        goal: { kind: 'at most', value: limit * 1.1 },
      },
      {
        what: `${services} throttled: Services that show a failure`,
        unit: 'Services',
        ours: failures,
        goal: { kind: 'at most', value: 0 },
      },
    ];
  } finally {
    await sandbox.stop();
  }
}

export const bench: Bench = {
  name: 'provision',
  summary: 'create to address: 1, 50 and 200 Services at once on a real API server',
  goal: '200 Services at 50 ms a call within 3 s on AWS, 4 s on Alibaba Cloud; at most 6 (7) cloud calls and 4 writes for a one-port Service',
  providers: ['aws', 'alibaba'],
  run: async ({ progress, args, provider }) => {
    const cloud = benchCloud(provider);
    progress('building the bundle');
    await buildBundle();
    const rows: Row[] = [];
    const only = args[0];
    for (const size of sizes) {
      const label = `${size.services}x${size.callMs}`;
      if (only !== undefined && only !== label) continue;
      progress(label);
      rows.push(...(await measure(cloud, size)));
    }
    if (only === undefined || only === 'nodes') {
      progress('nodes');
      rows.push(...(await nodes(cloud)));
    }
    if (only === undefined || only === 'throttled') {
      progress('throttled');
      rows.push(...(await throttled(cloud)));
    }
    return rows;
  },
};
