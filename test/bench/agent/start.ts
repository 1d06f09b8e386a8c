/**
 * Rows `start`, `first-load`, `memory` and `restart`: one program at a time on a fresh node, from its process start
 * until 20 sampled Services have answered and then each of the N; for ours also from the moment when the last list was
 * received, and again over the rules that it left.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { decideNode } from '../../../src/agent/decide/node.ts';
import { defaultSettings, type AgentSettings } from '../../../src/agent/decide/settings.ts';
import { viewNode } from '../../../src/agent/decide/view.ts';
import { decideWorld } from '../../../src/agent/decide/world.ts';
import type { Spawn } from '../../../src/agent/tool.ts';
import type { Decision, NodeDecision } from '../../../src/agent/decision.ts';
import type { NodeName } from '../../../src/core/objects.ts';
import { makeIntern } from '../../../src/kube/intern.ts';
import { slimNode } from '../../../src/kube/slim.ts';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import { bedNode } from '../../../src/sandbox/bed/node-object.ts';
import { serviceRange } from '../../packets/cluster.ts';
import type { Row } from '../bench.ts';
import { quantile } from '../bench.ts';
import { spread } from '../cluster/measure.ts';
import { openBackend, recorder, replay, writes } from './bare.ts';
import {
  decidedAt,
  listedAt,
  logOf,
  memoryOf,
  untilLogged,
  watchChildren,
  wroteEverything,
  type Memory,
} from './process.ts';
import {
  client,
  GaveUp,
  makeNode,
  node,
  untilAnswered,
  type Mode,
  type Program,
  type Stage,
} from './stage.ts';
import { clusterIP, podRanges, sizeText, worldObjects, type Size } from './world.ts';

export interface Started {
  /** Seconds from process start until all 20 sampled Services answered; undefined where it was given up. */
  readonly seconds: number | undefined;
  /** Ours only: the same from the last list received, and the rows that are only about us. */
  readonly fromListMs: number | undefined;
  /** Ours only: the part of it that passes before anything can be written. */
  readonly decidedMs: number | undefined;
  readonly memory: Memory;
  readonly childrenPeak: number;
  readonly late: Late;
  readonly restart: Restart | undefined;
}

export interface Restart {
  /** Objects that the kernel says were added, changed or removed. */
  readonly changes: number;
  readonly operations: number;
  /** From the last list received to the end of the look at the kernel. */
  readonly ms: number;
  /** Listing alone. */
  readonly listingMs: number;
}

/** A figure is exact to this; asking more often takes time from what is measured. */
const everyMs = 20;
const mostSweeps = 5;

/** Connections of the proof that were not answered at once, by what became of them. */
export type Late = Readonly<Record<string, number>>;

/** The first, the last and 18 of the rest. */
function sample(services: number): number[] {
  const rest = Array.from({ length: 18 }, () => 1 + Math.floor(Math.random() * (services - 2)));
  return [0, ...rest, services - 1];
}

export interface StartOptions {
  readonly limitSeconds?: number;
  readonly restart?: boolean;
}

