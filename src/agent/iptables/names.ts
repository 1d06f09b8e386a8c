/**
 * Names of what the iptables backend makes in the kernel: chains and ipsets.
 *
 * Everything begins with `SLUICE-`, so that cleaning up needs no memory and nobody else's objects are taken for ours.
 * Chain names carry the hash that the field's own names carry (base32 of a SHA-256 of `namespace/name:port` and the
 * protocol), so that whoever knows kube-proxy's chains finds the same hash behind another prefix.
 */
import { hash as digestOf } from 'node:crypto';
import type { Decision } from '../decision.ts';
import type { IpFamily, TransportProtocol } from '../../core/objects.ts';

/** What every chain and ipset of ours begins with. */
export const prefix = 'SLUICE-';

/** Chains that exist whatever the decisions are, with their table. */
export const chain = {
  services: 'SLUICE-SERVICES',
  processes: 'SLUICE-PROCESSES',
  dispatch: 'SLUICE-DISPATCH',
  nodePorts: 'SLUICE-NODEPORTS',
  postrouting: 'SLUICE-POSTROUTING',
  input: 'SLUICE-INPUT',
  forward: 'SLUICE-FORWARD',
  output: 'SLUICE-OUTPUT',
  filter: 'SLUICE-FILTER',
  unknown: 'SLUICE-UNKNOWN',
  refuse: 'SLUICE-REFUSE',
  drop: 'SLUICE-DROP',
  dropPorts: 'SLUICE-DROP-NP',
} as const;

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * The first 16 characters of the upper-case base32 of the SHA-256 of a text. There is one for each chain and each rule
 * to an endpoint: made in one call, and joined in one go, it leaves little to be collected.
 */
export function chainHash(text: string): string {
  const digest = digestOf('sha256', text, 'buffer');
  const name: string[] = [];
  let held = 0;
  let bits = 0;
  for (let i = 0; name.length < 16; i += 1) {
    held = ((held << 8) | (digest[i] ?? 0)) & 0xffff;
    bits += 8;
    while (bits >= 5 && name.length < 16) {
      bits -= 5;
      name.push(base32.charAt((held >> bits) & 31));
    }
  }
  return name.join('');
}

/** `namespace/name:port`, without the colon where the port has no name: how people call a Service port. */
export function portLabel(decision: Pick<Decision, 'service' | 'portName'>): string {
  return decision.portName === '' ? decision.service : `${decision.service}:${decision.portName}`;
}

export interface ServiceChains {
  /** Endpoints under policy Cluster. */
  readonly cluster: string;
  /** Endpoints under policy Local. */
  readonly local: string;
  /** What comes in by an external address or a node port. */
  readonly external: string;
  /** Source ranges, before `external`. */
  readonly firewall: string;
}

export function serviceChains(decision: Pick<Decision, 'service' | 'portName' | 'protocol'>): ServiceChains {
  const hash = chainHash(portLabel(decision) + decision.protocol.toLowerCase());
  return {
    cluster: `SLUICE-SVC-${hash}`,
    local: `SLUICE-SVL-${hash}`,
    external: `SLUICE-EXT-${hash}`,
    firewall: `SLUICE-FW-${hash}`,
  };
}

/** Chain of one endpoint, and the name of its list of clients: only where there is session affinity. */
export function endpointChain(
  decision: Pick<Decision, 'service' | 'portName' | 'protocol'>,
  endpoint: string,
): string {
  return `SLUICE-SEP-${chainHash(portLabel(decision) + decision.protocol.toLowerCase() + endpoint)}`;
}

export type SetName =
  /** Address, protocol and port of every destination but node ports: what the nat rules look at. */
  | 'DST'
  /** All their addresses, all cluster IPs, and the addresses at which node ports answer, where it is not all. */
  | 'OUR'
  /** Destinations where some or all packets are dropped. */
  | 'DRP'
  /** Destinations that are rejected. */
  | 'REJ'
  /** Cluster IPs. */
  | 'CIP'
  /** Protocol and number of node ports that lead to endpoints. */
  | 'NP'
  /** Node ports where some or all packets are dropped. */
  | 'NPD'
  /** Node ports that are rejected. */
  | 'NPR'
  /** Ports of Services' health checks. */
  | 'HC'
  /** Addresses at which node ports answer, where it is not all. */
  | 'NODE'
  /** Ranges of pods, where there is more than one. */
  | 'PODS'
  /** Endpoint, port, endpoint: connections of a pod to itself, where the kernel cannot compare addresses. */
  | 'LOOP';

const setTypes: Readonly<Record<SetName, string>> = {
  DST: 'hash:ip,port',
  OUR: 'hash:ip',
  DRP: 'hash:ip,port',
  REJ: 'hash:ip,port',
  CIP: 'hash:ip',
  NP: 'hash:net,port',
  NPD: 'hash:net,port',
  NPR: 'hash:net,port',
  HC: 'hash:net,port',
  NODE: 'hash:ip',
  PODS: 'hash:net',
  LOOP: 'hash:ip,port,ip',
};

export const setNames = Object.keys(setTypes) as readonly SetName[];

/** Entries that one set may hold: far above what a cluster has, for the default of 65,536 is not. */
export const setCapacity = 1_048_576;

export function fullSetName(family: IpFamily, name: SetName): string {
  return `${prefix}${family === 'IPv4' ? '4' : '6'}-${name}`;
}

/** Type and options, as `ipset create` and `ipset save` have them in common. */
export function setType(name: SetName): string {
  return setTypes[name];
}

export function ipsetFamily(family: IpFamily): 'inet' | 'inet6' {
  return family === 'IPv4' ? 'inet' : 'inet6';
}

/** Two halves make the whole: the set types know no prefix of length 0. */
export function everyAddress(family: IpFamily): readonly [string, string] {
  return family === 'IPv4' ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1'];
}

export function lower(protocol: TransportProtocol): 'tcp' | 'udp' | 'sctp' {
  return protocol === 'TCP' ? 'tcp' : protocol === 'UDP' ? 'udp' : 'sctp';
}

/** Sets whose entries only ever refuse or allow something: they go before the rules, the others after. */
export const beforeRules: ReadonlySet<SetName> = new Set([
  'OUR',
  'DRP',
  'REJ',
  'NPD',
  'NPR',
  'CIP',
  'HC',
  'NODE',
  'PODS',
  'LOOP',
]);
