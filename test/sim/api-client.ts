/**
 * One process's connection to the simulated API server: the `Api` that reader, writer, lease and events stand on.
 *
 * Adds what lies between a process and a server: latency, lost requests and answers, refusals, watch events
 * that come late or never, streams that break. Every request is recorded, so that a clean run can be replayed
 * with one fault at each of its points. Errors are made by the very code that makes them in production.
 */
import type { Clock } from '../../src/core/clock.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { splitKey, type ObjectKey } from '../../src/core/objects.ts';
import type { Api, Method, RequestOptions, StreamOptions } from '../../src/kube/api.ts';
import { answerError, describeCall, isWrite, transportError } from '../../src/kube/status.ts';
import { parsePath, type ApiAnswer, type ApiServer, type KindName } from './api-server.ts';
import type { Life } from './life.ts';
import { Stream } from './watch-stream.ts';

/** What happens to a request that is hit. */
export type ApiFault =
  /** Refused before any effect. */
  | { readonly kind: 'refuse'; readonly code: number; readonly retryAfterSeconds?: number }
  /** A rival changes the object just before: the request meets a newer version. */
  | { readonly kind: 'rival' }
  /** The effect happens, the answer does not come. */
  | { readonly kind: 'lost-answer' }
  | { readonly kind: 'lost-request' }
  | { readonly kind: 'slow'; readonly ms: number }
  | { readonly kind: 'crash'; readonly when: 'before' | 'after' }
  /** Something happens just as the request goes out, which is not hit itself. */
  | { readonly kind: 'meanwhile'; readonly run: () => void };

export interface ApiCall {
  readonly at: number;
  readonly by: string;
  readonly method: Method;
  readonly path: string;
  readonly resource: string;
  /** `namespace/name` of the Service that it is about, events included. */
  readonly service: string | undefined;
  readonly write: boolean;
  /** HTTP code; 0 where no answer came. */
  readonly code: number;
  readonly body: unknown;
}

export interface Wire {
  /** Called for each request as it goes out. */
  readonly faultFor: (call: Omit<ApiCall, 'at' | 'code' | 'body'>) => ApiFault | undefined;
  readonly record: (call: ApiCall) => void;
  /** One way, in milliseconds. */
  readonly latencyMs: () => number;
  /** How late a watch event comes, in milliseconds. */
  readonly watchDelayMs: (kind: KindName) => number;
  /** A server that lags: lists are as of `version`, and what came after is told when `untilMs` is reached. */
  readonly lag: () => { readonly version: number; readonly untilMs: number } | undefined;
  readonly onCrash: () => void;
}

export interface SimApiParts {
  readonly server: ApiServer;
  readonly clock: Clock;
  readonly life: Life;
  readonly by: string;
  readonly wire: Wire;
}

const timeoutMs = 30_000;

export class SimApi implements Api {
  readonly server = 'https://simulated';
  readonly #parts: SimApiParts;
  readonly #streams = new Set<Stream>();

  constructor(parts: SimApiParts) {
    this.#parts = parts;
  }

  request(method: Method, path: string, options: RequestOptions = {}): Promise<unknown> {
    const { clock, life, wire, by } = this.#parts;
    const call = describeCall(method, path, false);
    const write = isWrite(method);
    const known = {
      by,
      method,
      path,
      resource: call.resource,
      service: serviceOf(path, options.body),
      write,
    };
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        options.signal?.removeEventListener('abort', onAbort);
        cancelLimit();
        finish();
      };
      const cut = (code: string, message: string): void =>
        settle(() =>
          reject(
            new SluiceError(write ? 'ambiguous' : 'transient', message, { code, action: call.resource }),
          ),
        );
      const onAbort = (): void => cut('Aborted', `${method} ${path} was given up`);
      const limitMs = options.timeoutMs ?? timeoutMs;
      const cancelLimit = clock.schedule(limitMs, () =>
        life.enter(() => cut('Timeout', `${method} ${path}: no answer within ${limitMs} ms`)),
      );
      if (options.signal?.aborted) {
        settle(() =>
          reject(new SluiceError('transient', 'given up before it was sent', { code: 'Aborted' })),
        );
        return;
      }
      options.signal?.addEventListener('abort', onAbort, { once: true });

