/**
 * Child processes that are stopped for sure, and the folder they work in.
 *
 * A `Supervisor` owns one folder and the programs started through it. They end when it is closed, when this
 * process ends in any way, and even when this process is killed with SIGKILL: see control-plane/watchdog.js. The folder
 * goes with them. Only programs started here are ever signalled.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, type Clock } from '../core/clock.ts';
import { asSluiceError, SluiceError } from '../core/errors.ts';

/** The same relative to the sources and to the bundle. */
const watchdogFile = fileURLToPath(new URL('../../src/sandbox/control-plane/watchdog.js', import.meta.url));

/** What the watchdog is asked to do. `id` is chosen by us, one for each program. */
export type Command =
  | {
      readonly kind: 'start';
      readonly id: number;
      readonly program: string;
      readonly args: readonly string[];
      /** The whole environment. */
      readonly env: Readonly<Record<string, string>>;
      readonly directory: string;
      /** Standard output and error are appended to it. */
      readonly logFile: string;
    }
  | { readonly kind: 'signal'; readonly id: number; readonly signal: NodeJS.Signals };

/** What the watchdog tells. */
export type Report =
  | { readonly kind: 'started'; readonly id: number; readonly pid: number }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
  | {
      readonly kind: 'exited';
      readonly id: number;
      readonly code: number | null;
      readonly signal: NodeJS.Signals | null;
    };

export interface ProcessSpec {
  /** What people call it, and the name of its log file. */
  readonly name: string;
  /** Path of the program, or a name to be found on PATH. */
  readonly program: string;
  readonly args: readonly string[];
  /** The whole environment of the program; by default just PATH, HOME and TMPDIR. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; by default the supervisor's folder. */
  readonly directory?: string;
}

export interface Exit {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export interface ManagedProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves when the program has ended. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Undefined while it runs. */
  ended(): Exit | undefined;
  /** Sends a signal to it and to what it started. Nothing happens once it has ended. */
  signal(signal: NodeJS.Signals): void;
  /** Asks it to end, and kills it after `graceMs` milliseconds (0: at once). Resolves when it has ended. */
  stop(graceMs: number): Promise<Exit>;
  /** The last lines that it wrote, at most `lines`. */
  tail(lines: number): Promise<string>;
}

export interface SupervisorOptions {
  readonly parent?: string;
  readonly clock?: Clock | undefined;
}

interface Entry {
  readonly started: PromiseWithResolvers<number>;
  readonly exited: PromiseWithResolvers<Exit>;
  exit: Exit | undefined;
  pid: number | undefined;
}

const tailBytes = 32_768;

export class Supervisor implements AsyncDisposable {
  /** Only its owner can read it. Removed on close. */
  readonly folder: string;
  readonly #watchdog: ChildProcess;
  readonly #clock: Clock;
  readonly #watchdogGone: Promise<void>;
  readonly #entries = new Map<number, Entry>();
  #nextId = 1;
  #closing: Promise<void> | undefined;

