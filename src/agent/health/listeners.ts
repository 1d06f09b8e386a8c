/**
 * The listeners of health-check node ports: one for each Service, family and address that it is to be asked at.
 *
 * Invariants: `sync` is given the whole wish each time and opens and closes the difference; a port that cannot be
 * bound is told once and tried again with growing waits until it is wished for no more; a closed listener answers
 * nothing, and one that is about to be closed answers 503.
 */
import { createServer, type Server } from 'node:http';
import type { Clock, Random } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily, ObjectKey } from '../../core/objects.ts';
import { Backoff } from '../../kube/backoff.ts';
import { serviceAnswer, type HttpAnswer } from './answer.ts';

/** One Service's health port in one family. */
export interface HealthPort {
  readonly service: ObjectKey;
  readonly family: IpFamily;
  readonly port: number;
  /** Addresses to listen at; `0.0.0.0` or `::` for all of a family. */
  readonly addresses: readonly string[];
}

export interface ListenerOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Ready endpoints of a Service on this node, now; undefined where there is no such Service any more. */
  readonly ready: (service: ObjectKey, family: IpFamily) => number | undefined;
  readonly proxyHealthy: () => boolean;
  /** A port could not be bound: told once until it is. */
  readonly onFailed: (service: ObjectKey, address: string, port: number, error: SluiceError) => void;
}

interface Listener {
  readonly service: ObjectKey;
  readonly family: IpFamily;
  readonly address: string;
  readonly port: number;
  readonly backoff: Backoff;
  server: Server | undefined;
  cancel: (() => void) | undefined;
  failures: number;
  closed: boolean;
}

export class HealthListeners {
  readonly #options: ListenerOptions;
  readonly #listeners = new Map<string, Listener>();

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Sockets that answer. */
  get listening(): number {
    return [...this.#listeners.values()].filter(({ server }) => server?.listening === true).length;
  }

  sync(wanted: Iterable<HealthPort>): void {
    const wish = new Map<string, Omit<HealthPort, 'addresses'> & { readonly address: string }>();
    for (const { service, family, port, addresses } of wanted) {
      for (const address of addresses)
        wish.set(`${service} ${address} ${port}`, { service, family, port, address });
    }
    // Closing comes first: a port may go from one Service to another.
    for (const [key, listener] of this.#listeners) {
      if (wish.has(key)) continue;
      this.#listeners.delete(key);
      void close(listener);
    }
    for (const [key, { service, family, port, address }] of wish) {
      if (this.#listeners.has(key)) continue;
      const { clock, random } = this.#options;
      const listener: Listener = {
        service,
        family,
        address,
        port,
        backoff: new Backoff(clock, random, { minMs: 250, maxMs: 30_000, healthyMs: 60_000 }),
        server: undefined,
        cancel: undefined,
        failures: 0,
        closed: false,
      };
      this.#listeners.set(key, listener);
      this.#open(listener);
    }
  }

  async close(): Promise<void> {
    const all = [...this.#listeners.values()];
    this.#listeners.clear();
    await Promise.all(all.map(close));
  }

  #open(listener: Listener): void {
    const { service, family, address, port } = listener;
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
      const ready = listener.closed ? undefined : this.#options.ready(service, family);
      const answer: HttpAnswer = serviceAnswer(service, ready, this.#options.proxyHealthy());
      response.writeHead(answer.status, {
        ...answer.headers,
        'Content-Length': Buffer.byteLength(answer.body),
      });
      response.end(request.method === 'HEAD' ? undefined : answer.body);
      request.resume();
    });
    listener.server = server;
    server.on('error', (cause: NodeJS.ErrnoException) => {
      if (listener.closed) return;
      server.close();
      listener.failures += 1;
      // The first failure may be the socket of a Service that has just given the port up.
      if (listener.failures === 2) {
        const message = `cannot listen on ${address} port ${port}: ${cause.message}`;
        const error = new SluiceError('conflict', message, { code: cause.code ?? 'ListenFailed', cause });
        this.#options.onFailed(service, address, port, error);
      }
      listener.cancel = this.#options.clock.schedule(listener.backoff.failed(), () => this.#open(listener));
    });
    server.once('listening', () => {
      listener.failures = 0;
    });
    // Both families on one port: the one socket of IPv6 must not take that of IPv4.
    server.listen({ host: address, port, ipv6Only: family === 'IPv6' });
  }
}

async function close(listener: Listener): Promise<void> {
  listener.closed = true;
  listener.cancel?.();
  const { server } = listener;
  if (server === undefined) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
