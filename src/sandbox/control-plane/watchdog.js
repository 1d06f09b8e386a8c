/**
 * The watchdog: a process between Sluice and the programs of a sandbox, so that they end for sure.
 *
 *     node watchdog.js FOLDER
 *
 * It starts the programs as its own children and holds one channel to the process that asked for them
 * (../processes.ts). When that channel closes, for whatever reason (stopped, crashed, killed with SIGKILL), it
 * kills every child, removes the folder and ends. It has a session of its own, so Ctrl-C on a terminal does not
 * reach it or the programs before their owner had a chance to stop them in order. Because they are its children,
 * a process id cannot be taken over by a stranger before the watchdog was told of the end.
 *
 * Plain JavaScript and a file of its own, because it is a program of its own: the bundle cannot hold it, and Node
 * does not run TypeScript from an installed package.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';

const folder = process.argv[2];
/** @type {Map<number, import('node:child_process').ChildProcess>} */
const children = new Map();
let ownerGone = false;

process.title = 'sluice-watchdog';
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

process.on('message', (/** @type {import('../processes.ts').Command} */ command) => {
  if (ownerGone) return;
  if (command.kind === 'start') {
    start(command);
    return;
  }
  const child = children.get(command.id);
  if (child !== undefined) signalGroup(child, command.signal);
});

process.on('disconnect', () => {
  ownerGone = true;
  for (const child of children.values()) signalGroup(child, 'SIGKILL');
  endWhenAlone();
});

/** @param {Extract<import('../processes.ts').Command, { kind: 'start' }>} command */
function start(command) {
  const { id } = command;
  let log;
  try {
    log = openSync(command.logFile, 'a', 0o600);
  } catch (error) {
    report({ kind: 'failed', id, message: error.message });
    return;
  }
  const child = spawn(command.program, command.args, {
    cwd: command.directory,
    env: command.env,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  children.set(id, child);
  child.on('spawn', () => report({ kind: 'started', id, pid: child.pid }));
  child.on('error', (error) => {
    // Other errors are about signals; the child is still there.
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
}

/** @param {import('../processes.ts').Report} what */
function report(what) {
  if (process.connected) process.send(what, undefined, undefined, () => {});
}

/**
 * Each child leads a process group of its own, so the signal also reaches what it started itself.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
function signalGroup(child, signal) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in this very moment.
  }
}

function endWhenAlone() {
  if (!ownerGone || children.size > 0) return;
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  process.exit(0);
}
