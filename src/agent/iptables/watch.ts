/**
 * Notices that somebody else changed what is ours.
 *
 * The nft variant's tables report every change with the process that made it (`nft monitor`), by the number that the
 * machine knows it under: in a pod, our own children have other numbers for us. There, what an unknown process changed
 * while or just after we wrote is not called foreign, but looked at. The legacy tables and
 * the ipsets report nothing: they are compared with the model every now and then, which also finds tables that were
 * emptied while their chains stayed.
 */
import { readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Clock } from '../../core/clock.ts';
import type { IpFamily } from '../../core/objects.ts';
import type { Difference, ForeignChange } from '../backend.ts';
import { prefix } from './names.ts';
import type { Spawn, Variant } from './programs.ts';

export interface WatchOptions {
  readonly family: IpFamily;
  readonly variant: Variant;
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly pollMs: number;
  /** A process that we started ourselves. */
  readonly isOurs: (pid: number) => boolean;
  /** A number that grows at the start and the end of each write of ours. */
  readonly writes: () => number;
  /** Monotonic milliseconds of the end of our last write. */
  readonly wroteAt: () => number;
  /** Processes have the same numbers for us as for the kernel: `machineNumbers()`. */
  readonly numbersHold: boolean;
  readonly look: () => Promise<readonly Difference[]>;
  readonly onChange: (change: ForeignChange) => void;
  readonly signal: AbortSignal;
}

export function watchKernel(options: WatchOptions): void {
  if (options.signal.aborted) return;
  const lookSoon = poll(options);
  if (options.variant !== 'nft') return;
  monitor(options.numbersHold ? options : { ...options, onChange: unlessOwn(options, lookSoon) });
}

/** The machine's first process namespace: its inode number is fixed (PROC_PID_INIT_INO in the kernel's headers). */
const firstNamespace = 'pid:[4026531836]';

/** Whether we see processes under the numbers that the kernel reports: not so in a pod, or in a container that is a node. */
export function machineNumbers(): boolean {
  try {
    return readlinkSync('/proc/self/ns/pid') === firstNamespace;
  } catch {
    return false;
  }
}

/** Reports of a write of ours come within this time of its end. */
const echoMs = 500;

/** Leaves a change that may be the echo of our own write to a look at the kernel. */
export function unlessOwn(
  { clock, writes, wroteAt, onChange }: Pick<WatchOptions, 'clock' | 'writes' | 'wroteAt' | 'onChange'>,
  lookSoon: () => void,
): (change: ForeignChange) => void {
  return (change) => {
    if (writes() % 2 === 1 || clock.now() - wroteAt() < echoMs) lookSoon();
    else onChange(change);
  };
}

/** A look at many rules takes long: at most one part in fifty of the time goes into looking. */
const restPerLook = 50;

/** @returns asks for the next look as soon as the last one allows, instead of at its time. */
function poll(options: WatchOptions): () => void {
  const { clock, signal, pollMs } = options;
  let told = '';
  let took = 0;
  let endedAt = Number.NEGATIVE_INFINITY;
  let cancel: (() => void) | undefined;
  const again = (ms: number): void => {
    if (signal.aborted) return;
    cancel = clock.schedule(ms, () => {
      cancel = undefined;
      const start = clock.now();
      // An unreadable kernel is no change; the writer meets the same trouble and reports it.
      look()
        .catch(() => undefined)
        .finally(() => {
          endedAt = clock.now();
          took = endedAt - start;
          again(Math.max(pollMs, took * restPerLook));
        });
    });
  };
  const look = async (): Promise<void> => {
    const writes = options.writes();
    if (writes % 2 === 1) return;
    const found = await options.look();
    if (signal.aborted || options.writes() !== writes) return;
    const [first] = found;
    const message =
      first === undefined
        ? ''
        : `${first.object} is ${first.kind}${found.length === 1 ? '' : ` and ${found.length - 1} more differences`}`;
    // Told once; whoever is told repairs it, and the next look finds nothing.
    if (message !== '' && message !== told) options.onChange({ message, process: undefined });
    told = message;
  };
  signal.addEventListener('abort', () => cancel?.(), { once: true });
  again(pollMs);
  return () => {
    if (cancel === undefined) return;
    cancel();
    again(Math.max(2 * echoMs, endedAt + took * restPerLook - clock.now()));
  };
}

const restartMs = 1000;

function monitor(options: WatchOptions): void {
  const { clock, family, signal, onChange } = options;
  const child = options.spawn('nft', ['monitor']);
  const stop = (): void => {
    child.kill('SIGTERM');
  };
  signal.addEventListener('abort', stop, { once: true });
  const reader = new EventReader(family, options.isOurs, onChange);
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => reader.line(line));
  }
  child.stderr?.resume();
  child.stdin?.end();
  // Without `nft` the slow comparison still finds everything.
  child.once('error', () => signal.removeEventListener('abort', stop));
  child.once('close', () => {
    signal.removeEventListener('abort', stop);
    if (signal.aborted || child.pid === undefined) return;
    const cancel = clock.schedule(restartMs, () => {
      signal.removeEventListener('abort', cancel);
      if (!signal.aborted) monitor(options);
    });
    signal.addEventListener('abort', cancel, { once: true });
  });
}

/** Reads `nft monitor`: events of one transaction, and then the line that says who made it. */
export class EventReader {
  readonly #ours: RegExp;
  readonly #isOurs: (pid: number) => boolean;
  readonly #onChange: (change: ForeignChange) => void;
  #first: string | undefined;
  #count = 0;

  constructor(family: IpFamily, isOurs: (pid: number) => boolean, onChange: (change: ForeignChange) => void) {
    const name = family === 'IPv4' ? 'ip' : 'ip6';
    this.#ours = new RegExp(
      `^(?:(?:add|insert|delete|replace) (?:rule|chain) ${name} (?:nat|filter) .*${prefix}|delete table ${name} (?:nat|filter)\\b)`,
    );
    this.#isOurs = isOurs;
    this.#onChange = onChange;
  }

  line(text: string): void {
    const generation = /^# new generation \d+ by process (\d+) \((.*)\)/.exec(text);
    if (generation === null) {
      if (this.#ours.test(text)) {
        this.#first ??= text;
        this.#count += 1;
      }
      return;
    }
    const [, pid = '', program = ''] = generation;
    const first = this.#first;
    const count = this.#count;
    this.#first = undefined;
    this.#count = 0;
    if (first === undefined || this.#isOurs(Number(pid))) return;
    this.#onChange({
      message: `${program} (process ${pid}) changed ${count} of our objects: ${first}`,
      process: `${program} (${pid})`,
    });
  }
}
