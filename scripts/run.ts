/**
 * Runs a program of the checkout for a script, output collected, with the local tools and the Node that
 * npm brought along first in PATH: the same whether a script was started by npm or by hand.
 *
 * A child never outlives the script: a time limit and the usual signals end it.
 */
import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout, without a slash at the end. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

export interface Run {
  /** Undefined when a signal or the time limit ended it. */
  readonly code: number | undefined;
  /** Both streams, in the order in which they came. */
  readonly output: string;
  readonly seconds: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly limitMs: number;
  /** Called every `everyMs` while the program runs. */
  readonly progress?: { readonly everyMs: number; readonly tell: (seconds: number) => void };
}

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Tools colour their output in CI too, where nobody wants it. */
function colours(): Record<string, string | undefined> {
  return process.stdout.isTTY ? {} : { NO_COLOR: '1', FORCE_COLOR: undefined };
}

export function run(command: string, args: readonly string[], options: RunOptions): Promise<Run> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  return new Promise((resolve) => {
    const path = `${join(root, 'node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`;
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...colours(), ...options.env, PATH: path },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const collect = (chunk: string): void => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);

    const limit = setTimeout(() => {
      collect(`\nended after the limit of ${options.limitMs / 1000} s\n`);
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
    }, options.limitMs);
    const { progress } = options;
    const ticker = progress && setInterval(() => progress.tell(seconds()), progress.everyMs);
    const forward = (signal: NodeJS.Signals): void => {
      child.kill(signal);
      process.exitCode = 1;
    };
    for (const signal of forwarded) process.on(signal, forward);

    const done = (code: number | null): void => {
      clearTimeout(limit);
      clearInterval(ticker);
      for (const signal of forwarded) process.off(signal, forward);
      resolve({ code: code ?? undefined, output, seconds: seconds() });
    };
    child.on('error', (error) => {
      collect(`${error.message}\n`);
      done(null);
    });
    child.on('close', done);
  });
}