      const fault = wire.faultFor(known);
      const slow = fault?.kind === 'slow' ? fault.ms : 0;
      if (fault?.kind === 'crash' && fault.when === 'before') return wire.onCrash();
      if (fault?.kind === 'meanwhile') fault.run();
      clock.schedule(wire.latencyMs() + slow / 2, () => {
        const answer = this.#take(fault, method, path, options, known.service);
        wire.record({ ...known, at: clock.now(), code: answer?.code ?? 0, body: options.body });
        if (fault?.kind === 'crash') return wire.onCrash();
        clock.schedule(wire.latencyMs() + slow / 2, () => {
          life.enter(() => {
            settle(() => {
              if (answer === undefined || fault?.kind === 'lost-answer') {
                const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
                reject(transportError(method, call, this.server, reset));
              } else if (answer.code >= 400) {
                const wait = fault?.kind === 'refuse' ? fault.retryAfterSeconds : undefined;
                reject(
                  answerError(
                    method,
                    call,
                    answer.code,
                    JSON.stringify(answer.body),
                    wait === undefined ? undefined : String(wait),
                  ),
                );
              } else resolve(answer.body);
            });
          });
        });
      });
    });
  }

  /** Undefined: the request never arrived. */
  #take(
    fault: ApiFault | undefined,
    method: Method,
    path: string,
    options: RequestOptions,
    service: string | undefined,
  ): ApiAnswer | undefined {
    const { server } = this.#parts;
    if (fault?.kind === 'lost-request') return undefined;
    if (fault?.kind === 'refuse') {
      return { code: fault.code, body: { kind: 'Status', code: fault.code, message: 'ordered fault' } };
    }
    if (fault?.kind === 'rival' && service !== undefined) rivalWrite(server, service);
    return server.handle(
      method,
      path,
      options.query ?? {},
      options.body,
      options.contentType ?? 'application/json',
    );
  }

  async *stream(path: string, options: StreamOptions): AsyncGenerator<readonly unknown[], void> {
    const target = parsePath(path);
    if (target === undefined || target.kind === 'namespaces') throw new Error(`no stream of ${path}`);
    await this.#open(path, options.signal);
    const stream = new Stream(this.#parts, target.kind, path, options);
    this.#streams.add(stream);
    try {
      for (;;) {
        const line = await stream.next();
        if (line === undefined) return;
        yield [line];
      }
    } finally {
      stream.close();
      this.#streams.delete(stream);
    }
  }

  /** What may keep a watch from being opened. */
  #open(path: string, signal: AbortSignal | undefined): Promise<void> {
    const { clock, life, wire, by } = this.#parts;
    const call = describeCall('GET', path, true);
    const fault = wire.faultFor({
      by,
      method: 'GET',
      path,
      resource: call.resource,
      service: undefined,
      write: false,
    });
    if (fault?.kind !== 'refuse' && fault?.kind !== 'lost-request') return Promise.resolve();
    return new Promise((_resolve, reject) => {
      const onAbort = (): void => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      clock.schedule(2 * wire.latencyMs(), () =>
        life.enter(() => {
          signal?.removeEventListener('abort', onAbort);
          const reset = Object.assign(new Error('connection reset'), { code: 'ECONNRESET' });
          reject(
            fault.kind === 'refuse'
              ? answerError('GET', call, fault.code, '', undefined)
              : transportError('GET', call, this.server, reset),
          );
        }),
      );
    });
  }

  /** The process is dead: nobody listens any more. */
  abandon(): void {
    for (const stream of this.#streams) stream.close();
    this.#streams.clear();
  }

  /** Breaks open watches, as a server that restarts does. */
  cutStreams(kind?: KindName): void {
    for (const stream of this.#streams) if (kind === undefined || stream.kind === kind) stream.cut();
  }

  /** Open watches hear nothing for so long; then everything, in order. */
  stallStreams(ms: number, kind?: KindName): void {
    for (const stream of this.#streams) if (kind === undefined || stream.kind === kind) stream.stall(ms);
  }

  /** The next event of that kind is never told. */
  missNext(kind: KindName): void {
    for (const stream of this.#streams) if (stream.kind === kind) stream.missNext();
  }

  /** Versions so far are no longer kept: whoever resumes has to list anew. */
  expireStreams(): void {
    for (const stream of this.#streams) stream.expire();
  }
}

/** Another writer's annotation: a new version, and nothing that is ours changes. */
export function rivalWrite(server: ApiServer, service: string): void {
  server.update('services', service, (before) => {
    const annotations = before.metadata?.annotations ?? {};
    const times = Number(annotations['example.com/rival'] ?? 0) + 1;
    return {
      ...before,
      metadata: { ...before.metadata, annotations: { ...annotations, 'example.com/rival': String(times) } },
    };
  });
}

function serviceOf(path: string, body: unknown): string | undefined {
  const target = parsePath(path);
  if (target?.kind === 'services') return target.key;
  if (target?.kind !== 'events') return undefined;
  const about = (body as { regarding?: { namespace?: string; name?: string } } | undefined)?.regarding;
  if (about !== undefined) return `${about.namespace ?? ''}/${about.name ?? ''}`;
  // A series is patched by the event's own name, which begins with the Service's.
  if (target.key === undefined) return undefined;
  const { namespace, name } = splitKey(target.key as ObjectKey);
  return `${namespace}/${name.slice(0, name.lastIndexOf('.'))}`;
}
