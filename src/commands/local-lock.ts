/**
 * One `sluice local` of a user serves a cluster at a time; a second one stands by and takes over when the first ends.
 *
 * The lock is a file that names a process. A crash leaves it behind, and it counts for nothing: a process that is not
 * there, or began at another time (numbers are used again), holds nothing.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

interface Holder {
  readonly pid: number;
  readonly began: string;
}

export interface Lock {
  release(): Promise<void>;
}

/** @returns the lock, or the number of the process that holds it. */
export async function takeLock(path: string): Promise<Lock | { readonly heldBy: number }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const own: Holder = { pid: process.pid, began: await beganAt(process.pid) };
  for (;;) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(JSON.stringify(own));
      await file.close();
      return {
        release: async () => {
          const now = await holderOf(path);
          if (now?.pid === own.pid && now.began === own.began) await rm(path, { force: true });
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await holderOf(path);
    if (holder !== undefined && (await isAlive(holder))) return { heldBy: holder.pid };
    // By renaming, so that of two who find it stale one alone takes it away.
    const aside = `${path}.${own.pid}.stale`;
    await rename(path, aside).catch(() => undefined);
    const moved = await holderOf(aside);
    if (moved !== undefined && moved.pid !== holder?.pid && (await isAlive(moved))) {
      await rename(aside, path).catch(() => undefined);
      return { heldBy: moved.pid };
    }
    await rm(aside, { force: true });
  }
}

async function holderOf(path: string): Promise<Holder | undefined> {
  try {
    const { pid, began } = JSON.parse(await readFile(path, 'utf8')) as Partial<Holder>;
    return typeof pid === 'number' && typeof began === 'string' ? { pid, began } : undefined;
  } catch {
    return undefined;
  }
}

async function isAlive({ pid, began }: Holder): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return (await beganAt(pid)) === began;
}

/** When a process began, in ticks since boot; empty where the system does not tell. */
async function beganAt(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name may hold blanks and brackets; field 22 counts from behind its last bracket.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
