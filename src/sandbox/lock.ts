/**
 * One at a time, between processes: whoever holds the lock of a path keeps it until released or until its
 * process ends in any way.
 *
 * The lock is the file lock of an SQLite database, which the operating system takes back by itself. A lock file
 * of our own would stay behind after a crash, and telling a stale one from a fresh one is a race.
 */
import { DatabaseSync } from 'node:sqlite';
import { sleep, type Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';

export interface LockOptions {
  readonly clock: Clock;
  /** Called about every `pollMs` milliseconds while someone else holds the lock. */
  readonly onWait?: (waitedMs: number) => void;
  /** By default 500. */
  readonly pollMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html */
const busy = 5;

/** Waits for the lock of `path` (a file that is made for it), runs `run` and releases the lock. */
export async function withLock<Result>(
  path: string,
  options: LockOptions,
  run: () => Promise<Result>,
): Promise<Result> {
  const { clock, onWait, pollMs = 500, signal } = options;
  const begun = clock.now();
  let held = tryLock(path);
  while (held === undefined) {
    onWait?.(clock.now() - begun);
    await sleep(clock, pollMs, signal);
    held = tryLock(path);
  }
  try {
    return await run();
  } finally {
    held.close();
  }
}

/** The database whose lock is held until it is closed. */
function tryLock(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === busy) return undefined;
    const message = `cannot lock ${path}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new SluiceError('invalid', message, { code: 'CannotLock', cause });
  }
}
