/**
 * The table of addresses that were given out: a small file beside the user's other state, shared by every
 * `sluice local` of this user, so that two clusters never give out one address.
 *
 * It is memory, not truth: without it every Service gets the address that its name leads to. Written whole, by
 * renaming, under a lock that a crash cannot leave behind for longer than a few seconds.
 */
import { mkdir, readFile, rename, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sleep, systemClock } from '../../../src/core/clock.ts';
import { SluiceError } from '../../../src/core/errors.ts';
import type { ObjectKey } from '../../../src/core/objects.ts';
import type { Remembered } from './host.ts';

export interface TableEntry extends Remembered {
  readonly cluster: string;
  readonly service: ObjectKey;
  /** When it was last given out: milliseconds since the epoch. */
  readonly at: number;
}

export interface Table {
  /** The entries as they are now. A file that cannot be read throws. */
  read(): Promise<readonly TableEntry[]>;
  /** Changes the entries; what `change` throws comes out and nothing is written. */
  update(change: (entries: readonly TableEntry[]) => readonly TableEntry[]): Promise<void>;
}

/** For how long the address of a Service that is gone is kept for it. */
const keepMs = 90 * 24 * 3_600_000;
const staleLockMs = 5_000;
const version = 1;

/** A table that lives as long as the process: for tests, and where nothing can be written. */
export function memoryTable(): Table {
  let entries: readonly TableEntry[] = [];
  return {
    read: () => Promise.resolve(entries),
    update: (change) => {
      entries = change(entries);
      return Promise.resolve();
    },
  };
}

export function fileTable(path: string, wall: () => number = () => systemClock.wall()): Table {
  /** What was read last: each pass over a Service asks, and the file hardly ever changes. */
  let held: { readonly mark: string; readonly entries: readonly TableEntry[] } | undefined;
  const read = async (): Promise<readonly TableEntry[]> => {
    let text: string;
    let mark: string;
    try {
      // It is replaced whole, so another content is another file.
      const { ino, mtimeMs, size } = await stat(path);
      mark = `${ino} ${mtimeMs} ${size}`;
      if (held?.mark === mark) return held.entries;
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw failed(path, 'read', error);
    }
    const entries = parseTable(text);
    if (entries !== undefined) {
      held = { mark, entries };
      return entries;
    }
    // Half-written by something else, or of another version: addresses follow from names all the same.
    await rename(path, `${path}.unreadable`).catch(() => undefined);
    return [];
  };
  return {
    read,
    update: async (change) => {
      try {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await withLock(`${path}.lock`, async () => {
          const entries = change((await read()).filter(({ at }) => wall() - at < keepMs));
          const fresh = `${path}.${process.pid}.new`;
          await writeFile(fresh, `${JSON.stringify({ version, entries }, undefined, 1)}\n`, { mode: 0o600 });
          await rename(fresh, path);
        });
      } catch (error) {
        throw error instanceof SluiceError ? error : failed(path, 'written', error);
      }
    },
  };
}

/** Undefined: not a table of this version. */
export function parseTable(text: string): readonly TableEntry[] | undefined {
  try {
    const read = JSON.parse(text) as { readonly version?: unknown; readonly entries?: unknown };
    if (read.version !== version || !Array.isArray(read.entries)) return undefined;
    return read.entries.every(isEntry) ? read.entries : undefined;
  } catch {
    return undefined;
  }
}

function isEntry(value: unknown): value is TableEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { cluster, service, at, addresses, ports } = value as Partial<Record<keyof TableEntry, unknown>>;
  return (
    typeof cluster === 'string' &&
    typeof service === 'string' &&
    typeof at === 'number' &&
    Array.isArray(addresses) &&
    addresses.every((address) => typeof address === 'string') &&
    typeof ports === 'object' &&
    ports !== null &&
    Object.values(ports).every((port) => Number.isInteger(port))
  );
}

async function withLock(lock: string, run: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await mkdir(lock);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const made = await stat(lock).then(
        ({ mtimeMs }) => mtimeMs,
        () => systemClock.wall(),
      );
      if (systemClock.wall() - made > staleLockMs) await rmdir(lock).catch(() => undefined);
      else await sleep(systemClock, 20);
    }
  }
  try {
    await run();
  } finally {
    await rmdir(lock).catch(() => undefined);
  }
}

function failed(path: string, what: 'read' | 'written', cause: unknown): SluiceError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SluiceError('transient', `the table of addresses ${path} cannot be ${what}: ${why}`, {
    code: 'TableFailed',
    cause,
  });
}
