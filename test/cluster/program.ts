/** The program as a user runs it, in an environment of its own. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { packageRoot } from '../../src/sandbox/sandbox.ts';

export const program = fileURLToPath(new URL('bin/sluice.js', packageRoot));

export interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

type Environment = Readonly<Record<string, string>>;

/** Nothing of this process leaks into the program but where to find programs. */
export function environment(more: Environment = {}): Environment {
  const { PATH = '', KUBEBUILDER_ASSETS, XDG_CACHE_HOME, HOME = '' } = process.env;
  return {
    PATH,
    HOME,
    ...(KUBEBUILDER_ASSETS === undefined ? {} : { KUBEBUILDER_ASSETS }),
    ...(XDG_CACHE_HOME === undefined ? {} : { XDG_CACHE_HOME }),
    AWS_ACCESS_KEY_ID: 'user',
    AWS_SECRET_ACCESS_KEY: 'user',
    AWS_EC2_METADATA_DISABLED: 'true',
    ...more,
  };
}

/** @param onErr told of standard error as it comes: what is waited for, rather than time. */
export function sluice(
  args: readonly string[],
  env: Environment = {},
  onErr: (text: string) => void = () => undefined,
): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env: environment(env), maxBuffer: 50_000_000, timeout: 240_000 },
      (error, out, err) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        // Whatever goes wrong, a user is never shown our insides.
        expect(out + err).not.toMatch(/\n\s+at .*\(?file:|Node\.js v\d/u);
        resolve({ code, out, err });
      },
    );
    child.stderr?.on('data', (text: string) => onErr(text));
    child.stdin?.end();
  });
}
