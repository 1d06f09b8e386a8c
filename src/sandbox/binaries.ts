/**
 * Where the programs of a control plane come from, in this order: the folder that KUBEBUILDER_ASSETS names (the
 * convention of envtest), our own cache outside the checkout, and else a build with Go into that cache.
 *
 * Only what is asked for is looked for and built. Several processes may ask at once: one builds, the others wait.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock, type Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { buildWithGo } from './go-build.ts';
import { atLeast, readGoModule, type BinaryName, type GoModule } from './go-module.ts';
import { findGo, type GoToolchain } from './go-toolchain.ts';
import { withLock } from './lock.ts';

export type { BinaryName } from './go-module.ts';

export interface FindOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Is told, in one line each, what takes long or was passed over, and why. */
  readonly progress?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

/** The oldest Kubernetes that the sandbox is made for. */
const oldestKubernetes = '1.36';
const tellEveryMs = 10_000;

interface Search {
  readonly module: GoModule;
  /** Value of KUBEBUILDER_ASSETS. */
  readonly assets: string | undefined;
  /** Our own folder: the caches of all versions. */
  readonly home: string;
  /** The programs of this version. */
  readonly cache: string;
  readonly tell: (line: string) => void;
}

/**
 * The path of each program. Builds what is missing, which takes minutes; rejects with a SluiceError that names
 * the ways out when that cannot be done.
 */
export async function findBinaries<const Name extends BinaryName>(
  names: readonly Name[],
  options: FindOptions = {},
): Promise<Readonly<Record<Name, string>>> {
  const { env = process.env, clock = systemClock, progress: tell = () => {}, signal } = options;
  const module = await readGoModule();
  const home = join(cacheHome(env), 'sluice');
  const assets = env['KUBEBUILDER_ASSETS'];
  const search: Search = {
    module,
    assets: assets === '' ? undefined : assets,
    home,
    cache: join(home, module.cacheKey),
    tell,
  };

  const found = await look(search, names);
  const missing = names.filter((name) => !found.has(name));
  if (missing.length > 0) {
    const verdict = await findGo(module.go, env);
    if (verdict.kind === 'unfit') throw nothingFound(search, missing, verdict.why);
    if (search.assets !== undefined)
      tell(`KUBEBUILDER_ASSETS (${search.assets}) has no ${missing.join(', ')}`);
    if (verdict.kind === 'fetches') {
      tell(`Go ${verdict.toolchain.version} will fetch a Go that is new enough (${module.go})`);
    }
    await build(search, missing, { toolchain: verdict.toolchain, env, clock, signal });
    for (const [name, path] of await lookInCache(search, missing)) found.set(name, path);
  }
  return Object.fromEntries(found) as Record<Name, string>;
}

type Found<Name extends BinaryName> = Map<Name, string>;

async function look<Name extends BinaryName>(search: Search, names: readonly Name[]): Promise<Found<Name>> {
  const found = await lookInCache(search, names);
  if (search.assets === undefined) return found;
  for (const name of names) {
    const path = join(search.assets, name);
    if ((await isProgram(path)) && (await isNewEnough(search, name, path))) found.set(name, path);
  }
  return found;
}

async function lookInCache<Name extends BinaryName>(
  search: Search,
  names: readonly Name[],
): Promise<Found<Name>> {
  const found: Found<Name> = new Map();
  for (const name of names) {
    const path = join(search.cache, name);
    if (await isProgram(path)) found.set(name, path);
  }
  return found;
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** An API server from before the oldest Kubernetes is passed over, and that is said. A build without a stamp passes. */
async function isNewEnough(search: Search, name: BinaryName, path: string): Promise<boolean> {
  if (name !== 'kube-apiserver') return true;
  let printed: string;
  try {
    printed = (await promisify(execFile)(path, ['--version'], { timeout: 30_000 })).stdout.trim();
  } catch (error) {
    search.tell(`${path} is passed over: it does not run (${(error as Error).message.split('\n')[0]})`);
    return false;
  }
  if (printed.includes('v0.0.0') || atLeast(printed, oldestKubernetes)) return true;
  search.tell(`${path} is passed over: it is ${printed}, and ${oldestKubernetes} or newer is needed`);
  return false;
}

/** One builder at a time; who waited takes what the other one built. */
async function build(
  search: Search,
  names: readonly BinaryName[],
  context: {
    readonly toolchain: GoToolchain;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly clock: Clock;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { tell, cache, home, module } = search;
  const { clock } = context;
  await makeFolder(home);
  let toldAt = -Infinity;
  const onWait = (waitedMs: number): void => {
    if (clock.now() - toldAt < tellEveryMs) return;
    toldAt = clock.now();
    tell(`another process is building the control plane; waiting, ${Math.round(waitedMs / 1000)} s`);
  };
  await withLock(join(home, 'build.lock'), { clock, signal: context.signal, onWait }, async () => {
    const built = await lookInCache(search, names);
    const missing = names.filter((name) => !built.has(name));
    if (missing.length === 0) return;
    const begun = clock.now();
    tell(
      `building ${missing.join(', ')} (Kubernetes ${module.kubernetes}) with Go: once on this machine, ` +
        `a few minutes, kept in ${cache}`,
    );
    await buildWithGo({ ...context, names: missing, module, target: cache, cache: home, progress: tell });
    tell(`built in ${Math.round((clock.now() - begun) / 1000)} s`);
  });
}

/** XDG Base Directory Specification: a path that is not absolute is to be ignored. */
function cacheHome(env: Readonly<Record<string, string | undefined>>): string {
  const chosen = env['XDG_CACHE_HOME'];
  return chosen !== undefined && isAbsolute(chosen) ? chosen : join(env['HOME'] ?? homedir(), '.cache');
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    const why = (cause as Error).message;
    throw new SluiceError(
      'invalid',
      `the programs of the control plane are kept in ${path}, which cannot be made: ${why}. ` +
        'Let XDG_CACHE_HOME point to a folder that you may write to.',
      { code: 'NoCache', cause },
    );
  }
}

function nothingFound(search: Search, missing: readonly BinaryName[], why: string): SluiceError {
  const list = missing.join(', ');
  const assets =
    search.assets === undefined ? 'KUBEBUILDER_ASSETS is not set' : `not in ${search.assets} either`;
  const message = [
    `the control plane needs ${list}: not in the cache (${search.cache}), ${assets}, and not to be built, because ${why}.`,
    'Any one of these mends it:',
    `  1. Install Go ${search.module.go} or newer (https://go.dev/dl). They are then built once, in a few minutes.`,
    `  2. Set KUBEBUILDER_ASSETS to a folder that holds ${list}, Kubernetes ${oldestKubernetes} or newer.`,
    `  3. Copy them into ${search.cache} from a machine of the same kind that has built them.`,
  ].join('\n');
  return new SluiceError('invalid', message, { code: 'NoBinaries' });
}
