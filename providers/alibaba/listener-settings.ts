/**
 * Settings of listeners as the API names them: which protocols have each, what the cloud takes where nothing is
 * said, and the one name for what it spells in two ways.
 *
 * From the SLB API reference (CreateLoadBalancer…Listener, DescribeLoadBalancerListeners).
 */
import type { Listener, ListenerProtocol } from './client-types-listeners.ts';
import type { ListenerSettings, Setting } from './observed.ts';

interface SettingRow {
  readonly protocols: readonly ListenerProtocol[];
  /** By protocol where it differs. Absent: unset. */
  readonly fallback?: Setting;
}

const all = ['tcp', 'udp', 'http', 'https'] as const;
const four = ['tcp', 'udp'] as const;
const seven = ['http', 'https'] as const;
const probing = ['tcp', 'http', 'https'] as const;

const rows: Readonly<Record<string, SettingRow>> = {
  Scheduler: { protocols: all, fallback: 'wrr' },
  AclStatus: { protocols: all, fallback: 'off' },
  AclId: { protocols: all },
  AclType: { protocols: all },
  HealthCheckConnectPort: { protocols: all },
  HealthyThreshold: { protocols: all, fallback: 3 },
  UnhealthyThreshold: { protocols: all, fallback: 3 },
  HealthCheckInterval: { protocols: all, fallback: 2 },
  HealthCheckSwitch: { protocols: four, fallback: 'on' },
  HealthCheckConnectTimeout: { protocols: four, fallback: 5 },
  ProxyProtocolV2Enabled: { protocols: four, fallback: false },
  HealthCheckType: { protocols: ['tcp'], fallback: 'tcp' },
  PersistenceTimeout: { protocols: ['tcp'], fallback: 0 },
  EstablishedTimeout: { protocols: ['tcp'], fallback: 900 },
  ConnectionDrain: { protocols: ['tcp'], fallback: 'off' },
  ConnectionDrainTimeout: { protocols: ['tcp'] },
  HealthCheckURI: { protocols: probing },
  HealthCheckDomain: { protocols: probing },
  HealthCheckHttpCode: { protocols: probing, fallback: 'http_2xx' },
  HealthCheckMethod: { protocols: seven, fallback: 'head' },
  HealthCheck: { protocols: seven, fallback: 'off' },
  HealthCheckTimeout: { protocols: seven, fallback: 5 },
  StickySession: { protocols: seven, fallback: 'off' },
  StickySessionType: { protocols: seven },
  Cookie: { protocols: seven },
  CookieTimeout: { protocols: seven },
  IdleTimeout: { protocols: seven, fallback: 15 },
  RequestTimeout: { protocols: seven, fallback: 60 },
  XForwardedFor_proto: { protocols: seven, fallback: 'off' },
  XForwardedFor_SLBPORT: { protocols: seven, fallback: 'off' },
  XForwardedFor_ClientSrcPort: { protocols: seven, fallback: 'off' },
  ListenerForward: { protocols: ['http'], fallback: 'off' },
  ForwardPort: { protocols: ['http'] },
  ServerCertificateId: { protocols: ['https'] },
  TLSCipherPolicy: { protocols: ['https'], fallback: 'tls_cipher_policy_1_0' },
  EnableHttp2: { protocols: ['https'], fallback: 'on' },
};

/** Cannot be changed on an existing listener. */
const atCreation: ReadonlySet<string> = new Set(['ListenerForward', 'ForwardPort']);

export function hasSetting(protocol: ListenerProtocol, name: string): boolean {
  return rows[name]?.protocols.includes(protocol) === true;
}

export function isChangeable(name: string): boolean {
  return !atCreation.has(name);
}

/** What is in force of one setting. */
export function settingOf(settings: ListenerSettings, name: string): Setting | undefined {
  return settings[name] ?? rows[name]?.fallback;
}

/** The settings of the protocol that differ from the defaults, in one order. */
export function withoutDefaults(
  protocol: ListenerProtocol,
  settings: Readonly<Record<string, unknown>>,
): ListenerSettings {
  const kept: Record<string, Setting> = {};
  for (const name of Object.keys(rows)) {
    const value = settings[name];
    if (!hasSetting(protocol, name) || !isSetting(value) || value === rows[name]?.fallback) continue;
    kept[name] = value;
  }
  return kept;
}

/** What is not set comes back empty, zero or negative. */
function isSetting(value: unknown): value is Setting {
  if (typeof value === 'string') return value !== '';
  if (typeof value === 'number') return value >= 0;
  return typeof value === 'boolean';
}

/** The settings in a listener's description: the cloud spells the check flag in two ways there. */
export function settingsOf(protocol: ListenerProtocol, listener: Listener): ListenerSettings {
  const block = {
    tcp: listener.TCPListenerConfig,
    udp: listener.UDPListenerConfig,
    http: listener.HTTPListenerConfig,
    https: listener.HTTPSListenerConfig,
  }[protocol];
  const flag = block?.['HealthCheckSwitch'] ?? block?.['HealthCheck'];
  const ids = listener.AclIds === undefined ? listener.AclId : listener.AclIds.join(',');
  return withoutDefaults(protocol, {
    ...block,
    Scheduler: listener.Scheduler,
    AclStatus: listener.AclStatus,
    AclType: listener.AclType,
    AclId: ids,
    ...(protocol === 'tcp' || protocol === 'udp' ? { HealthCheckSwitch: flag } : {}),
  });
}
