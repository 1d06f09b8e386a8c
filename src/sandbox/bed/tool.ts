/**
 * The driver of the bed's Go program (program/): requests and answers as lines of JSON on its standard input and output.
 *
 * The program ends when its input does, so it ends with this process, however that ends.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { SluiceError } from '../../core/errors.ts';

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

export class Tool implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ended: Promise<unknown>;
  #nextId = 1;
  #why: string | undefined;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#ended = once(child, 'close');
    createInterface({ input: child.stdout }).on('line', (line) => this.#onLine(line));
    child.on('close', (code, signal) => {
      this.#why ??= `the bed's program ended (${signal ?? `exit code ${code}`})`;
      for (const { reject } of this.#waiting.values()) reject(toolError(this.#why));
      this.#waiting.clear();
    });
    // A write after its end is told by `close`.
    child.stdin.on('error', () => {});
  }

  static async start(program: string): Promise<Tool> {
    const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    const tool = new Tool(child);
    await once(child, 'spawn');
    return tool;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Rejects with the program's own words where it cannot do it. */
  async call<Result>(op: string, args: object): Promise<Result> {
    if (this.#why !== undefined) throw toolError(this.#why);
    const id = this.#nextId;
    this.#nextId += 1;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#child.stdin.write(`${JSON.stringify({ id, op, args })}\n`);
    return (await waiting.promise) as Result;
  }

  async close(): Promise<void> {
    this.#why ??= 'the bed was removed';
    this.#child.stdin.end();
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #onLine(line: string): void {
    const { id, result, error } = JSON.parse(line) as Answer;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(toolError(error));
  }
}

function toolError(message: string): SluiceError {
  return new SluiceError('invalid', message, { code: 'BedProgram' });
}
