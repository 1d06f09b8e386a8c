/**
 * One server of the sandbox through its life: started until ready, frozen, thawed, restarted, stopped.
 *
 * It keeps its log, its data and its address across restarts. A server that ends before it is ready, or does
 * not become ready in time, is reported with the last lines that it wrote.
 */
import { sleep, type Clock } from '../core/clock.ts';
import { asSluiceError, SluiceError } from '../core/errors.ts';
import {
  describeExit,
  lastWords,
  type ManagedProcess,
  type ProcessSpec,
  type Supervisor,
} from './processes.ts';

export interface ServerOptions {
  readonly supervisor: Supervisor;
  readonly clock: Clock;
  readonly spec: ProcessSpec;
  /** Resolves to true once the server serves. A rejection counts as "not yet". */
  readonly isReady: () => Promise<boolean>;
  /** Milliseconds. */
  readonly readyWithinMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Is told when it ends after it was ready without having been asked to. */
  readonly onUnexpectedEnd?: ((message: string) => void) | undefined;
}

/** How a server is stopped: asked to end (and killed when it does not), or killed without warning. */
export type StopManner = 'graceful' | 'kill';

const pollMs = 50;
const graceMs = 10_000;
const tailLines = 20;

export class ServerProcess {
  readonly #options: ServerOptions;
  #process: ManagedProcess | undefined;
  #stopping = false;

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.spec.name;
  }

  /** Undefined while it is stopped. */
  get pid(): number | undefined {
    return this.#process?.ended() === undefined ? this.#process?.pid : undefined;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const { supervisor, spec } = this.#options;
    this.#stopping = false;
    const process = await supervisor.start(spec);
    this.#process = process;
    await this.#untilReady(process);
    void this.#watch(process);
  }

  async stop(manner: StopManner = 'graceful'): Promise<void> {
    this.#stopping = true;
    await this.#process?.stop(manner === 'graceful' ? graceMs : 0);
  }

  /** Stops it and starts it again on the same data and address. Resolves when it is ready. */
  async restart(manner: StopManner = 'graceful'): Promise<void> {
    await this.stop(manner);
    await this.start();
  }

  /** Freezes it: connections stay open and nobody answers, as on a machine that hangs. */
  pause(): void {
    this.#process?.signal('SIGSTOP');
  }

  resume(): void {
    this.#process?.signal('SIGCONT');
  }

  /** The last `lines` lines of its log. */
  async log(lines: number): Promise<string> {
    return (await this.#process?.tail(lines)) ?? '';
  }

  async #watch(process: ManagedProcess): Promise<void> {
    const exit = await process.exited;
    const { supervisor, onUnexpectedEnd } = this.#options;
    if (this.#stopping || supervisor.closing || onUnexpectedEnd === undefined) return;
    onUnexpectedEnd(await lastWords(process, exit));
  }

  async #untilReady(process: ManagedProcess): Promise<void> {
    const { clock, isReady, readyWithinMs, signal } = this.#options;
    const giveUpAt = clock.now() + readyWithinMs;
    let last: unknown;
    while (process.ended() === undefined && clock.now() < giveUpAt) {
      signal?.throwIfAborted();
      try {
        if (await isReady()) return;
      } catch (error) {
        last = error;
      }
      await sleep(clock, pollMs, signal);
    }
    const exit = process.ended();
    const what =
      exit === undefined
        ? `was not ready within ${Math.round(readyWithinMs / 1000)} s`
        : `ended before it was ready (${describeExit(exit)})`;
    const probe = last === undefined ? '' : `\nLast probe: ${asSluiceError(last).message}`;
    throw new SluiceError(
      'transient',
      `${this.name} ${what}.${probe}\nThe end of its log:\n${await process.tail(tailLines)}`,
      { code: exit === undefined ? 'NotReady' : 'EndedEarly', cause: last },
    );
  }
}

/** `--name=value` for each entry. */
export function flagArguments(flags: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}
