/**
 * The addresses of this node's interfaces, and every change of them.
 *
 * Nothing in the Kubernetes API tells that an interface has been given another address, so the kernel is asked:
 * `ip monitor address` wakes us, `ip -json address show` says what there is. A slow poll stands behind both, and
 * where there is no `ip` the runtime's own list, which leaves out interfaces that are down.
 */
import type { ChildProcess } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import type { Clock, Random } from '../core/clock.ts';
import { asSluiceError, type SluiceError } from '../core/errors.ts';
import { Backoff } from '../kube/backoff.ts';
import { canonical } from './slice-facts.ts';
import type { RunTool, Spawn } from './tool.ts';

export interface AddressOptions {
  readonly run: RunTool;
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly random: Random;
  /** The whole set, whenever it is another one than before. */
  readonly onChange: (addresses: ReadonlySet<string>) => void;
  readonly report: (error: SluiceError) => void;
}

/** A burst of messages (a bridge that comes up) is read once. */
const gatherMs = 20;
const pollMs = 30_000;

/** Every address, 127/8 and ::1 included: what the kernel calls LOCAL, but for the rest of 127/8. */
export async function readAddresses(run: RunTool): Promise<ReadonlySet<string>> {
  let text: string;
  try {
    const result = await run('ip', ['-json', 'address', 'show']);
    if (result.code !== 0) return fromRuntime();
    text = result.out;
  } catch {
    return fromRuntime();
  }
  return parseAddresses(text);
}

/** The answer of `ip -json address show`. */
export function parseAddresses(json: string): ReadonlySet<string> {
  const found = new Set<string>();
  const links = JSON.parse(json === '' ? '[]' : json) as readonly {
    readonly addr_info?: readonly { readonly local?: string; readonly scope?: string }[];
  }[];
  for (const { addr_info: infos = [] } of links) {
    for (const { local, scope } of infos) {
      const address = canonical(local ?? '');
      // A link-local IPv6 address means nothing without its interface: no Service is reached by it.
      const linkLocal = scope === 'link' && address?.includes(':') === true;
      if (address !== undefined && !linkLocal) found.add(address);
    }
  }
  return found;
}

function fromRuntime(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((infos) => infos ?? []);
  return new Set(
    all
      .filter(({ scopeid }) => scopeid === undefined || scopeid === 0)
      .map(({ address }) => canonical(address))
      .filter((address) => address !== undefined),
  );
}

export class AddressWatch {
  readonly #options: AddressOptions;
  readonly #backoff: Backoff;
  #addresses: ReadonlySet<string> = new Set();
  #child: ChildProcess | undefined;
  #cancels = new Set<() => void>();
  #gathering = false;
  #reading: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: AddressOptions) {
    this.#options = options;
    const { clock, random } = options;
    this.#backoff = new Backoff(clock, random, { minMs: 500, maxMs: 60_000, healthyMs: 120_000 });
  }

  get addresses(): ReadonlySet<string> {
    return this.#addresses;
  }

  /** Resolves when the addresses are known for the first time. */
  async start(): Promise<void> {
    this.#listen();
    await this.#read();
    this.#poll();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of this.#cancels) cancel();
    this.#child?.kill();
    await this.#reading;
  }

  #listen(): void {
    if (this.#stopped) return;
    const child = this.#options.spawn('ip', ['monitor', 'address']);
    this.#child = child;
    child.stdout?.on('data', () => this.#gather());
    child.stderr?.resume();
    child.stdin?.on('error', () => undefined);
    let ended = false;
    const end = (cause: unknown): void => {
      if (ended || this.#stopped) return;
      ended = true;
      this.#child = undefined;
      if (cause !== undefined) this.#options.report(asSluiceError(cause));
      // What happened meanwhile is read when it listens again.
      this.#later(this.#backoff.failed(), () => {
        this.#listen();
        this.#gather();
      });
    };
    child.once('error', (cause: NodeJS.ErrnoException) => end(cause.code === 'ENOENT' ? undefined : cause));
    child.once('close', () => end(undefined));
  }

  #poll(): void {
    this.#later(pollMs, () => {
      this.#gather();
      this.#poll();
    });
  }

  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#later(gatherMs, () => {
      this.#gathering = false;
      void this.#read();
    });
  }

  async #read(): Promise<void> {
    if (this.#reading) {
      this.#again = true;
      return this.#reading;
    }
    this.#reading = this.#readUntilStill().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #readUntilStill(): Promise<void> {
    do {
      this.#again = false;
      try {
        const now = await readAddresses(this.#options.run);
        if (this.#stopped || sameSet(now, this.#addresses)) continue;
        this.#addresses = now;
        this.#options.onChange(now);
      } catch (thrown) {
        // A list that could not be read is not an empty list.
        this.#options.report(asSluiceError(thrown));
      }
    } while (this.#again);
  }

  #later(ms: number, run: () => void): void {
    if (this.#stopped) return;
    const cancel = this.#options.clock.schedule(ms, () => {
      this.#cancels.delete(cancel);
      if (!this.#stopped) run();
    });
    this.#cancels.add(cancel);
  }
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((one) => b.has(one));
}
