/**
 * Row `lost`: a compiled load generator makes connections to one Service, while its endpoints go 10 → 2 → 1 → 10 in the
 * API server. Removed endpoints go on answering, so what is lost was lost by rules. It goes on until there have been
 * enough of both, connections and updates. The load is held at a pace: taking every core, it would leave the writer so
 * little that updates, which are what can lose a connection, became few.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { create, remove } from '../../../src/sandbox/objects.ts';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import type { Row } from '../bench.ts';
import { put } from './live.ts';
import { client, node, server, untilAnswered, type Mode, type Program, type Stage } from './stage.ts';
import { address, clusterIP, serviceManifest, sizeText, sliceOf } from './world.ts';

export const fastPort = 8_082;
const least = { connections: 300_000, updates: 2_000 };
const connectionsPerSecond = 2_000;
/** By then a writer of seven updates a second has made enough. */
const ownLimitSeconds = 300;
const peerLimitSeconds = 30;
const steps = [10, 2, 1] as const;
const ip = '10.96.210.1';

export interface Lost {
  readonly connections: number;
  readonly lost: number;
  /** Writes to the kernel in the same time, by the program's own count. */
  readonly updates: number;
  readonly perSecond: number;
  readonly failures: readonly unknown[];
}

export async function measureLost(
  stage: Stage,
  program: Program,
  mode: Mode,
  limitSeconds: number,
): Promise<Lost> {
  await using bed = await stage.node();
  await bed.serveApart(server, { port: fastPort, fast: true });
  const { process, started } = await stage.start(bed, program, mode);
  await untilAnswered(bed, process, clusterIP(stage.size.services - 1), {
    everyMs: 20,
    limit: started + 120_000,
  });
  const { api } = stage.cluster;
  const service = serviceManifest('loaded', ip);
  const at = (endpoints: number) =>
    sliceOf(
      'loaded',
      Array.from({ length: endpoints }, (_, index) => address(1, 600 + index)),
      fastPort,
    );
  await create(api, service);
  await create(api, at(10));
  await untilAnswered(bed, process, ip, { everyMs: 20, limit: started + 180_000 });
  await sleep(2_000);
  const before = await writesOf(bed, program);
  const load = await bed.load(
    client,
    { address: ip, port: 80 },
    {
      threads: 4,
      perSecond: connectionsPerSecond,
    },
  );
  const end = performance.now() + limitSeconds * 1000;
  for (let turn = 1; performance.now() < end; turn += 1) {
    await put(stage, at(steps[turn % steps.length] ?? 10));
    // Longer than the least window, so that each is a write of its own.
    await sleep(11);
    if (turn % 100 !== 0 || program !== 'ours') continue;
    const { connections } = await load.peek();
    if (connections >= least.connections && (await writesOf(bed, program)) - before >= least.updates) break;
  }
  const updates = (await writesOf(bed, program)) - before;
  const result = await load.close();
  await remove(api, at(10));
  await remove(api, service);
  await process.stop(10_000);
  return {
    connections: result.connections,
    lost: Object.values(result.lost).reduce((sum, count) => sum + count, 0),
    updates,
    perSecond: result.perSecond,
    failures: result.failures.slice(0, 5),
  };
}

/** Syncs of all families since the program's start. */
async function writesOf(bed: Bed, program: Program): Promise<number> {
  const port = program === 'ours' ? 10_271 : 10_249;
  const text = await bed.succeed(node, 'curl', ['-s', `http://127.0.0.1:${port}/metrics`]);
  const found = text.matchAll(/^\w*sync_proxy_rules_duration_seconds_count\S* (\S+)/gmu);
  return [...found].reduce((total, [, value]) => total + Number(value), 0);
}

export async function lostRows(
  stage: Stage,
  mode: Mode,
  { alone, tell }: { readonly alone: boolean; readonly tell: (text: string) => void },
): Promise<readonly Row[]> {
  const ours = await measureLost(stage, 'ours', mode, ownLimitSeconds);
  tell(JSON.stringify(ours));
  const peer = alone ? undefined : await measureLost(stage, 'kube-proxy', mode, peerLimitSeconds);
  tell(JSON.stringify(peer));
  const beside =
    peer === undefined
      ? {}
      : {
          peer: { name: `kube-proxy (${peer.connections} in ${peer.updates} updates)`, value: peer.lost },
        };
  const label = `${mode}, ${sizeText(stage.size)}: 10 → 2 → 1 → 10`;
  return [
    {
      what: `${label}, connections lost`,
      unit: 'connections',
      ours: ours.lost,
      ...beside,
      goal: { kind: 'at most', value: 0 },
    },
    {
      what: `${label}, connections made`,
      unit: 'connections',
      ours: ours.connections,
      better: 'higher',
      goal: { kind: 'at least', value: least.connections },
    },
    {
      what: `${label}, updates of the kernel`,
      unit: 'updates',
      ours: ours.updates,
      better: 'higher',
      goal: { kind: 'at least', value: least.updates },
    },
  ];
}
