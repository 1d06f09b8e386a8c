/** Runs a tool of the system to its end: a program and its arguments, never a shell. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { SluiceError } from '../core/errors.ts';

/** Starts a program with its three standard streams on pipes. A test hands in one that starts it inside a network namespace. */
export type Spawn = (program: string, args: readonly string[]) => ChildProcess;

export const systemSpawn: Spawn = (program, args) =>
  spawn(program, [...args], {
    stdio: 'pipe',
    // nft's line reader keeps a history file at home otherwise, which it reads and writes; messages are read by us.
    env: { ...process.env, HOME: '/dev/null', LC_ALL: 'C' },
  });

/** @throws SluiceError bug where one of the standard streams is no pipe. */
export function pipesOf(
  child: ChildProcess,
  program: string,
): {
  readonly stdin: NodeJS.WritableStream & { readonly writable: boolean };
  readonly stdout: NodeJS.ReadableStream;
  readonly stderr: NodeJS.ReadableStream;
} {
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null)
    throw new SluiceError('bug', `${program} was started without pipes`, { code: 'NoPipes' });
  return { stdin, stdout, stderr };
}

/** Waits for the end of a child that has been told to end; at once where there is none any more. */
export async function closed(child: ChildProcess | undefined): Promise<void> {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) await once(child, 'close');
}

export interface ToolOptions {
  /** Each line of standard output as it comes, instead of keeping all of it. */
  readonly onLine?: (line: string) => void;
  /** After this the program is killed. */
  readonly timeoutMs?: number;
}

export interface ToolResult {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  /** Empty where lines were asked for. */
  readonly out: string;
  /** The end of what it said on standard error. */
  readonly error: string;
}

/** Runs a tool. Another object than the system's is handed in by tests. */
export type RunTool = (
  program: string,
  args: readonly string[],
  options?: ToolOptions,
) => Promise<ToolResult>;

const errorKept = 4_000;
const usualTimeoutMs = 30_000;

/** @throws SluiceError `invalid` with code `ToolMissing` where there is no such program, else `transient`. */
export function toolRunner(start: Spawn = systemSpawn): RunTool {
  return async (program, args, { onLine, timeoutMs = usualTimeoutMs } = {}) => {
    const child = start(program, args);
    // Nothing is asked of it; one that is gone already need not hear that.
    child.stdin?.on('error', () => undefined).end();
    const out: string[] = [];
    let error = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      error = (error + text).slice(-errorKept);
    });
    const read: Promise<void>[] = [];
    if (child.stdout) {
      if (onLine) read.push(lines(child.stdout, onLine));
      else child.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text));
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    try {
      const code = await new Promise<number | undefined>((resolve, reject) => {
        child.once('error', (cause: NodeJS.ErrnoException) => reject(notStarted(program, cause)));
        child.once('close', (exit) => resolve(exit ?? undefined));
      });
      await Promise.all(read);
      return { code, out: out.join(''), error: error.trim() };
    } finally {
      clearTimeout(timer);
    }
  };
}

async function lines(from: NodeJS.ReadableStream, onLine: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: from, crlfDelay: Number.POSITIVE_INFINITY }))
    onLine(line);
}

function notStarted(program: string, cause: NodeJS.ErrnoException): SluiceError {
  return cause.code === 'ENOENT'
    ? new SluiceError(
        'invalid',
        `there is no program ${program} on this node; install it, or put it into the image`,
        {
          code: 'ToolMissing',
          cause,
        },
      )
    : new SluiceError('transient', `cannot start ${program}: ${cause.message}`, {
        code: 'CannotStart',
        cause,
      });
}

/** Whether a search path has a program of this name. */
export function isProgram(name: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}
