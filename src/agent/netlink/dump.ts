/** What the kernel answers when it is asked what it holds (linux/netlink.h), taken apart (pure). */
import { SluiceError } from '../../core/errors.ts';

export interface DumpMessage {
  readonly type: number;
  /** Behind `struct nlmsghdr` and `struct nfgenmsg`: attributes. */
  readonly content: Buffer;
}

/** The answers to a group of requests. */
export interface Dump {
  readonly messages: readonly DumpMessage[];
  /** Something was written meanwhile: a part may be missing, though it is there. */
  readonly interrupted: boolean;
}

const header = 16;
const behindHeaders = 20;
const messageType = { error: 2, done: 3 } as const;
const interruptedFlag = 0x10;
const newGeneration = 10 * 256 + 15;
const generationId = 1;
/** ENOENT */
const notThere = 2;

/**
 * Groups of so many answers, one after the other, and before the first group and after each the number of the last
 * transaction: the kernel itself does not say that a set has changed while it was listed.
 *
 * @throws SluiceError `transient` where the kernel refused one, or the answers broke off.
 */
export function readDumps(bytes: Buffer, groups: readonly number[]): Dump[] {
  const reader = new AnswerReader(bytes);
  let before = generationOf(reader.next());
  const dumps = groups.map((count): Dump => {
    const answers = Array.from({ length: count }, () => reader.next());
    const after = generationOf(reader.next());
    const interrupted = before !== after || answers.some((answer) => answer.interrupted);
    before = after;
    return { messages: answers.flatMap(({ messages }) => messages), interrupted };
  });
  if (!reader.isAtEnd) throw notUnderstood('more than was asked for');
  return dumps;
}

class AnswerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Up to its end, or to an acknowledgement. */
  next(): Dump {
    const bytes = this.#bytes;
    const messages: DumpMessage[] = [];
    let interrupted = false;
    for (;;) {
      const at = this.#at;
      const length = at + header > bytes.length ? 0 : bytes.readUInt32LE(at);
      if (length < behindHeaders || at + length > bytes.length) throw brokenOff();
      this.#at += (length + 3) & ~3;
      const type = bytes.readUInt16LE(at + 4);
      if ((bytes.readUInt16LE(at + 6) & interruptedFlag) !== 0) interrupted = true;
      if (type === messageType.error || type === messageType.done) {
        refuseError(bytes.readInt32LE(at + header));
        return { messages, interrupted };
      }
      messages.push({ type, content: bytes.subarray(at + behindHeaders, at + length) });
    }
  }
}

/** Takes answers in whatever pieces they come, and hands each message on. */
export class MessageStream {
  readonly #each: (message: DumpMessage) => void;
  /** A message that has not come whole. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(each: (message: DumpMessage) => void) {
    this.#each = each;
  }

  /** @throws SluiceError transient where the kernel refused a request. */
  readonly take = (bytes: Buffer): void => {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    while (at + header <= all.length) {
      const length = all.readUInt32LE(at);
      if (length < behindHeaders) throw brokenOff();
      const end = at + ((length + 3) & ~3);
      if (end > all.length) break;
      const type = all.readUInt16LE(at + 4);
      if (type === messageType.error || type === messageType.done) refuseError(all.readInt32LE(at + header));
      else this.#each({ type, content: all.subarray(at + behindHeaders, at + length) });
      at = end;
    }
    this.#rest = all.subarray(at);
  };

  /** @throws SluiceError transient where the last message did not come whole. */
  end(): void {
    if (this.#rest.length > 0) throw brokenOff();
  }
}

function generationOf({ messages: [message, ...more] }: Dump): number {
  let generation: number | undefined;
  if (message?.type === newGeneration && more.length === 0) {
    const { content } = message;
    attributes(content, 0, content.length, (kind, from) => {
      if (kind === generationId) generation = content.readUInt32BE(from);
    });
  }
  if (generation === undefined) throw notUnderstood('no number of a transaction');
  return generation;
}

/** What is not there has no messages. */
function refuseError(errno: number): void {
  if (errno !== 0 && errno !== -notThere)
    throw new SluiceError('transient', `the kernel does not list our table: error ${-errno}`, {
      code: 'NotListed',
    });
}

/** Calls back for each attribute, with where it begins and ends. @throws SluiceError where they are not whole. */
export function attributes(
  bytes: Buffer,
  from: number,
  end: number,
  take: (kind: number, from: number, end: number) => void,
): void {
  for (let at = from; at < end;) {
    const length = at + 4 > end ? 0 : bytes.readUInt16LE(at);
    if (length < 4 || at + length > end) throw notUnderstood(`an attribute of ${length} bytes`);
    // The upper two bits say how it is written.
    take(bytes.readUInt16LE(at + 2) & 0x3f_ff, at + 4, at + length);
    at += (length + 3) & ~3;
  }
}

function brokenOff(): SluiceError {
  return new SluiceError('transient', 'the list of our table broke off', { code: 'NotListed' });
}

export function notUnderstood(what: string): SluiceError {
  return new SluiceError('bug', `cannot read what the kernel lists: ${what}`, { code: 'UnreadableListing' });
}
