/**
 * A real HTTP server on loopback that answers list and watch requests as a script says.
 *
 * What breaks readers happens below HTTP (resets, halves of answers, peers that fall silent), so it is
 * played on real sockets. Each request takes the next step of the script; when there is none left, it is
 * answered as a watch on which nothing happens.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

/** One answer in the making. */
export interface Exchange {
  readonly request: SeenRequest;
  /** A whole answer. */
  answer(code: number, body: unknown, headers?: Readonly<Record<string, string>>): void;
  /** One watch event; the head of the answer goes out with the first. */
  event(type: string, object: unknown): void;
  /** The head of an answer, for `raw` to follow. */
  head(code: number, headers: Readonly<Record<string, string>>): void;
  /** Bytes as they are. */
  raw(bytes: string | Uint8Array): void;
  /** Ends the answer cleanly. */
  end(): void;
  /** Cuts the connection with a reset. */
  reset(): void;
  /** The client has gone away. */
  readonly gone: Promise<void>;
}

export type Step = (exchange: Exchange) => void | Promise<void>;

export class ScriptedApi {
  readonly requests: SeenRequest[] = [];
  /** Connections accepted so far. */
  connections = 0;
  readonly #steps: Step[] = [];
  readonly #server: Server;
  readonly #wrong: unknown[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ScriptedApi> {
    const server = createServer();
    const api = new ScriptedApi(server);
    server.on('request', (request, response) => {
      api.#serve(request, response).catch((error: unknown) => {
        api.#wrong.push(error);
        response.destroy();
      });
    });
    server.on('connection', (socket) => {
      api.connections += 1;
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Adds steps for the requests to come. */
  script(...steps: readonly Step[]): void {
    this.#steps.push(...steps);
  }

  get stepsLeft(): number {
    return this.#steps.length;
  }

  /** Cuts every connection and stops; throws what went wrong inside a step. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
    if (this.#wrong.length > 0) throw new AggregateError(this.#wrong, 'a step of the script failed');
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const url = new URL(incoming.url ?? '/', 'http://api');
    const request: SeenRequest = {
      method: incoming.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: text === '' ? undefined : JSON.parse(text),
    };
    this.requests.push(request);
    response.on('error', () => undefined);
    await (this.#steps.shift() ?? quiet)(exchangeOn(request, response));
  }
}

function exchangeOn(request: SeenRequest, response: ServerResponse): Exchange {
  const gone = new Promise<void>((resolve) => {
    response.on('close', () => resolve());
  });
  const open = (): void => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' });
  };
  return {
    request,
    gone,
    answer: (code, body, headers = {}) => {
      response.writeHead(code, { 'content-type': 'application/json', ...headers });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    },
    event: (type, object) => {
      open();
      response.write(`${JSON.stringify({ type, object })}\n`);
    },
    head: (code, headers) => {
      response.writeHead(code, headers);
    },
    raw: (bytes) => {
      open();
      response.write(bytes);
      response.flushHeaders();
    },
    end: () => {
      open();
      response.end();
    },
    reset: () => {
      response.socket?.resetAndDestroy();
    },
  };
}

/** A watch that is open and says nothing. */
export const quiet: Step = async (exchange) => {
  exchange.raw('');
  await exchange.gone;
};

/** A streaming list of `objects`, whole as of `version`, then whatever `then` does; by default it stays open. */
export function streamed(
  objects: readonly object[],
  version: string,
  then: Step = (exchange) => exchange.gone,
): Step {
  return async (exchange) => {
    for (const object of objects) exchange.event('ADDED', object);
    exchange.event('BOOKMARK', bookmark(version, true));
    await then(exchange);
  };
}

/** One page of a list. */
export function page(objects: readonly object[], version: string, next?: string): Step {
  return (exchange) => {
    exchange.answer(200, {
      kind: 'List',
      metadata: { resourceVersion: version, ...(next === undefined ? {} : { continue: next }) },
      items: objects,
    });
  };
}

/** An answer that is an error. */
export function failing(code: number, reason: string, headers: Readonly<Record<string, string>> = {}): Step {
  return (exchange) => exchange.answer(code, status(code, reason), headers);
}

/** `meta/v1 Status`. */
export function status(code: number, reason: string, message = `${reason} by script`): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

export function bookmark(version: string, endOfList = false): object {
  return {
    metadata: {
      resourceVersion: version,
      ...(endOfList ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    },
  };
}
