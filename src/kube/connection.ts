/**
 * HTTP to one API server, over one undici Agent.
 *
 * The Agent lives as long as the TLS material does: many calls share few connections (client-node opens one
 * a call). HTTP/1.1 on purpose: with HTTP/2 every watch and write shares one socket, and a frozen peer
 * would take them all; each of ours fails alone and is found out by its own time limit. When the server
 * says 429, all calls wait as long as it told us to.
 */
import type { Dispatcher } from 'undici';

import { sleep, systemClock } from '../core/clock.ts';
import type { Clock, Random } from '../core/clock.ts';
import { SluiceError, isSluiceError } from '../core/errors.ts';
import { isWrite, answerError, describeCall, nameCall, transportError } from './status.ts';
import type { Call } from './status.ts';
import type { Api, Method, Query, RequestOptions, StreamOptions } from './api.ts';
import { credentialsFor } from './credentials.ts';
import type { Credentials, Identity, TlsMaterial } from './credentials.ts';
import { makeDispatcher, sameTls } from './dispatcher.ts';
import { loadAccess } from './kubeconfig.ts';
import type { Access, AccessOptions } from './kubeconfig.ts';
import { Limit, watched } from './limit.ts';
import { jsonLines, jsonList } from './lines.ts';
import { isProtobuf, protobufEvents, protobufType, statusText } from './protobuf/events.ts';
import { protobufList, type ListPart } from './protobuf/list.ts';
import { handshake, type Upgraded, type UpgradeOptions, type Upgrader } from './upgrade.ts';

export interface ConnectionOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Default: what the kubeconfig says. */
  readonly credentials?: Credentials;
  /** Product and version, for the API server's audit log. */
  readonly userAgent?: string;
  /**
   * URL of the API server, instead of the one that the access names: a node agent that programs the cluster IP of
   * the API must not depend on it.
   */
  readonly server?: string | undefined;
}

const defaultTimeoutMs = 30_000;
/** How often one call goes round on 429 before the caller hears of it. */
const throttledTries = 4;
/** A 429 without a time. */
const defaultPauseMs = 1_000;
const longestPauseMs = 60_000;

/** Finds the cluster (see kubeconfig.ts) and prepares the connection; no call is made yet. */
export async function connect(options: AccessOptions & ConnectionOptions = {}): Promise<Connection> {
  const access = await loadAccess(options);
  const { server } = options;
  return new Connection(
    server === undefined ? access : { ...access, server: server.replace(/\/+$/, '') },
    options,
  );
}

/** Access without a kubeconfig: a plain server, for tests and for `kubectl proxy`. */
export function plainAccess(server: string): Access {
  return {
    source: server,
    server: server.replace(/\/+$/, ''),
    namespace: undefined,
    ca: undefined,
    tlsServerName: undefined,
    insecureSkipTlsVerify: false,
    proxyUrl: undefined,
    user: {
      name: 'anonymous',
      cert: undefined,
      key: undefined,
      token: undefined,
      tokenFile: undefined,
      basic: undefined,
      impersonate: undefined,
      plugin: undefined,
    },
  };
}

export class Connection implements Api, Upgrader {
  readonly server: string;
  /** The namespace of the kubeconfig's context, or of the Pod. */
  readonly namespace: string | undefined;
  /** File and context, for messages. */
  readonly source: string;
  readonly #access: Access;
  readonly #credentials: Credentials;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #userAgent: string;
  readonly #origin: string;
  readonly #basePath: string;
  readonly #connects = new Set<() => void>();
  #connected = 0;
  #agent: { readonly tls: TlsMaterial; readonly dispatcher: Dispatcher } | undefined;
  #pausedUntil = 0;
  #closed = false;

  constructor(access: Access, options: ConnectionOptions = {}) {
    const url = new URL(access.server);
    this.#access = access;
    this.server = access.server;
    this.source = access.source;
    this.namespace = access.namespace;
    this.#origin = url.origin;
    this.#basePath = url.pathname === '/' ? '' : url.pathname;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#credentials = options.credentials ?? credentialsFor(access, this.#clock);
    this.#userAgent = options.userAgent ?? 'sluice';
  }

