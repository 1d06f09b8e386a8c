/**
 * One long-lived `iptables-nft-restore` for changes, so that none waits for a program to start, nor for the kernel's
 * clean-up when its socket closes (10 to 15 ms).
 *
 * The tool carries out each COMMIT as it reads it, with what it then finds in the kernel, and says nothing where one
 * succeeds. Asked to be verbose it repeats comments, so after each text comes one, longer than the tool keeps its output
 * back: when its beginning comes back, all before it is done. At the first line that fails the tool ends, with its words
 * and its exit code, as it does where it is run once.
 *
 * Invariant: a text is only called done when its own comment has come back, or the tool has ended with success.
 */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import { closed, pipesOf, type Spawn } from '../tool.ts';

/** The tool takes lines of up to 10,240 characters. */
const line = '.'.repeat(4_096 + 64);

/** The C library keeps back at most a page: 4 KiB, where machines have no larger ones, or up to 64. */
const linesOfComment = process.arch === 'x64' ? 1 : 16;

/** Behind the comment's own word. */
const comment = `${line}\n${`#${line}\n`.repeat(linesOfComment - 1)}`;

/** After so many milliseconds without an answer the input is ended: the tool's exit is the answer then. */
const deafMs = 5_000;

/** The tool was not made to live long: a child is ended after so many texts. */
const mostTexts = 1_000;

interface Waiting {
  /** What the comment begins with. */
  readonly word: string;
  /** Lines that the child had been given before. */
  readonly linesBefore: number;
  /** Waits no longer for the answer to end the input. */
  readonly cancel: () => void;
  /** The input has been ended behind the text: a good exit is an answer too. */
  ended: boolean;
  resolve(finished: SessionAnswer): void;
  reject(error: unknown): void;
}

/** The code and the words of the tool; code 0 where all was carried out. */
export interface SessionAnswer {
  /** Undefined where nobody knows what was carried out. */
  readonly code: number | undefined;
  readonly error: string;
  /** Lines of earlier texts, which the tool's line numbers go on from. */
  readonly linesBefore: number;
}

export class RestoreSession {
  readonly #spawn: Spawn;
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #clock: Clock;
  #child: ChildProcess | undefined;
  #waiting: Waiting | undefined;
  #heard = '';
  #error = '';
  /** Of this child. */
  #lines = 0;
  #texts = 0;
  #count = 0;
  /** What it says comes only at its end. */
  #deaf = false;

  constructor(spawn: Spawn, program: string, args: readonly string[], clock: Clock) {
    this.#spawn = spawn;
    this.#program = program;
    this.#args = [...args, '--verbose'];
    this.#clock = clock;
  }

  /**
   * Carries a text out; one call at a time.
   *
   * @throws SluiceError invalid where the tool cannot be started.
   */
  execute(text: string): Promise<SessionAnswer> {
    return new Promise((resolve, reject) => {
      const child = (this.#child ??= this.#begin());
      this.#count += 1;
      const word = `# sluice ${this.#count} `;
      const linesBefore = this.#lines;
      this.#lines += text.split('\n').length - 1 + linesOfComment;
      this.#texts += 1;
      this.#heard = '';
      const fresh = this.#texts === 1;
      const cancel = this.#clock.schedule(deafMs, () => {
        this.#deaf ||= fresh;
        waiting.ended = true;
        child.stdin?.end();
      });
      const waiting: Waiting = { word, linesBefore, cancel, ended: this.#deaf, resolve, reject };
      this.#waiting = waiting;
      const input = `${text}${word}${comment}`;
      if (this.#deaf) child.stdin?.end(input);
      else child.stdin?.write(input);
    });
  }

  /** Ends the child; the next text begins another. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#retire();
    await closed(child);
  }

  #retire(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
  }

  #begin(): ChildProcess {
    const child = this.#spawn(this.#program, this.#args);
    const { stdin, stdout, stderr } = pipesOf(child, this.#program);
    this.#lines = 0;
    this.#texts = 0;
    this.#error = '';
    // A program that ends early closes its input (EPIPE): its own words are what matters then.
    stdin.on('error', () => undefined);
    stdout.setEncoding('utf8').on('data', (text: string) => {
      if (this.#child === child) this.#hear(text);
    });
    stderr.setEncoding('utf8').on('data', (text: string) => {
      if (this.#child === child) this.#error += text;
    });
    child.once('error', (cause) => {
      const message = `cannot start ${this.#program}: is it installed and on the PATH?`;
      this.#lost(child)?.reject(
        new SluiceError('invalid', message, { code: 'ToolMissing', action: this.#program, cause }),
      );
    });
    child.once('exit', () => {
      // One that ends while nobody waits is replaced by the next text.
      if (this.#child === child && this.#waiting === undefined) this.#child = undefined;
    });
    child.once('close', (code) => {
      const error = this.#error.trim();
      const waiting = this.#lost(child);
      if (waiting === undefined) return;
      const { ended, linesBefore } = waiting;
      // It has ended by itself, and nobody knows how far it came.
      const unsure = code === null || (code === 0 && !ended);
      waiting.resolve({ code: unsure ? undefined : code, error, linesBefore });
    });
    return child;
  }

  #hear(text: string): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#heard += text;
    if (this.#deaf || !this.#heard.includes(waiting.word)) return;
    waiting.cancel();
    this.#waiting = undefined;
    this.#heard = '';
    if (waiting.ended || this.#texts >= mostTexts) this.#retire();
    waiting.resolve({ code: 0, error: '', linesBefore: waiting.linesBefore });
  }

  #lost(child: ChildProcess): Waiting | undefined {
    if (this.#child !== child) return undefined;
    this.#child = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.cancel();
    return waiting;
  }
}
