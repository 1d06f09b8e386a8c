/**
 * The part of an API server that leader election needs, as values on a virtual clock: one collection of
 * objects with versions, merge patches with a version lock, and faults to order.
 */
import type { Clock } from '../../src/core/clock.ts';
import { sleep } from '../../src/core/clock.ts';
import { SluiceError } from '../../src/core/errors.ts';
import type { Api, Method, RequestOptions } from '../../src/kube/api.ts';

interface Stored {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What happens to one call. */
export type Fault =
  | 'none'
  /** Fails with no effect. */
  | 'unreachable'
  /** Has its effect; the answer never comes. */
  | 'answer-lost'
  /** Never answered, no effect. */
  | 'hangs';

export interface SeenCall {
  readonly at: number;
  readonly who: string;
  readonly method: Method;
  readonly body: unknown;
}

export class MemoryLeases {
  readonly calls: SeenCall[] = [];
  /** Milliseconds before a call has its effect, and again before its answer arrives. */
  delayMs = 0;
  readonly #clock: Clock;
  readonly #objects = new Map<string, Stored>();
  #version = 100;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The one lease that there is. */
  get lease(): Stored | undefined {
    return [...this.#objects.values()][0];
  }

  get holder(): unknown {
    return this.lease?.spec['holderIdentity'];
  }

  /** A write by someone who is not part of the test's cast. */
  tamper(spec: Readonly<Record<string, unknown>> | 'delete'): void {
    for (const [path, stored] of this.#objects) {
      if (spec === 'delete') this.#objects.delete(path);
      else this.#store(path, { ...stored.spec, ...spec });
    }
  }

  /** The server as `who` reaches it. `fault` is asked before each call. */
  as(who: string, fault: (method: Method) => Fault = () => 'none'): Api {
    return {
      server: 'memory',
      stream: () => {
        throw new Error('no streams here');
      },
      request: async (method, path, options = {}) => {
        const write = method !== 'GET';
        const limit = limitOf(this.#clock, options);
        try {
          const ordered = fault(method);
          if (ordered === 'unreachable') throw failure('transient', 'ECONNREFUSED');
          await this.#travel(limit.signal);
          if (ordered === 'hangs') await sleep(this.#clock, 1e9, limit.signal);
          this.calls.push({ at: this.#clock.now(), who, method, body: options.body });
          const answer = this.#apply(method, path, options);
          await this.#travel(limit.signal);
          if (ordered === 'answer-lost') throw failure(write ? 'ambiguous' : 'transient', 'ECONNRESET');
          return answer;
        } catch (error) {
          if (!limit.signal.aborted) throw error;
          throw failure(write ? 'ambiguous' : 'transient', 'Timeout');
        } finally {
          limit.end();
        }
      },
    };
  }

  async #travel(signal: AbortSignal): Promise<void> {
    if (this.delayMs > 0) await sleep(this.#clock, this.delayMs / 2, signal);
  }

  #apply(method: Method, path: string, options: RequestOptions): unknown {
    const body = (options.body ?? {}) as Partial<Stored> & { metadata?: { name?: string } };
    if (method === 'POST') {
      const full = `${path}/${body.metadata?.name ?? ''}`;
      if (this.#objects.has(full)) throw failure('conflict', 'AlreadyExists');
      return this.#store(full, body.spec ?? {});
    }
    const stored = this.#objects.get(path);
    if (stored === undefined) throw failure('gone', 'NotFound');
    if (method === 'GET') return stored;
    if (body.metadata?.resourceVersion !== stored.metadata.resourceVersion)
      throw failure('conflict', 'Conflict');
    return this.#store(path, { ...stored.spec, ...body.spec });
  }

  #store(path: string, spec: Readonly<Record<string, unknown>>): Stored {
    this.#version += 1;
    const stored = { metadata: { resourceVersion: String(this.#version) }, spec };
    this.#objects.set(path, stored);
    return stored;
  }
}

function limitOf(clock: Clock, options: RequestOptions): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const end = clock.schedule(options.timeoutMs ?? 30_000, () => controller.abort());
  const signal = options.signal ? AbortSignal.any([options.signal, controller.signal]) : controller.signal;
  return { signal, end };
}

function failure(kind: 'transient' | 'ambiguous' | 'conflict' | 'gone', code: string): SluiceError {
  return new SluiceError(kind, `${code} by test`, { code });
}
