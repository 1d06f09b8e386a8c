/** What a program costs and says: memory of it and of its children, its log as lines with a time. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedProcess } from '../../../src/sandbox/processes.ts';

/** MB. */
export interface Memory {
  /** Resident now. */
  readonly resident: number;
  /** Its highest. */
  readonly peak: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const mb = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+)`, 'u').exec(status)?.[1] ?? 0) / 1024;
  return { resident: mb('VmRSS'), peak: mb('VmHWM') };
}

/** Looks at the children of a process every 50 ms. The returned function ends that: the highest sum of their sizes. */
export function watchChildren(pid: number): () => Promise<number> {
  const ended = new AbortController();
  let highest = 0;
  const work = (async () => {
    while (!ended.signal.aborted) {
      highest = Math.max(highest, await childrenNow(pid));
      await sleep(50);
    }
  })();
  return async () => {
    ended.abort();
    await work;
    return highest;
  };
}

async function childrenNow(pid: number): Promise<number> {
  try {
    const tasks = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    const pids = tasks.trim().split(' ').filter(Boolean).map(Number);
    const sizes = await Promise.all(pids.map((each) => memoryOf(each).catch(() => undefined)));
    return sizes.reduce((sum, size) => sum + (size?.resident ?? 0), 0);
  } catch {
    return 0;
  }
}

export interface LogLine {
  /** Milliseconds of the wall clock. */
  readonly at: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export async function logOf(process: ManagedProcess): Promise<readonly LogLine[]> {
  const text = await readFile(process.logFile, 'utf8');
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('{') || !line.endsWith('}')) return [];
    const read = JSON.parse(line) as { readonly time: string; readonly msg: string };
    return [{ ...read, at: Date.parse(read.time) }];
  });
}

/** Waits until a line of the log passes. */
export async function untilLogged(
  process: ManagedProcess,
  test: (lines: readonly LogLine[]) => boolean,
  limitMs = 60_000,
): Promise<readonly LogLine[]> {
  const end = performance.now() + limitMs;
  for (;;) {
    const lines = await logOf(process);
    if (test(lines)) return lines;
    if (performance.now() > end) throw new Error(`not in time:\n${await process.tail(20)}`);
    await sleep(50);
  }
}

/** When the agent had received its lists. */
export function listedAt(lines: readonly LogLine[]): number {
  const listed = lines.filter(({ msg }) => msg.startsWith('listed '));
  return Math.max(...listed.map(({ at }) => at));
}

/** When the agent had decided, and its writers began. */
export function decidedAt(lines: readonly LogLine[]): number {
  return lines.find(({ msg }) => msg === 'serving')?.at ?? Number.NaN;
}

export const wroteEverything = (lines: readonly LogLine[], families = 2): boolean =>
  lines.filter(({ msg }) => msg === 'wrote everything').length >= families;
