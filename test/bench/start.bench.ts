/** From the start of the bundle to ready, and the memory that it holds, with no Services and with 200. */
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import type { Bench, Row } from './bench.ts';
import { buildBundle, percentile, servedCluster, usageOf } from './cluster/measure.ts';

const starts = 5;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function bare(): Promise<readonly Row[]> {
  const sandbox = await startSandbox({ bundle: true, controllers: 0 });
  try {
    const times: number[] = [];
    let rss = 0;
    for (let run = 0; run < starts; run += 1) {
      const started = performance.now();
      const controller = await sandbox.startController();
      times.push(performance.now() - started);
      await wait(500);
      rss = (await usageOf(controller)).rss;
      await controller.process.stop(5_000);
    }
    return [
      { what: `process start to ready, median of ${starts}`, unit: 's', ours: percentile(times, 0.5) / 1000 },
      { what: 'resident memory, no Services', unit: 'MB', ours: rss },
    ];
  } finally {
    await sandbox.stop();
  }
}

async function loaded(): Promise<readonly Row[]> {
  const { sandbox, stop } = await servedCluster(200, {
    aws: { quotas: { networkLoadBalancers: 10_000, targetGroups: 10_000 } },
    awsSettings: { rates: { read: 100_000, register: 100_000, modify: 100_000 } },
  });
  try {
    await wait(10_000);
    const [controller] = sandbox.controllers;
    const usage = controller ? await usageOf(controller) : { rss: 0, peak: 0 };
    await controller?.process.stop(5_000);
    const again = await sandbox.startController();
    await wait(10_000);
    return [
      {
        what: 'resident memory, started with 200 Services',
        unit: 'MB',
        ours: (await usageOf(again)).rss,
        goal: { kind: 'at most', value: 110 },
      },
      {
        what: 'resident memory, 200 Services just served',
        unit: 'MB',
        ours: usage.rss,
        goal: { kind: 'at most', value: 110 },
      },
      { what: 'peak memory while serving 200 at once', unit: 'MB', ours: usage.peak },
    ];
  } finally {
    await stop();
  }
}

export const bench: Bench = {
  name: 'start',
  summary: 'bundle to ready, and resident memory with 200 Services',
  goal: 'at most 110 MB resident with 200 Services',
  run: async ({ progress }) => {
    progress('building the bundle');
    await buildBundle();
    progress('no Services');
    const rows = await bare();
    progress('200 Services');
    return [...rows, ...(await loaded())];
  },
};