  async request(method: Method, path: string, options: RequestOptions = {}): Promise<unknown> {
    const call = describeCall(method, path, false);
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const deadline = this.#clock.now() + timeoutMs;
    using limit = new Limit(this.#clock, options.signal, timeoutMs, () =>
      timedOut(call, this.server, timeoutMs),
    );
    let fresh = false;
    for (let round = 1; ; round += 1) {
      if (options.urgent !== true) await this.#turn(call, deadline, limit);
      try {
        return await this.#once(method, path, call, options, limit);
      } catch (error) {
        if (!isSluiceError(error)) throw error;
        if (error.code === 'Unauthorized' && !fresh) {
          // A token may have been rotated since it was read: look again, once.
          fresh = true;
          this.#credentials.refused();
          continue;
        }
        if (error.kind !== 'throttled') throw error;
        this.#pause(error.retryAfterMs);
        if (options.urgent === true || round >= throttledTries) throw error;
      }
    }
  }

  stream(path: string, options: StreamOptions): AsyncIterable<readonly unknown[]> {
    const { shape, trim } = options;
    // Not every server, nor everything before it, has the form that was asked for first.
    return this.#read(path, options, (body, type) =>
      shape !== undefined && isProtobuf(type) ? protobufEvents(body, shape) : jsonLines(body, trim),
    );
  }

  list(path: string, options: StreamOptions): AsyncIterable<ListPart> {
    const { shape, trim } = options;
    return this.#read(path, options, (body, type) =>
      shape !== undefined && isProtobuf(type) ? protobufList(body, shape) : jsonList(body, trim),
    );
  }

  /** The answer as it comes, in the form that it has. */
  async *#read<T>(
    path: string,
    options: StreamOptions,
    parsed: (body: AsyncIterable<Uint8Array>, type: string | string[] | undefined) => AsyncIterable<T>,
  ): AsyncGenerator<T, void> {
    const call = describeCall('GET', path, options.query?.['watch'] === true);
    using limit = new Limit(this.#clock, options.signal, options.inactivityMs, () => quiet(call, options));
    await this.#turn(call, this.#clock.now() + options.inactivityMs, limit);
    limit.restart();
    const accept = options.shape === undefined ? undefined : `${protobufType},application/json`;
    const response = await this.#send('GET', path, call, { ...options, accept }, limit);
    if (response.statusCode >= 400) await this.#refuse('GET', call, response, limit);
    const body = watched(response.body, limit);
    try {
      yield* parsed(body, response.headers['content-type']);
    } catch (error) {
      throw isSluiceError(error) ? error : this.#failure('GET', call, error, limit);
    }
  }

  async upgrade(path: string, options: UpgradeOptions): Promise<Upgraded> {
    const call = describeCall('GET', path, false);
    const url = new URL(`${this.#origin}${this.#basePath}${path}${queryString(options.query)}`);
    const once = async (): Promise<Upgraded> =>
      await handshake(this.#access, await this.#credentials.current(), call, url, this.#userAgent, options);
    try {
      return await once();
    } catch (error) {
      if (!isSluiceError(error) || error.code !== 'Unauthorized') throw error;
      this.#credentials.refused();
      return await once();
    }
  }

  /**
   * Resolves when so many connections have stood, so that what was asked on them is on its way; after `mostMs` anyway.
   * For a program that is about to work without a pause, and has asked for something before.
   */
  async connected(count: number, mostMs: number): Promise<void> {
    if (this.#connected >= count) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        this.#connects.delete(look);
        resolve();
      };
      const look = (): void => {
        if (this.#connected >= count) end();
      };
      const cancel = this.#clock.schedule(mostMs, end);
      this.#connects.add(look);
    });
  }

  /** Ends idle connections; calls in flight are cut. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#agent?.dispatcher.destroy();
  }

  async #once(
    method: Method,
    path: string,
    call: Call,
    options: RequestOptions,
    limit: Limit,
  ): Promise<unknown> {
    const response = await this.#send(method, path, call, options, limit);
    if (response.statusCode >= 400) await this.#refuse(method, call, response, limit);
    let text: string;
    try {
      text = await response.body.text();
    } catch (error) {
      throw this.#failure(method, call, error, limit);
    }
    try {
      return text === '' ? undefined : JSON.parse(options.trim === undefined ? text : options.trim(text));
    } catch (cause) {
      // The server did answer, with success; only what it said is unknown.
      throw new SluiceError(
        isWrite(method) ? 'ambiguous' : 'transient',
        `${nameCall(call)}: the answer of ${this.server} is not JSON; is it an API server?`,
        { code: 'UnparsableAnswer', cause },
      );
    }
  }

  async #send(
    method: Method,
    path: string,
    call: Call,
    options: {
      readonly query?: Query;
      readonly body?: unknown;
      readonly contentType?: string;
      readonly accept?: string | undefined;
    },
    limit: Limit,
  ): Promise<Dispatcher.ResponseData> {
    if (this.#closed)
      throw new SluiceError('transient', `${nameCall(call)}: the connection is closed`, { code: 'Closed' });
    const identity = await this.#credentials.current();
    const headers: Record<string, string> = {
      accept: options.accept ?? 'application/json',
      'user-agent': this.#userAgent,
      ...identity.headers,
    };
    if (options.body !== undefined) headers['content-type'] = options.contentType ?? 'application/json';
    try {
      return await this.#dispatcher(identity).request({
        origin: this.#origin,
        path: `${this.#basePath}${path}${queryString(options.query)}`,
        method,
        headers,
        body: options.body === undefined ? null : JSON.stringify(options.body),
        signal: limit.signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      });
    } catch (error) {
      throw this.#failure(method, call, error, limit);
    }
  }

  async #refuse(method: Method, call: Call, response: Dispatcher.ResponseData, limit: Limit): Promise<never> {
    let text = '';
    try {
      text = isProtobuf(response.headers['content-type'])
        ? statusText(Buffer.from(await response.body.arrayBuffer()))
        : await response.body.text();
    } catch (error) {
      // The code alone says enough, unless it was our own limit that cut the answer.
      if (limit.signal.aborted) throw this.#failure(method, call, error, limit);
    }
    const header = response.headers['retry-after'];
    throw answerError(
      method,
      call,
      response.statusCode,
      text,
      typeof header === 'string' ? header : header?.[0],
    );
  }

  #failure(method: Method, call: Call, error: unknown, limit: Limit): SluiceError {
    const why = limit.expired() ?? (limit.signal.aborted ? aborted(call, limit.signal.reason) : undefined);
    if (why === undefined) return transportError(method, call, this.server, error);
    return isWrite(method)
      ? new SluiceError('ambiguous', why.message, { code: why.code, action: why.action, cause: why.cause })
      : why;
  }

  #dispatcher(identity: Identity): Dispatcher {
    const held = this.#agent;
    if (held !== undefined && sameTls(held.tls, identity.tls)) return held.dispatcher;
    const dispatcher = makeDispatcher(this.#access, identity.tls);
    this.#agent = { tls: identity.tls, dispatcher };
    dispatcher.on('connect', () => {
      this.#connected += 1;
      for (const look of this.#connects) look();
    });
    // Streams on the old one run on until they end by themselves.
    if (held !== undefined) held.dispatcher.close().catch(() => undefined);
    return dispatcher;
  }

  #pause(toldMs: number | undefined): void {
    const ms = Math.min(toldMs ?? defaultPauseMs, longestPauseMs);
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.now() + ms);
  }

  async #turn(call: Call, deadline: number, limit: Limit): Promise<void> {
    while (this.#clock.now() < this.#pausedUntil) {
      // Spread, so that those who waited do not all come back in the same instant.
      const wait = (this.#pausedUntil - this.#clock.now()) * (1 + 0.2 * this.#random());
      if (this.#clock.now() + wait > deadline) {
        throw new SluiceError('throttled', `${nameCall(call)}: the API server asked us to wait`, {
          code: 'Paused',
          retryAfterMs: wait,
        });
      }
      await sleep(this.#clock, wait, limit.signal).catch((error: unknown) => {
        throw limit.expired() ?? aborted(call, error);
      });
    }
  }
}

function queryString(query: Query | undefined): string {
  if (query === undefined) return '';
  const parts: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

function timedOut(call: Call, server: string, ms: number): SluiceError {
  return new SluiceError('transient', `${nameCall(call)}: no answer from ${server} within ${ms} ms`, {
    code: 'Timeout',
    action: `${call.verb} ${call.resource}`,
  });
}

function quiet(call: Call, options: StreamOptions): SluiceError {
  return new SluiceError('transient', `${nameCall(call)}: nothing heard for ${options.inactivityMs} ms`, {
    code: 'Quiet',
    action: `${call.verb} ${call.resource}`,
  });
}

function aborted(call: Call, cause: unknown): SluiceError {
  return new SluiceError('transient', `${nameCall(call)}: called off`, {
    code: 'Aborted',
    action: `${call.verb} ${call.resource}`,
    cause,
  });
}