  private constructor(folder: string, watchdog: ChildProcess, clock: Clock) {
    this.folder = folder;
    this.#clock = clock;
    this.#watchdog = watchdog;
    watchdog.on('message', (report: Report) => this.#onReport(report));
    this.#watchdogGone = new Promise((resolve) => {
      watchdog.once('exit', () => {
        this.#onWatchdogGone();
        resolve();
      });
    });
  }

  /** Makes a folder whose name begins with `prefix` in `parent` (by default the system's temporary folder). */
  static async open(prefix: string, options: SupervisorOptions = {}): Promise<Supervisor> {
    const { parent = tmpdir(), clock = systemClock } = options;
    const folder = await mkdtemp(join(parent, prefix));
    await mkdir(join(folder, 'logs'));
    const watchdog = spawn(process.execPath, [watchdogFile, folder], {
      cwd: '/',
      env: minimalEnvironment(),
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const supervisor = new Supervisor(folder, watchdog, clock);
    await once(watchdog, 'spawn');
    return supervisor;
  }

  /** Starts a program. Rejects with a SluiceError when it cannot be started at all. */
  async start(spec: ProcessSpec): Promise<ManagedProcess> {
    const id = this.#nextId;
    this.#nextId += 1;
    const entry: Entry = {
      started: Promise.withResolvers(),
      exited: Promise.withResolvers(),
      exit: undefined,
      pid: undefined,
    };
    this.#entries.set(id, entry);
    const logFile = join(this.folder, 'logs', `${spec.name}.log`);
    this.#send({
      kind: 'start',
      id,
      program: spec.program,
      args: spec.args,
      env: spec.env ?? minimalEnvironment(),
      directory: spec.directory ?? this.folder,
      logFile,
    });
    let pid: number;
    try {
      pid = await entry.started.promise;
    } catch (cause) {
      const message = `cannot start ${spec.name} (${spec.program}): ${asSluiceError(cause).message}`;
      throw new SluiceError('invalid', message, { code: 'CannotStart', cause });
    }
    const signal = (name: NodeJS.Signals): void => {
      if (entry.exit === undefined) this.#send({ kind: 'signal', id, signal: name });
    };
    return {
      name: spec.name,
      pid,
      logFile,
      exited: entry.exited.promise,
      ended: () => entry.exit,
      signal,
      stop: (graceMs) => stop(this.#clock, signal, entry.exited.promise, graceMs),
      tail: (lines) => readTail(logFile, lines),
    };
  }

  /** True once `close` was called. */
  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Kills what still runs, removes the folder, ends the watchdog. May be called more than once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Copies the logs to a new folder that outlives this supervisor, for people to read after a failure.
   * Returns its path.
   */
  async keepLogs(): Promise<string> {
    const kept = await mkdtemp(join(tmpdir(), 'sluice-logs-'));
    await cp(join(this.folder, 'logs'), kept, { recursive: true });
    return kept;
  }

  async #close(): Promise<void> {
    if (this.#watchdog.connected) this.#watchdog.disconnect();
    await this.#watchdogGone;
    // The watchdog has removed it, unless someone else ended the watchdog.
    await rm(this.folder, { recursive: true, force: true });
  }

  #send(command: Command): void {
    if (!this.#watchdog.connected) {
      throw new SluiceError('bug', 'the sandbox is closed already', { code: 'SandboxClosed' });
    }
    this.#watchdog.send(command);
  }

  #onReport(report: Report): void {
    const entry = this.#entries.get(report.id);
    if (entry === undefined) return;
    switch (report.kind) {
      case 'started':
        entry.pid = report.pid;
        entry.started.resolve(report.pid);
        return;
      case 'failed':
        this.#end(report.id, entry, { code: undefined, signal: undefined }, report.message);
        return;
      case 'exited':
        this.#end(report.id, entry, { code: report.code ?? undefined, signal: report.signal ?? undefined });
    }
  }

  /** On close the programs are gone with it. If someone else ended the watchdog, they are not: kill them here. */
  #onWatchdogGone(): void {
    for (const [id, entry] of this.#entries) {
      if (this.#closing === undefined && entry.pid !== undefined) {
        try {
          process.kill(-entry.pid, 'SIGKILL');
        } catch {
          // It has ended already.
        }
      }
      this.#end(id, entry, { code: undefined, signal: 'SIGKILL' }, 'the sandbox was closed');
    }
  }

  #end(id: number, entry: Entry, exit: Exit, startFailure = 'it ended at once'): void {
    this.#entries.delete(id);
    entry.exit = exit;
    entry.started.reject(new SluiceError('transient', startFailure, { code: 'CannotStart' }));
    entry.exited.resolve(exit);
  }
}

/** What an early end looked like, in words: `exit code 1`, `signal SIGKILL`. */
export function describeExit(exit: Exit): string {
  return exit.signal === undefined ? `exit code ${exit.code ?? 'unknown'}` : `signal ${exit.signal}`;
}

/** Tells of a program that ended although nobody stopped it: how, and the end of its log. */
export async function lastWords(process: ManagedProcess, exit: Exit): Promise<string> {
  const end = await process.tail(20).catch(() => '');
  return `${process.name} ended (${describeExit(exit)}). The end of its log:\n${end.trimEnd()}`;
}

async function stop(
  clock: Clock,
  signal: (name: NodeJS.Signals) => void,
  exited: Promise<Exit>,
  graceMs: number,
): Promise<Exit> {
  if (graceMs > 0) {
    signal('SIGTERM');
    // A stopped process receives SIGTERM only once it runs again.
    signal('SIGCONT');
  }
  const cancel = clock.schedule(graceMs, () => signal('SIGKILL'));
  try {
    return await exited;
  } finally {
    cancel();
  }
}

/**
 * Nothing of the caller's environment reaches the programs by accident: no proxy, no Go or Node setting but where
 * compiled code is kept.
 */
function minimalEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const key of ['PATH', 'HOME', 'TMPDIR', 'NODE_COMPILE_CACHE']) {
    const value = process.env[key];
    if (value !== undefined) kept[key] = value;
  }
  return kept;
}

async function readTail(file: string, lines: number): Promise<string> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  const start = Math.max(0, size - tailBytes);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
  return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-lines).join('\n');
}
