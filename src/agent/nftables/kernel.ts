/**
 * The kernel's side of one family's table: one transaction in, one listing out.
 *
 * A change of plain elements goes to the kernel as bytes, through a long-lived perl; any other small one through a
 * long-lived nft, a large one through a file. Each carries a mark, by which the messages of the kernel about it are known
 * as ours. Nothing is remembered here of what the table holds.
 */
import { SluiceError, asSluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import type { Decision } from '../decision.ts';
import type { Draft } from './draft.ts';
import { changeBatch } from './element-bytes.ts';
import type { Transaction } from './ledger.ts';
import { ListingReader, type Listed } from './listing.ts';
import { Marks, markSet } from './marks.ts';
import { packingsOf } from './packing.ts';
import { first, refused } from './probes.ts';
import { Session, runNft, type SpawnPiped } from './process.ts';
import { readRawFrame, readRawTable, type ChainNames, type RawTable } from './raw-table.ts';
import { RelaySession } from './relay.ts';
import type { TableShape } from './table.ts';
import { chunks, commands, markCommands, oneLine, tableText } from './text.ts';
import { wordsOf } from './words.ts';

/** A line that is longer goes through a file: the line reader of `nft -i` is slow with long lines. */
const longestLine = 40_000;

export class TableKernel {
  readonly #family: IpFamily;
  readonly #start: SpawnPiped;
  readonly #session: Session;
  readonly #relay: RelaySession;
  readonly #marks = new Marks();
  #packed: { readonly shape: TableShape; readonly packings: ReturnType<typeof packingsOf> } | undefined;

  constructor(family: IpFamily, start: SpawnPiped) {
    this.#family = family;
    this.#start = start;
    this.#session = new Session(start);
    this.#relay = new RelaySession(start);
  }

  /** Whether a mark that the kernel told is that of a transaction of ours; true once only. */
  isOurs(mark: string): boolean {
    return this.#marks.heard(mark);
  }

  /** One transaction of any size, from a text that is made while it is sent. Gives what nft said against it. */
  async load(text: Iterable<string>): Promise<{ readonly taken: boolean; readonly error: string }> {
    const mark = this.#marks.next();
    const table = tableText({ words: wordsOf(this.#family) });
    const pieces = (function* (): Generator<string> {
      yield* text;
      for (const line of markCommands(table, mark)) yield `${line}\n`;
    })();
    const { code, error } = await runNft(this.#start, ['-f', '-'], chunks(pieces));
    if (code !== 0) this.#marks.forget(mark);
    return { taken: code === 0, error };
  }

  /** The same from a draft. */
  async finish(
    draft: Draft,
    decisions: readonly Decision[],
  ): Promise<{ readonly taken: boolean; readonly error: string }> {
    const table = tableText(draft.shape);
    const { code, error } = await draft.finish(decisions, () => {
      const mark = this.#marks.next();
      return { name: mark, lines: markCommands(table, mark), forget: () => this.#marks.forget(mark) };
    });
    return { taken: code === 0, error };
  }

  /** Asks whether a text would be taken. Gives what nft says against it, empty where it would. */
  async check(text: Iterable<string>): Promise<string> {
    const done = await runNft(this.#start, ['-c', '-f', '-'], text);
    return done.code === 0 ? '' : done.error || 'refused without a word';
  }

  /** Removes the table, whole, and nothing else; it need not be there. */
  async remove(): Promise<void> {
    const table = tableText({ words: wordsOf(this.#family) });
    const { error, code } = await runNft(
      this.#start,
      ['-f', '-'],
      [
        `add table ${table}\nadd set ${table} ${markSet} { type classid; }\n`,
        `${markCommands(table, this.#marks.next()).join('\n')}\ndelete table ${table}\n`,
      ],
    );
    if (code !== 0) throw refused(error);
  }

  /** Ends the children. */
  async close(): Promise<void> {
    await Promise.all([this.#session.close(), this.#relay.close()]);
  }

  /** A change of what a table of this shape holds, as one transaction. Gives what was said against it, as `write`. */
  async change(shape: TableShape, transaction: Transaction): Promise<string> {
    const lines = (): string[] => commands(tableText(shape), transaction);
    const mark = this.#marks.next();
    const batch = this.#relay.useless
      ? undefined
      : changeBatch(shape.words, this.#packingsOf(shape), transaction, mark);
    if (batch === undefined) {
      this.#marks.forget(mark);
      return this.write(lines());
    }
    const against = await this.#relay
      .send(batch)
      .catch((thrown: unknown) =>
        this.#again([...markCommands(tableText(shape), mark), ...lines()], mark, asSluiceError(thrown)),
      );
    if (against !== '') this.#marks.forget(mark);
    return against;
  }

  #packingsOf(shape: TableShape): ReturnType<typeof packingsOf> {
    if (this.#packed?.shape !== shape) this.#packed = { shape, packings: packingsOf(shape) };
    return this.#packed.packings;
  }

  /** One transaction. Gives what nft said against it: then nothing has changed. */
  async write(changes: readonly string[]): Promise<string> {
    if (changes.length === 0) return '';
    const mark = this.#marks.next();
    const table = tableText({ words: wordsOf(this.#family) });
    const against = await this.#send([...markCommands(table, mark), ...changes], mark);
    if (against !== '') this.#marks.forget(mark);
    return against;
  }

  async #send(lines: readonly string[], mark: string): Promise<string> {
    const line = oneLine(lines);
    if (line.length <= longestLine) {
      try {
        return await this.#session.execute(line);
      } catch (error) {
        const why = asSluiceError(error);
        if (why.code === 'ToolMissing') throw why;
        return this.#again(lines, mark, why);
      }
    }
    const { code, error } = await runNft(this.#start, ['-f', '-'], chunks(lines.map((each) => `${each}\n`)));
    return code === 0 ? '' : error || 'refused without a word';
  }

  /** A child died: whether with its work done is seen from what the kernel says to the same work again. */
  async #again(lines: readonly string[], mark: string, why: SluiceError): Promise<string> {
    this.#marks.expect(mark);
    const { code, error } = await runNft(this.#start, ['-f', '-'], [`${lines.join('\n')}\n`]);
    if (code === 0) return '';
    throw new SluiceError('ambiguous', `a child ended in the middle of a change: ${first(error)}`, {
      code: why.code,
      cause: why,
    });
  }

  /** The frame of the table, without nft. @throws SluiceError where it cannot be read. */
  frame(chains: ChainNames): ReturnType<typeof readRawFrame> {
    return readRawFrame(this.#start, wordsOf(this.#family), chains);
  }

  /** What a table of this shape holds, without nft. @throws SluiceError where it cannot be read. */
  look(shape: TableShape, chains: ChainNames): Promise<RawTable> {
    return readRawTable(this.#start, shape, chains);
  }

  /** What the table holds; undefined where there is none. `signal` ends it, with an error. */
  async list(signal?: AbortSignal): Promise<Listed | undefined> {
    const start: SpawnPiped = (program, args) => {
      const child = this.#start(program, args);
      signal?.addEventListener('abort', () => child.kill('SIGKILL'));
      return child;
    };
    const reader = new ListingReader();
    const table = tableText({ words: wordsOf(this.#family) });
    let failure: unknown;
    const { code, error } = await runNft(
      start,
      ['-p', '-y', 'list', 'table', ...table.split(' ')],
      [],
      (text) => {
        try {
          reader.push(text);
        } catch (thrown) {
          failure ??= thrown;
        }
      },
    );
    if (code !== 0) {
      if (/no such file or directory/i.test(error)) return undefined;
      throw refused(error);
    }
    // A table of ours in a form that we cannot read is written anew.
    if (failure !== undefined) return { sets: new Map(), chains: new Map() };
    return reader.end();
  }
}
