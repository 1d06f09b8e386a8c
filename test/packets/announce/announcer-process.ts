/** Drives an announcer that is a process of its own (announcer-main.ts). */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Holding } from '../../../src/agent/announce/announcer.ts';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import { until } from './lan.ts';

export const announcerMain = fileURLToPath(new URL('announcer-main.ts', import.meta.url));

interface Said {
  readonly kind: string;
  readonly address?: string;
  readonly code?: string;
}

export class AnnouncerProcess {
  readonly said: Said[] = [];
  readonly #child: ChildProcessWithoutNullStreams;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdin.on('error', () => undefined);
    child.stderr.pipe(process.stderr);
    createInterface({ input: child.stdout }).on('line', (line) => this.said.push(JSON.parse(line) as Said));
  }

  /** `through` runs it, as `setpriv` does. */
  static async start(bed: Bed, node: string, through: readonly string[] = []): Promise<AnnouncerProcess> {
    const [program, ...args] = [...through, process.execPath, announcerMain];
    const made = new AnnouncerProcess(bed.spawn(node, program, args));
    await until('the announcer has started', () => made.said.some(({ kind }) => kind === 'started'));
    return made;
  }

  async hold(holdings: readonly Holding[]): Promise<void> {
    const before = this.#count('done');
    this.#child.stdin.write(`${JSON.stringify({ hold: holdings })}\n`);
    await until('it is held', () => this.#count('done') > before);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(how: 'release' | 'keep'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.stdin.write(`${JSON.stringify({ stop: how })}\n`);
    await once(this.#child, 'close');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'close');
  }

  #count(kind: string): number {
    return this.said.filter((each) => each.kind === kind).length;
  }
}