export async function measureStart(
  stage: Stage,
  program: Program,
  mode: Mode,
  options: StartOptions = {},
): Promise<Started> {
  const { limitSeconds = 600, restart = false } = options;
  const { services } = stage.size;
  await using bed = await stage.node();
  const { process, started } = await stage.start(bed, program, mode);
  const children = watchChildren(process.pid);
  let servedAt = 0;
  try {
    const limit = started + limitSeconds * 1000;
    const answered = (index: number): Promise<number> =>
      untilAnswered(bed, process, clusterIP(index), { everyMs, limit });
    const [first = 0, ...others] = sample(services);
    // One is asked while the program works, so that asking takes nothing from it; then all the others at once.
    await answered(first);
    servedAt = Math.max(...(await Promise.all(others.map(answered))));
  } catch (error) {
    if (!(error instanceof GaveUp)) throw error;
    const memory = await memoryOf(process.pid);
    return {
      seconds: undefined,
      fromListMs: undefined,
      decidedMs: undefined,
      memory,
      childrenPeak: await children(),
      late: {},
      restart: undefined,
    };
  }
  const late = await everyServiceAnswers(bed, services);
  const ours = program === 'ours';
  const lines = ours ? await untilLogged(process, wroteEverything) : [];
  // What the load needed is given back once nothing has been written for a while.
  await sleep(7_000);
  const memory = await memoryOf(process.pid);
  const childrenPeak = await children();
  const result = {
    seconds: (servedAt - started) / 1000,
    fromListMs: ours ? servedAt - listedAt(lines) : undefined,
    decidedMs: ours ? decidedAt(lines) - listedAt(lines) : undefined,
    memory,
    childrenPeak,
    late,
  };
  await process.stop(10_000);
  return { ...result, restart: restart ? await measureRestart(stage, bed, mode) : undefined };
}

/**
 * The proof that the sample stood for all: one connection to each of the N. @returns how many, and what became of them,
 * had to be asked again; each answers in the end.
 */
async function everyServiceAnswers(bed: Bed, services: number): Promise<Late> {
  const kinds: Record<string, number> = {};
  let asked = Array.from({ length: services }, (_, index) => index);
  for (let sweep = 1; ; sweep += 1) {
    const silent: number[] = [];
    await spread(asked.length, 32, async (at) => {
      const index = asked[at] ?? 0;
      const { kind } = await bed.dial(client, { address: clusterIP(index), port: 80 }, { timeoutMs: 2_000 });
      if (kind === 'answered') return;
      silent.push(index);
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    });
    if (silent.length === 0) return kinds;
    if (sweep === mostSweeps)
      throw new Error(
        `${silent.length} Services do not answer, the first is ${silent[0]}: ${JSON.stringify(kinds)}`,
      );
    asked = silent;
  }
}

/** The agent over its own rules. The kernel's own word: its monitor, and the rules with their handles. */
async function measureRestart(stage: Stage, bed: Bed, mode: Mode): Promise<Restart> {
  const before = await kernelText(bed, mode);
  const listing: number[] = [];
  for (let turn = 0; turn < 3; turn += 1) listing.push(await listingMs(bed, mode));
  const monitor = bed.spawn(node, 'nft', ['monitor']);
  let seen = '';
  monitor.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
  await sleep(300);
  const { process } = await stage.start(bed, 'ours', mode);
  const lines = await untilLogged(process, wroteEverything);
  await sleep(1_000);
  monitor.kill();
  const written = lines.filter(({ msg }) => msg === 'wrote everything');
  const whole = written.find(({ family }) => family === 'IPv4');
  const same = (await kernelText(bed, mode)) === before;
  const events = seen
    .split('\n')
    .filter((line) => /^(?:add|delete|insert|replace|flush|destroy) /u.test(line));
  await process.stop(10_000);
  return {
    changes: events.length + (same ? 0 : 1),
    operations: written.reduce((sum, line) => sum + Number(line['operations']), 0),
    ms: (whole?.at ?? Number.NaN) - listedAt(await logOf(process)),
    listingMs: quantile(listing, 0.5),
  };
}

