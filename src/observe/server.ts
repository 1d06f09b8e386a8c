/**
 * The HTTP side of a process, for kubelets, Prometheus and people: health, metrics and the reasons behind
 * what it does. Read-only: nothing can be changed through it.
 *
 *   /healthz                       200 while the process can do its work, else 503 with the reason
 *   /readyz                        200 once everything it needs is there, one line a check
 *   /metrics                       Prometheus text format
 *   /debug/services/<ns>/<name>    the last plan and the reasons, as JSON
 *   /debug/counters                counts of each Service, as JSON, where they are kept
 *   /debug/queue                   what waits and what is worked on, as JSON
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { httpLimits, listening, parseListen, type Listening } from './listening.ts';
import { redact } from './redact.ts';

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  /** Why not; empty when all is well. */
  readonly message: string;
}

/** Where the answers come from. */
export interface ServerSources {
  readonly health: () => readonly CheckResult[];
  readonly ready: () => readonly CheckResult[];
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  /** Plain data, or undefined when the Service is not known. */
  readonly service: (namespace: string, name: string) => unknown;
  readonly queue: () => unknown;
  /** Undefined where nothing is counted. */
  readonly counters?: () => Promise<unknown>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const plainText = 'text/plain; charset=utf-8';

function checks(results: readonly CheckResult[]): Answer {
  const ok = results.every((result) => result.ok);
  const lines = results.map(({ name, ok: fine, message }) =>
    fine ? `[+] ${name} ok\n` : `[-] ${name} failed: ${message}\n`,
  );
  return { status: ok ? 200 : 503, type: plainText, body: `${lines.join('')}${ok ? 'ok' : 'not ok'}\n` };
}

function json(data: unknown): Answer {
  return { status: 200, type: 'application/json', body: `${JSON.stringify(redact(data), undefined, 2)}\n` };
}

function notFound(message: string): Answer {
  return { status: 404, type: plainText, body: `${message}\n` };
}

async function answer(path: string, sources: ServerSources): Promise<Answer> {
  if (path === '/healthz') return checks(sources.health());
  if (path === '/readyz') return checks(sources.ready());
  if (path === '/metrics') {
    const { text, contentType } = await sources.metrics();
    return { status: 200, type: contentType, body: text };
  }
  if (path === '/debug/queue') return json(sources.queue());
  if (path === '/debug/counters') {
    const counters = await sources.counters?.();
    // Names and numbers only, and all of them: nothing to hide, nothing to cut off.
    return counters === undefined
      ? notFound('nothing is counted here')
      : { status: 200, type: 'application/json', body: `${JSON.stringify(counters)}\n` };
  }
  const service = /^\/debug\/services\/([a-z0-9.-]+)\/([a-z0-9.-]+)$/u.exec(path);
  if (service) {
    const [, namespace = '', name = ''] = service;
    const data = sources.service(namespace, name);
    return data === undefined
      ? notFound(
          `Service ${namespace}/${name} is not known here: it has no balancer, or another replica leads`,
        )
      : json(data);
  }
  return notFound('known are /healthz /readyz /metrics /debug/queue /debug/services/<namespace>/<name>');
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  sources: ServerSources,
): Promise<void> {
  const send = ({ status, type, body }: Answer): void => {
    response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    send({ status: 405, type: plainText, body: 'only GET and HEAD are answered here\n' });
    return;
  }
  const path = (request.url ?? '/').replace(/\?.*$/u, '');
  try {
    send(await answer(path, sources));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    send({ status: 500, type: plainText, body: `${String(redact(message))}\n` });
  }
}

/** Starts listening. Errors: `conflict` when the address is taken or is not ours. */
export function startServer(listen: string, sources: ServerSources): Promise<Listening> {
  const server = createServer(httpLimits, (request, response) => {
    void handle(request, response, sources);
  });
  return listening(
    server,
    parseListen(listen),
    (why) => `cannot listen on ${listen}: ${why}; choose another address`,
  );
}
