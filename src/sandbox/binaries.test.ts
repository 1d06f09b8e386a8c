/** How programs are found and built, with stand-ins for Go and for the programs. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { SluiceError } from '../core/errors.ts';
import { findBinaries } from './binaries.ts';
import { readGoModule } from './go-module.ts';

let folder: string;
let told: string[];
const { cacheKey } = await readGoModule();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  told = [];
  onTestFinished(() => rm(folder, { recursive: true }));
});

const cacheFolder = (): string => join(folder, 'cache', 'sluice', cacheKey);

async function program(path: string, source = ''): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!${process.execPath}\n${source}\n`);
  await chmod(path, 0o755);
}

function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: join(folder, 'bin'), HOME: folder, XDG_CACHE_HOME: join(folder, 'cache'), ...more };
}

/** A Go that answers `env` and `list`, and at `build` does what `onBuild` says; each call is one line of calls.log. */
async function fakeGo(onBuild: string, version = 'go1.99.0'): Promise<void> {
  await program(
    join(folder, 'bin', 'go'),
    `const fs = require('node:fs');
     const { join } = require('node:path');
     const args = process.argv.slice(2);
     fs.appendFileSync(${JSON.stringify(join(folder, 'calls.log'))}, JSON.stringify({
       args, flags: process.env.GOFLAGS, cgo: process.env.CGO_ENABLED, os: process.env.GOOS,
       cache: process.env.GOCACHE, cwd: process.cwd(),
     }) + '\\n');
     if (args[0] === 'env') {
       console.log(JSON.stringify({ GOVERSION: ${JSON.stringify(version)}, GOTOOLCHAIN: 'local', GOHOSTOS: 'linux', GOHOSTARCH: 'amd64' }));
     }
     if (args[0] === 'list') console.log('unsafe\\nruntime\\nmain');
     if (args[0] === 'build') {
       fs.mkdirSync(process.env.GOCACHE, { recursive: true });
       const out = args[args.indexOf('-o') + 1];
       const wanted = args.slice(args.indexOf('-o') + 2);
       ${onBuild}
     }`,
  );
}

const buildsAll = `for (const path of wanted) {
  fs.writeFileSync(join(out, path.endsWith('/v3') ? 'server' : path.split('/').at(-1)), 'made', { mode: 0o755 });
}`;

interface GoCall {
  readonly args: readonly string[];
  readonly flags: string;
  readonly cgo: string;
  readonly os: string;
  readonly cache: string;
}

