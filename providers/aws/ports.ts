/**
 * A Service's ports as listeners: which share one, what protocol each has, how its targets are checked.
 *
 * AWS allows one listener per port number, so TCP and UDP on one number become one TCP_UDP listener, which
 * needs one node port for both. A port that cannot be served is reported and left out; the others go on.
 */
import type { ServiceObject, ServicePort, TransportProtocol } from '../../src/core/objects.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import { prefix } from './annotation-row.ts';
import type { Draft } from './draft.ts';
import { groupSettings } from './group-settings.ts';
import type { Attributes, GroupProtocol, HealthCheck, ListenerProtocol } from './observed.ts';

/** A recent policy, with TLS 1.3 and nothing below 1.2. */
export const defaultSslPolicy = 'ELBSecurityPolicy-TLS13-1-2-2021-06';

/** Listeners that a Network Load Balancer can have (quota, fixed). */
export const maxListeners = 50;

export interface PortPlan {
  /** `443-TLS`: names the listener and its group in plans. */
  readonly key: string;
  readonly port: number;
  readonly protocol: ListenerProtocol;
  readonly groupProtocol: GroupProtocol;
  readonly nodePort: number;
  /** The protocols of the Service's own ports that it serves. */
  readonly transports: readonly TransportProtocol[];
  /** ARNs, the default one first; empty without TLS. */
  readonly certificates: readonly string[];
  /** Empty without TLS, as is `alpn`. */
  readonly sslPolicy: string;
  readonly alpn: string;
  readonly healthCheck: HealthCheck;
  readonly attributes: Attributes;
}

export interface PortPlans {
  readonly ports: readonly PortPlan[];
  readonly problems: readonly Problem[];
}

/** The listeners that a Service's ports ask for, sorted by port, with what is wrong about the others. */
export function planPorts(service: ServiceObject, draft: Draft): PortPlans {
  const problems: Problem[] = [];
  const byNumber = new Map<number, ServicePort[]>();
  for (const [i, port] of service.ports.entries()) {
    if (servable(port, i, problems)) byNumber.set(port.port, [...(byNumber.get(port.port) ?? []), port]);
  }
  const tls = tlsNumbers(service, draft, problems);
  const ports: PortPlan[] = [];
  for (const [number, shared] of byNumber) {
    const protocol = sharedProtocol(number, shared, tls, draft, problems);
    const [first] = shared;
    if (protocol === undefined || first === undefined) continue;
    const secure = protocol === 'TLS';
    const groupProtocol: GroupProtocol = secure && !draft.encryptToTargets ? 'TCP' : protocol;
    ports.push({
      key: `${number}-${protocol}`,
      port: number,
      protocol,
      groupProtocol,
      nodePort: first.nodePort,
      transports: shared.map((port) => port.protocol).toSorted(),
      certificates: secure ? draft.certificates : [],
      sslPolicy: secure ? (draft.sslPolicy ?? defaultSslPolicy) : '',
      alpn: secure ? draft.alpn : '',
      ...groupSettings({ service, draft, port: number, protocol, groupProtocol }, problems),
    });
  }
  if (ports.length > maxListeners) {
    problems.push({
      severity: 'error',
      reason: 'TooManyPorts',
      field: 'spec.ports',
      message: `${ports.length} listeners are wanted and a balancer can have ${maxListeners}`,
      cure: 'spread the ports over several Services',
    });
  }
  return { ports: ports.toSorted((a, b) => a.port - b.port).slice(0, maxListeners), problems };
}

function servable(port: ServicePort, index: number, problems: Problem[]): boolean {
  if (port.protocol === 'SCTP') {
    problems.push({
      severity: 'error',
      reason: 'UnsupportedProtocol',
      field: `spec.ports[${index}].protocol`,
      message: 'a Network Load Balancer cannot balance SCTP',
      cure: 'use TCP or UDP',
    });
    return false;
  }
  if (port.nodePort === 0) {
    problems.push({
      severity: 'error',
      reason: 'NodePortMissing',
      field: `spec.ports[${index}].nodePort`,
      message: `port ${port.port}/${port.protocol} has no node port to send traffic to`,
      cure: 'set spec.allocateLoadBalancerNodePorts to true, or name a nodePort',
    });
    return false;
  }
  return true;
}

