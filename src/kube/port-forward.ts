/**
 * A stream to a port of a pod through the API server: what `kubectl port-forward` does, one connection a stream.
 *
 * Two wire forms are offered in one handshake, and the server chooses. Servers since 1.30 tunnel SPDY to the kubelet
 * (`SPDY/3.1+portforward.k8s.io`, KEP-4006), as kubectl does; older ones pass the WebSocket through to the kubelet,
 * which speaks channels (`v4.channel.k8s.io`: a byte for the channel before each message, and first of all the port on
 * each channel). Channels cannot say that one side has ended; there our end is told by closing, once the other ended.
 *
 * It needs `create` (and for WebSockets `get`) on `pods/portforward`. TCP only.
 */
import { Duplex } from 'node:stream';
import { systemClock, type Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { dataFrames, pingFrameOf, resetFrame, SpdyReader, SpdyWriter, type SpdyEvent } from './spdy.ts';
import type { Upgraded, Upgrader } from './upgrade.ts';
import { WebSocketStream } from './websocket.ts';

export const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io';
export const channelProtocol = 'v4.channel.k8s.io';

export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/**
 * The API server does not tell when the node behind a tunnel has died (seen with 1.36): the kubelet is asked for a sign
 * of life, in milliseconds.
 */
export interface Heartbeat {
  readonly clock: Clock;
  readonly everyMs: number;
  /** Silence for this long ends the stream. */
  readonly deadMs: number;
}

const usualHeartbeat: Heartbeat = { clock: systemClock, everyMs: 10_000, deadMs: 25_000 };
const errorStream = 1;
const dataStream = 3;
const errorChannel = 1;
const dataChannel = 0;

/**
 * Resolves when the kubelet has taken the stream; that the pod does not listen comes as an error of the stream.
 *
 * Errors: as of any call (`denied`, `gone`, `transient` …).
 */
export async function forwardTo(
  api: Upgrader,
  { namespace, pod, port }: PodPort,
  signal: AbortSignal,
  heartbeat: Heartbeat = usualHeartbeat,
): Promise<Duplex> {
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/portforward`;
  const upgraded = await api.upgrade(path, {
    query: { ports: port },
    protocols: [tunnelProtocol, channelProtocol],
    signal,
  });
  const where = `${namespace}/${pod}:${port}`;
  const stream =
    upgraded.protocol === tunnelProtocol
      ? new TunnelStream(upgraded, where, port, heartbeat)
      : new ChannelStream(upgraded, where);
  const onAbort = (): void => void stream.destroy(asError(signal.reason));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await stream.ready;
    if (stream.errored !== null) throw stream.errored;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return stream;
}

/** What both forms share: a duplex on a WebSocket, and a word from the error stream that ends it. */
abstract class ForwardStream extends Duplex {
  readonly ready: Promise<void>;
  protected readonly socket: WebSocketStream;
  protected readonly where: string;
  readonly #ready = Promise.withResolvers<void>();
  #complaint = '';
  /** All data came; the reader may still have to take it. */
  #whole = false;

  constructor({ socket, head }: Upgraded, where: string) {
    super({ allowHalfOpen: true });
    this.where = where;
    // It may fail before its holder listens; `errored` tells then, and nothing is thrown at the process.
    this.on('error', () => undefined);
    this.ready = this.#ready.promise;
    // Nobody may be waiting any more when it fails.
    this.ready.catch(() => undefined);
    this.socket = new WebSocketStream(socket, Buffer.alloc(0), {
      onBytes: (bytes, first) => this.heard(bytes, first),
      onEnd: (error) => this.#ended(error),
    });
    // What came with the handshake must not be heard before the form at hand is made in full.
    this.socket.pause();
    if (head.length > 0) socket.unshift(head);
    process.nextTick(() => this.socket.resume());
  }

  /** Whether closing the WebSocket is how the other side says that it has sent all. */
  protected abstract readonly endsByClosing: boolean;

  protected abstract heard(bytes: Buffer, first: boolean): void;

  /** The stream is cut short: a last word to the other side. */
  protected abandoned(): void {
    // Closing the socket says it as well.
  }

  protected opened(): void {
    this.#ready.resolve();
  }

  protected received(bytes: Buffer): void {
    if (bytes.length > 0 && !this.#whole && !this.push(bytes)) this.socket.pause();
  }

  protected receivedAll(): void {
    if (this.#whole) return;
    this.#whole = true;
    this.push(null);
  }

  protected complains(bytes: Buffer): void {
    this.#complaint += bytes.toString('utf8');
  }

  /** The other side has said all that it had to complain of. */
  protected complained(): void {
    if (this.#complaint !== '') this.destroy(this.#refusal());
  }

  override _read(): void {
    this.socket.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#ready.reject(error ?? new SluiceError('transient', `${this.where}: closed`, { code: 'Closed' }));
    if (error === null && this.readableEnded && this.writableFinished) {
      this.socket.close();
    } else {
      this.abandoned();
      this.socket.close();
    }
    callback(error);
  }

  #ended(error: Error | undefined): void {
    if (this.#complaint !== '') this.destroy(this.#refusal());
    else if (this.#whole) return;
    else if (error === undefined && this.endsByClosing) this.receivedAll();
    else
      this.destroy(
        error ?? new SluiceError('transient', `${this.where}: the stream was cut`, { code: 'StreamBroken' }),
      );
  }

  #refusal(): SluiceError {
    return new SluiceError('transient', `${this.where}: ${plain(this.#complaint)}`, {
      code: 'ForwardRefused',
    });
  }
}

