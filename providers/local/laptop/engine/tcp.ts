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
export type Forward = (client: string, signal: AbortSignal) => Promise<Duplex>;

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
      (socket) => port.#serve(socket),
      options.onLost,
    );
    return port;
  }

  /** Ends the port and its connections. */
  close(): void {
    this.#port?.close();
    for (const client of this.#clients) client.destroy();
  }

  #serve(client: Socket): void {
    const { count, allowed } = this.#options;
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
    client.once('close', () => {
      this.#clients.delete(client);
      count.open -= 1;
    });
    this.#next(client, from, noneTried);
  }

  /** Tries the target whose turn it is. Callbacks, not promises: this is done for each connection. */
  #next(client: Socket, from: string, tried: ReadonlySet<string>): void {
    if (client.destroyed) return;
    const { targets, count } = this.#options;
    const target = tried.size < mostTries ? targets.choose(from, tried) : undefined;
    if (target === undefined) {
      count.failed += 1;
      client.resetAndDestroy();
      return;
    }
    const failed = (error: Error): void => {
      if (client.destroyed) return;
      targets.failed(target, reasonOf(target, error));
      this.#next(client, from, new Set([...tried, targetKey(target)]));
    };
    if (target.kind === 'api') this.#forward(client, from, target, failed);
    else this.#dial(client, target, failed);
  }

  #dial(client: Socket, target: Extract<Target, { kind: 'node' }>, failed: (error: Error) => void): void {
    const upstream = connect({ host: target.address, port: target.port, allowHalfOpen: true, noDelay: true });
    let joined = false;
    let failure: Error | undefined;
    const onGone = (): void => void upstream.destroy();
    const onTimeout = (): void => void upstream.destroy(new Error(`no answer within ${dialMs / 1_000} s`));
    client.once('close', onGone);
    upstream.setTimeout(dialMs, onTimeout);
    upstream.on('error', (error) => {
      failure = error;
    });
    upstream.once('connect', () => {
      joined = true;
      client.off('close', onGone);
      upstream.setTimeout(0);
      upstream.off('timeout', onTimeout);
      this.#options.targets.worked(target);
      join(client, upstream);
    });
    upstream.once('close', () => {
      client.off('close', onGone);
      if (!joined) failed(failure ?? new Error('the connection was cut'));
    });
  }

  #forward(client: Socket, from: string, target: Target, failed: (error: Error) => void): void {
    const { forward, targets } = this.#options;
    const gone = new AbortController();
    const onGone = (): void => gone.abort(new Error('the client went away'));
    client.once('close', onGone);
    forward(from, AbortSignal.any([gone.signal, AbortSignal.timeout(forwardMs)])).then(
      (upstream) => {
        client.off('close', onGone);
        if (client.destroyed) {
          upstream.destroy();
          return;
        }
        if (upstream.destroyed) {
          failed(upstream.errored ?? new Error('the connection was cut'));
          return;
        }
        targets.worked(target);
        // That the pod does not listen comes only now.
        upstream.once('error', (error) => {
          if (!client.destroyed) targets.failed(target, error.message);
        });
        join(client, upstream);
      },
      (error: unknown) => {
        client.off('close', onGone);
        failed(error instanceof Error ? error : new Error(String(error)));
      },
    );
  }
}

const noneTried: ReadonlySet<string> = new Set();

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
  pump(client, upstream);
  pump(upstream, client);
}

/** As `pipe`, with fewer listeners: most connections are short. */
function pump(from: Duplex, to: Duplex): void {
  let failure: Error | undefined;
  from.on('data', (data: Buffer) => {
    if (!to.write(data)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.once('end', () => to.end());
  from.on('error', (error) => {
    failure = error;
  });
  // A side that closes after its end has said all; one that closes before takes the other along.
  from.once('close', () => {
    if (failure !== undefined || !from.readableEnded) cut(to, failure ?? new Error('cut off'));
  });
  from.resume();
}

/** A reset becomes a reset. */
function cut(other: Duplex, error: Error): void {
  if (other.destroyed) return;
  if ('resetAndDestroy' in other) (other as Socket).resetAndDestroy();
  else other.destroy(error);
}
