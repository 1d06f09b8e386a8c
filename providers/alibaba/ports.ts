/**
 * The ports of a Service as listeners: protocol, settings, and what cannot be.
 */
import type { ServiceObject, ServicePort } from '../../src/core/objects.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import { prefix } from './annotation-row.ts';
import type { ListenerProtocol } from './client-types-listeners.ts';
import type { Draft } from './draft.ts';
import { hasSetting } from './listener-settings.ts';
import type { ListenerSettings, Setting } from './observed.ts';

export interface PortPlan {
  readonly port: number;
  readonly protocol: ListenerProtocol;
  readonly transport: 'TCP' | 'UDP';
  readonly nodePort: number;
  /** What the Service asks for, and what Sluice decides; all else of an existing listener stays. */
  readonly settings: ListenerSettings;
  /** Those of them that no annotation gives. */
  readonly chosen: readonly string[];
  /** Certificates for single domains; undefined is no opinion. */
  readonly domains: Readonly<Record<string, string>> | undefined;
  /** Port of the https listener that callers are sent to. */
  readonly forward: number | undefined;
  /** VServer group that the user brought along. */
  readonly group: string | undefined;
}

/** Listeners that a balancer can have (quota of the account, raisable). */
export const maxListeners = 50;
const reservedUdpPort = 4_789;

