/**
 * The answers of health checks, to the byte as kube-proxy gives them, since balancers' settings and people's
 * scripts look at them. Pure.
 */
import { splitKey, type ObjectKey } from '../../core/objects.ts';

export interface HttpAnswer {
  readonly status: 200 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * What a health-check node port says: 200 while the node holds a ready endpoint and the agent itself is healthy.
 *
 * @param ready undefined where the Service has gone while the request was under way.
 */
export function serviceAnswer(
  service: ObjectKey,
  ready: number | undefined,
  proxyHealthy: boolean,
): HttpAnswer {
  const { namespace, name } = splitKey(service);
  const count = ready ?? 0;
  const body = [
    '{',
    '\t"service": {',
    `\t\t"namespace": ${JSON.stringify(namespace)},`,
    `\t\t"name": ${JSON.stringify(name)}`,
    '\t},',
    `\t"localEndpoints": ${count},`,
    `\t"serviceProxyHealthy": ${proxyHealthy}`,
    '}',
  ].join('\n');
  return {
    status: count > 0 && proxyHealthy ? 200 : 503,
    headers: {
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'X-Load-Balancing-Endpoint-Weight': String(count),
    },
    body,
  };
}

/** What the agent knows of its own health. Times are wall-clock milliseconds. */
export interface ProxyHealth {
  /** What is known is in the kernel, or is on its way there in good time. */
  readonly healthy: boolean;
  /** Why not; empty when healthy. */
  readonly reason: string;
  readonly lastUpdated: number | undefined;
  /** The node is not about to be removed (KEP-3836). */
  readonly nodeEligible: boolean;
}

/** `/healthz`, for balancers: the node may be sent traffic to its node ports. */
export function healthzAnswer(health: ProxyHealth, now: number): HttpAnswer {
  return proxyAnswer(health.healthy && health.nodeEligible, health, now, {
    nodeEligible: health.nodeEligible,
  });
}

/** `/livez`, for the kubelet: the same without the node's own fate. */
export function livezAnswer(health: ProxyHealth, now: number): HttpAnswer {
  return proxyAnswer(health.healthy, health, now, {});
}

function proxyAnswer(
  well: boolean,
  { healthy, reason, lastUpdated }: ProxyHealth,
  now: number,
  more: Readonly<Record<string, boolean>>,
): HttpAnswer {
  // While all is well, the last update is now: what is in the kernel is what is wanted at this moment.
  const updated = healthy ? now : lastUpdated;
  return {
    status: well ? 200 : 503,
    headers: { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' },
    body: JSON.stringify({
      lastUpdated: updated === undefined ? '' : new Date(updated).toISOString(),
      currentTime: new Date(now).toISOString(),
      ...more,
      ...(reason === '' ? {} : { reason }),
    }),
  };
}
