/**
 * Named pipes for texts that nft is to read while they are still being made.
 *
 * nft reads what comes on its standard input to the end before it looks at it; a file it reads bit by bit, and a named
 * pipe is a file. Most of the time of a load is nft's reading. Where there can be no named pipe (no place to write, no
 * mkfifo), loads go through standard input, and only take longer.
 */
import { constants, openSync, unlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { toolRunner, type RunTool } from '../tool.ts';

/** A Pod whose root is read-only has the second. */
const places = [tmpdir(), '/dev/shm'];

export interface FifoOptions {
  readonly run?: RunTool;
  /** Folders to try, the first that can be written to is taken. */
  readonly folders?: readonly string[];
}

export class Fifos {
  readonly #folder: string | undefined;
  readonly #paths: string[];

  private constructor(folder: string | undefined, paths: string[]) {
    this.#folder = folder;
    this.#paths = paths;
  }

  /** Never fails: where there can be none, there are none to take. */
  static async make(
    count: number,
    { run = toolRunner(), folders = places }: FifoOptions = {},
  ): Promise<Fifos> {
    for (const place of new Set(folders)) {
      let folder: string | undefined;
      try {
        // Nobody but us may enter it.
        folder = await mkdtemp(join(place, 'sluice-'));
        const inside = folder;
        const paths = Array.from({ length: count }, (_, number) => join(inside, `nft-${number}`));
        const { code } = await run('mkfifo', ['-m', '600', ...paths]);
        if (code === 0) return new Fifos(folder, paths);
      } catch {
        // The next place may do.
      }
      if (folder !== undefined) await remove(folder);
    }
    return new Fifos(undefined, []);
  }

  /** One that nobody had yet. */
  take(): string | undefined {
    return this.#paths.pop();
  }

  async close(): Promise<void> {
    if (this.#folder !== undefined) await remove(this.#folder);
  }
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
}

/** So often it is looked whether the reader is there: a process takes some milliseconds to begin. */
const pollMs = 3;

/**
 * The end of a named pipe to write to. It keeps what it is given until somebody has opened the other end, who gets an end
 * of file once this has ended; the name is gone as soon as both are there. To be destroyed where nobody will come.
 */
export function fifoInput(path: string): Writable {
  let socket: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  const input = new Writable({
    decodeStrings: false,
    construct: (done) => {
      const look = (): void => {
        try {
          const fd = openForReader(path);
          if (fd === undefined) timer = setTimeout(look, pollMs);
          else {
            // To show a line that it does not like, nft opens a file once more; of this it would wait for a writer.
            unlinkSync(path);
            socket = new Socket({ fd, readable: false, writable: true });
            socket.on('error', (error) => input.destroy(error));
            done();
          }
        } catch (error) {
          done(error instanceof Error ? error : new Error('cannot open a named pipe', { cause: error }));
        }
      };
      look();
    },
    write: (chunk: string | Buffer, encoding, done) => {
      if (typeof chunk === 'string') socket?.write(chunk, encoding, done);
      else socket?.write(chunk, done);
    },
    final: (done) => {
      // All has been written; to close it is the end of the file.
      socket?.destroy();
      done();
    },
    destroy: (error, done) => {
      clearTimeout(timer);
      socket?.destroy();
      done(error);
    },
  });
  return input;
}

/** Undefined while nobody has the other end: text that was written before would be lost if we ended first. */
function openForReader(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENXIO') return undefined;
    throw error;
  }
}
