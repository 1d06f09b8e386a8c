/**
 * The front of a simulated cloud: for each TCP listener of its balancers a port on loopback that carries real
 * connections to the node ports of the targets registered in this moment.
 *
 * It follows what is registered in the simulated account with a tenth of a second's delay: faster than any real one. A
 * target that refuses is passed over. UDP and listeners that end TLS are not carried.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { sleep, type Clock } from '../core/clock.ts';

/** A TCP listener of a balancer. */
export interface FrontListener {
  /** The host name or address that the Service shows. */
  readonly balancer: string;
  readonly port: number;
  /** Those that take new connections. */
  readonly targets: readonly { readonly instance: string; readonly port: number }[];
}

export interface FrontOptions {
  /** The listeners as they are in the account now. */
  readonly read: () => Promise<readonly FrontListener[]>;
  /** The address where an instance is reached; undefined where it is not. */
  readonly reach: (instance: string) => string | undefined;
  readonly clock: Clock;
}

/** How often the account is looked at. */
const everyMs = 100;
const connectMs = 1_000;

export class Front {
  readonly #options: FrontOptions;
  readonly #servers = new Map<string, Server>();
  readonly #sockets = new Set<Socket>();
  readonly #stop = new AbortController();
  #listeners: readonly FrontListener[] = [];
  #following: Promise<void> = Promise.resolve();
  #turn = 0;

  constructor(options: FrontOptions) {
    this.#options = options;
  }

  /** Follows the account until it is closed. */
  start(): void {
    this.#following = this.#follow();
  }

  /** Where a listener answers; undefined while it does not. */
  where(balancer: string, port: number): string | undefined {
    const address = this.#servers.get(keyOf({ balancer, port }))?.address() as AddressInfo | null | undefined;
    return address === null || address === undefined ? undefined : `${address.address}:${address.port}`;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
    for (const key of this.#servers.keys()) this.#drop(key);
    for (const socket of this.#sockets) socket.destroy();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      // An account that cannot be read now is read again: what is open stays open.
      const listeners = await this.#options.read().catch(() => undefined);
      if (listeners !== undefined && !signal.aborted) await this.#become(listeners);
      await sleep(this.#options.clock, everyMs, signal).catch(() => undefined);
    }
  }

  async #become(listeners: readonly FrontListener[]): Promise<void> {
    this.#listeners = listeners;
    const wanted = new Set(listeners.map(keyOf));
    for (const key of this.#servers.keys()) if (!wanted.has(key)) this.#drop(key);
    for (const key of wanted) {
      // One that cannot be opened now is tried again with the next look.
      if (!this.#servers.has(key)) await this.#open(key).catch(() => this.#drop(key));
    }
  }

  #open(key: string): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => void this.#carry(key, socket));
    this.#servers.set(key, server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
  }

  #drop(key: string): void {
    this.#servers.get(key)?.close();
    this.#servers.delete(key);
  }

  async #carry(key: string, client: Socket): Promise<void> {
    this.#hold(client);
    const targets = this.#listeners.find((one) => keyOf(one) === key)?.targets ?? [];
    this.#turn += 1;
    for (let tried = 0; tried < targets.length && !client.destroyed; tried += 1) {
      const target = targets[(this.#turn + tried) % targets.length];
      const host = target === undefined ? undefined : this.#options.reach(target.instance);
      const upstream = target && host ? await reached(host, target.port) : undefined;
      if (upstream === undefined) continue;
      this.#hold(upstream);
      client.pipe(upstream).pipe(client);
      client.on('close', () => upstream.destroy());
      upstream.on('close', () => client.destroy());
      return;
    }
    client.resetAndDestroy();
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

/** Host names are the same in either case, and the cloud and the Service differ in it. */
function keyOf({ balancer, port }: Pick<FrontListener, 'balancer' | 'port'>): string {
  return `${balancer.toLowerCase()} ${port}`;
}

/** A connection to a node port; undefined where there is none to be had. */
function reached(host: string, port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    const give = (made: Socket | undefined): void => {
      clearTimeout(timer);
      if (made === undefined) socket.destroy();
      resolve(made);
    };
    const timer = setTimeout(() => give(undefined), connectMs);
    socket.once('connect', () => give(socket));
    socket.once('error', () => give(undefined));
  });
}
