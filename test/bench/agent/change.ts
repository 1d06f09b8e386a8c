/**
 * Row `change`: one slice changes, from the moment when the watch tells it to when the kernel has it. The agent's own
 * parts (tracker, sync, backend) in this process, over a node's kernel, with a world that no API server holds; lone
 * changes, so that none waits for the window (10 to 50 ms, 300 behind slow writes) in which a busy writer gathers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from '../../../src/agent/agent.ts';
import type { AgentTelemetry } from '../../../src/agent/telemetry.ts';
import { DecisionTracker } from '../../../src/agent/decide/tracker.ts';
import type { AgentHearer, AgentView } from '../../../src/agent/door.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { EndpointSliceObject } from '../../../src/core/objects.ts';
import { makeIntern } from '../../../src/kube/intern.ts';
import { slimNode, slimSlice } from '../../../src/kube/slim.ts';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import { bedNode } from '../../../src/sandbox/bed/node-object.ts';
import { quantile, type Row } from '../bench.ts';
import { openBackend, recorder, replay, writes } from './bare.ts';
import { put } from './live.ts';
import { makeNode, node, unlessGivenUp, untilAnswered, type Mode, type Stage } from './stage.ts';
import { meaningOf, settingsOf } from './start.ts';
import { address, clusterIP, sizeText, worldObjects, worldSlice, type Size } from './world.ts';

const changes: Readonly<Record<Mode, number>> = { nftables: 400, iptables: 100 };
/** Longer than the longest window of the mode. */
const restMs: Readonly<Record<Mode, number>> = { nftables: 60, iptables: 320 };

interface Changed {
  readonly ms: readonly number[];
  /** Of the restores of the changed chains alone. */
  readonly bareMs: readonly number[];
}

async function measureChanges(size: Size, mode: Mode): Promise<Changed> {
  await using bed = await makeNode();
  const record = recorder(bed);
  await using bare = mode === 'iptables' ? await bareNode(size, mode) : undefined;
  const { agent, hearer, next } = await agentOf(bed, size, await openBackend(bed, mode, record.start), mode);
  await agent.written();
  await sleep(7_000);
  record.take();
  const intern = makeIntern();
  const sliceOf = (index: number, without: number): EndpointSliceObject =>
    slimSlice(worldSlice(index, size.endpoints, without), intern);
  const ms: number[] = [];
  const bareMs: number[] = [];
  const warmUp = 10;
  for (let turn = 0; turn < changes[mode] + warmUp; turn += 1) {
    // Each Service twice in a row: without its first endpoint, and with it again.
    const index = (Math.floor(turn / 2) * 7_919) % size.services;
    const [before, after] = turn % 2 === 0 ? [0, 1] : [1, 0];
    const [was, is] = [sliceOf(index, before), sliceOf(index, after)];
    const started = performance.now();
    const kernel = next();
    hearer().sliceChanged(was, is);
    const took = (await kernel) - started;
    await kernelHas(bed, mode, index * size.endpoints, after === 0);
    await sleep(restMs[mode]);
    const runs = record.take().filter((run) => writes(run) && run.program !== 'ipset');
    // One after the other, so that what else the machine does meets both.
    const bareTook = bare === undefined ? undefined : await replay(bare, runs);
    if (turn < warmUp) continue;
    ms.push(took);
    if (bareTook !== undefined) bareMs.push(bareTook);
    await sleep(restMs[mode]);
  }
  await agent.stop();
  return { ms, bareMs };
}

/** A node with the same rules and no agent, which would take the bare tool for somebody else. */
async function bareNode(size: Size, mode: Mode): Promise<Bed> {
  const bed = await makeNode();
  const meaning = meaningOf(bed, size, mode);
  const backend = await openBackend(bed, mode);
  await backend.replace(meaning.node, meaning.decisions);
  await backend.close();
  return bed;
}

/** Counts in a process of its own: tens of thousands of lines would be this one's garbage, and its pauses. */
const counted = 'nft list table ip sluice | grep -cF -- "$0" || true';

/** @throws Error where the kernel is not what was said to be written. */
async function kernelHas(bed: Bed, mode: Mode, number: number, there: boolean): Promise<void> {
  if (mode === 'iptables' || Math.random() > 0.05) return;
  const lines = await bed.succeed(node, 'sh', ['-c', counted, `${address(0, number)} .`]);
  if (Number(lines) > 0 !== there)
    throw new Error(`${address(0, number)} is ${there ? 'not ' : ''}in the kernel`);
}

interface Running {
  readonly agent: Agent;
  readonly hearer: () => AgentHearer;
  /** When the next change is in the kernel: the backend has the tool's word for it. */
  readonly next: () => Promise<number>;
}

type OwnBackend = Awaited<ReturnType<typeof openBackend>>;

