/**
 * What each operation takes: the names, kinds and ranges of its parameters, in the form of the API's own
 * description.
 *
 * A parameter that the operation does not have is refused, where the cloud passes over it: a misspelling (the
 * small `h` of `healthCheckInterval`, which only creations have) would otherwise be silently without effect.
 */

export type Kind =
  | { readonly kind: 'text'; readonly pattern?: RegExp }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | { readonly kind: 'boolean' }
  /** `Name.1`, `Name.2` … */
  | { readonly kind: 'texts'; readonly max: number }
  /** `Name.1.Key`, `Name.1.Value` … */
  | { readonly kind: 'tags' }
  /** One JSON text that holds a list of objects. */
  | { readonly kind: 'json' };

export interface Parameter {
  readonly type: Kind;
  readonly required: boolean;
}

export type Parameters = Readonly<Record<string, Parameter>>;

const optional = (type: Kind): Parameter => ({ type, required: false });
const required = ({ type }: Parameter): Parameter => ({ type, required: true });
const text = optional({ kind: 'text' });
const matching = (pattern: RegExp): Parameter => optional({ kind: 'text', pattern });
const words = (...all: readonly string[]): Parameter => matching(new RegExp(`^(${all.join('|')})$`));
const integer = (min: number, max: number): Parameter => optional({ kind: 'integer', min, max });
const texts = (max: number): Parameter => optional({ kind: 'texts', max });
const json = optional({ kind: 'json' });
const tags = optional({ kind: 'tags' });
const boolean = optional({ kind: 'boolean' });
const onOff = words('on', 'off');
const port = integer(1, 65_535);
const name = matching(/^[A-Za-z\u4e00-\u9fff][\w.\-/\u4e00-\u9fff]{0,79}$/u);
const protection = words('ConsoleProtection', 'NonProtection');

const region = { RegionId: text };
const balancer = { ...region, LoadBalancerId: required(text) };
const group = { ...region, VServerGroupId: required(text) };
const listener = { ...balancer, ListenerPort: required(port) };
const reference = { ...listener, ListenerProtocol: words('tcp', 'udp', 'http', 'https') };
const resources = { ...region, ResourceType: required(words('instance')), ResourceId: required(texts(50)) };

const common = {
  VServerGroupId: text,
  Bandwidth: integer(-1, 5_120),
  Description: matching(/^.{1,256}$/su),
  AclId: text,
  AclStatus: onOff,
  AclType: words('white', 'black'),
  HealthCheckConnectPort: port,
  HealthyThreshold: integer(2, 10),
  UnhealthyThreshold: integer(2, 10),
};
const httpCheck = {
  HealthCheckURI: matching(/^\/.{1,79}$/u),
  HealthCheckDomain: matching(/^(\$_ip|[\w.-]{1,80})$/),
  HealthCheckHttpCode: matching(/^http_[2-5]xx(,http_[2-5]xx)*$/),
  HealthCheckMethod: words('head', 'get'),
};
const transport = {
  Scheduler: words('wrr', 'rr', 'wlc', 'sch', 'tch', 'qch'),
  HealthCheckSwitch: onOff,
  HealthCheckConnectTimeout: integer(1, 300),
  PersistenceTimeout: integer(0, 3_600),
  ConnectionDrain: onOff,
  ConnectionDrainTimeout: integer(10, 900),
  ProxyProtocolV2Enabled: boolean,
};
const tcp = {
  ...common,
  ...transport,
  ...httpCheck,
  HealthCheckType: words('tcp', 'http'),
  EstablishedTimeout: integer(10, 900),
};
const udp = { ...common, ...transport, healthCheckReq: text, healthCheckExp: text };
const http = {
  ...common,
  ...httpCheck,
  Scheduler: words('wrr', 'rr'),
  HealthCheck: onOff,
  HealthCheckTimeout: integer(1, 300),
  HealthCheckInterval: integer(1, 50),
  StickySession: onOff,
  StickySessionType: words('insert', 'server'),
  Cookie: matching(/^[^$,;\s][^,;\s]{0,199}$/),
  CookieTimeout: integer(1, 86_400),
  IdleTimeout: integer(1, 60),
  RequestTimeout: integer(1, 180),
  XForwardedFor: onOff,
  XForwardedFor_proto: onOff,
  XForwardedFor_SLBPORT: onOff,
  XForwardedFor_ClientSrcPort: onOff,
  Gzip: onOff,
};
const tls = {
  ServerCertificateId: text,
  CACertificateId: text,
  TLSCipherPolicy: words(
    'tls_cipher_policy_1_0',
    'tls_cipher_policy_1_1',
    'tls_cipher_policy_1_2',
    'tls_cipher_policy_1_2_strict',
    'tls_cipher_policy_1_2_strict_with_1_3',
  ),
  EnableHttp2: onOff,
};
const smallInterval = { healthCheckInterval: integer(1, 50) };
const bigInterval = { HealthCheckInterval: integer(1, 50) };
const made = { Tag: tags, BackendServerPort: port };
const madeHttp = { ...made, HealthCheck: required(onOff), StickySession: required(onOff) };
const regrouped = { VServerGroup: onOff };
const bandwidth = { Bandwidth: required(common.Bandwidth) };

