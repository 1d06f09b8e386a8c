/**
 * Builds programs of the control plane with Go: once on a machine, minutes long, so it says how far it is.
 *
 * Go runs under a supervisor: it ends when we end. What it makes on the way (some 3 GB) goes into a build cache
 * of our own, which is removed after a success and kept after a failure, so that the next try goes on from
 * there. Only Go's own store of downloaded modules is left behind, as after any build with Go. A program appears
 * in the target folder in one step, when it is complete.
 */
import { mkdir, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep, type Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { linkerFlags, packages, type BinaryName, type GoModule } from './go-module.ts';
import type { GoToolchain } from './go-toolchain.ts';
import { describeExit, Supervisor } from './processes.ts';

export interface BuildOptions {
  readonly names: readonly BinaryName[];
  readonly module: GoModule;
  readonly toolchain: GoToolchain;
  /** Where the programs go. On the same file system as `cache`. */
  readonly target: string;
  /** Where everything else goes that is needed on the way. */
  readonly cache: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const tellEveryMs = 10_000;
const pollMs = 250;
const neededBytes = 4e9;

/** Resolves when all programs are in the target folder. Rejects with a SluiceError that names a cure. */
export async function buildWithGo(options: BuildOptions): Promise<void> {
  const { cache, target, names, module } = options;
  await mkdir(target, { recursive: true });
  await requireSpace(cache);
  await using supervisor = await Supervisor.open('build-', { parent: cache, clock: options.clock });
  const buildCache = join(cache, 'go-build');
  const out = join(supervisor.folder, 'out');
  const temporary = join(supervisor.folder, 'tmp');
  await mkdir(out);
  await mkdir(temporary);
  const env = goEnvironment(options, { GOCACHE: buildCache, GOTMPDIR: temporary });
  const wanted = names.map((name) => packages[name]);
  const go = (name: string, args: readonly string[], tell: Teller): Promise<string> =>
    runGo(supervisor, { name, args, env }, options, tell);

  const reproducible = ['-trimpath', '-buildvcs=false'];
  // What an earlier try has compiled is not stale, and not compiled again.
  const stale = '{{if .Stale}}{{.ImportPath}}{{end}}';
  const listing = await go(
    'list',
    ['list', '-deps', ...reproducible, '-f', stale, ...wanted],
    (log, seconds) => {
      const count = downloads(log);
      return count === 0 ? undefined : `downloading modules: ${count} so far, ${seconds} s`;
    },
  );
  const total = packageLines(listing);
  const stamp = `-ldflags=${linkerFlags(module.kubernetes).join(' ')}`;
  await go('build', ['build', '-v', ...reproducible, stamp, '-o', `${out}/`, ...wanted], (log, seconds) =>
    describeCompiling(packageLines(log), total, seconds),
  );

  for (const name of names) await rename(join(out, await builtName(out, name)), join(target, name));
  await rm(buildCache, { recursive: true, force: true });
}

/** What is told about a build, from the packages begun and to do and the seconds gone by. */
export function describeCompiling(begun: number, total: number, seconds: number): string {
  return begun < total
    ? `compiled ${begun} of ${total} packages, ${seconds} s`
    : `all ${total} packages compiled, linking, ${seconds} s`;
}

type Teller = (log: string, seconds: number) => string | undefined;

async function runGo(
  supervisor: Supervisor,
  command: {
    readonly name: string;
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  },
  options: BuildOptions,
  tell: Teller,
): Promise<string> {
  const { clock, signal, module, progress } = options;
  const begun = clock.now();
  const process = await supervisor.start({
    name: `go-${command.name}`,
    program: 'go',
    args: command.args,
    env: command.env,
    directory: module.folder,
  });
  let toldAt = begun;
  while (process.ended() === undefined) {
    // Ends at once when the program does.
    await Promise.race([process.exited, sleep(clock, pollMs, signal)]);
    if (clock.now() - toldAt < tellEveryMs) continue;
    toldAt = clock.now();
    const line = tell(await readFile(process.logFile, 'utf8'), Math.round((toldAt - begun) / 1000));
    if (line !== undefined) progress(line);
  }
  const exit = await process.exited;
  const log = await readFile(process.logFile, 'utf8');
  if (exit.code === 0) return log;
  throw buildFailure(log, describeExit(exit), await supervisor.keepLogs());
}

/** Go announces each download on a line of its own. */
function downloads(log: string): number {
  return log.match(/^go: downloading /gm)?.length ?? 0;
}

function packageLines(log: string): number {
  return log.match(/^(?!go: |#)\S+$/gm)?.length ?? 0;
}

/** Go names a program after the last part of its path, but for a version, of which releases of Go think differently. */
async function builtName(out: string, name: BinaryName): Promise<string> {
  const made = await readdir(out);
  const candidates: readonly string[] = name === 'etcd' ? ['server', 'v3'] : [name];
  const found = candidates.find((candidate) => made.includes(candidate));
  if (found !== undefined) return found;
  throw new SluiceError('bug', `Go built ${made.join(', ')}, and none of it is ${name}`, {
    code: 'StrangeBuild',
  });
}

/** The person's own settings, but for those that would make other programs than we ask for. */
function goEnvironment(
  options: BuildOptions,
  folders: Readonly<Record<string, string>>,
): Record<string, string> {
  const own = Object.entries(options.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return {
    ...Object.fromEntries(own),
    ...folders,
    CGO_ENABLED: '0',
    GOFLAGS: '-mod=readonly',
    GOWORK: 'off',
    GOOS: options.toolchain.os,
    GOARCH: options.toolchain.arch,
  };
}

async function requireSpace(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= neededBytes) return;
  const free = (bavail * bsize) / 1e9;
  throw new SluiceError(
    'invalid',
    `building the control plane takes about ${neededBytes / 1e9} GB for a few minutes, and ${folder} has ` +
      `${free.toFixed(1)} GB free. Make room, or let XDG_CACHE_HOME point to a larger disk.`,
    { code: 'NoSpace' },
  );
}

const causes: readonly {
  readonly pattern: RegExp;
  readonly kind: 'transient' | 'invalid';
  readonly code: string;
  readonly cure: string;
}[] = [
  {
    pattern: /no space left on device/,
    kind: 'invalid',
    code: 'NoSpace',
    cure: 'The disk is full: make room, or let XDG_CACHE_HOME point to a larger one.',
  },
  {
    pattern: /signal: killed|cannot allocate memory/,
    kind: 'invalid',
    code: 'NoMemory',
    cure: 'The machine seems to have run out of memory; linking kube-apiserver takes about 2 GB.',
  },
  {
    pattern: /checksum mismatch|SECURITY ERROR/,
    kind: 'invalid',
    code: 'WrongModule',
    cure: 'A module is not the one that go.sum names: check the proxy in GOPROXY.',
  },
  {
    pattern:
      /dial tcp|no such host|i\/o timeout|connection re(?:fused|set)|TLS handshake|proxyconnect|unexpected EOF|GOPROXY=off|: 4\d\d |: 5\d\d |x509: /,
    kind: 'transient',
    code: 'CannotDownload',
    cure: 'Go could not download a module: check the network, and GOPROXY if you use a proxy of your own.',
  },
];

/** What Go's last words mean, with a cure where one is known. What has been compiled is kept for the next try. */
export function buildFailure(log: string, ended: string, logs: string): SluiceError {
  const known = causes.find(({ pattern }) => pattern.test(log));
  const words = log
    .split('\n')
    .filter((line) => /\s/.test(line.trim()) && !line.startsWith('go: downloading '))
    .slice(-10);
  const message = [
    `building the control plane with Go failed (${ended}).`,
    known?.cure ?? 'Go said:',
    ...words.map((line) => `  ${line}`),
    `Full log: ${logs}. The next try goes on where this one ended.`,
  ].join('\n');
  return new SluiceError(known?.kind ?? 'invalid', message, { code: known?.code ?? 'BuildFailed' });
}