/** One protocol for all that share the number, or undefined when they cannot share it. */
function sharedProtocol(
  number: number,
  shared: readonly ServicePort[],
  tls: ReadonlySet<number>,
  draft: Draft,
  problems: Problem[],
): ListenerProtocol | undefined {
  const has = (protocol: TransportProtocol): boolean => shared.some((port) => port.protocol === protocol);
  if (!has('UDP')) return tls.has(number) ? 'TLS' : 'TCP';
  if (!has('TCP')) return 'UDP';
  const conflict = (message: string, cure: string): undefined => {
    problems.push({ severity: 'error', reason: 'PortConflict', field: 'spec.ports', message, cure });
  };
  const nodePorts = [...new Set(shared.map((port) => port.nodePort))];
  if (nodePorts.length > 1) {
    return conflict(
      `TCP and UDP on port ${number} need one listener, but their node ports differ (${nodePorts.join(', ')})`,
      'give both the same nodePort',
    );
  }
  if (!draft.mergeTcpUdp) {
    return conflict(
      `TCP and UDP on port ${number} need one listener, and ${prefix}enable-tcp-udp-listener forbids it`,
      'remove the annotation, or use different ports',
    );
  }
  if (tls.has(number)) {
    return conflict(
      `port ${number} is wanted for TLS and for UDP, which no listener can do`,
      `leave it out of ${prefix}ssl-ports, or use different ports`,
    );
  }
  return 'TCP_UDP';
}

/** Port numbers that TLS is wanted on. */
function tlsNumbers(service: ServiceObject, draft: Draft, problems: Problem[]): ReadonlySet<number> {
  const field = annotationField(`${prefix}ssl-ports`);
  const tcp = service.ports.filter((port) => port.protocol === 'TCP');
  const unused = (key: string, used: boolean): void => {
    if (!used) return;
    problems.push({
      severity: 'warning',
      reason: 'IneffectiveSetting',
      field: annotationField(`${prefix}${key}`),
      message: `it has no effect without ${prefix}ssl-cert`,
      cure: `name a certificate in ${prefix}ssl-cert, or remove the annotation`,
    });
  };
  if (draft.certificates.length === 0) {
    unused('ssl-ports', draft.tlsPorts !== undefined);
    unused('ssl-negotiation-policy', draft.sslPolicy !== undefined);
    unused('alpn-policy', draft.alpn !== '');
    unused('backend-protocol', draft.encryptToTargets);
    return new Set();
  }
  if (draft.tlsPorts === undefined || draft.tlsPorts.includes('*')) {
    // Where TCP and UDP share a number, "all ports" cannot mean that one.
    const udp = new Set(service.ports.filter((port) => port.protocol === 'UDP').map((port) => port.port));
    return new Set(tcp.map((port) => port.port).filter((port) => !udp.has(port)));
  }
  const found = new Set<number>();
  for (const entry of draft.tlsPorts) {
    const named = service.ports.filter((port) => port.name === entry || String(port.port) === entry);
    const secure = named.filter((port) => port.protocol === 'TCP');
    if (secure.length === 0) {
      problems.push({
        severity: 'error',
        reason: 'InvalidAnnotation',
        field,
        message:
          named.length === 0
            ? `"${entry}" is no port of the Service`
            : `port "${entry}" is not TCP, so TLS cannot be spoken on it`,
        cure: `name TCP ports of the Service (${tcp.map((port) => port.name || port.port).join(', ')})`,
      });
    }
    for (const port of secure) found.add(port.port);
  }
  return found;
}
