/** `/healthz` and `/livez` of the agent, at a port of their own that balancers and the kubelet ask. */
import { createServer } from 'node:http';
import { SluiceError } from '../../core/errors.ts';
import { healthzAnswer, livezAnswer, type HttpAnswer, type ProxyHealth } from './answer.ts';

export interface HealthServerOptions {
  readonly host: string | undefined;
  readonly port: number;
  readonly health: () => ProxyHealth & { readonly live: boolean };
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
  readonly onAnswer: (path: 'healthz' | 'livez', status: number) => void;
}

export interface HealthServer {
  /** The port in use: of interest when 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

/** Starts listening. Errors: `conflict` when the address is taken. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const { host, port, health, wall, onAnswer } = options;
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    const path = (request.url ?? '/').replace(/\?.*$/u, '');
    const send = ({ status, headers, body }: HttpAnswer): void => {
      response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    request.resume();
    const now = health();
    if (path === '/healthz') {
      const answer = healthzAnswer(now, wall());
      onAnswer('healthz', answer.status);
      send(answer);
    } else if (path === '/livez') {
      // Patient: see judge.ts.
      const answer = livezAnswer({ ...now, healthy: now.live }, wall());
      onAnswer('livez', answer.status);
      send(answer);
    } else {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' });
      response.end('known are /healthz and /livez\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const where = `${host ?? ''}:${port}`;
      const message = `cannot listen on ${where} for health checks: ${cause.message}; choose another address with --health-bind`;
      reject(new SluiceError('conflict', message, { code: cause.code ?? 'ListenFailed', cause }));
    });
    server.listen({ host, port }, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
