/** Health check settings of a target group: defaults, ranges, and what goes with which protocol. */

import type { Matcher, ProtocolEnum } from '@aws-sdk/client-elastic-load-balancing-v2';
import { misconfigured, validation } from './errors.ts';
import type { HealthCheck } from './store.ts';

export interface HealthCheckInput {
  readonly HealthCheckProtocol?: ProtocolEnum | undefined;
  readonly HealthCheckPort?: string | undefined;
  readonly HealthCheckEnabled?: boolean | undefined;
  readonly HealthCheckPath?: string | undefined;
  readonly HealthCheckIntervalSeconds?: number | undefined;
  readonly HealthCheckTimeoutSeconds?: number | undefined;
  readonly HealthyThresholdCount?: number | undefined;
  readonly UnhealthyThresholdCount?: number | undefined;
  readonly Matcher?: Matcher | undefined;
}

const INITIAL: HealthCheck = {
  protocol: 'TCP',
  port: 'traffic-port',
  path: undefined,
  intervalSeconds: 30,
  timeoutSeconds: 10,
  healthyThreshold: 5,
  unhealthyThreshold: 2,
  matcher: undefined,
};

const MOST_PATH_CHARACTERS = 1024;

/**
 * `before` with what `input` names; without `before`, the defaults of the API (SDK documentation of
 * CreateTargetGroup). Throws ValidationError or InvalidConfigurationRequest.
 */
export function readHealthCheck(input: HealthCheckInput, before?: HealthCheck): HealthCheck {
  if (input.HealthCheckEnabled === false) {
    throw misconfigured('Health checks cannot be disabled for targets of type instance or ip');
  }
  const protocol = readProtocol(input.HealthCheckProtocol ?? before?.protocol ?? INITIAL.protocol);
  // A change of protocol starts from that protocol's defaults where they differ.
  const base = before ?? { ...INITIAL, timeoutSeconds: protocol === 'HTTP' ? 6 : INITIAL.timeoutSeconds };
  const web = protocol !== 'TCP';
  if (!web && input.HealthCheckPath !== undefined) {
    throw misconfigured('A health check path cannot be specified for health checks with protocol TCP');
  }
  if (!web && input.Matcher !== undefined) {
    throw misconfigured('A matcher cannot be specified for health checks with protocol TCP');
  }
  const result: HealthCheck = {
    protocol,
    port: readPort(input.HealthCheckPort ?? base.port),
    path: web ? readPath(input.HealthCheckPath ?? base.path ?? '/') : undefined,
    intervalSeconds: between(
      'Health check interval',
      input.HealthCheckIntervalSeconds ?? base.intervalSeconds,
      5,
      300,
    ),
    timeoutSeconds: between(
      'Health check timeout',
      input.HealthCheckTimeoutSeconds ?? base.timeoutSeconds,
      2,
      120,
    ),
    healthyThreshold: between(
      'Healthy threshold',
      input.HealthyThresholdCount ?? base.healthyThreshold,
      2,
      10,
    ),
    unhealthyThreshold: between(
      'Unhealthy threshold',
      input.UnhealthyThresholdCount ?? base.unhealthyThreshold,
      2,
      10,
    ),
    matcher: web ? readMatcher(input.Matcher ?? base.matcher ?? { HttpCode: '200-399' }) : undefined,
  };
  if (result.timeoutSeconds > result.intervalSeconds) {
    throw validation(
      `Health check timeout '${result.timeoutSeconds}' must not be longer than the interval '${result.intervalSeconds}'`,
    );
  }
  return result;
}

function readProtocol(protocol: string): HealthCheck['protocol'] {
  if (protocol === 'TCP' || protocol === 'HTTP' || protocol === 'HTTPS') return protocol;
  throw misconfigured(`Health check protocol '${protocol}' must be one of TCP, HTTP, HTTPS`);
}

function readPort(port: string): string {
  if (port === 'traffic-port') return port;
  if (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535) return port;
  throw validation(`Health check port '${port}' must be 'traffic-port' or between 1 and 65535`);
}

function readPath(path: string): string {
  if (path.startsWith('/') && path.length <= MOST_PATH_CHARACTERS) return path;
  throw validation(
    `Health check path '${path}' must begin with '/' and have at most ${MOST_PATH_CHARACTERS} characters`,
  );
}

function readMatcher(matcher: Matcher): Matcher {
  if (matcher.GrpcCode !== undefined)
    throw misconfigured('A gRPC code cannot be specified for a Network Load Balancer');
  const text = matcher.HttpCode ?? '';
  const codes = text.split(',').flatMap((part) => part.split('-'));
  const valid =
    /^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/.test(text) &&
    codes.every((code) => Number(code) >= 200 && Number(code) <= 599);
  if (!valid) throw validation(`Health check matcher HTTP code '${text}' must be within 200-599`);
  return { HttpCode: text };
}

function between(what: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw validation(`${what} '${value}' must be between ${least} and ${most}`);
}
