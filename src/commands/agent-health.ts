/** `/healthz` and `/livez` of the agent, at a port of their own that balancers and the kubelet ask. */
import { createServer } from 'node:http';
import { healthzAnswer, livezAnswer, type HttpAnswer, type ProxyHealth } from '../agent/health/answer.ts';
import { httpLimits, listening, type Listening, type ListenAt } from '../observe/listening.ts';

export interface HealthServerOptions extends ListenAt {
  readonly health: () => ProxyHealth & { readonly live: boolean };
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
  readonly onAnswer: (path: 'healthz' | 'livez', status: number) => void;
}

/** Starts listening. Errors: `conflict` when the address is taken. */
export function startHealthServer(options: HealthServerOptions): Promise<Listening> {
  const { host, port, health, wall, onAnswer } = options;
  const server = createServer(httpLimits, (request, response) => {
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
  return listening(
    server,
    { host, port },
    (why) =>
      `cannot listen on ${host ?? ''}:${port} for health checks: ${why}; choose another address with --health-bind`,
  );
}
