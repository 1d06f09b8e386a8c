/**
 * Rows `create`, `remove` and `churn`, by the definitions of peers.md B1: objects are written to the API server while a
 * pod makes a fresh connection every 2 ms, and only what those connections met counts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { patchContentType } from '../../../src/kube/api.ts';
import { create, pathOf, remove, type Manifest } from '../../../src/sandbox/objects.ts';
import type { ManagedProcess } from '../../../src/sandbox/processes.ts';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import type { Ongoing, Served } from '../../../src/sandbox/bed/ongoing.ts';
import { monotonicUs, type Attempt } from '../../../src/sandbox/bed/traffic.ts';
import { quantile, type Row } from '../bench.ts';
import { client, server, type Mode, type Program, type Stage, untilAnswered } from './stage.ts';
import { address, clusterIP, serviceManifest, sizeText, sliceOf } from './world.ts';

/** Endpoints of these rows answer at a port of their own, each under its address as name. */
const port = 8_081;
const tries = 20;
const quietMs = 300;
/** What did not answer until then counts as this. */
const createLimitMs = 15_000;

export interface Live {
  /** Milliseconds, one for each try. */
  readonly create: readonly number[];
  readonly remove: readonly number[];
  readonly churn: Churn | undefined;
}

export interface Churn {
  readonly connections: number;
  readonly lost: number;
  readonly stale: number;
  readonly oldestMs: number;
  readonly updates: number;
}

export interface LiveOptions {
  readonly create: boolean;
  readonly remove: boolean;
  readonly churn: boolean;
  /** Seconds until the program has to serve the world. */
  readonly limitSeconds: number;
}

export async function measureLive(
  stage: Stage,
  program: Program,
  mode: Mode,
  options: LiveOptions,
): Promise<Live> {
  await using bed = await stage.node();
  const { process, started } = await stage.start(bed, program, mode);
  const last = clusterIP(stage.size.services - 1);
  await untilAnswered(bed, process, last, { everyMs: 20, limit: started + options.limitSeconds * 1000 });
  // What follows a start (clean-ups, a second full sync) is not what is measured.
  await sleep(3_000);
  const result = {
    create: options.create ? await creates(stage, bed) : [],
    remove: options.remove ? await removes(stage, bed) : [],
    churn: options.churn ? await churns(stage, bed, process) : undefined,
  };
  await process.stop(10_000);
  return result;
}

const rest = (): Promise<void> => sleep(1_200 + Math.random() * 1_000);

/** Cluster IP number `index` of those that no Service of the world has. */
const ownIP = (index: number): string => `10.96.${200 + (index >> 8)}.${index & 255}`;

async function named(bed: Bed, addresses: readonly string[]): Promise<readonly Ongoing<Served>[]> {
  return Promise.all(addresses.map((each) => bed.serve(server, { name: each, address: each, port })));
}

/** POST Service, POST slice; from the second answer to the first connection answered. */
async function creates(stage: Stage, bed: Bed): Promise<readonly number[]> {
  const { api } = stage.cluster;
  const endpoint = address(1, 1);
  const servers = await named(bed, [endpoint]);
  const times: number[] = [];
  // What has not been answered is waited for until its time limit.
  const closings: Promise<unknown>[] = [];
  for (let turn = 0; turn < tries; turn += 1) {
    await rest();
    const ip = ownIP(1 + turn);
    const made = [serviceManifest(`made-${turn}`, ip), sliceOf(`made-${turn}`, [endpoint], port)] as const;
    const prober = await bed.probe(client, { address: ip, port: 80 }, { timeoutMs: 5_000 });
    await create(api, made[0]);
    await create(api, made[1]);
    const acknowledged = monotonicUs();
    const answered: Attempt[] = [];
    const end = performance.now() + createLimitMs;
    while (answered.length === 0 && performance.now() < end) {
      await sleep(50);
      answered.push(...(await prober.peek()).filter(({ kind }) => kind === 'answered'));
    }
    closings.push(prober.close());
    const given = acknowledged + createLimitMs * 1000;
    const first = Math.min(given, ...answered.map(({ atUs, us }) => atUs + us));
    times.push(Math.max(0, first - acknowledged) / 1000);
    for (const object of made.toReversed()) await remove(api, object);
  }
  await Promise.all(closings);
  await Promise.all(servers.map((each) => each.close()));
  return times;
}

