/** Runs programs to their end, inside a network namespace or outside, without any shell. */
import { spawn } from 'node:child_process';
import { SluiceError } from '../../core/errors.ts';

export interface RunOptions {
  /** Written to the program's standard input, which is then closed. */
  readonly input?: string;
  /** Beside our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds; by default 60,000. */
  readonly limitMs?: number;
}

export interface Finished {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves with whatever became of it; rejects only when it cannot be started. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const { input = '', env = {}, limitMs = 60_000 } = options;
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    timeout: limitMs,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A program that ends without reading all of it is judged by its exit code.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', (cause) => {
      const message = `cannot run ${program}: ${cause.message}`;
      reject(new SluiceError('invalid', message, { code: 'CannotRun', cause }));
    });
    child.on('close', (code) => resolve({ code: code ?? undefined, stdout, stderr }));
  });
}

/** The same, for programs that have to succeed. */
export async function succeed(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code === 0) return stdout;
  const message = `${program} ${args.join(' ')}: exit code ${code ?? 'none'}: ${stderr.trim()}`;
  throw new SluiceError('invalid', message, { code: 'ProgramFailed' });
}
