/** `sluice demo` as root: the whole story with nodes and packets, and that nothing of it stays, however it ends. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { existing } from '../../src/sandbox/bed/names.ts';
import { until } from './check.ts';

const program = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slc-demo-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Demo {
  readonly child: ChildProcess;
  readonly said: () => string;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string | null>;
}

function demo(): Demo {
  let said = '';
  const child = spawn(process.execPath, [program, 'demo', '--once'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  const ended = new Promise<number | string | null>((resolve) => {
    child.on('close', (code, signal) => resolve(signal ?? code));
  });
  return { child, said: () => said, ended };
}

const namespacesOf = ({ child }: Demo): readonly string[] =>
  existing().filter((name) => name.startsWith(`sluice-bed-${child.pid ?? 0}-`));

async function agentsStart(running: Demo): Promise<void> {
  const starts = (): Promise<boolean> => Promise.resolve(running.said().includes('Starting an agent'));
  await until('the agents start', starts, 60_000, 50);
}

test('it holds, tells the gap of a takeover, and leaves neither namespaces nor files', async () => {
  const running = demo();
  expect(await running.ended, running.said()).toBe(0);
  expect(running.said()).toMatch(/✓ \d+ ms: n\d answers for 172\.31\.0\.50 now/u);
  expect(running.said()).toContain('The whole story held');
  expect(namespacesOf(running)).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});

test('ended by SIGINT in the middle it says so by its exit code and leaves nothing', async () => {
  const running = demo();
  await agentsStart(running);
  expect(namespacesOf(running).length).toBeGreaterThan(5);
  running.child.kill('SIGINT');
  expect(await running.ended).toBe(1);
  expect(running.said()).not.toContain('broke off');
  expect(namespacesOf(running)).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});

test('of a killed one the processes and files go at once, the namespaces with the next bed', async () => {
  const running = demo();
  await agentsStart(running);
  running.child.kill('SIGKILL');
  expect(await running.ended).toBe('SIGKILL');
  await until('its files are gone', async () => (await readdir(folder)).length === 0, 20_000, 50);
  const bed = await Bed.make({ nodes: 1, podsPerNode: 0, clients: 0 });
  await bed.remove();
  expect(namespacesOf(running)).toEqual([]);
});