async function goCalls(verb: string): Promise<readonly GoCall[]> {
  const lines = (await readFile(join(folder, 'calls.log'), 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as GoCall).filter(({ args }) => args[0] === verb);
}

function find<const Name extends 'etcd' | 'kube-apiserver' | 'kubectl'>(
  names: readonly Name[],
  more: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<Name, string>>> {
  return findBinaries(names, { env: environment(more), progress: (line) => told.push(line) });
}

async function failure(attempt: Promise<unknown>): Promise<SluiceError> {
  const none = Symbol('none');
  const error = await attempt.then(
    () => none,
    (thrown: unknown) => thrown,
  );
  if (error === none) throw new Error('it did not fail');
  return error as SluiceError;
}

test('KUBEBUILDER_ASSETS wins over the cache', async () => {
  const assets = join(folder, 'assets');
  await program(join(assets, 'etcd'));
  await program(join(cacheFolder(), 'etcd'));
  expect(await find(['etcd'], { KUBEBUILDER_ASSETS: assets })).toEqual({ etcd: join(assets, 'etcd') });
});

test('what KUBEBUILDER_ASSETS lacks comes from the cache', async () => {
  const assets = join(folder, 'assets');
  await program(join(assets, 'etcd'));
  await program(join(cacheFolder(), 'kubectl'));
  expect(await find(['etcd', 'kubectl'], { KUBEBUILDER_ASSETS: assets })).toEqual({
    etcd: join(assets, 'etcd'),
    kubectl: join(cacheFolder(), 'kubectl'),
  });
});

test('an API server that is too old is passed over, and that is told', async () => {
  const assets = join(folder, 'assets');
  await program(join(assets, 'kube-apiserver'), 'console.log("Kubernetes v1.33.1")');
  await program(join(cacheFolder(), 'kube-apiserver'));
  const found = await find(['kube-apiserver'], { KUBEBUILDER_ASSETS: assets });
  expect(found['kube-apiserver']).toBe(join(cacheFolder(), 'kube-apiserver'));
  expect(told).toEqual([expect.stringMatching(/passed over.*v1\.33\.1.*1\.36 or newer/)]);
});

test.each(['Kubernetes v1.36.0', 'Kubernetes v1.40.2', 'Kubernetes v0.0.0-master+$Format:%H$'])(
  'an API server that says "%s" is taken',
  async (printed) => {
    const assets = join(folder, 'assets');
    await program(join(assets, 'kube-apiserver'), `console.log(${JSON.stringify(printed)})`);
    const found = await find(['kube-apiserver'], { KUBEBUILDER_ASSETS: assets });
    expect(found['kube-apiserver']).toBe(join(assets, 'kube-apiserver'));
    expect(told).toEqual([]);
  },
);

test('without programs and without Go, the three ways out are named', async () => {
  const error = await failure(find(['etcd', 'kubectl'], { KUBEBUILDER_ASSETS: join(folder, 'assets') }));
  expect(error).toMatchObject({ kind: 'invalid', code: 'NoBinaries' });
  expect(error.message).toContain('etcd, kubectl');
  expect(error.message).toContain(join(folder, 'assets'));
  expect(error.message).toContain('no Go on PATH');
  expect(error.message).toMatch(
    /1\. Install Go 1\.\d+.*\n.*2\. Set KUBEBUILDER_ASSETS.*\n.*3\. Copy them into/,
  );
  expect(error.message).toContain(cacheFolder());
});

test('a Go that is too old and may not fetch another is named', async () => {
  await fakeGo(buildsAll, 'go1.24.1');
  const error = await failure(find(['etcd']));
  expect(error.message).toMatch(/Go on PATH is 1\.24\.1 .* GOTOOLCHAIN is local/);
});

test('what is missing is built from the module into the cache, and nothing else is left', async () => {
  await fakeGo(buildsAll);
  const found = await find(['etcd', 'kube-apiserver'], { GOFLAGS: '-mod=vendor', GOOS: 'plan9' });
  expect(found).toEqual({
    etcd: join(cacheFolder(), 'etcd'),
    'kube-apiserver': join(cacheFolder(), 'kube-apiserver'),
  });
  expect((await readdir(cacheFolder())).toSorted()).toEqual(['etcd', 'kube-apiserver']);
  expect((await readdir(join(folder, 'cache', 'sluice'))).toSorted()).toEqual(['build.lock', cacheKey]);

  const [call] = await goCalls('build');
  expect(call).toMatchObject({ flags: '-mod=readonly', cgo: '0', os: 'linux' });
  expect(call?.args).toContain('-trimpath');
  expect(call?.args.slice(-2)).toEqual(['go.etcd.io/etcd/server/v3', 'k8s.io/kubernetes/cmd/kube-apiserver']);
  expect(told[0]).toMatch(/building etcd, kube-apiserver .*with Go/);
  expect(told.at(-1)).toMatch(/built in \d+ s/);
});

test('only what is missing is built', async () => {
  await fakeGo(buildsAll);
  await program(join(cacheFolder(), 'etcd'));
  await find(['etcd', 'kubectl']);
  expect((await goCalls('build'))[0]?.args.slice(-1)).toEqual(['k8s.io/kubernetes/cmd/kubectl']);
  await find(['etcd', 'kubectl']);
  expect(await goCalls('build')).toHaveLength(1);
});

test('two who ask at once share one build', async () => {
  await fakeGo(`Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);\n${buildsAll}`);
  const [first, second] = await Promise.all([find(['etcd']), find(['etcd'])]);
  expect(first).toEqual(second);
  expect(await goCalls('build')).toHaveLength(1);
  expect(told.some((line) => line.includes('another process is building'))).toBe(true);
});

test('a failed build leaves no program, keeps what was compiled, and the next one succeeds', async () => {
  await fakeGo(`fs.writeFileSync(join(process.env.GOCACHE, 'object'), '');
    fs.writeFileSync(join(out, 'server'), 'half', { mode: 0o755 });
    console.error('# go.etcd.io/etcd\\nmain.go:3:1: syntax error here'); process.exit(1);`);
  const error = await failure(find(['etcd']));
  const logs = /Full log: (\S+)\. /.exec(error.message)?.[1] ?? '';
  onTestFinished(() => rm(logs, { recursive: true }));
  expect(error.code).toBe('BuildFailed');
  expect(error.message).toContain('main.go:3:1: syntax error here');
  expect(await readdir(logs)).toContain('go-build.log');
  expect(await readdir(cacheFolder())).toEqual([]);
  const [call] = await goCalls('build');
  expect(existsSync(join(call?.cache ?? '', 'object'))).toBe(true);

  await fakeGo(buildsAll);
  expect((await find(['etcd'])).etcd).toBe(join(cacheFolder(), 'etcd'));
  expect(existsSync(call?.cache ?? '')).toBe(false);
});

test('a build that is called off ends Go', async () => {
  await fakeGo(
    `fs.writeFileSync(${JSON.stringify(join(folder, 'pid'))}, String(process.pid)); setInterval(() => {}, 1000);`,
  );
  const controller = new AbortController();
  const attempt = findBinaries(['etcd'], { env: environment(), signal: controller.signal });
  attempt.catch(() => {});
  await expect.poll(() => existsSync(join(folder, 'pid')), { timeout: 8_000 }).toBe(true);
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
  controller.abort(new Error('enough'));
  await expect(attempt).rejects.toThrow('enough');
  await expect.poll(() => isAlive(pid)).toBe(false);
});

test('a cache that cannot be made is named with its cure', async () => {
  await fakeGo(buildsAll);
  await writeFile(join(folder, 'cache'), 'a file');
  const error = await failure(find(['etcd']));
  expect(error.code).toBe('NoCache');
  expect(error.message).toMatch(/cache\/sluice, which cannot be made.*XDG_CACHE_HOME/);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
