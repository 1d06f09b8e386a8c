/**
 * The door to the kernel: one child with four sockets (requests and changes by rtnetlink, ARP, neighbour discovery of
 * IPv6), for one life of that child. Whoever opened it opens another after it has ended.
 *
 * Requests go out in batches; the kernel tells only what failed, and the last of a batch says that it is done.
 */
import { readFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../../core/clock.ts';
import { SluiceError } from '../../../core/errors.ts';
import type { Spawn } from '../../tool.ts';
import { etherTypeArp } from './arp.ts';
import { late, notStarted, refusal } from './kernel-errors.ts';
import { etherTypeIpv6 } from './neighbours6.ts';
import {
  errorOf,
  flagAck,
  messageDone,
  messageError,
  readMessages,
  writeMessage,
  type Message,
  type Request,
} from './netlink.ts';
import {
  openingTag,
  openMessage,
  RelayReader,
  sendMessage,
  tooLate,
  type FromRelay,
  type SocketSpec,
} from './relay-frames.ts';
import { relayProgram } from './relay-program.ts';
import { changeGroups } from './rtnetlink.ts';
import { discoveryOnly, netlinkAddress, netlinkSpec, notFrom, packetAddress, packetSpec } from './sockets.ts';

/** What comes in by itself. */
export interface KernelHearer {
  arp(frame: Buffer, link: number): void;
  discovery(frame: Buffer, link: number): void;
  /** A change that somebody else made; what we asked for ourselves is left out. */
  change(message: Message): void;
  /** Changes were lost: only a look at everything can tell. */
  lost(): void;
  /** The child is gone; nothing more comes. Not told after `close`. */
  ended(error: SluiceError): void;
}

export interface KernelOptions {
  readonly start: Spawn;
  readonly clock: Clock;
  readonly hearer: KernelHearer;
}

/** A request that the kernel refused: its place in the batch, and why. */
export interface Refused {
  readonly at: number;
  readonly errno: number;
}

interface Waiting {
  readonly first: number;
  readonly rows: Message[] | undefined;
  readonly refused: Refused[];
  resolve(): void;
  reject(error: SluiceError): void;
}

const requests = 1;
const changes = 2;
const arp = 3;
const discovery = 4;

const packetOutgoing = 4;

/** More acknowledgements at a time than the kernel keeps for us would be lost. */
const inBatch = 64;
/** After which the child counts as stuck, milliseconds. */
const patienceMs = 1_000;

export class Kernel {
  readonly #clock: Clock;
  readonly #hearer: KernelHearer;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #opening = new Map<number, PromiseWithResolvers<Buffer>>();
  readonly #reader = new RelayReader();
  #sequence = 0;
  #dumping: Promise<unknown> = Promise.resolve();
  #over: SluiceError | undefined;
  #said = '';
  readonly #gone = Promise.withResolvers<void>();
  #uptimeReadAt = -Infinity;
  #uptimeAhead = 0;

  private constructor({ start, clock, hearer }: KernelOptions) {
    this.#clock = clock;
    this.#hearer = hearer;
    this.#child = start('perl', ['-e', relayProgram]);
    const { stdin, stdout, stderr } = this.#child;
    stdin?.on('error', () => undefined);
    stdout?.on('data', (bytes: Buffer) => {
      for (const message of this.#reader.push(bytes)) this.#take(message);
    });
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-1_000);
    });
    this.#child.once('error', (cause: NodeJS.ErrnoException) => {
      this.#gone.resolve();
      this.#end(notStarted(cause));
    });
    this.#child.once('close', (code, signal) => {
      this.#gone.resolve();
      const how = code === null ? `signal ${signal}` : `exit code ${code}`;
      const words = this.#said.trim();
      this.#end(
        new SluiceError(
          'transient',
          `the program that speaks to the link ended (${how})${words && `: ${words}`}`,
          {
            code: 'RelayEnded',
          },
        ),
      );
    });
  }

  /**
   * @throws SluiceError `invalid` (`ToolMissing`) where there is no perl, `denied` (`CapabilityMissing`) where the
   * sockets are not ours to open, `transient` where the child ended.
   */
  static async open(options: KernelOptions): Promise<Kernel> {
    const kernel = new Kernel(options);
    try {
      const own = await kernel.#socket(requests, netlinkSpec(0, Buffer.alloc(0)));
      await Promise.all([
        kernel.#socket(changes, netlinkSpec(changeGroups, notFrom(own.readUInt32LE(4)))),
        kernel.#socket(arp, packetSpec(etherTypeArp, Buffer.alloc(0))),
        kernel.#socket(discovery, packetSpec(etherTypeIpv6, discoveryOnly)),
      ]);
    } catch (error) {
      await kernel.close();
      throw error;
    }
    return kernel;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Carries requests out, in order; `until` (of the clock) is when they must not be carried out any more.
   *
   * @returns those that the kernel refused. @throws SluiceError `transient` where the child ended or is stuck; `busy`
   * (`TooLate`) where the time was over.
   */
  async ask(asked: readonly Request[], until?: number): Promise<readonly Refused[]> {
    // All at once, so that whatever is asked next comes after all of it; the child reads answers between batches.
    const batches: Promise<readonly Refused[]>[] = [];
    for (let from = 0; from < asked.length; from += inBatch) {
      const answered = this.#batch(asked.slice(from, from + inBatch), until);
      batches.push(answered.then((refused) => refused.map(({ at, errno }) => ({ at: at + from, errno }))));
    }
    return (await Promise.all(batches)).flat();
  }

  /** One answer to each, where there is one; in order. @throws SluiceError as `ask`. */
  async find(asked: readonly Request[]): Promise<readonly (Message | undefined)[]> {
    const answers: (Message | undefined)[] = asked.map(() => undefined);
    for (let from = 0; from < asked.length; from += inBatch) {
      const rows: Message[] = [];
      const first = this.#sequence + 1;
      await this.#batch(asked.slice(from, from + inBatch), undefined, rows);
      for (const row of rows) answers[from + row.sequence - first] = row;
    }
    return answers;
  }

  /** Everything of a kind. @throws SluiceError as `ask`. */
  list(request: Request): Promise<readonly Message[]> {
    // The kernel lists one thing at a time on a socket.
    const listed = this.#dumping.then(() => this.#list(request));
    this.#dumping = listed.catch(() => undefined);
    return listed;
  }

  /** Sends a frame out of a link; whether it could be sent is not heard of. */
  frame(link: number, frame: Buffer, until: number): void {
    const address = packetAddress(frame.readUInt16BE(12), link);
    const socket = frame.readUInt16BE(12) === etherTypeArp ? arp : discovery;
    this.#write(sendMessage(socket, { address, data: frame, until: this.#uptime(until), tag: 0 }));
  }

  /** Ends the child; nothing is told any more. Resolves when it is gone. */
  close(): Promise<void> {
    this.#over ??= new SluiceError('transient', 'the announcer has stopped', { code: 'Stopped' });
    this.#child.stdin?.end();
    this.#child.kill('SIGKILL');
    this.#release(this.#over);
    return this.#gone.promise;
  }

  async #batch(
    batch: readonly Request[],
    until: number | undefined,
    rows?: Message[],
  ): Promise<readonly Refused[]> {
    const first = this.#sequence + 1;
    this.#sequence += batch.length;
    const last = this.#sequence;
    const refused: Refused[] = [];
    const messages = batch.map((request, i) => {
      const flags = i === batch.length - 1 ? request.flags | flagAck : request.flags;
      return writeMessage({ ...request, flags }, first + i);
    });
    await this.#send(Buffer.concat(messages), { first, last, refused, rows, until });
    return refused;
  }

  async #list(request: Request): Promise<readonly Message[]> {
    this.#sequence += 1;
    const first = this.#sequence;
    const rows: Message[] = [];
    const refused: Refused[] = [];
    await this.#send(writeMessage(request, first), { first, last: first, refused, rows, until: undefined });
    const [failure] = refused;
    if (failure !== undefined) throw refusal('list', failure.errno);
    return rows;
  }

  async #send(
    data: Buffer,
    sent: Omit<Waiting, 'resolve' | 'reject'> & { readonly last: number; readonly until: number | undefined },
  ): Promise<void> {
    if (this.#over !== undefined) throw this.#over;
    const { last, until, ...rest } = sent;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.set(last, { ...rest, resolve, reject });
    const cancel = this.#clock.schedule(patienceMs, () => this.#stuck());
    this.#write(
      sendMessage(requests, {
        address: netlinkAddress(0, 0),
        data,
        until: until === undefined ? 0 : this.#uptime(until),
        tag: last,
      }),
    );
    try {
      await promise;
    } finally {
      cancel();
      this.#waiting.delete(last);
    }
  }

  #write(message: Buffer): void {
    this.#child.stdin?.write(message);
  }

  /** The child's clock at a time of ours, in hundredths of a second. */
  #uptime(at: number): number {
    const now = this.#clock.now();
    // For the frames of one round.
    if (now - this.#uptimeReadAt > 5) {
      const seconds = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
      this.#uptimeAhead = seconds * 100 - now / 10;
      this.#uptimeReadAt = now;
    }
    return Math.max(1, Math.floor(at / 10 + this.#uptimeAhead));
  }

  #socket(id: number, spec: SocketSpec): Promise<Buffer> {
    const opening = Promise.withResolvers<Buffer>();
    this.#opening.set(id, opening);
    if (this.#over !== undefined) opening.reject(this.#over);
    else this.#write(openMessage(id, spec));
    return opening.promise;
  }

  #take(message: FromRelay): void {
    switch (message.kind) {
      case 'opened':
        this.#opening.get(message.socket)?.resolve(message.address);
        this.#opening.delete(message.socket);
        return;
      case 'failed':
        this.#failed(message);
        return;
      case 'received':
        this.#received(message);
    }
  }

  #failed({ socket, tag, errno }: FromRelay & { readonly kind: 'failed' }): void {
    if (tag === openingTag) {
      this.#opening.get(socket)?.reject(refusal('socket', errno));
      this.#opening.delete(socket);
    } else if (socket === changes) {
      this.#hearer.lost();
    } else if (socket === requests) {
      const error = errno === tooLate ? late() : refusal('send', errno);
      const waiting = this.#waiting.get(tag);
      if (waiting !== undefined) waiting.reject(error);
      // Answers were lost, of nobody knows which request.
      else if (tag === 0) for (const each of this.#waiting.values()) each.reject(error);
    }
  }

  #received({ socket, from, data }: FromRelay & { readonly kind: 'received' }): void {
    if (socket === requests) {
      for (const message of readMessages(data)) this.#answered(message);
    } else if (socket === changes) {
      for (const message of readMessages(data)) this.#hearer.change(message);
    } else if (from.length >= 12 && from.readUInt8(10) !== packetOutgoing) {
      const link = from.readInt32LE(4);
      if (socket === arp) this.#hearer.arp(data, link);
      else this.#hearer.discovery(data, link);
    }
  }

  #answered(message: Message): void {
    const { sequence, type } = message;
    const waiting = this.#waitingFor(sequence);
    if (type === messageError) {
      const errno = errorOf(message);
      if (errno !== 0) waiting?.refused.push({ at: sequence - waiting.first, errno });
      this.#waiting.get(sequence)?.resolve();
    } else if (type === messageDone) this.#waiting.get(sequence)?.resolve();
    else waiting?.rows?.push(message);
  }

  #waitingFor(sequence: number): Waiting | undefined {
    for (const [last, waiting] of this.#waiting) {
      if (sequence >= waiting.first && sequence <= last) return waiting;
    }
    return undefined;
  }

  #stuck(): void {
    this.#child.kill('SIGKILL');
    this.#end(
      new SluiceError(
        'transient',
        `the program that speaks to the link has not answered for ${patienceMs} ms`,
        {
          code: 'RelayStuck',
        },
      ),
    );
  }

  #end(error: SluiceError): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#release(error);
    this.#hearer.ended(error);
  }

  #release(error: SluiceError): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    for (const opening of this.#opening.values()) opening.reject(error);
    this.#waiting.clear();
    this.#opening.clear();
  }
}