/** What the kernel holds, with handles, without what changes by itself. */
async function kernelText(bed: Bed, mode: Mode): Promise<string> {
  if (mode === 'nftables') {
    const [four, six] = await Promise.all(
      ['ip', 'ip6'].map((family) => bed.succeed(node, 'nft', ['-a', 'list', 'table', family, 'sluice'])),
    );
    return `${four}${six}`.replaceAll(/ expires \S+| packets \d+ bytes \d+/gu, '');
  }
  const parts = await Promise.all([
    bed.succeed(node, 'iptables-nft-save', []),
    bed.succeed(node, 'ip6tables-nft-save', []),
    bed.succeed(node, 'ipset', ['save']),
  ]);
  const text = parts.join('').replaceAll(/^#.*\n|\[\d+:\d+\]/gmu, '');
  // Entries of a set come in the order of its table.
  return text.split('\n').toSorted().join('\n');
}

/** Milliseconds that the tools alone take to list what the agent has to look at, one family, as it asks them. */
async function listingMs(bed: Bed, mode: Mode): Promise<number> {
  const started = performance.now();
  if (mode === 'nftables') await bed.succeed(node, 'nft', ['-p', '-y', 'list', 'table', 'ip', 'sluice']);
  else {
    await Promise.all([bed.succeed(node, 'iptables-nft-save', []), bed.succeed(node, 'ipset', ['save'])]);
  }
  return performance.now() - started;
}

export interface Meaning {
  readonly node: NodeDecision;
  readonly decisions: readonly Decision[];
}

export function settingsOf(mode: Mode): AgentSettings {
  return {
    ...defaultSettings(node as NodeName),
    backend: mode,
    scope: 'all',
    families: ['IPv4'],
    detectLocal: { kind: 'cluster-cidr', cidrs: podRanges },
    serviceRanges: [serviceRange.IPv4],
  };
}

/** The world as decisions of the node. */
export function meaningOf(bed: Bed, size: Size, mode: Mode): Meaning {
  const settings = settingsOf(mode);
  const own = slimNode(bedNode(bed.node(node)), makeIntern());
  const { services, slices } = worldObjects(size);
  const addresses = ['127.0.0.1', bed.node(node).address.IPv4, bed.node(node).gateway.IPv4];
  const [decided] = decideNode(own, addresses, settings);
  if (decided === undefined) throw new Error('nothing is decided for the node');
  return { node: decided, decisions: decideWorld(services, slices, viewNode(own, settings)).decisions };
}

export interface BareLoad {
  /** Milliseconds of the bare tool for what our backend writes at a first load. */
  readonly bareMs: number;
  /** The backend's own, in this process, from decisions to the end. */
  readonly backendMs: number;
}

export async function bareLoad(size: Size, mode: Mode): Promise<BareLoad> {
  await using bed = await makeNode();
  const meaning = meaningOf(bed, size, mode);
  const record = recorder(bed);
  // Where elements cannot go past nft, it is given everything: the last thing that it is given.
  const alone: Spawn = (program, args) => record.start(program === 'perl' ? 'no-perl' : program, args);
  const recorded = await openBackend(bed, mode, alone);
  record.take();
  await recorded.replace(meaning.node, meaning.decisions);
  await recorded.close();
  const written = record.take().filter(writes);
  const runs = mode === 'nftables' ? written.slice(-1) : written;
  await using fresh = await makeNode();
  const bareMs = await replay(fresh, runs);
  await using other = await makeNode();
  const backend = await openBackend(other, mode);
  const started = performance.now();
  await backend.replace(meaning.node, meaning.decisions);
  const backendMs = performance.now() - started;
  await backend.close();
  return { bareMs, backendMs };
}

const loadGoals = { nftables: 1.5, iptables: 1.3 } as const;

/** A first load as the agent's process does it, beside the bare tool. */
export function loadRows(
  size: Size,
  mode: Mode,
  starts: readonly Started[],
  bares: readonly BareLoad[],
): readonly Row[] {
  const label = `${mode}, ${sizeText(size)}`;
  const name = mode === 'nftables' ? '`nft -f` of the same' : 'restores of the same';
  const bare = {
    bareMs: quantile(
      bares.map(({ bareMs }) => bareMs),
      0.5,
    ),
    backendMs: quantile(
      bares.map(({ backendMs }) => backendMs),
      0.5,
    ),
  };
  const middle = (pick: (one: Started) => number | undefined): number =>
    quantile(
      starts.map((one) => pick(one) ?? Number.NaN),
      0.5,
    );
  const fromList = middle(({ fromListMs }) => fromListMs);
  const decided = middle(({ decidedMs }) => decidedMs);
  return [
    {
      what: `${label}: list received → last Service answers`,
      unit: 'ms',
      ours: fromList,
      peer: { name, value: bare.bareMs },
      goal: { kind: 'at most', value: bare.bareMs * loadGoals[mode] },
    },
    {
      // No write can begin before: the least that the row above can be, whatever a backend does.
      what: `${label}: list received → decided, and then the bare tool`,
      unit: 'ms',
      ours: decided + bare.bareMs,
      peer: { name, value: bare.bareMs },
    },
    {
      what: `${label}: decisions → kernel, backend alone`,
      unit: 'ms',
      ours: bare.backendMs,
      peer: { name, value: bare.bareMs },
    },
  ];
}

/** One restart after each start, each with its own listing: times are the middle ones. */
export function restartRows(size: Size, mode: Mode, own: readonly Started[]): readonly Row[] {
  const restarts = own.flatMap(({ restart }) => restart ?? []);
  const middle = (pick: (one: Restart) => number): number => quantile(restarts.map(pick), 0.5);
  const most = (pick: (one: Restart) => number): number => Math.max(...restarts.map(pick));
  const listing = middle((restart) => restart.listingMs);
  const label = `${mode}, ${sizeText(size)}: restart`;
  return [
    {
      what: `${label}, changes that the kernel saw`,
      unit: 'changes',
      ours: most(({ changes }) => changes),
      goal: { kind: 'at most', value: 0 },
    },
    {
      what: `${label}, operations`,
      unit: 'operations',
      ours: most(({ operations }) => operations),
      goal: { kind: 'at most', value: 0 },
    },
    {
      what: `${label}, list received → nothing left to write`,
      unit: 'ms',
      ours: middle(({ ms }) => ms),
      peer: { name: 'listing alone', value: listing },
      goal: { kind: 'at most', value: listing * 1.5 },
    },
  ];
}

const lateOf = ({ late }: Started): number => Object.values(late).reduce((sum, count) => sum + count, 0);

/** What kube-proxy's figure must be a multiple of ours by; 1: not slower. */
const startGoals: Readonly<Record<Mode, Readonly<Record<number, number>>>> = {
  nftables: { 2_000: 1, 10_000: 10 },
  iptables: { 2_000: 10, 10_000: 10 },
};

/** Process start to serving, beside kube-proxy in the same mode, which is given up when it is far enough behind. */
export async function startRows(stage: Stage, mode: Mode, own: readonly Started[]): Promise<readonly Row[]> {
  const { size } = stage;
  const ours = quantile(
    own.map(({ seconds }) => seconds ?? Number.NaN),
    0.5,
  );
  const times = startGoals[mode][size.services] ?? 1;
  const limitSeconds = Math.max(30, ours * times * 1.5);
  const peer = await measureStart(stage, 'kube-proxy', mode, { limitSeconds });
  const name = peer.seconds === undefined ? 'kube-proxy, given up at' : 'kube-proxy';
  const label = `${mode}, ${sizeText(size)}`;
  return [
    {
      what: `${label}: process start → all Services answer`,
      unit: 's',
      ours,
      peer: { name, value: peer.seconds ?? limitSeconds },
      goal: { kind: 'times better', value: times },
    },
    {
      what: `${label}: Services that did not answer at once after the sample`,
      unit: 'Services',
      ours: Math.max(...own.map(lateOf)),
      peer: { name: 'kube-proxy', value: lateOf(peer) },
      goal: { kind: 'at most', value: 0 },
    },
    {
      what: `${label}: memory at its highest`,
      unit: 'MB',
      ours: Math.max(...own.map(({ memory }) => memory.peak)),
      peer: { name: 'kube-proxy', value: peer.memory.peak },
    },
  ];
}
