/**
 * One TCP port: takes connections, finds each a target that answers, and lets bytes flow both ways.
 *
 * Half-close is passed on in either direction, a reset becomes a reset, and a slow reader slows the writer down: the
 * streams pull, nothing is collected here.
 */
import { connect, type BlockList, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Target } from '../host.ts';
import { targetKey } from '../host.ts';
import type { Network, OpenPort } from './network.ts';
import type { Targets } from './targets.ts';

/** To a node on this machine or in its network. */
const dialMs = 2_000;
/** Through the API server to a pod. */
const forwardMs = 10_000;
/** Targets that one connection tries. */
const mostTries = 4;

/** A stream to a ready pod of the Service, through the API server. Throws where it cannot be had. */
export type Forward = (signal: AbortSignal) => Promise<Duplex>;

export interface TcpPortOptions {
  readonly network: Network;
  readonly address: string;
  readonly listenPort: number;
  readonly targets: Targets;
  readonly forward: Forward;
  /** Undefined: everybody may connect. */
  readonly allowed: () => BlockList | undefined;
  readonly count: Counters;
  readonly onLost: (error: Error) => void;
}

export interface Counters {
  open: number;
  total: number;
  /** No target answered. */
  failed: number;
  /** Not in the source ranges. */
  refused: number;
}

export class TcpPort {
  readonly #options: TcpPortOptions;
  readonly #clients = new Set<Socket>();
  #port: OpenPort | undefined;

  private constructor(options: TcpPortOptions) {
    this.#options = options;
  }

  static async open(options: TcpPortOptions): Promise<TcpPort> {
    const port = new TcpPort(options);
    port.#port = await options.network.listenTcp(
      options.address,
      options.listenPort,
      (socket) => void port.#serve(socket),
      options.onLost,
    );
    return port;
  }

  /** Ends the port and its connections. */
  close(): void {
    this.#port?.close();
    for (const client of this.#clients) client.destroy();
  }

  async #serve(client: Socket): Promise<void> {
    const { count, allowed, targets } = this.#options;
    const from = client.remoteAddress ?? '';
    client.on('error', () => undefined);
    if (!isAllowed(allowed(), from)) {
      count.refused += 1;
      client.resetAndDestroy();
      return;
    }
    this.#clients.add(client);
    count.open += 1;
    count.total += 1;
    const gone = new AbortController();
    client.once('close', () => {
      this.#clients.delete(client);
      count.open -= 1;
      gone.abort(new Error('the client went away'));
    });
    const tried = new Set<string>();
    while (tried.size < mostTries && !gone.signal.aborted) {
      const target = targets.choose(from, tried);
      if (target === undefined) break;
      try {
        const upstream = await this.#dial(target, gone.signal);
        if (upstream.destroyed) throw upstream.errored ?? new Error('the connection was cut');
        if (gone.signal.aborted) {
          upstream.destroy();
          return;
        }
        targets.worked(target);
        // That the pod does not listen comes only now.
        if (target.kind === 'api')
          upstream.once('error', (error) => {
            if (!gone.signal.aborted) targets.failed(target, error.message);
          });
        join(client, upstream);
        return;
      } catch (error) {
        if (gone.signal.aborted) return;
        targets.failed(target, reasonOf(target, error));
        tried.add(targetKey(target));
      }
    }
    if (gone.signal.aborted) return;
    count.failed += 1;
    client.resetAndDestroy();
  }

  async #dial(target: Target, signal: AbortSignal): Promise<Duplex> {
    if (target.kind === 'api')
      return await this.#options.forward(AbortSignal.any([signal, AbortSignal.timeout(forwardMs)]));
    return await new Promise((resolve, reject) => {
      const { address: host, port } = target;
      const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
      const fail = (error: Error): void => {
        signal.removeEventListener('abort', onAbort);
        socket.destroy();
        reject(error);
      };
      const onAbort = (): void => fail(new Error('the client went away'));
      const onTimeout = (): void => fail(new Error(`no answer within ${dialMs / 1_000} s`));
      signal.addEventListener('abort', onAbort, { once: true });
      socket.setTimeout(dialMs, onTimeout);
      socket.once('error', fail);
      socket.once('connect', () => {
        signal.removeEventListener('abort', onAbort);
        socket.off('error', fail);
        socket.setTimeout(0);
        socket.off('timeout', onTimeout);
        // It may fail before it is joined.
        socket.on('error', () => undefined);
        resolve(socket);
      });
    });
  }
}

/** Addresses of IPv4 clients on a socket of both families are `::ffff:…`. */
export function isAllowed(list: BlockList | undefined, address: string): boolean {
  if (list === undefined) return true;
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  return list.check(plain, plain.includes(':') ? 'ipv6' : 'ipv4');
}

function reasonOf(target: Target, error: unknown): string {
  const why =
    error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
  if (target.kind === 'api') return error instanceof Error ? error.message : why;
  return why === 'ECONNREFUSED'
    ? `node ${target.node} refuses ${target.address}:${target.port}`
    : `node ${target.node} (${target.address}) cannot be reached: ${why}`;
}

/** Two streams become one connection. */
function join(client: Socket, upstream: Duplex): void {
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    let failure: NodeJS.ErrnoException | undefined;
    one.on('error', (error) => {
      failure = error;
    });
    // A side that closes after its end has said all; one that closes before takes the other along.
    one.once('close', () => {
      if (failure !== undefined || !one.readableEnded) cut(other, failure ?? new Error('cut off'));
    });
    one.pipe(other);
  }
}

/** A reset becomes a reset. */
function cut(other: Duplex, error: Error): void {
  if (other.destroyed) return;
  if ('resetAndDestroy' in other) (other as Socket).resetAndDestroy();
  else other.destroy(error);
}
