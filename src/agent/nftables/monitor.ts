/**
 * Hears of every change to our table by listening to the kernel's messages through a long-lived `nft monitor`.
 *
 * The kernel ends each transaction's messages with one that names the process. Transactions that carry a mark of ours are
 * left out. Where messages were lost, or the monitor ended and was begun again, that is told as a change by nobody known:
 * only a look at the whole table can say whether it is right.
 */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../core/clock.ts';
import type { ForeignChange } from '../backend.ts';
import { pipesOf } from '../tool.ts';
import { markSet } from './marks.ts';
import type { SpawnPiped } from './process.ts';
import { TextLines } from './text-lines.ts';
import { tableName } from './words.ts';

export interface Listener {
  readonly header: 'ip' | 'ip6';
  /** Whether a mark is that of a transaction of ours. */
  readonly isOurs: (mark: string) => boolean;
  readonly onChange: (change: ForeignChange) => void;
}

const againAfterMs = 1_000;

/**
 * One `nft monitor` for all who listen: it tells of every family. It runs from the first listener to the last, and is not
 * begun anew lightly: nft first lists every table, half a second at 10,000 Services, and begins that again whenever
 * somebody writes meanwhile.
 */
export class Monitor {
  readonly #start: SpawnPiped;
  readonly #clock: Clock;
  readonly #readers = new Map<Listener, MonitorReader>();
  #child: ChildProcess | undefined;
  #cancelAgain: (() => void) | undefined;

  constructor(start: SpawnPiped, clock: Clock) {
    this.#start = start;
    this.#clock = clock;
  }

  /** Listens until the signal fires. */
  listen(listener: Listener, signal: AbortSignal): void {
    if (signal.aborted) return;
    signal.addEventListener('abort', () => this.#leave(listener), { once: true });
    this.#readers.set(listener, readerOf(listener));
    if (this.#child === undefined && this.#cancelAgain === undefined) this.#begin();
  }

  #leave(listener: Listener): void {
    this.#readers.delete(listener);
    if (this.#readers.size > 0) return;
    this.#cancelAgain?.();
    this.#cancelAgain = undefined;
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  #begin(): void {
    const child = this.#start('nft', ['monitor']);
    this.#child = child;
    const { stdout, stderr } = pipesOf(child, 'nft');
    stdout.setEncoding('utf8').on('data', (text: string) => {
      if (this.#child === child) for (const reader of this.#readers.values()) reader.push(text);
    });
    // It speaks there of rules that this nft cannot print, and of elements of sets that went with their table.
    stderr.resume();
    child.once('error', () => undefined);
    child.once('close', () => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#cancelAgain = this.#clock.schedule(againAfterMs, () => this.#again());
    });
  }

  #again(): void {
    this.#cancelAgain = undefined;
    const listeners = [...this.#readers.keys()];
    for (const listener of listeners) this.#readers.set(listener, readerOf(listener));
    this.#begin();
    for (const { onChange } of listeners)
      onChange({ message: 'nft monitor ended: changes may have been missed', process: undefined });
  }
}

function readerOf({ header, isOurs, onChange }: Listener): MonitorReader {
  const onLost = (): void => onChange({ message: 'messages of the kernel were lost', process: undefined });
  return new MonitorReader({ header, isOurs, onChange, onLost });
}

export interface ReaderOptions extends Listener {
  /** The kernel had no room for all messages. */
  readonly onLost: () => void;
}

/** Reads the lines of `nft monitor`. */
export class MonitorReader {
  readonly #table: string;
  readonly #isOurs: (mark: string) => boolean;
  readonly #onChange: (change: ForeignChange) => void;
  readonly #onLost: () => void;
  readonly #lines = new TextLines((line) => this.#line(line));
  #events = 0;
  #first = '';
  #ours = false;

  constructor({ header, isOurs, onChange, onLost }: ReaderOptions) {
    this.#table = ` ${header} ${tableName}`;
    this.#isOurs = isOurs;
    this.#onChange = onChange;
    this.#onLost = onLost;
  }

  push(text: string): void {
    this.#lines.push(text);
  }

  #line(line: string): void {
    if (line.startsWith('# new generation ')) {
      this.#generation(line);
      return;
    }
    // `# ERROR: We lost some netlink events!`, where the kernel had no room for more of them.
    if (line.startsWith('# ERROR')) {
      this.#onLost();
      return;
    }
    // `delete element ip sluice …`, `add rule ip sluice …`, `delete table ip sluice`
    const at = line.indexOf(this.#table);
    if (at < 0 || at > 20) return;
    const next = line[at + this.#table.length];
    if (next !== undefined && next !== ' ') return;
    if (this.#events === 0 || line.startsWith('delete table')) this.#first = line;
    this.#events += 1;
    const rest = line.slice(at + this.#table.length + 1);
    if (!rest.startsWith(`${markSet} {`) || !line.startsWith('add element ')) return;
    const mark = /\{ ([0-9a-f]+:[0-9a-f]+) \}/.exec(rest)?.[1];
    if (mark !== undefined && this.#isOurs(mark)) this.#ours = true;
  }

  #generation(line: string): void {
    const events = this.#events;
    const what = this.#first.slice(0, 120);
    const ours = this.#ours;
    this.#events = 0;
    this.#first = '';
    this.#ours = false;
    if (events === 0 || ours) return;
    const match = /by process (\d+) \((.*)\)$/.exec(line);
    const process = match === null ? undefined : `${match[2]} (${match[1]})`;
    const more = events > 1 ? ` and ${events - 1} more` : '';
    this.#onChange({ message: `${what}${more}`, process });
  }
}
