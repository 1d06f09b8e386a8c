/**
 * The bare tools, fed with what a backend of ours has fed them: the limit beside a figure. What a backend writes is
 * recorded once, into files, and then run again in a fresh namespace without any of our code on the way.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Backend } from '../../../src/agent/backend.ts';
import { openIptables } from '../../../src/agent/iptables/open.ts';
import { NftablesBackend } from '../../../src/agent/nftables/backend.ts';
import type { Spawn } from '../../../src/agent/tool.ts';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import { node, type Mode } from './stage.ts';

/** A backend of ours whose programs run in a node. */
export async function openBackend(
  bed: Bed,
  mode: Mode,
  start: Spawn = (program, args) => bed.spawn(node, program, args),
): Promise<Backend> {
  if (mode === 'nftables') return new NftablesBackend({ family: 'IPv4', start });
  return (await openIptables({ family: 'IPv4', spawn: start, variant: 'nft', pollMs: 3_600_000 })).backend;
}

export interface Run {
  readonly program: string;
  readonly args: readonly string[];
  readonly input: string;
}

export interface Recorder {
  readonly start: Spawn;
  /** What has been run since the last look, in order; of a program that runs on, what it was given since then. */
  take(): Run[];
}

export function recorder(bed: Bed): Recorder {
  let runs: { program: string; args: readonly string[]; parts: string[]; child: ChildProcess }[] = [];
  return {
    start: (program, args) => {
      const child: ChildProcess = bed.spawn(node, program, args);
      const run = { program, args, parts: [] as string[], child };
      runs.push(run);
      const { stdin } = child;
      if (stdin === null) return child;
      const tee = new PassThrough();
      tee.on('data', (data: Buffer) => run.parts.push(data.toString('utf8')));
      tee.pipe(stdin);
      child.stdin = tee;
      return child;
    },
    take: () => {
      const taken = runs.map(({ program, args, parts }) => ({ program, args, input: parts.join('') }));
      runs = runs.filter(({ child }) => child.exitCode === null && child.signalCode === null);
      for (const run of runs) run.parts = [];
      return taken;
    },
  };
}

/** Those that write rules. */
export const writes = ({ program, args, input }: Run): boolean =>
  input !== '' &&
  !args.includes('-c') &&
  !args.includes('--check') &&
  (program === 'nft' || /restore/u.test(program) || (program === 'ipset' && args.includes('restore')));

let files = 0;

/** Milliseconds that the tools alone take for the same input. */
export async function replay(bed: Bed, runs: readonly Run[]): Promise<number> {
  const folder = await bed.folder();
  const prepared: { readonly run: Run; readonly file: string }[] = [];
  for (const run of runs) {
    files += 1;
    const file = join(folder, `input-${files}`);
    await writeFile(file, run.input);
    prepared.push({ run, file });
  }
  const started = performance.now();
  for (const { run, file } of prepared) {
    const input = openSync(file, 'r');
    try {
      const args = ['netns', 'exec', bed.namespace(node), run.program, ...run.args];
      const child = spawn('ip', args, { stdio: [input, 'ignore', 'inherit'] });
      const [code] = (await once(child, 'close')) as [number | null];
      if (code !== 0) throw new Error(`${run.program} ${run.args.join(' ')}: exit code ${String(code)}`);
    } finally {
      closeSync(input);
    }
  }
  return performance.now() - started;
}
