/**
 * The door to the tools: one place that starts `iptables-*` and `ipset`, reads what they say and classifies failures.
 *
 * Programs are started with argument lists, never through a shell. Text goes to the standard input as fast as the
 * program takes it. The lock is waited for 5 s; who still holds it then is named in the error.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { systemClock, type Clock } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import { pipesOf } from '../tool.ts';
import { RestoreSession } from './session.ts';

/** Starts a program; its three standard streams are pipes. A test puts it into a network namespace. */
export type Spawn = (program: string, args: readonly string[]) => ChildProcess;

export type Variant = 'legacy' | 'nft';

export interface Finished {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly out: string;
  readonly error: string;
}

/** What a program reads, whole or in pieces that are made as it takes them. */
export type Input = string | Iterable<string> | AsyncIterable<string>;

/** How the output of a program is read. */
export interface Reading {
  /** Takes the standard output piece by piece; `out` is empty then. */
  readonly onOut?: (text: string) => void;
  /** Ends the program: nobody wants its answer any more. */
  readonly signal?: AbortSignal;
}

/** A program that has been started and waits for its input. */
export class Started {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #out: string[] = [];
  readonly #error: string[] = [];
  readonly #closed: Promise<[code: number | null]>;
  #onOut: (text: string) => void = (text) => void this.#out.push(text);