async function agentOf(bed: Bed, size: Size, backend: OwnBackend, mode: Mode): Promise<Running> {
  const waiting: ((at: number) => void)[] = [];
  const { services, slices } = worldObjects(size);
  const byKey = new Map(services.map((service) => [service.key, service]));
  const own = slimNode(bedNode(bed.node(node)), makeIntern());
  let hearer: AgentHearer | undefined;
  const view: AgentView = {
    service: (key) => byKey.get(key),
    services: () => services,
    slices: (service) => slices.filter((slice) => slice.service === service),
    allSlices: () => slices,
    node: () => own,
    connect: (given) => {
      hearer = given;
      return () => undefined;
    },
  };
  const agent = new Agent({
    view,
    tracker: new DecisionTracker(settingsOf(mode)),
    backends: [backend],
    addresses: () => new Set(['127.0.0.1', bed.node(node).address.IPv4, bed.node(node).gateway.IPv4]),
    conntrack: undefined,
    resetTcp: false,
    clock: systemClock,
    random: Math.random,
    telemetry: {
      ...silentTelemetry,
      programmed: () => {
        const at = performance.now();
        for (const resolve of waiting.splice(0)) resolve(at);
      },
    },
  });
  agent.start();
  return {
    agent,
    next: () => new Promise((resolve) => waiting.push(resolve)),
    hearer: () => {
      if (hearer === undefined) throw new Error('the agent does not listen');
      return hearer;
    },
  };
}

const nothing = (): void => undefined;
const silentTelemetry: AgentTelemetry = {
  sync: nothing,
  conntrack: nothing,
  changes: nothing,
  queued: nothing,
  programmed: nothing,
  healthPortFailed: nothing,
  found: nothing,
  addresses: nothing,
  problems: nothing,
  conflict: nothing,
};

/** Milliseconds that kube-proxy's own metric says of its syncs, on average, for lone changes of a slice. */
async function kubeProxySync(stage: Stage, mode: Mode, limitSeconds: number): Promise<number> {
  await using bed = await stage.node();
  const { process, started } = await stage.start(bed, 'kube-proxy', mode);
  const { services, endpoints } = stage.size;
  await untilAnswered(bed, process, clusterIP(services - 1), {
    everyMs: 20,
    limit: started + limitSeconds * 1000,
  });
  await sleep(5_000);
  const before = await syncs(bed);
  for (let turn = 0; turn < 20; turn += 1) {
    await put(stage, worldSlice(Math.floor(turn / 2), endpoints, turn % 2 === 0 ? 1 : 0));
    await sleep(1_500);
  }
  const after = await syncs(bed);
  await process.stop(10_000);
  return ((after.seconds - before.seconds) * 1000) / (after.count - before.count);
}

async function syncs(bed: Bed): Promise<{ readonly seconds: number; readonly count: number }> {
  const text = await bed.succeed(node, 'curl', ['-s', 'http://127.0.0.1:10249/metrics']);
  const sum = (what: string): number =>
    [
      ...text.matchAll(new RegExp(`^kubeproxy_sync_proxy_rules_duration_seconds_${what}\\S* (\\S+)`, 'gmu')),
    ].reduce((total, [, value]) => total + Number(value), 0);
  return { seconds: sum('sum'), count: sum('count') };
}

/** `peer`: kube-proxy is asked too, within so many seconds for its start. */
export async function changeRows(
  stage: Stage,
  mode: Mode,
  peer: number | undefined,
): Promise<readonly Row[]> {
  const { ms, bareMs } = await measureChanges(stage.size, mode);
  const label = `${mode}, ${sizeText(stage.size)}: slice change → kernel`;
  const sync = peer === undefined ? undefined : await unlessGivenUp(kubeProxySync(stage, mode, peer));
  const beside = sync === undefined ? {} : { peer: { name: "kube-proxy's mean sync", value: sync } };
  if (mode === 'nftables') {
    return [
      {
        what: `${label}, p50`,
        unit: 'ms',
        ours: quantile(ms, 0.5),
        ...beside,
        goal: { kind: 'at most', value: 2 },
      },
      {
        what: `${label}, p99`,
        unit: 'ms',
        ours: quantile(ms, 0.99),
        ...beside,
        goal: { kind: 'at most', value: 10 },
      },
    ];
  }
  const bare = quantile(bareMs, 0.5);
  return [
    {
      what: `${label}, p50`,
      unit: 'ms',
      ours: quantile(ms, 0.5),
      peer: { name: 'restore of the changed chains', value: bare },
      goal: { kind: 'at most', value: bare * 1.3 },
    },
    {
      what: `${label}, p99`,
      unit: 'ms',
      ours: quantile(ms, 0.99),
      peer: { name: 'restore of the changed chains', value: quantile(bareMs, 0.99) },
      goal: { kind: 'at most', value: quantile(bareMs, 0.99) * 1.3 },
    },
    ...(sync === undefined
      ? []
      : [{ what: `${label}, kube-proxy's mean sync`, unit: 'ms', ours: sync } as const]),
  ];
}