class TunnelStream extends ForwardStream {
  protected override readonly endsByClosing = false;
  readonly #reader = new SpdyReader((event) => this.#happened(event));
  readonly #heartbeat: Heartbeat;
  #heardAt: number;
  #cancelBeat: () => void = () => undefined;
  #pings = 1;

  constructor(upgraded: Upgraded, where: string, port: number, heartbeat: Heartbeat) {
    super(upgraded, where);
    this.#heartbeat = heartbeat;
    this.#heardAt = heartbeat.clock.now();
    this.#beatLater();
    this.once('close', () => this.#cancelBeat());
    const writer = new SpdyWriter();
    const headers = { port: String(port), requestid: '0' };
    this.socket.send([
      writer.open(errorStream, { streamtype: 'error', ...headers }),
      writer.open(dataStream, { streamtype: 'data', ...headers }),
      // We have nothing to complain of.
      ...dataFrames(errorStream, Buffer.alloc(0), true),
    ]);
  }

  protected override heard(bytes: Buffer): void {
    this.#heardAt = this.#heartbeat.clock.now();
    this.#reader.take(bytes);
  }

  #beatLater(): void {
    const { clock, everyMs, deadMs } = this.#heartbeat;
    this.#cancelBeat = clock.schedule(everyMs, () => {
      // While our reader holds the stream up, an answer could not be heard.
      if (this.readableLength >= this.readableHighWaterMark) this.#heardAt = clock.now();
      if (clock.now() - this.#heardAt >= deadMs) {
        const message = `${this.where}: no sign of life from the node for ${deadMs / 1_000} s`;
        this.destroy(new SluiceError('transient', message, { code: 'Quiet' }));
        return;
      }
      this.socket.send([pingFrameOf(this.#pings)]);
      // Of a client, ids of pings are odd.
      this.#pings += 2;
      this.#beatLater();
    });
  }

  override _write(bytes: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.socket.send(dataFrames(dataStream, bytes), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.socket.send(dataFrames(dataStream, Buffer.alloc(0), true), callback);
  }

  protected override abandoned(): void {
    this.socket.send([resetFrame(dataStream)]);
  }

  #happened(event: SpdyEvent): void {
    switch (event.kind) {
      case 'reply':
        if (event.stream === dataStream) this.opened();
        return;
      case 'data':
        if (event.stream === errorStream) {
          this.complains(event.bytes);
          if (event.end) this.complained();
        } else if (event.stream === dataStream) {
          this.received(event.bytes);
          if (event.end) this.receivedAll();
        }
        return;
      case 'reset':
        if (event.stream === dataStream)
          this.destroy(
            new SluiceError('transient', `${this.where}: the stream was reset (${event.status})`, {
              code: 'StreamReset',
            }),
          );
        return;
      case 'ping':
        if (event.id % 2 === 0) this.socket.send([pingFrameOf(event.id)]);
        return;
      case 'go away':
    }
  }
}

class ChannelStream extends ForwardStream {
  protected override readonly endsByClosing = true;
  #channel = dataChannel;
  /** Bytes of the port number that are still to come, by channel. */
  readonly #preamble = [2, 2];

  protected override heard(bytes: Buffer, first: boolean): void {
    let rest = bytes;
    if (first) {
      this.#channel = bytes[0] ?? dataChannel;
      rest = bytes.subarray(1);
    }
    const missing = this.#preamble[this.#channel] ?? 0;
    if (missing > 0) {
      const skipped = Math.min(missing, rest.length);
      this.#preamble[this.#channel] = missing - skipped;
      rest = rest.subarray(skipped);
      if (missing === skipped && this.#channel === dataChannel) this.opened();
    }
    if (this.#channel === errorChannel) this.complains(rest);
    else this.received(rest);
  }

  override _write(bytes: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.socket.send([Buffer.from([dataChannel]), bytes], callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    callback();
  }
}

/** The kubelet's complaint is JSON in newer versions. */
function plain(complaint: string): string {
  try {
    return (JSON.parse(complaint) as { readonly message?: string }).message ?? complaint.trim();
  } catch {
    return complaint.trim();
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