  constructor(spawn: Spawn, name: string, args: readonly string[]) {
    this.#name = name;
    this.#child = spawn(name, args);
    const { stdin, stdout, stderr } = pipesOf(this.#child, name);
    stdout.setEncoding('utf8').on('data', (text: string) => this.#onOut(text));
    stderr.setEncoding('utf8').on('data', (text: string) => void this.#error.push(text));
    // A program that ends early closes its input (EPIPE): its own words are what matters then.
    stdin.on('error', () => undefined);
    this.#closed = once(this.#child, 'close') as Promise<[number | null]>;
    // Told to whoever gives it its input.
    this.#closed.catch(() => undefined);
  }

  /** It has neither ended nor been told to. */
  get waits(): boolean {
    const { exitCode, pid, signalCode } = this.#child;
    return pid !== undefined && exitCode === null && signalCode === null;
  }

  /**
   * Gives it its input, and waits for its end.
   *
   * @throws SluiceError invalid where it could not be started.
   */
  async finish(input: Input = '', { onOut, signal }: Reading = {}): Promise<Finished> {
    if (onOut !== undefined) this.#onOut = onOut;
    const fed = feed(input, pipesOf(this.#child, this.#name).stdin);
    const stop = (): boolean => this.#child.kill('SIGKILL');
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const [code] = await this.#closed;
      await fed;
      const out = this.#out.join('');
      return { code: code ?? undefined, out, error: this.#error.join('').trim() };
    } catch (cause) {
      await fed;
      throw new SluiceError('invalid', `cannot start ${this.#name}: is it installed and on the PATH?`, {
        code: 'ToolMissing',
        action: this.#name,
        cause,
      });
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }
}

/**
 * Runs a program to its end.
 *
 * @throws SluiceError invalid where it cannot be started.
 */
export function run(
  spawn: Spawn,
  name: string,
  args: readonly string[],
  input: Input = '',
  reading: Reading = {},
): Promise<Finished> {
  return new Started(spawn, name, args).finish(input, reading);
}

async function feed(input: Input, stdin: NodeJS.WritableStream): Promise<void> {
  try {
    if (typeof input === 'string') stdin.end(input);
    else await pipeline(Readable.from(input), stdin);
  } catch {
    // The exit code is reported.
  }
}

export interface Tools {
  readonly variant: Variant;
  readonly family: IpFamily;
  /** Output of `iptables-save`, of all tables or one, whole or piece by piece. */
  save(table?: string, reading?: Reading): Promise<string>;
  /** One `iptables-restore --noflush`. Undefined, or what it said against it. */
  restore(text: Input): Promise<Refusal | undefined>;
  /** The same for a small text, one at a time: on the nft variant a program that runs already carries it out. */
  edit(text: string): Promise<Refusal | undefined>;
  /** One `ipset restore`; entries that are there (or not) already are no error. */
  sets(lines: readonly string[]): Promise<Refusal | undefined>;
  saveSets(signal?: AbortSignal): Promise<string>;
  /** Ends what still runs. */
  close(): Promise<void>;
}

/** The input is at fault (or something that we cannot tell from it): other input may do. */
export interface Refusal {
  /** Line of the input, from 1. */
  readonly line: number | undefined;
  readonly message: string;
}

/** `iptables-nft-restore`, `ip6tables-legacy-save` … */
export function program(variant: Variant, family: IpFamily, what: '' | '-save' | '-restore'): string {
  return `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}${what}`;
}

/** Seconds to wait for the lock, and microseconds between tries. */
const lockWait = ['-w', '5', '-W', '100000'];

/** From this size on, the time of a text is not in the start of the program. */
const smallText = 262_144;

export interface ToolsOptions {
  readonly clock?: Clock;
  /** Programs for changes are started before they are needed, and wait until `close`. Default: no. */
  readonly ahead?: boolean;
}

export function makeTools(
  spawn: Spawn,
  variant: Variant,
  family: IpFamily,
  { clock = systemClock, ahead = false }: ToolsOptions = {},
): Tools {
  const restoring = program(variant, family, '-restore');
  const args = ['--noflush', ...lockWait];
  const judged = ({ code, error }: Pick<Finished, 'code' | 'error'>, before: number): Refusal | undefined => {
    if (code === 0) return undefined;
    failHard(restoring, code, error);
    const line = lineOf(error);
    return { line: line === undefined ? undefined : line - before, message: plain(error) };
  };
  const restore: Tools['restore'] = async (text) => judged(await run(spawn, restoring, args, text), 0);
  const session = new RestoreSession(spawn, restoring, args, clock);
  const begin = (): Started => new Started(spawn, 'ipset', ['restore', '-exist']);
  // To start a program takes several times as long as to change a set: the next one waits for its input.
  let ready: Started | undefined;
  let closing = false;
  return {
    variant,
    family,
    save: (table, reading) => saveTables(spawn, variant, family, table, reading),
    restore,
    edit: async (text) => {
      // The legacy tool copies the whole table, which is all of its time.
      if (variant === 'legacy' || text.length > smallText) return restore(text);
      const answer = await session.execute(text);
      return judged(answer, answer.linesBefore);
    },
    close: async () => {
      const waiting = ready;
      ready = undefined;
      closing = true;
      await Promise.all([session.close(), waiting?.waits === true ? waiting.finish() : undefined]);
    },
    sets: async (lines) => {
      if (lines.length === 0) return undefined;
      const ipset = ready?.waits === true ? ready : begin();
      ready = undefined;
      const { code, error } = await ipset.finish(`${lines.join('\n')}\n`);
      if (ahead && !closing) ready ??= begin();
      if (code === 0) return undefined;
      failHard('ipset', code, error);
      return { line: lineOf(error), message: error };
    },
    saveSets: async (signal) => {
      const reading = signal === undefined ? {} : { signal };
      const { code, out, error } = await run(spawn, 'ipset', ['save'], '', reading);
      if (code !== 0) throw unreadable('ipset save', error);
      return out;
    },
  };
}

export async function saveTables(
  spawn: Spawn,
  variant: Variant,
  family: IpFamily,
  table?: string,
  reading: Reading = {},
): Promise<string> {
  const name = program(variant, family, '-save');
  const { code, out, error } = await run(spawn, name, table === undefined ? [] : ['-t', table], '', reading);
  if (code !== 0) throw unreadable(name, error);
  return out;
}

function unreadable(action: string, error: string): SluiceError {
  const denied = isDenied(error);
  return new SluiceError(
    denied ? 'denied' : 'transient',
    `${action}: ${error}${denied ? needs(action) : ''}`,
    {
      code: denied ? 'NotPermitted' : 'KernelUnreadable',
      action,
    },
  );
}

function isDenied(error: string): boolean {
  return /permission denied|operation not permitted|must be root|can't open socket to ipset/i.test(error);
}

/** Every iptables asks ipset about sets through a raw socket, and the legacy one the kernel about everything. */
function needs(action: string): string {
  return action.startsWith('ipset')
    ? '; it needs the capability NET_ADMIN'
    : '; it needs the capabilities NET_ADMIN and NET_RAW';
}

/**
 * Failures that no other input would mend.
 *
 * Exit code 4 is the tool's "resource problem": the lock, where it says so, else the kernel refused.
 */
function failHard(name: string, code: number | undefined, error: string): void {
  if (/xtables lock/i.test(error)) {
    throw new SluiceError(
      'busy',
      `${name}: another program has held the xtables lock (/run/xtables.lock) for 5 s; nothing was written and it will be tried again`,
      { code: 'LockHeld', action: name, retryAfterMs: 1000, cause: error },
    );
  }
  if (isDenied(error)) {
    throw new SluiceError('denied', `${name}: ${error}${needs(name)}`, {
      code: 'NotPermitted',
      action: name,
    });
  }
  if (code === undefined) {
    throw new SluiceError('ambiguous', `${name} was killed before it ended`, {
      code: 'ToolKilled',
      action: name,
    });
  }
}

/** Without the advice that the tools add to every message. */
function plain(error: string): string {
  return error
    .split('\n')
    .filter((line) => !/^(Ignoring deprecated|Try `)/.test(line))
    .join('\n');
}

function lineOf(error: string): number | undefined {
  const found = /line:? (\d+)/i.exec(error);
  return found === null ? undefined : Number(found[1]);
}