/** A write of the slice without one of its two endpoints; from its answer to the start of the last connection that reached it. */
async function removes(stage: Stage, bed: Bed): Promise<readonly number[]> {
  const { api } = stage.cluster;
  const [stays, goes] = [address(1, 2), address(1, 3)];
  const servers = await named(bed, [stays, goes]);
  const ip = ownIP(100);
  const service = serviceManifest('losing', ip);
  const both = sliceOf('losing', [stays, goes], port);
  await create(api, service);
  await create(api, both);
  const times: number[] = [];
  for (let turn = 0; turn < tries; turn += 1) {
    const prober = await bed.probe(client, { address: ip, port: 80 });
    const reached = async (): Promise<readonly Attempt[]> =>
      (await prober.peek()).filter(({ self }) => self === goes);
    while ((await reached()).length === 0) await sleep(100);
    await rest();
    await put(stage, sliceOf('losing', [stays], port));
    const acknowledged = monotonicUs();
    let lastUs = acknowledged;
    while (monotonicUs() - lastUs < quietMs * 1000) {
      await sleep(50);
      for (const { atUs } of await reached()) lastUs = Math.max(lastUs, atUs);
    }
    await prober.close();
    times.push((lastUs - acknowledged) / 1000);
    await put(stage, both);
  }
  await remove(api, both);
  await remove(api, service);
  await Promise.all(servers.map((each) => each.close()));
  return times;
}

/** Ten endpoints, of which ten times a second for 20 s the oldest is replaced by one that never was there before. */
async function churns(stage: Stage, bed: Bed, process: ManagedProcess): Promise<Churn> {
  const { api } = stage.cluster;
  const updates = 200;
  const endpoints = 10;
  const pool = Array.from({ length: updates + endpoints }, (_, index) => address(1, 100 + index));
  const servers = await named(bed, pool);
  const ip = ownIP(101);
  const service = serviceManifest('churning', ip);
  const at = (from: number): Manifest => sliceOf('churning', pool.slice(from, from + endpoints), port);
  await create(api, service);
  await create(api, at(0));
  await untilAnswered(bed, process, ip, { everyMs: 20, limit: Number.POSITIVE_INFINITY });
  await rest();
  const prober = await bed.probe(client, { address: ip, port: 80 }, { timeoutMs: 1_500 });
  const goneUs = new Map<string, number>();
  const begun = performance.now();
  for (let update = 1; update <= updates; update += 1) {
    await sleep(Math.max(0, begun + update * 100 - performance.now()));
    await put(stage, at(update));
    goneUs.set(pool[update - 1] ?? '', monotonicUs());
  }
  const attempts = await prober.close();
  const ages = attempts
    .map(({ atUs, self }) => atUs - (goneUs.get(self) ?? Number.POSITIVE_INFINITY))
    .filter((age) => age > 0);
  await remove(api, at(updates));
  await remove(api, service);
  await Promise.all(servers.map((each) => each.close()));
  return {
    connections: attempts.length,
    lost: attempts.filter(({ kind }) => kind !== 'answered').length,
    stale: ages.length,
    oldestMs: Math.max(0, ...ages) / 1000,
    updates,
  };
}

/** Writes an object that is there as a whole, in one request. */
export async function put(stage: Stage, object: Manifest): Promise<void> {
  await stage.cluster.api.request('PATCH', pathOf(object), {
    contentType: patchContentType.merge,
    body: object,
  });
}

/** Rows of ours with those of kube-proxy beside them, at its quickest setting (a sync at most every millisecond). */
export function liveRows(stage: Stage, mode: Mode, ours: Live, peer: Live | undefined): readonly Row[] {
  const label = `${mode}, ${sizeText(stage.size)}`;
  const middle = (values: readonly number[]): number => quantile(values, 0.5);
  const beside = (value: number | undefined): Pick<Row, 'peer'> =>
    value === undefined || Number.isNaN(value) ? {} : { peer: { name: 'kube-proxy', value } };
  const rows: Row[] = [];
  for (const [what, limit, own, other] of [
    ['Service applied → first answered connection', 100, ours.create, peer?.create],
    ['endpoint removed → last connection that reaches it', 30, ours.remove, peer?.remove],
  ] as const) {
    if (own.length === 0) continue;
    rows.push(
      {
        what: `${label}: ${what}, median`,
        unit: 'ms',
        ours: middle(own),
        ...beside(other && middle(other)),
        goal: { kind: 'at most', value: limit },
      },
      {
        what: `${label}: ${what}, longest`,
        unit: 'ms',
        ours: Math.max(...own),
        ...beside(other && Math.max(...other)),
      },
    );
  }
  if (ours.churn === undefined) return rows;
  const share = ({ stale, connections }: Churn): number => (100 * stale) / connections;
  rows.push(
    {
      what: `${label}: ten changes a second, connections to a removed endpoint`,
      unit: '%',
      ours: share(ours.churn),
      ...beside(peer?.churn && share(peer.churn)),
      goal: { kind: 'at most', value: 3 },
    },
    {
      what: `${label}: ten changes a second, connections lost of ${ours.churn.connections}`,
      unit: 'connections',
      ours: ours.churn.lost,
      ...beside(peer?.churn?.lost),
      goal: { kind: 'at most', value: 0 },
    },
    {
      what: `${label}: ten changes a second, age of the stalest`,
      unit: 'ms',
      ours: ours.churn.oldestMs,
      ...beside(peer?.churn?.oldestMs),
    },
  );
  return rows;
}
