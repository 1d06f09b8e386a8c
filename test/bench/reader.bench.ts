/**
 * Reading a large cluster: our reader beside client-node's informer, from one scripted server, each in a
 * process of its own, three runs of each; the figures are medians.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { quantile } from './bench.ts';
import type { Bench, BenchOptions, Row } from './bench.ts';
import { fullCounts } from './reader/data.ts';
import type { Figures } from './reader/variant.ts';

const folder = join(import.meta.dirname, 'reader');
const runs = 3;

export const bench: Bench = {
  name: 'reader',
  summary: 'the cache of Nodes, Services and EndpointSlices, beside the informer of client-node',
  goal: '5,000 Nodes, 10,000 Services, 20,000 slices: 2× faster, 2.5× less peak memory, 10× shorter stalls',
  versions: async () => {
    const manifest = createRequire(import.meta.url).resolve('@kubernetes/client-node/package.json');
    const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { readonly version: string };
    return { 'client-node': version };
  },
  run,
};

async function run({ progress, signal }: BenchOptions): Promise<readonly Row[]> {
  progress('making the objects');
  const server = start(['server.ts', JSON.stringify(fullCounts)], signal);
  try {
    const { port, bytes } = (await firstLine(server)) as { readonly port: number; readonly bytes: number };
    progress(`serving ${(bytes / 1e6).toFixed(0)} MB of JSON`);
    const url = `http://127.0.0.1:${port}`;
    const figures: Record<string, Figures[]> = {};
    for (let round = 1; round <= runs; round += 1) {
      // In turn, so that a busy machine is busy for all of them.
      for (const variant of ['ours', 'informer', 'ours-paged']) {
        progress(`run ${round} of ${runs}: ${variant}`);
        const child = start(['variant.ts', variant, url, JSON.stringify(fullCounts)], signal);
        (figures[variant] ??= []).push((await firstLine(child)) as Figures);
      }
    }
    return rows(figures);
  } finally {
    server.kill();
  }
}

function rows(figures: Readonly<Record<string, readonly Figures[]>>): readonly Row[] {
  const median = (variant: string, figure: keyof Figures): number =>
    quantile(
      (figures[variant] ?? []).map((one) => one[figure]),
      0.5,
    );
  const row = (what: string, unit: string, figure: keyof Figures, times?: number): Row => ({
    what,
    unit,
    ours: rounded(median('ours', figure)),
    peer: { name: 'informer', value: rounded(median('informer', figure)) },
    ...(times === undefined ? {} : { goal: { kind: 'times better', value: times } }),
  });
  const paged = (what: string, unit: string, figure: keyof Figures): Row => ({
    what: `${what}, pages instead of a stream`,
    unit,
    ours: rounded(median('ours-paged', figure)),
    peer: { name: 'informer', value: rounded(median('informer', figure)) },
  });
  return [
    row('list everything', 'ms', 'listMs', 2),
    row('peak resident memory', 'MB', 'peakMb', 2.5),
    row('longest stall of the event loop', 'ms', 'stallMs', 10),
    row('heap kept', 'MB', 'heapMb'),
    row(`${fullCounts.updates} changes of slices`, 'ms', 'updatesMs'),
    paged('list everything', 'ms', 'listMs'),
    paged('peak resident memory', 'MB', 'peakMb'),
    paged('longest stall of the event loop', 'ms', 'stallMs'),
  ];
}

function start(args: readonly [string, ...string[]], signal: AbortSignal): ChildProcess {
  const [script, ...rest] = args;
  return spawn(process.execPath, ['--expose-gc', join(folder, script), ...rest], {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
  });
}

/** The first line that a child prints, parsed; an error when it ends without one. */
async function firstLine(child: ChildProcess): Promise<unknown> {
  if (child.stdout === null) throw new Error('no output to read');
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code !== 0) reject(new Error(`a process of the bench ended with code ${String(code)}`));
    });
  });
  return Promise.race([parsedLine(child.stdout), failed]);
}

async function parsedLine(stdout: NodeJS.ReadableStream): Promise<unknown> {
  for await (const line of createInterface({ input: stdout })) return JSON.parse(line);
  throw new Error('a process of the bench ended without a figure');
}

function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 10) / 10;
}
