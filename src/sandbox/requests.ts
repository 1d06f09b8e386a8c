/**
 * Plain requests to the servers of a sandbox: readiness probes, tokens, compaction.
 *
 * This is not the product's door to Kubernetes (that is src/kube): no retries, no watching, one connection for
 * each request, and nothing of the product is trusted to find out whether the product can start.
 */
import { request as plainRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { SluiceError } from '../core/errors.ts';
import type { ClusterAddress, UserCredentials } from './kubeconfig.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The text of the answer. */
  readonly text: string;
  /** The answer read as JSON; undefined where it is not JSON. */
  readonly json: unknown;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** By default `application/json`; a patch names its kind. */
  readonly contentType?: string;
  /** Milliseconds until the call is given up; by default 10,000. */
  readonly timeoutMs?: number;
}

/** Calls an API server. Rejects with a SluiceError only where there is no answer at all. */
export function callApiServer(cluster: ClusterAddress, user: UserCredentials, call: Call): Promise<Answer> {
  const url = new URL(cluster.url);
  const identity =
    user.kind === 'certificate'
      ? { cert: user.certificate, key: user.key }
      : { headers: { authorization: `Bearer ${user.token}` } };
  const target = { host: url.hostname.replaceAll(/[[\]]/g, ''), port: url.port, ca: cluster.ca, ...identity };
  return exchange((options) => tlsRequest({ ...target, ...options }), identity.headers ?? {}, call);
}

/** Calls a server that listens on a Unix socket. */
export function callSocket(socketPath: string, call: Call): Promise<Answer> {
  return exchange((options) => plainRequest({ ...options, socketPath }), {}, call);
}

function exchange(
  open: (options: RequestOptions) => ReturnType<typeof plainRequest>,
  identity: Readonly<Record<string, string>>,
  call: Call,
): Promise<Answer> {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const timeoutMs = call.timeoutMs ?? 10_000;
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => {
      const refused = cause.code === 'ECONNREFUSED' || cause.code === 'ENOENT';
      const action = `${call.method} ${call.path}`;
      reject(
        new SluiceError(refused ? 'transient' : 'ambiguous', `${action}: ${cause.message}`, {
          code: cause.code ?? 'NoAnswer',
          action,
          cause,
        }),
      );
    };
    const request = open({
      method: call.method,
      path: call.path,
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        accept: 'application/json',
        ...identity,
        ...(body === undefined
          ? {}
          : {
              'content-type': call.contentType ?? 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
      },
    });
    request.on('error', fail);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) });
      });
    });
    request.end(body);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
