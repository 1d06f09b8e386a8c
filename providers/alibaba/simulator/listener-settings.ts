/** What a listener is set to: defaults, what goes together, and the blocks that describe it. */
import type { Context } from './context.ts';
import { CloudError, invalid, missing } from './errors.ts';
import type { ListenerSettings, Protocol } from './store.ts';
import { requireCertificate } from './vswitches.ts';

type Given = Readonly<Record<string, unknown>>;

const check = { HealthyThreshold: 3, UnhealthyThreshold: 3, HealthCheckInterval: 2 };
const acl = { AclStatus: 'off' };
const transport = {
  ...check,
  ...acl,
  Bandwidth: -1,
  Scheduler: 'wrr',
  HealthCheckSwitch: 'on',
  HealthCheckConnectTimeout: 5,
  PersistenceTimeout: 0,
  ConnectionDrain: 'off',
  ProxyProtocolV2Enabled: false,
};
const http = {
  ...check,
  ...acl,
  Bandwidth: -1,
  Scheduler: 'wrr',
  HealthCheckTimeout: 5,
  HealthCheckHttpCode: 'http_2xx',
  HealthCheckMethod: 'head',
  IdleTimeout: 15,
  RequestTimeout: 60,
  XForwardedFor: 'on',
  XForwardedFor_proto: 'off',
  XForwardedFor_SLBPORT: 'off',
  XForwardedFor_ClientSrcPort: 'off',
  Gzip: 'on',
  ListenerForward: 'off',
};

const defaults: Readonly<Record<Protocol, ListenerSettings>> = {
  tcp: { ...transport, HealthCheckType: 'tcp', EstablishedTimeout: 900 },
  udp: transport,
  http,
  https: { ...http, EnableHttp2: 'on', TLSCipherPolicy: 'tls_cipher_policy_1_0' },
};

/** Parameters that are no settings of their own. */
const others: ReadonlySet<string> = new Set([
  'RegionId',
  'LoadBalancerId',
  'ListenerPort',
  'VServerGroup',
  'VServerGroupId',
  'Description',
  'Tag',
]);

/** A new listener's settings. Throws for what does not go together. */
export function firstSettings(context: Context, protocol: Protocol, given: Given): ListenerSettings {
  return settled(context, { ...defaults[protocol], ...settingsIn(given) });
}

/** A listener's settings after a change: what is not given stays. Throws as `firstSettings`. */
export function nextSettings(context: Context, present: ListenerSettings, given: Given): ListenerSettings {
  return settled(context, { ...present, ...settingsIn(given) });
}

function settingsIn(given: Given): ListenerSettings {
  const found: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || others.has(name)) continue;
    // The small letter is of creations only; what is kept has the capital.
    found[name === 'healthCheckInterval' ? 'HealthCheckInterval' : name] = value as string | number | boolean;
  }
  return found;
}

function settled(context: Context, settings: ListenerSettings): ListenerSettings {
  const needs = (flag: string, value: string, ...names: readonly string[]): void => {
    if (settings[flag] !== value) return;
    for (const name of names) if (settings[name] === undefined) throw missing(name);
  };
  needs('ConnectionDrain', 'on', 'ConnectionDrainTimeout');
  needs('StickySession', 'on', 'StickySessionType');
  if (settings['StickySession'] === 'on') {
    needs('StickySessionType', 'insert', 'CookieTimeout');
    needs('StickySessionType', 'server', 'Cookie');
  }
  needs('ListenerForward', 'on', 'ForwardPort');
  needs('AclStatus', 'on', 'AclId', 'AclType');
  if (settings['Bandwidth'] === 0) throw invalid('Bandwidth', 'it must be -1 or 1 to 5120');
  if (settings['AclStatus'] === 'on') {
    const { acls } = context.settings;
    for (const id of String(settings['AclId']).split(',')) {
      if (acls !== 'any' && !acls.includes(id))
        throw new CloudError('AclNotExist', `The ACL ${id} does not exist`);
    }
  }
  const certificate = settings['ServerCertificateId'];
  if (certificate !== undefined) requireCertificate(context, String(certificate));
  return settings;
}

/** Settings that the list shows beside the protocol's block. */
const shared = ['Bandwidth', 'Scheduler', 'AclStatus', 'AclType', 'BackendServerPort'] as const;

/** The parts of DescribeLoadBalancerListeners that come from the settings. */
export function showSettings(context: Context, protocol: Protocol, settings: ListenerSettings): object {
  const top: Record<string, unknown> = {};
  for (const name of shared) if (settings[name] !== undefined) top[name] = settings[name];
  const acls = settings['AclId'];
  if (acls !== undefined) {
    top['AclId'] = acls;
    top['AclIds'] = String(acls).split(',');
  }
  const block: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(settings)) {
    if (name === 'AclId' || (shared as readonly string[]).includes(name)) continue;
    block[name === 'HealthCheckSwitch' ? context.settings.healthFlag : name] = value;
  }
  return { ...top, [`${protocol.toUpperCase()}ListenerConfig`]: block };
}
