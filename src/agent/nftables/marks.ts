/**
 * How a transaction of ours is told from a foreign one: each leaves a random number behind in a small set of our table,
 * and the kernel's messages about it name that number.
 *
 * The process id in those messages will not do, because it is the one of the outermost pid namespace, which a pod does not
 * see. A number counts once: a foreign program that saves our table and loads it again brings an old number with it.
 */
import { randomBytes } from 'node:crypto';

/** Holds the number of the last transaction of ours. */
export const markSet = 'last-write';

/** So many are remembered while nobody listens. */
const mostPending = 1000;

export class Marks {
  readonly #pending = new Set<string>();
  readonly #bytes: (count: number) => Buffer;

  constructor(bytes: (count: number) => Buffer = randomBytes) {
    this.#bytes = bytes;
  }

  /** A number for a transaction that is about to be written, as nft lists a traffic class. */
  next(): string {
    const bytes = this.#bytes(4);
    // Neither half is 0 and the upper one is not full: nft has words of its own for some of those.
    const mark = `${(1 + (bytes.readUInt16BE(0) % 0xfffe)).toString(16)}:${(1 + (bytes.readUInt16BE(2) % 0xffff)).toString(16)}`;
    this.expect(mark);
    return mark;
  }

  /** The transaction may be heard of, once more if it was already. */
  expect(mark: string): void {
    this.#pending.add(mark);
    if (this.#pending.size <= mostPending) return;
    const [oldest = ''] = this.#pending;
    this.#pending.delete(oldest);
  }

  /** The transaction was refused: nobody will hear of it. */
  forget(mark: string): void {
    this.#pending.delete(mark);
  }

  /** Whether a transaction with this number is ours; true once only. */
  heard(mark: string): boolean {
    return this.#pending.delete(mark);
  }
}
