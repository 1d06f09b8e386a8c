/**
 * What a demo story plays on: a cluster, a simulated cloud, and somebody who reads along.
 *
 * Every expectation of a story is checked; the first that fails ends the story with an error that says what
 * was awaited and what stood there instead.
 */
import { systemClock, sleep } from '../../core/clock.ts';
import type { Api } from '../../kube/api.ts';
import { read, type Manifest } from '../objects.ts';

export interface Narrator {
  /** A chapter heading. */
  readonly chapter: (title: string) => void;
  readonly line: (text: string) => void;
  readonly good: (text: string) => void;
  readonly table: (rows: readonly (readonly string[])[]) => void;
}

export interface ServiceStatus {
  readonly address: string;
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

export function statusOf(object: Manifest | undefined): ServiceStatus {
  const status = (object?.['status'] ?? {}) as {
    readonly loadBalancer?: {
      readonly ingress?: readonly { readonly hostname?: string; readonly ip?: string }[];
    };
    readonly conditions?: ServiceStatus['conditions'];
  };
  const address = (status.loadBalancer?.ingress ?? [])
    .map((entry) => entry.hostname ?? entry.ip ?? '')
    .join(', ');
  return { address, conditions: status.conditions ?? [] };
}

export function condition(
  object: Manifest | undefined,
  type: string,
): ServiceStatus['conditions'][number] | undefined {
  return statusOf(object).conditions.find((one) => one.type === type);
}

/** Asks until `test` gives something; fails with `awaited` and the last thing seen. */
export async function until<T>(
  awaited: string,
  test: () => Promise<T | undefined>,
  options: {
    readonly limitMs?: number;
    readonly seen?: () => Promise<string>;
    readonly signal?: AbortSignal;
  } = {},
): Promise<{ readonly value: T; readonly ms: number }> {
  const started = systemClock.now();
  const limitMs = options.limitMs ?? 30_000;
  for (;;) {
    const value = await test();
    const ms = systemClock.now() - started;
    if (value !== undefined) return { value, ms };
    if (ms > limitMs) {
      const seen = options.seen ? `; seen instead: ${await options.seen()}` : '';
      throw new Error(`waited ${Math.round(limitMs / 1000)} s for ${awaited}${seen}`);
    }
    await sleep(systemClock, 25, options.signal);
  }
}

/** Waits until the Service as it stands on the server passes `test`. */
export async function untilService(
  api: Api,
  service: Manifest,
  awaited: string,
  test: (live: Manifest | undefined) => boolean,
  options: { readonly limitMs?: number; readonly signal?: AbortSignal } = {},
): Promise<{ readonly value: Manifest | undefined; readonly ms: number }> {
  let last: Manifest | undefined;
  const { value, ms } = await until(
    `${service.metadata?.namespace ?? 'default'}/${service.metadata?.name ?? ''} ${awaited}`,
    async () => {
      last = await read(api, service);
      return test(last) ? { live: last } : undefined;
    },
    { ...options, seen: () => Promise.resolve(JSON.stringify(last?.['status'] ?? null)) },
  );
  return { value: value.live, ms };
}
