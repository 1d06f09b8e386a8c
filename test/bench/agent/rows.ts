/** The rows of one size, in an order that shares what is dear: one filled API server for all of them. */
import type { Row } from '../bench.ts';
import type { Choice, RowName } from './choice.ts';
import { Stage, type Mode } from './stage.ts';
import {
  bareLoad,
  loadRows,
  measureStart,
  memoryRows,
  restartRows,
  startRows,
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
  const step = (text: string): void => {
    signal.throwIfAborted();
    progress(`${sizeText(size)}: ${text}`);
  };
  if (any('start', 'first-load', 'memory', 'restart')) {
    step('filling the API server');
    await using stage = await Stage.open(size);
    for (const mode of chosen.modes) {
      if (any('start', 'first-load', 'memory', 'restart'))
        rows.push(...(await starts(stage, mode, chosen, step)));
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
  for (const turn of [1, 2, 3]) {
    step(`${mode}: our start ${turn}`);
    own.push(await measureStart(stage, 'ours', mode, { restart: chosen.rows.has('restart') && turn === 1 }));
    step(JSON.stringify(own.at(-1)));
  }
  const rows: Row[] = [];
  if (chosen.rows.has('start')) {
    step(`${mode}: kube-proxy's start`);
    rows.push(...(await startRows(stage, mode, own)));
  }
  if (chosen.rows.has('first-load')) {
    step(`${mode}: the bare tool`);
    rows.push(...loadRows(size, mode, own, await bareLoad(size, mode)));
  }
  if (chosen.rows.has('memory')) rows.push(...memoryRows(size, mode, own));
  const [first] = own;
  if (chosen.rows.has('restart') && first !== undefined) rows.push(...restartRows(size, mode, first));
  return rows;
}
