/**
 * What it costs when little or nothing happens: idle, other people's changes, one node more, a survey, a
 * full comparison, a restart. Counted at the simulated account, whose calls take 50 ms.
 */
import { benchCloud, callsOf, type BenchCloud } from './cluster/clouds.ts';
import { merge } from '../../src/sandbox/demo/patch.ts';
import type { SandboxOptions } from '../../src/sandbox/sandbox.ts';
import type { Bench, Row } from './bench.ts';
import {
  addNodes,
  benchService,
  buildBundle,
  cloudCalls,
  lastCall,
  quiet,
  servedCluster,
  usageOf,
} from './cluster/measure.ts';

const callMs = 50;

/** No limits in the way, and no drift passes but those that a row asks for. */
function options(cloud: BenchCloud, drift: object): SandboxOptions {
  return {
    ...cloud.options(callMs),
    controllerSettings: { drift: { surveyEvery: '0', fullEvery: '0', ...drift } },
  };
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Things that happen all the time and concern no balancer. */
async function noise(cloud: BenchCloud, services: number): Promise<readonly Row[]> {
  const { sandbox, stop } = await servedCluster(services, options(cloud, {}));
  try {
    const rows: Row[] = [];
    const count = async (what: string, happens: () => Promise<void>, ms: number): Promise<void> => {
      const since = await quiet(sandbox, 2_000);
      await happens();
      await wait(ms);
      const { reads, writes } = await cloudCalls(sandbox, since);
      rows.push({ what, unit: 'calls', ours: reads + writes, goal: { kind: 'at most', value: 0 } });
    };
    await count(`${services} Services idle for 30 s`, () => Promise.resolve(), 30_000);
    await count(
      "somebody else's annotation on a Service",
      () =>
        merge(sandbox.api, benchService(0, cloud.provider), {
          metadata: { annotations: { 'example.com/note': 'x' } },
        }),
      3_000,
    );
    await count(
      'a label on a Service',
      () => merge(sandbox.api, benchService(0, cloud.provider), { metadata: { labels: { team: 'x' } } }),
      3_000,
    );
    await count(
      'a heartbeat of a node',
      () =>
        merge(sandbox.api, cloud.node(1), {
          metadata: { annotations: { 'example.com/heartbeat': `${Date.now()}` } },
        }),
      5_000,
    );

    const since = await quiet(sandbox, 2_000);
    await addNodes(sandbox, 4, 4);
    await quiet(sandbox, 2_000);
    const calls = await callsOf(sandbox, since);
    const made = await cloudCalls(sandbox, since);
    const last = Math.max(...calls.map(({ at }) => at));
    const first = Math.min(...calls.map(({ at }) => at));
    rows.push(
      {
        what: `node added, ${services} Services: ${cloud.targets.add}`,
        unit: 'calls',
        ours: made.byOperation[cloud.targets.add] ?? 0,
        peer: { name: 'target groups', value: services },
        goal: { kind: 'at most', value: services },
      },
      {
        what: `node added, ${services} Services: first to last ${cloud.targets.add}`,
        unit: 's',
        ours: (last - first) / 1000,
        goal: { kind: 'at most', value: 1 },
      },
      { what: `node added, ${services} Services: every call`, unit: 'calls', ours: made.reads + made.writes },
    );
    return rows;
  } finally {
    await stop();
  }
}

async function survey(cloud: BenchCloud, services: number): Promise<readonly Row[]> {
  const { sandbox, stop } = await servedCluster(services, options(cloud, { surveyEvery: '10s' }));
  try {
    await wait(15_000);
    const since = await lastCall(sandbox);
    await wait(40_000);
    const calls = await callsOf(sandbox, since);
    const surveys = calls.filter(
      ({ operation, input }) => operation === 'DescribeLoadBalancers' && isFirstPage(input),
    ).length;
    return [
      {
        what: `survey of ${services} Services`,
        unit: 'calls per Service',
        ours: calls.length / Math.max(1, surveys) / services,
        peer: { name: '1 call per 20', value: 0.05 },
        goal: { kind: 'at most', value: 0.05 },
      },
    ];
  } finally {
    await stop();
  }
}

function isFirstPage(input: object): boolean {
  return !('Marker' in input) && (!('PageNumber' in input) || input.PageNumber === 1);
}

async function full(cloud: BenchCloud, services: number): Promise<readonly Row[]> {
  const { sandbox, stop } = await servedCluster(
    services,
    options(cloud, { surveyEvery: cloud.surveyFor.every, fullEvery: '1m' }),
  );
  try {
    await wait(cloud.surveyFor.warmUpMs);
    const since = await quiet(sandbox, 5_000);
    await wait(80_000);
    const calls = (await callsOf(sandbox, since)).filter((call) => !cloud.isSurvey(call));
    const looks = calls.filter(({ operation }) => operation === cloud.look).length;
    return [
      {
        what: 'full comparison of a one-port Service',
        unit: 'reads',
        ours: calls.length / Math.max(1, looks),
        goal: { kind: 'at most', value: cloud.fullReads },
      },
      {
        what: 'full comparisons that wrote something',
        unit: 'calls',
        ours: calls.filter(({ mutating }) => mutating).length,
        goal: { kind: 'at most', value: 0 },
      },
    ];
  } finally {
    await stop();
  }
}

async function restart(cloud: BenchCloud, services: number): Promise<readonly Row[]> {
  const { sandbox, stop } = await servedCluster(services, options(cloud, {}));
  try {
    const since = await quiet(sandbox, 3_000);
    await sandbox.controllers[0]?.process.stop(5_000);
    const started = performance.now();
    const controller = await sandbox.startController();
    const ready = performance.now() - started;
    await quiet(sandbox, 3_000);
    const calls = await callsOf(sandbox, since);
    const { reads, writes } = await cloudCalls(sandbox, since);
    const span = Math.max(...calls.map(({ at }) => at)) - Math.min(...calls.map(({ at }) => at));
    const usage = await usageOf(controller);
    return [
      {
        what: `restart, ${services} Services: reads each`,
        unit: 'calls',
        ours: reads / services,
        goal: { kind: 'at most', value: 2.5 },
      },
      {
        what: `restart, ${services} Services: cloud writes`,
        unit: 'calls',
        ours: writes,
        goal: { kind: 'at most', value: 0 },
      },
      {
        what: `restart, ${services} Services: start to all checked`,
        unit: 's',
        ours: (ready + span) / 1000,
        goal: { kind: 'at most', value: 10 },
      },
      {
        what: `restart, ${services} Services: resident memory`,
        unit: 'MB',
        ours: usage.rss,
        goal: { kind: 'at most', value: 110 },
      },
    ];
  } finally {
    await stop();
  }
}

export const bench: Bench = {
  name: 'steady',
  summary: 'calls and time when little happens: idle, noise, a node more, survey, full comparison, restart',
  goal: 'no call between drift passes; survey ≤ 1 call per 20 Services; full ≤ 7 reads; restart ≤ 2.5 reads each within 10 s',
  providers: ['aws', 'alibaba'],
  run: async ({ progress, args, provider }) => {
    const cloud = benchCloud(provider);
    progress('building the bundle');
    await buildBundle();
    const parts = {
      noise: () => noise(cloud, 50),
      survey: () => survey(cloud, 200),
      full: () => full(cloud, 20),
      restart: () => restart(cloud, 200),
    };
    const rows: Row[] = [];
    for (const [name, part] of Object.entries(parts)) {
      if (args[0] !== undefined && args[0] !== name) continue;
      progress(name);
      rows.push(...(await part()));
    }
    return rows;
  },
};
