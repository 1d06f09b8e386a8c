/** Processes that are stopped in their tracks, as a machine that hangs stops them. */
import { readFile } from 'node:fs/promises';
import { until } from '../../src/sandbox/demo/stage.ts';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';

/** Stops a process in its tracks, and waits until it has: signals travel by way of the watchdog. */
export async function freeze(process: ManagedProcess): Promise<void> {
  process.signal('SIGSTOP');
  await frozen(process.pid);
}

/** Waits until the process with this id has stopped in its tracks. */
export async function frozen(pid: number): Promise<void> {
  await until(`process ${pid} to be frozen`, async () => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T') || undefined;
  });
}