/** By operation. */
export const parameters: Readonly<Record<string, Parameters>> = {
  CreateLoadBalancer: {
    ...region,
    AddressType: words('internet', 'intranet'),
    AddressIPVersion: words('ipv4', 'ipv6'),
    Address: text,
    InternetChargeType: words('paybytraffic', 'paybybandwidth'),
    Bandwidth: integer(1, 5_120),
    InstanceChargeType: words('PayByCLCU', 'PayBySpec'),
    LoadBalancerSpec: matching(/^slb\.s\d\.(small|medium|large)$/),
    LoadBalancerName: name,
    VpcId: text,
    VSwitchId: text,
    MasterZoneId: text,
    SlaveZoneId: text,
    ResourceGroupId: text,
    DeleteProtection: onOff,
    ModificationProtectionStatus: protection,
    ModificationProtectionReason: name,
    Tag: tags,
    ClientToken: matching(/^[\x20-\x7e]{1,64}$/),
  },
  DescribeLoadBalancers: {
    ...region,
    LoadBalancerId: text,
    LoadBalancerName: text,
    Tags: json,
    VpcId: text,
    AddressType: words('internet', 'intranet'),
    ResourceGroupId: text,
    PageNumber: integer(1, 100_000),
    PageSize: integer(1, 100),
  },
  DescribeLoadBalancerAttribute: balancer,
  DeleteLoadBalancer: balancer,
  SetLoadBalancerDeleteProtection: { ...balancer, DeleteProtection: required(onOff) },
  SetLoadBalancerModificationProtection: {
    ...balancer,
    ModificationProtectionStatus: required(protection),
    ModificationProtectionReason: name,
  },
  SetLoadBalancerName: { ...balancer, LoadBalancerName: required(name) },
  ModifyLoadBalancerInternetSpec: {
    ...balancer,
    InternetChargeType: words('paybytraffic', 'paybybandwidth'),
    Bandwidth: integer(1, 5_000),
  },
  ModifyLoadBalancerInstanceSpec: { ...balancer, LoadBalancerSpec: required(text) },
  ModifyLoadBalancerInstanceChargeType: {
    ...balancer,
    InstanceChargeType: required(words('PayByCLCU', 'PayBySpec')),
    LoadBalancerSpec: text,
  },
  TagResources: { ...resources, Tag: required(tags) },
  UntagResources: { ...resources, TagKey: required(texts(20)) },
  ListTagResources: { ...resources, ResourceId: texts(50), Tag: tags, NextToken: text },
  DescribeServerCertificates: { ...region, ServerCertificateId: text },
  DescribeVSwitches: {
    ...region,
    VpcId: text,
    VSwitchId: text,
    PageNumber: integer(1, 100_000),
    PageSize: integer(1, 50),
  },
  DescribeLoadBalancerListeners: {
    ...region,
    LoadBalancerId: texts(10),
    ListenerProtocol: words('tcp', 'udp', 'http', 'https'),
    ListenerPort: port,
    MaxResults: integer(1, 100),
    NextToken: text,
  },
  CreateLoadBalancerTCPListener: { ...listener, ...tcp, ...smallInterval, ...made, ...bandwidth },
  CreateLoadBalancerUDPListener: { ...listener, ...udp, ...smallInterval, ...made, ...bandwidth },
  CreateLoadBalancerHTTPListener: {
    ...listener,
    ...http,
    ...madeHttp,
    ListenerForward: onOff,
    ForwardPort: port,
  },
  CreateLoadBalancerHTTPSListener: {
    ...listener,
    ...http,
    ...tls,
    ...madeHttp,
    ...bandwidth,
    ServerCertificateId: required(text),
  },
  SetLoadBalancerTCPListenerAttribute: { ...listener, ...tcp, ...bigInterval, ...regrouped },
  SetLoadBalancerUDPListenerAttribute: { ...listener, ...udp, ...bigInterval, ...regrouped },
  SetLoadBalancerHTTPListenerAttribute: { ...listener, ...http, ...regrouped },
  SetLoadBalancerHTTPSListenerAttribute: { ...listener, ...http, ...tls, ...regrouped },
  StartLoadBalancerListener: reference,
  StopLoadBalancerListener: reference,
  DeleteLoadBalancerListener: reference,
  DescribeHealthStatus: { ...balancer, ListenerPort: port, ListenerProtocol: reference.ListenerProtocol },
  CreateVServerGroup: {
    ...balancer,
    VServerGroupName: required(matching(/^.{1,80}$/su)),
    BackendServers: json,
    Tag: tags,
  },
  DescribeVServerGroups: { ...balancer, IncludeListener: boolean, IncludeRule: boolean },
  DescribeVServerGroupAttribute: group,
  AddVServerGroupBackendServers: { ...group, BackendServers: required(json) },
  RemoveVServerGroupBackendServers: { ...group, BackendServers: required(json) },
  SetVServerGroupAttribute: {
    ...group,
    VServerGroupName: matching(/^.{1,80}$/su),
    BackendServers: json,
  },
  ModifyVServerGroupBackendServers: {
    ...group,
    OldBackendServers: required(json),
    NewBackendServers: required(json),
  },
  DeleteVServerGroup: group,
  CreateDomainExtension: {
    ...listener,
    Domain: required(matching(/^(\*\.)?[a-z0-9][a-z0-9.-]*$/)),
    ServerCertificateId: required(text),
  },
  DescribeDomainExtensions: { ...listener, DomainExtensionId: text },
  SetDomainExtensionAttribute: {
    ...region,
    DomainExtensionId: required(text),
    ServerCertificateId: required(text),
  },
  DeleteDomainExtension: { ...region, DomainExtensionId: required(text) },
};
