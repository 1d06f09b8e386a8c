/**
 * The watchdog: a process between Sluice and the programs of a sandbox, so that they end for sure.
 *
 * It starts the programs as its own children and holds one channel to the process that asked for them.
 * When that channel closes, for whatever reason (stopped, crashed, killed with SIGKILL), it kills every
 * child, removes the sandbox's folder and ends. It has a session of its own, so Ctrl-C on a terminal does
 * not reach it or the programs before their owner had a chance to stop them in order. Because they are its
 * children, a process id cannot be taken over by a stranger before it was told of the end.
 *
 * `watchdog` is run from its own source text (`node --eval`), so that it works the same from the sources, in a
 * bundle and under a test runner. It must therefore not use anything from outside its body.
 */
import type { ChildProcess } from 'node:child_process';

export type Command =
  | {
      readonly kind: 'start';
      readonly id: number;
      readonly program: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly directory: string;
      /** Standard output and error are appended to it. */
      readonly logFile: string;
    }
  | { readonly kind: 'signal'; readonly id: number; readonly signal: NodeJS.Signals };

export type Report =
  | { readonly kind: 'started'; readonly id: number; readonly pid: number }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
  | {
      readonly kind: 'exited';
      readonly id: number;
      readonly code: number | null;
      readonly signal: NodeJS.Signals | null;
    };

/** The arguments with which Node runs the watchdog over `folder`, which it removes at the end. */
export function watchdogArguments(folder: string): string[] {
  return ['--eval', `(${watchdog.toString()})(process.argv[1])`, folder];
}

// Hoisting them would take them out of the text that is run.
/* oxlint-disable unicorn/consistent-function-scoping */
function watchdog(folder: string): void {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const { closeSync, openSync, rmSync } = process.getBuiltinModule('node:fs');
  const children = new Map<number, ChildProcess>();
  let ownerGone = false;

  process.title = 'sluice-watchdog';
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

  const report = (what: Report): void => {
    if (process.connected) process.send?.(what, undefined, undefined, () => {});
  };
  // Each child leads a process group of its own; the signal also reaches what it started itself.
  const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It ended in this very moment.
    }
  };
  const endWhenAlone = (): void => {
    if (!ownerGone || children.size > 0) return;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    process.exit(0);
  };
  const start = (command: Extract<Command, { readonly kind: 'start' }>): void => {
    const { id } = command;
    let log: number;
    try {
      log = openSync(command.logFile, 'a', 0o600);
    } catch (error) {
      report({ kind: 'failed', id, message: String(error) });
      return;
    }
    const child = spawn(command.program, command.args, {
      cwd: command.directory,
      env: { ...command.env },
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    children.set(id, child);
    child.on('spawn', () => report({ kind: 'started', id, pid: child.pid ?? 0 }));
    child.on('error', (error) => {
      if (child.pid !== undefined) return;
      children.delete(id);
      report({ kind: 'failed', id, message: error.message });
      endWhenAlone();
    });
    child.on('exit', (code, signal) => {
      children.delete(id);
      report({ kind: 'exited', id, code, signal });
      endWhenAlone();
    });
  };

  process.on('message', (command: Command) => {
    if (ownerGone) return;
    if (command.kind === 'start') start(command);
    else {
      const child = children.get(command.id);
      if (child !== undefined) signalGroup(child, command.signal);
    }
  });
  process.on('disconnect', () => {
    ownerGone = true;
    for (const child of children.values()) signalGroup(child, 'SIGKILL');
    endWhenAlone();
  });
}
