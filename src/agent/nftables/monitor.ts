/**
 * Hears of every change to our table by listening to the kernel's messages through a long-lived `nft monitor`.
 *
 * The kernel ends each transaction's messages with one that names the process. Changes by children of ours are left
 * out. A monitor that ends is begun again after a while; what was missed meanwhile is told as a change by nobody known.
 */
import type { Clock } from '../../core/clock.ts';
import type { ForeignChange } from '../backend.ts';
import { pipesOf, type SpawnPiped } from './process.ts';
import { tableName } from './words.ts';

export interface WatchOptions {
  readonly start: SpawnPiped;
  readonly clock: Clock;
  readonly header: 'ip' | 'ip6';
  readonly isOurs: (pid: number) => boolean;
  readonly onChange: (change: ForeignChange) => void;
  readonly signal: AbortSignal;
}

const againAfterMs = 1_000;

export function watchTable({ start, clock, header, isOurs, onChange, signal }: WatchOptions): void {
  if (signal.aborted) return;
  const reader = new MonitorReader(header, isOurs, onChange);
  const child = start('nft', ['monitor']);
  const { stdout, stderr } = pipesOf(child);
  stdout.setEncoding('utf8').on('data', (text: string) => reader.push(text));
  stderr.setEncoding('utf8').on('data', (text: string) => {
    // The rest of what it says there is about rules that this nft cannot print.
    if (/lost|overrun|no buffer space/i.test(text)) {
      onChange({ message: 'messages of the kernel were lost', process: undefined });
    }
  });
  const stop = (): void => {
    child.kill('SIGKILL');
  };
  signal.addEventListener('abort', stop, { once: true });
  child.once('error', () => undefined);
  child.once('close', () => {
    signal.removeEventListener('abort', stop);
    if (signal.aborted) return;
    const cancel = clock.schedule(againAfterMs, () => {
      signal.removeEventListener('abort', cancel);
      onChange({ message: 'nft monitor ended: changes may have been missed', process: undefined });
      watchTable({ start, clock, header, isOurs, onChange, signal });
    });
    signal.addEventListener('abort', cancel, { once: true });
  });
}

/** Reads the lines of `nft monitor`. */
export class MonitorReader {
  readonly #mark: string;
  readonly #isOurs: (pid: number) => boolean;
  readonly #onChange: (change: ForeignChange) => void;
  #rest = '';
  #events = 0;
  #first = '';

  constructor(
    header: 'ip' | 'ip6',
    isOurs: (pid: number) => boolean,
    onChange: (change: ForeignChange) => void,
  ) {
    this.#mark = ` ${header} ${tableName}`;
    this.#isOurs = isOurs;
    this.#onChange = onChange;
  }

  push(text: string): void {
    const whole = this.#rest + text;
    let from = 0;
    for (;;) {
      const end = whole.indexOf('\n', from);
      if (end < 0) break;
      this.#line(whole.slice(from, end));
      from = end + 1;
    }
    this.#rest = whole.slice(from);
  }

  #line(line: string): void {
    if (line.startsWith('# new generation ')) {
      this.#generation(line);
      return;
    }
    // `delete element ip sluice …`, `add rule ip sluice …`, `delete table ip sluice`
    const at = line.indexOf(this.#mark);
    if (at < 0 || at > 20) return;
    const next = line[at + this.#mark.length];
    if (next !== undefined && next !== ' ') return;
    if (this.#events === 0 || line.startsWith('delete table')) this.#first = line;
    this.#events += 1;
  }

  #generation(line: string): void {
    const events = this.#events;
    const what = this.#first.slice(0, 120);
    this.#events = 0;
    this.#first = '';
    if (events === 0) return;
    const match = /by process (\d+) \((.*)\)$/.exec(line);
    const pid = Number(match?.[1] ?? Number.NaN);
    if (this.#isOurs(pid)) return;
    const process = match === null ? undefined : `${match[2]} (${pid})`;
    const more = events > 1 ? ` and ${events - 1} more` : '';
    this.#onChange({ message: `${what}${more}`, process });
  }
}
