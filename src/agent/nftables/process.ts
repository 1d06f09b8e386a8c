/**
 * The children: `nft -f -` for much, one long-lived `nft -i` for little.
 *
 * `nft -i` reads commands line by line, each line a transaction. It says nothing when one succeeds, so after each line
 * comes a word that is no command: nft refuses it without asking the kernel, and its echo on standard error ends the
 * reply. Every process start and most of the time of an `nft -f` (the kernel's clean-up when its socket closes) are saved.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { SluiceError } from '../../core/errors.ts';
import { closed, pipesOf, systemSpawn, type Spawn } from '../tool.ts';

/**
 * Starts a program with all three streams on pipes. Tests hand in one that starts it inside a network namespace.
 */
export type SpawnPiped = Spawn;

export const spawnPiped: SpawnPiped = systemSpawn;

export interface Finished {
  readonly code: number | undefined;
  readonly error: string;
}

/**
 * Runs nft to its end, feeding `input` with back-pressure and handing standard output on as it comes.
 *
 * @throws SluiceError `invalid` (`ToolMissing`) where there is no nft, `transient` where it cannot be started.
 */
export async function runNft(
  start: SpawnPiped,
  args: readonly string[],
  input: Iterable<string>,
  onOut: (text: string) => void = () => undefined,
): Promise<Finished> {
  const run = new NftRun(start, args, { onOut });
  await run.feed(input);
  return run.end();
}

export interface NftRunOptions {
  readonly onOut?: (text: string) => void;
}

/** An nft whose input comes piece by piece, or another program in its place. */
export class NftRun {
  readonly #child: ChildProcess;
  readonly #stdin: ReturnType<typeof pipesOf>['stdin'];
  readonly #ended: Promise<number | undefined>;
  readonly #gone: Promise<unknown>;
  #error = '';
  #blocked = false;

  constructor(start: SpawnPiped, args: readonly string[], { onOut = () => undefined }: NftRunOptions = {}) {
    const child = start('nft', args);
    const { stdin, stdout, stderr } = pipesOf(child, 'nft');
    this.#child = child;
    this.#stdin = stdin;
    stdout.setEncoding('utf8').on('data', onOut);
    stderr.setEncoding('utf8').on('data', (text: string) => {
      if (this.#error.length < 16_384) this.#error += text;
    });
    // A child that ends early closes its pipe: its exit code and words say why.
    stdin.on('error', () => undefined);
    stdin.on('drain', () => {
      this.#blocked = false;
    });
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', (cause: NodeJS.ErrnoException) => reject(notStarted(cause)));
      child.once('close', (code) => resolve(code ?? undefined));
    });
    this.#gone = this.#ended.catch(() => undefined);
  }

  write(text: string | Buffer): void {
    if (this.#stdin.writable && !this.#stdin.write(text)) this.#blocked = true;
  }

  /** Writes as fast as it is taken. */
  async feed(input: Iterable<string | Buffer>): Promise<void> {
    for (const text of input) {
      if (!this.#stdin.writable) break;
      this.write(text);
      if (this.#blocked) await Promise.race([once(this.#stdin, 'drain').catch(() => undefined), this.#gone]);
    }
  }

  /** Ends the input, and waits for the end of the child. */
  async end(): Promise<Finished> {
    this.#stdin.end();
    return { code: await this.#ended, error: this.#error.trim() };
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** nft refuses these before it asks the kernel. */
const marker = 'zz-sluice-mark';

/**
 * After so many lines a child is ended and another begun: its line reader (libedit) remembers every line and, before it
 * hands on the next, walks through all of them twice. After 1,000 lines that takes longer than the rest of a change.
 */
const mostLines = 100;

interface Waiting {
  readonly word: string;
  resolve(error: string): void;
  reject(error: unknown): void;
}

/** A long-lived `nft -i`. */
export class Session {
  readonly #start: SpawnPiped;
  #child: ChildProcess | undefined;
  #waiting: Waiting | undefined;
  #heard = '';
  /** Of this child. */
  #lines = 0;
  #count = 0;

  constructor(start: SpawnPiped) {
    this.#start = start;
  }

  /**
   * Carries one line out, as one transaction; one call at a time.
   *
   * @returns what nft said against it, empty when it was carried out.
   * @throws SluiceError `ambiguous` where the child ended before its answer.
   */
  execute(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = (this.#child ??= this.#begin());
      this.#count += 1;
      const word = `${marker}-${this.#count}`;
      this.#heard = '';
      this.#waiting = { word, resolve, reject };
      this.#lines += 1;
      child.stdin?.write(`${line}\n${word}\n`);
    });
  }

  /** Ends the child; the next line begins another. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#retire();
    await closed(child);
  }

  #retire(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
    this.#lines = 0;
  }

  /** Another child in place of one that has served its time, while nobody waits. */
  #renew(): void {
    if (this.#waiting !== undefined || this.#child === undefined || this.#lines < mostLines) return;
    this.#retire();
    try {
      this.#child = this.#begin();
    } catch {
      // The next line tries again, and tells.
    }
  }

  #begin(): ChildProcess {
    const child = this.#start('nft', ['-i']);
    const { stdin, stdout, stderr } = pipesOf(child, 'nft');
    stdin.on('error', () => undefined);
    stdout.resume();
    stderr.setEncoding('utf8').on('data', (text: string) => {
      if (this.#child === child) this.#hear(text);
    });
    child.once('error', (cause: NodeJS.ErrnoException) => this.#lost(child, notStarted(cause)));
    child.once('exit', () => {
      // One that ends while nobody waits is replaced by the next line; what it still says concerns nobody.
      if (this.#child === child && this.#waiting === undefined) this.#child = undefined;
    });
    child.once('close', (code) =>
      this.#lost(
        child,
        new SluiceError('ambiguous', `nft -i ended (${code ?? 'by a signal'}) before it answered`, {
          code: 'ChildEnded',
        }),
      ),
    );
    return child;
  }

  #hear(text: string): void {
    this.#heard += text;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    // The echo: a message, the line itself, and a line that points into it.
    const at = this.#heard.indexOf(`${waiting.word}\n`);
    if (at < 0 || !this.#heard.endsWith('\n')) return;
    const pointer = this.#heard.indexOf('\n', at + waiting.word.length + 1);
    if (pointer < 0) return;
    this.#waiting = undefined;
    const before = this.#heard.slice(0, at);
    waiting.resolve(before.slice(0, Math.max(0, before.lastIndexOf('Error:'))).trim());
    if (this.#lines >= mostLines) setImmediate(() => this.#renew());
  }

  #lost(child: ChildProcess, error: SluiceError): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#lines = 0;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}

function notStarted(cause: NodeJS.ErrnoException): SluiceError {
  return cause.code === 'ENOENT'
    ? new SluiceError(
        'invalid',
        'there is no program nft on this node: install nftables, or put it into the image',
        {
          code: 'ToolMissing',
          cause,
        },
      )
    : new SluiceError('transient', `cannot start nft: ${cause.message}`, { code: 'CannotStart', cause });
}
