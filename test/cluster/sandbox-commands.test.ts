/**
 * `sluice sandbox` and `sluice demo` as a user runs them: exit codes, words, and that nothing is left of them, however
 * they end.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../src/sandbox/demo/stage.ts';
import { environment, program, sluice } from './program.ts';

describe('sandbox and demo', () => {
  /** Of one try of one test: what a failed one leaves is not taken for the next one's. */
  let folder: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slc-'));
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true, maxRetries: 50 });
  });

  /** What a sandbox that has ended may leave in its temporary folder: nothing. */
  const leftovers = (): Promise<readonly string[]> => readdir(folder);

  test('sandbox -- COMMAND hands through the exit code, and dump inside shows what came of it', async () => {
    // What a user's CI would do, with Node in place of kubectl.
    const script = join(folder, 'ci.sh');
    await writeFile(
      script,
      `set -e
test -n "$KUBECONFIG"
"$NODE" "$SLUICE" sandbox dump > "$OUT"
exit 7
`,
    );
    const out = join(folder, 'dump.json');
    const answer = await sluice(['sandbox', '--', 'sh', script], {
      TMPDIR: folder,
      NODE: process.execPath,
      SLUICE: program,
      OUT: out,
    });
    expect(answer.code).toBe(7);
    expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({
      account: { loadBalancers: [], targetGroups: [] },
    });
    const onAlibaba = await sluice(['sandbox', '--provider', 'alibaba', '--', 'sh', script], {
      TMPDIR: folder,
      NODE: process.execPath,
      SLUICE: program,
      OUT: out,
    });
    expect(onAlibaba.code).toBe(7);
    expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({
      account: { region: 'cn-hangzhou', loadBalancers: [] },
    });
    await rm(script);
    await rm(out);
    expect(await leftovers()).toEqual([]);
    const missing = await sluice(['sandbox', '--no-controller', '--', 'no-such-program'], { TMPDIR: folder });
    expect(missing.code).not.toBe(0);
    expect(missing.err).toContain('there is no program called no-such-program');
    expect(await leftovers()).toEqual([]);
  });

  test('sandbox dump without a sandbox says how to start one', async () => {
    const answer = await sluice(['sandbox', 'dump'], { TMPDIR: folder });
    expect(answer).toMatchObject({ code: 1, out: '' });
    expect(answer.err).toContain('start one with `sluice sandbox`');
  });

  test.for(['SIGINT', 'SIGTERM'] as const)(
    'a sandbox that is ended by %s leaves no process and no folder',
    async (signal) => {
      const child = spawn(process.execPath, [program, 'sandbox'], {
        env: environment({ TMPDIR: folder }),
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      children.push(child);
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
      await until('the sandbox to be ready', () => Promise.resolve(said.includes('Ctrl-C') || undefined), {
        limitMs: 200_000,
      });
      const [, kubeconfig = ''] = /KUBECONFIG=(\S+)/u.exec(said) ?? [];
      expect(kubeconfig.startsWith(folder)).toBe(true);
      expect((await processesIn(folder)).length).toBeGreaterThan(2);
      const ended = new Promise<number | null>((resolve) => {
        child.on('exit', resolve);
      });
      child.kill(signal);
      expect(await ended).toBe(0);
      expect(await processesIn(folder)).toEqual([]);
      expect(await leftovers()).toEqual([]);
    },
  );

  test.for([
    ['etcd', []],
    ['kube-apiserver', []],
    ['controller', ['--', 'sleep', '100']],
  ] as const)('a sandbox whose %s ends by itself says so at once and ends with 1', async ([name, rest]) => {
    const child = spawn(process.execPath, [program, 'sandbox', ...rest], {
      env: environment({ TMPDIR: folder }),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    children.push(child);
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    // Not before all that it said has been read.
    const ended = new Promise<number | null>((resolve) => {
      child.on('close', resolve);
    });
    // What is written once it is up.
    await until(
      'the sandbox to be ready',
      async () => (await leftovers()).find((file) => file.endsWith('.json')),
      {
        limitMs: 200_000,
      },
    );
    const isServer = (line: readonly string[]): boolean =>
      name === 'controller' ? line[2] === 'controller' : line[0]?.endsWith(`/${name}`) === true;
    const [victim] = (await processesIn(folder)).filter(({ line }) => isServer(line));
    process.kill(Number(victim?.id), 'SIGKILL');
    expect(await ended).toBe(1);
    expect(said).toMatch(
      new RegExp(`sluice: the sandbox broke down: ${name}\\S* ended \\(signal SIGKILL\\)`, 'u'),
    );
    expect(await processesIn(folder)).toEqual([]);
    expect(await leftovers()).toEqual([]);
  });

  test.for([
    ['aws', ['--provider', 'aws']],
    ['alibaba', ['--provider', 'alibaba']],
    ['a laptop', ['--laptop']],
  ] as const)('demo --once tells the story of %s to the end and leaves nothing', async ([_whose, args]) => {
    const answer = await sluice(['demo', '--once', ...args], { TMPDIR: folder });
    expect(answer.err).toBe('');
    expect(answer.code).toBe(0);
    expect(answer.out).toContain('The whole story held');
    expect(await processesIn(folder)).toEqual([]);
    expect(await leftovers()).toEqual([]);
  });

  test('demo --laptop with a cloud is refused', async () => {
    const answer = await sluice(['demo', '--laptop', '--provider', 'aws']);
    expect(answer).toMatchObject({ code: 64, out: '' });
    expect(answer.err).toContain('--laptop goes with --provider local');
  });
});

/** The processes whose command line names the folder. */
async function processesIn(
  folder: string,
): Promise<readonly { readonly id: string; readonly line: readonly string[] }[]> {
  const found: { id: string; line: readonly string[] }[] = [];
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/u.test(id)) continue;
    const line = await readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(folder)) found.push({ id, line: line.split('\0') });
  }
  return found;
}
