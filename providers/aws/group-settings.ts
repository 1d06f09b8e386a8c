/**
 * How the targets of one listener are checked and treated: health check and target-group attributes.
 *
 * Under policy Local the check asks kube-proxy's own answer on the Service's health-check port, which is 200
 * exactly on nodes with an endpoint; under Cluster it connects to the node port. UDP alone has no port that
 * a check could connect to, so there the node's service proxy is asked as a whole.
 */
import type { ServiceObject } from '../../src/core/objects.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import { prefix } from './annotation-row.ts';
import type { Draft } from './draft.ts';
import type { Attributes, GroupProtocol, HealthCheck, ListenerProtocol } from './observed.ts';

/** Where kube-proxy, and what replaces it, tells its own health. */
const proxyHealthPort = '10256';

export interface GroupQuestion {
  readonly service: ServiceObject;
  readonly draft: Draft;
  readonly port: number;
  readonly protocol: ListenerProtocol;
  readonly groupProtocol: GroupProtocol;
}

export interface GroupSettings {
  readonly healthCheck: HealthCheck;
  readonly attributes: Attributes;
}

export function groupSettings(question: GroupQuestion, problems: Problem[]): GroupSettings {
  const healthCheck = chooseHealthCheck(question, problems);
  const attributes = chooseAttributes(question, problems);
  if (
    question.service.externalTrafficPolicy === 'Local' &&
    attributes['proxy_protocol_v2.enabled'] === 'true' &&
    healthCheck.protocol !== 'TCP'
  ) {
    report(problems, {
      severity: 'warning',
      reason: 'ConflictingSettings',
      field: annotationField(`${prefix}proxy-protocol`),
      message:
        'proxy protocol is also spoken to the health check of policy Local, which kube-proxy does not understand',
      cure: `set ${prefix}healthcheck-protocol to tcp, or do without proxy protocol`,
    });
  }
  return { healthCheck, attributes };
}

function chooseHealthCheck(
  { service, draft, groupProtocol }: GroupQuestion,
  problems: Problem[],
): HealthCheck {
  const base = defaultHealthCheck(service, groupProtocol);
  const asked = draft.healthCheck;
  const protocol = asked.protocol ?? base.protocol;
  const port =
    resolvePort(service, asked.port, problems) ??
    (asked.protocol === undefined || isLocal(service) ? base.port : 'traffic-port');
  const intervalSeconds = asked.intervalSeconds ?? base.intervalSeconds;
  const timeoutSeconds = asked.timeoutSeconds ?? Math.min(base.timeoutSeconds, intervalSeconds);
  if (timeoutSeconds > intervalSeconds) {
    report(problems, {
      severity: 'error',
      reason: 'ConflictingSettings',
      field: annotationField(`${prefix}healthcheck-timeout`),
      message: `a time-out of ${timeoutSeconds} s is longer than the interval of ${intervalSeconds} s`,
      cure: `lower it, or raise ${prefix}healthcheck-interval`,
    });
  }
  const common = {
    protocol,
    port,
    intervalSeconds,
    timeoutSeconds,
    healthyThreshold: asked.healthyThreshold ?? base.healthyThreshold,
    unhealthyThreshold: asked.unhealthyThreshold ?? base.unhealthyThreshold,
  };
  if (protocol !== 'TCP') {
    return {
      ...common,
      path: asked.path ?? base.path ?? '/',
      matcher: asked.matcher ?? base.matcher ?? '200-399',
    };
  }
  for (const [key, value] of [
    ['healthcheck-path', asked.path],
    ['healthcheck-success-codes', asked.matcher],
  ] as const) {
    if (value === undefined) continue;
    report(problems, {
      severity: 'warning',
      reason: 'IneffectiveSetting',
      field: annotationField(`${prefix}${key}`),
      message: 'it has no effect on a TCP health check',
      cure: `set ${prefix}healthcheck-protocol to http, or remove the annotation`,
    });
  }
  return common;
}

function isLocal(service: ServiceObject): boolean {
  return service.externalTrafficPolicy === 'Local' && service.healthCheckNodePort !== 0;
}

function defaultHealthCheck(service: ServiceObject, protocol: GroupProtocol): HealthCheck {
  if (isLocal(service)) {
    return {
      protocol: 'HTTP',
      port: String(service.healthCheckNodePort),
      path: '/healthz',
      matcher: '200',
      intervalSeconds: 10,
      timeoutSeconds: 6,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
    };
  }
  const rhythm = { intervalSeconds: 10, timeoutSeconds: 10, healthyThreshold: 3, unhealthyThreshold: 3 };
  return protocol === 'UDP'
    ? { protocol: 'HTTP', port: proxyHealthPort, path: '/healthz', matcher: '200', ...rhythm }
    : { protocol: 'TCP', port: 'traffic-port', ...rhythm };
}

/** `traffic-port`, a number, or the name of a port of the Service, which stands for its node port. */
function resolvePort(
  service: ServiceObject,
  asked: string | undefined,
  problems: Problem[],
): string | undefined {
  if (asked === undefined || asked === 'traffic-port' || /^\d+$/.test(asked)) return asked;
  const named = service.ports.find((port) => port.name === asked);
  if (named !== undefined && named.nodePort !== 0) return String(named.nodePort);
  report(problems, {
    severity: 'error',
    reason: 'InvalidAnnotation',
    field: annotationField(`${prefix}healthcheck-port`),
    message: `"${asked}" is neither "traffic-port" nor a number nor the name of a port with a node port`,
    cure: `use one of ${['traffic-port', ...service.ports.map((port) => port.name).filter(Boolean)].join(', ')}`,
  });
  return undefined;
}

function chooseAttributes(
  { service, draft, port, protocol, groupProtocol }: GroupQuestion,
  problems: Problem[],
): Attributes {
  const proxied = draft.proxyProtocol === 'all' || draft.proxyProtocol.includes(port);
  const attributes: Record<string, string> = {
    ...(service.sessionAffinity === 'ClientIP'
      ? { 'stickiness.enabled': 'true', 'stickiness.type': 'source_ip' }
      : {}),
    ...draft.groupAttributes,
    ...draft.groupAttributesByPort[String(port)],
    ...(proxied ? { 'proxy_protocol_v2.enabled': 'true' } : {}),
  };
  if (attributes['stickiness.enabled'] === 'true' && protocol === 'TLS') {
    report(problems, {
      severity: 'error',
      reason: 'ConflictingSettings',
      field:
        service.sessionAffinity === 'ClientIP'
          ? 'spec.sessionAffinity'
          : annotationField(`${prefix}target-group-attributes`),
      message: `port ${port} speaks TLS, and AWS cannot keep clients on one target there`,
      cure: 'set spec.sessionAffinity to None, or end TLS behind the balancer',
    });
  }
  const datagram = groupProtocol === 'UDP' || groupProtocol === 'TCP_UDP';
  if (datagram && attributes['preserve_client_ip.enabled'] === 'false') {
    report(problems, {
      severity: 'error',
      reason: 'ConflictingSettings',
      field: annotationField(`${prefix}target-group-attributes`),
      message: `port ${port} serves UDP, where the client's address is always preserved`,
      cure: `say so for the other ports only, by ${prefix}target-group-attributes.<port>`,
    });
  }
  return attributes;
}

/** Ports share settings, so the same thing may come up for each of them; it is said once. */
function report(problems: Problem[], problem: Problem): void {
  const known = problems.some((one) => one.field === problem.field && one.message === problem.message);
  if (!known) problems.push(problem);
}
