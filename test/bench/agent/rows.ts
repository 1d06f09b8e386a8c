/** The rows of one size, in an order that shares what is dear: one filled API server for all of them. */
import { quantile, type Row } from '../bench.ts';
import type { Choice, RowName } from './choice.ts';
import { changeRows } from './change.ts';
import { listsMs } from './floor.ts';
import { latencyRows } from './latency.ts';
import { lostRows } from './lost.ts';
import { packetRows } from './packets.ts';
import { liveRows, measureLive } from './live.ts';
import { memoryRows } from './memory.ts';
import { Stage, unlessGivenUp, type Mode } from './stage.ts';
import {
  bareLoad,
  loadRows,
  measureStart,
  restartRows,
  startRows,
  type BareLoad,
  type Started,
} from './start.ts';
import { sizeText, type Size } from './world.ts';

export interface StageOptions {
  readonly size: Size;
  readonly chosen: Choice;
  readonly progress: (text: string) => void;
  readonly signal: AbortSignal;
}

export async function measureStage(options: StageOptions): Promise<readonly Row[]> {
  const { size, chosen, progress, signal } = options;
  const any = (...names: readonly RowName[]): boolean => names.some((name) => chosen.rows.has(name));
  const rows: Row[] = [];
  // A long run that is cut off has told what it found.
  const add = (found: readonly Row[]): void => {
    rows.push(...found);
    for (const { what, ours, unit, peer } of found)
      progress(`${what}: ${ours} ${unit}${peer === undefined ? '' : ` (${peer.name}: ${peer.value})`}`);
  };
  const step = (text: string): void => {
    signal.throwIfAborted();
    progress(`${sizeText(size)}: ${text}`);
  };
  step('filling the API server');
  await using stage = await Stage.open(size);
  for (const mode of chosen.modes) {
    if (any('start', 'first-load', 'memory', 'restart')) add(await starts(stage, mode, chosen, step));
    if (any('change')) {
      step(`${mode}: slice changes`);
      add(await changeRows(stage, mode, besideKubeProxy(stage, mode, chosen) ? 120 : undefined));
    }
    if (any('create', 'remove', 'churn')) add(await lives(stage, mode, chosen, step));
    if (any('lost') && size.services <= 2_000) {
      step(`${mode}: connections while endpoints churn`);
      add(await lostRows(stage, mode, { alone: chosen.alone, tell: step }));
    }
    if (any('latency') && size.services > 2_000) {
      step(`${mode}: first packets`);
      add(await latencyRows(stage, mode));
    }
    if (any('packets') && size.services <= 2_000) {
      step(`${mode}: packets of an open flow`);
      add(await packetRows(stage, mode));
    }
  }
  return rows;
}

async function starts(
  stage: Stage,
  mode: Mode,
  chosen: Choice,
  step: (text: string) => void,
): Promise<readonly Row[]> {
  const { size } = stage;
  const own: Started[] = [];
  const bare: BareLoad[] = [];
  for (const turn of [1, 2, 3]) {
    step(`${mode}: our start ${turn}`);
    own.push(await measureStart(stage, 'ours', mode, { restart: chosen.rows.has('restart') }));
    step(JSON.stringify(own.at(-1)));
    // Between the starts, so that the machine's other work meets both.
    if (chosen.rows.has('first-load')) bare.push(await bareLoad(size, mode));
  }
  const rows: Row[] = [];
  if (chosen.rows.has('start') && !chosen.alone) {
    step(`${mode}: kube-proxy's start`);
    rows.push(...(await startRows(stage, mode, own)));
  }
  if (chosen.rows.has('first-load')) {
    rows.push(...loadRows(size, mode, own, bare));
    step(`${mode}: both lists by curl`);
    const bareMs = quantile(
      bare.map((each) => each.bareMs),
      0.5,
    );
    rows.push({
      what: `${mode}, ${sizeText(size)}: both lists by curl and then the bare tool, without any program of ours`,
      unit: 's',
      ours: ((await listsMs(stage)) + bareMs) / 1000,
    });
  }
  if (chosen.rows.has('memory')) rows.push(...memoryRows(size, mode, own));
  if (chosen.rows.has('restart')) rows.push(...restartRows(size, mode, own));
  return rows;
}

/** In its iptables mode kube-proxy takes minutes for 10,000 Services, and is left out there. */
function besideKubeProxy(stage: Stage, mode: Mode, { alone }: Choice): boolean {
  return !alone && (mode === 'nftables' || stage.size.services <= 2_000);
}

async function lives(
  stage: Stage,
  mode: Mode,
  chosen: Choice,
  step: (text: string) => void,
): Promise<readonly Row[]> {
  const options = {
    create: chosen.rows.has('create'),
    remove: chosen.rows.has('remove'),
    churn: chosen.rows.has('churn'),
    limitSeconds: 120,
  };
  step(`${mode}: our changes`);
  const ours = await measureLive(stage, 'ours', mode, options);
  step(JSON.stringify(ours));
  const beside = besideKubeProxy(stage, mode, chosen);
  if (beside) step(`${mode}: kube-proxy's changes`);
  const peer = beside ? await unlessGivenUp(measureLive(stage, 'kube-proxy', mode, options)) : undefined;
  step(JSON.stringify(peer));
  return liveRows(stage, mode, ours, peer);
}
