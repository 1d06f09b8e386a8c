/**
 * Is there a Go that can build the control plane? Go 1.21 and newer can fetch a newer Go by itself, unless its
 * setting GOTOOLCHAIN forbids that; then the person decides, not we.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SluiceError } from '../core/errors.ts';
import { atLeast } from './go-module.ts';

export interface GoToolchain {
  /** For example `1.26.8`. */
  readonly version: string;
  /** The machine's own system and processor, in Go's words. */
  readonly os: string;
  readonly arch: string;
}

export type GoVerdict =
  | { readonly kind: 'ready'; readonly toolchain: GoToolchain }
  /** Too old itself, but it will fetch a Go that is new enough. */
  | { readonly kind: 'fetches'; readonly toolchain: GoToolchain }
  /** `why` completes the sentence "cannot be built, because …". */
  | { readonly kind: 'unfit'; readonly why: string };

type Environment = Readonly<Record<string, string | undefined>>;

/** The first Go that could fetch another one. */
const firstThatFetches = '1.21';

export async function findGo(needed: string, env: Environment): Promise<GoVerdict> {
  let output: string;
  try {
    // At the root no go.mod or go.work of somebody else has a say.
    const asked = ['env', '-json', 'GOVERSION', 'GOTOOLCHAIN', 'GOHOSTOS', 'GOHOSTARCH'];
    const options = { cwd: '/', env: { ...env, GOWORK: 'off' }, timeout: 60_000 };
    ({ stdout: output } = await promisify(execFile)('go', asked, options));
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException & { readonly stderr?: string };
    if (error.code === 'ENOENT') return { kind: 'unfit', why: `there is no Go on PATH (${needed} or newer)` };
    return { kind: 'unfit', why: `Go on PATH does not work: ${(error.stderr ?? error.message).trim()}` };
  }
  return judgeGo(needed, output);
}

/** `output` is what `go env -json` printed. */
export function judgeGo(needed: string, output: string): GoVerdict {
  let settings: Partial<Record<'GOVERSION' | 'GOTOOLCHAIN' | 'GOHOSTOS' | 'GOHOSTARCH', string>>;
  try {
    settings = JSON.parse(output) as typeof settings;
  } catch (cause) {
    throw new SluiceError('invalid', `"go env -json" printed something else: ${output.slice(0, 200)}`, {
      code: 'StrangeGo',
      cause,
    });
  }
  const { GOVERSION = '', GOTOOLCHAIN = '', GOHOSTOS = '', GOHOSTARCH = '' } = settings;
  const version = /go(\d[\w.]*)/.exec(GOVERSION)?.[1] ?? '0';
  const toolchain = { version, os: GOHOSTOS, arch: GOHOSTARCH };
  if (atLeast(version, needed)) return { kind: 'ready', toolchain };
  const found = `Go on PATH is ${version} and ${needed} or newer is needed`;
  if (!atLeast(version, firstThatFetches)) return { kind: 'unfit', why: found };
  if (GOTOOLCHAIN === 'auto' || GOTOOLCHAIN.endsWith('+auto')) return { kind: 'fetches', toolchain };
  return {
    kind: 'unfit',
    why: `${found}; it may not fetch one, because GOTOOLCHAIN is ${GOTOOLCHAIN} (auto would let it)`,
  };
}