export function planPorts(
  service: ServiceObject,
  draft: Draft,
): { readonly ports: readonly PortPlan[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  checkNamedPorts(service, draft, problems);
  const ports: PortPlan[] = [];
  for (const [index, port] of service.ports.entries()) {
    const plan = planPort(service, port, `spec.ports[${index}]`, draft, problems);
    if (plan !== undefined) ports.push(plan);
  }
  checkForwards(ports, draft, problems);
  checkTogether(ports, draft, problems);
  if (ports.length > maxListeners) {
    problems.push(
      error(
        'TooManyPorts',
        'spec.ports',
        `there are ${ports.length} ports, and a balancer has room for ${maxListeners} listeners`,
        'split the Service',
      ),
    );
  }
  return { ports: ports.toSorted((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1)), problems };
}

function planPort(
  service: ServiceObject,
  { port, protocol: transport, nodePort }: ServicePort,
  field: string,
  draft: Draft,
  problems: Problem[],
): PortPlan | undefined {
  if (transport === 'SCTP') {
    problems.push(
      error('UnsupportedProtocol', `${field}.protocol`, 'SCTP cannot be balanced by a CLB', 'use TCP or UDP'),
    );
    return undefined;
  }
  if (transport === 'UDP' && port === reservedUdpPort) {
    problems.push(
      error(
        'UnsupportedProtocol',
        `${field}.port`,
        'the cloud keeps UDP port 4789 for itself',
        'use another port',
      ),
    );
    return undefined;
  }
  const named = transport === 'TCP' ? draft.protocols.find((pair) => pair.port === port)?.value : undefined;
  const protocol = named ?? (transport === 'TCP' ? 'tcp' : 'udp');
  if (protocol === 'udp' && transport === 'TCP') {
    problems.push(
      error(
        'InvalidAnnotation',
        annotationField(`${prefix}protocol-port`),
        `port ${port} is TCP, so its listener cannot be udp`,
        'use tcp, http or https for it',
      ),
    );
  }
  if (nodePort === 0) {
    problems.push(
      error(
        'NodePortMissing',
        `${field}.nodePort`,
        `port ${port} has no node port`,
        'set spec.allocateLoadBalancerNodePorts to true, or name a nodePort',
      ),
    );
    return undefined;
  }
  if (protocol === 'https' && draft.certificate === undefined) {
    problems.push(
      error(
        'InvalidAnnotation',
        annotationField(`${prefix}protocol-port`),
        `the https listener on port ${port} needs a certificate`,
        `name one in ${prefix}cert-id`,
      ),
    );
  }
  const group = draft.groups.find((pair) => pair.port === port)?.value;
  const settings = settingsFor(service, protocol, nodePort, group !== undefined, draft);
  const asked = new Set([...Object.keys(draft.listener), 'ServerCertificateId']);
  return {
    port,
    protocol,
    transport,
    nodePort,
    settings,
    chosen: Object.keys(settings).filter((name) => !asked.has(name)),
    domains: protocol === 'https' ? draft.domains : undefined,
    forward: protocol === 'http' ? draft.forwards.find((pair) => pair.port === port)?.value : undefined,
    group,
  };
}

/**
 * Under policy Local the check asks the node's service proxy (health-check node port, `/healthz`), so that a node whose
 * last endpoint went is out before the membership follows. In a group of the user's own other members may not
 * have that port: there only annotations decide.
 */
function settingsFor(
  service: ServiceObject,
  protocol: ListenerProtocol,
  nodePort: number,
  usersGroup: boolean,
  draft: Draft,
): ListenerSettings {
  const local = service.externalTrafficPolicy === 'Local' && service.healthCheckNodePort !== 0 && !usersGroup;
  const probes = local && protocol !== 'udp' && draft.listener['HealthCheckType'] !== 'tcp';
  const weighted = service.externalTrafficPolicy === 'Local' || draft.weight !== undefined;
  const web = protocol === 'http' || protocol === 'https';
  const base: Record<string, Setting> = { Scheduler: weighted ? 'wrr' : 'rr' };
  if (!usersGroup) base['HealthCheckConnectPort'] = probes ? service.healthCheckNodePort : nodePort;
  if (protocol === 'tcp' && !usersGroup) base['HealthCheckType'] = probes ? 'http' : 'tcp';
  if (web) base['HealthCheck'] = probes ? 'on' : 'off';
  if (probes) base['HealthCheckURI'] = '/healthz';
  if (protocol === 'https' && draft.certificate !== undefined)
    base['ServerCertificateId'] = draft.certificate;
  const asked = Object.entries(draft.listener).filter(([name]) => hasSetting(protocol, name));
  return Object.fromEntries(
    Object.entries({ ...base, ...Object.fromEntries(asked) }).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function checkNamedPorts(service: ServiceObject, draft: Draft, problems: Problem[]): void {
  const check = (word: string, pairs: readonly { readonly port: number }[]): void => {
    for (const { port } of pairs) {
      const found = service.ports.filter((one) => one.port === port);
      const field = annotationField(`${prefix}${word}`);
      if (found.length === 0) {
        problems.push(
          error('InvalidAnnotation', field, `the Service has no port ${port}`, 'name ports of the Service'),
        );
      } else if (
        word === 'protocol-port' &&
        found.every(({ protocol }) => protocol === 'UDP') &&
        draft.protocols.some((pair) => pair.port === port && pair.value !== 'udp')
      ) {
        problems.push(
          error(
            'InvalidAnnotation',
            field,
            `port ${port} is UDP, so its listener can be udp only`,
            'use a TCP port',
          ),
        );
      }
    }
  };
  check('protocol-port', draft.protocols);
  check('forward-port', draft.forwards);
  check('vgroup-port', draft.groups);
}

function checkForwards(ports: readonly PortPlan[], draft: Draft, problems: Problem[]): void {
  const field = annotationField(`${prefix}forward-port`);
  for (const { port, value } of draft.forwards) {
    const from = ports.find((one) => one.port === port);
    if (from !== undefined && from.protocol !== 'http') {
      problems.push(
        error(
          'InvalidAnnotation',
          field,
          `port ${port} is ${from.protocol}; only an http port can forward`,
          `make it http in ${prefix}protocol-port`,
        ),
      );
    }
    if (!ports.some((one) => one.port === value && one.protocol === 'https')) {
      problems.push(
        error(
          'InvalidAnnotation',
          field,
          `port ${value} is no https port of the Service`,
          'forward to an https port',
        ),
      );
    }
  }
}

/** What goes together, and annotations that no port of the Service can use. */
function checkTogether(ports: readonly PortPlan[], draft: Draft, problems: Problem[]): void {
  const { listener, keys } = draft;
  const need = (flag: string, value: Setting, names: Readonly<Record<string, string>>): void => {
    if (listener[flag] !== value) return;
    for (const [name, word] of Object.entries(names)) {
      if (listener[name] !== undefined) continue;
      problems.push(
        error(
          'ConflictingSettings',
          annotationField(keys[flag] ?? ''),
          `it says "${String(value)}", which needs ${prefix}${word}`,
          `set ${prefix}${word} too`,
        ),
      );
    }
  };
  need('ConnectionDrain', 'on', { ConnectionDrainTimeout: 'connection-drain-timeout' });
  need('StickySession', 'on', { StickySessionType: 'sticky-session-type' });
  if (listener['StickySession'] === 'on') {
    need('StickySessionType', 'insert', { CookieTimeout: 'cookie-timeout' });
    need('StickySessionType', 'server', { Cookie: 'cookie' });
  }
  need('AclStatus', 'on', { AclId: 'acl-id', AclType: 'acl-type' });
  const web = ports.find(({ protocol }) => protocol === 'http' || protocol === 'https');
  const scheduler = listener['Scheduler'];
  if (web !== undefined && scheduler !== undefined && scheduler !== 'rr' && scheduler !== 'wrr') {
    problems.push(
      error(
        'ConflictingSettings',
        annotationField(keys['Scheduler'] ?? ''),
        `${web.protocol} listeners (port ${web.port}) cannot use "${String(scheduler)}"`,
        'use rr or wrr',
      ),
    );
  }
  if (ports.length === 0) return;
  const usable = (name: string): boolean =>
    ports.some(({ protocol }) =>
      name === 'DomainExtensions' ? protocol === 'https' : hasSetting(protocol, name),
    );
  for (const [name, key] of Object.entries(keys)) {
    if (usable(name)) continue;
    problems.push({
      severity: 'warning',
      reason: 'IneffectiveSetting',
      field: annotationField(key),
      message: `no listener of the Service can use it (${[...new Set(ports.map(({ protocol }) => protocol))].join(', ')})`,
      cure: 'remove the annotation',
    });
  }
}

function error(reason: Problem['reason'], field: string, message: string, cure: string): Problem {
  return { severity: 'error', reason, field, message, cure };
}
