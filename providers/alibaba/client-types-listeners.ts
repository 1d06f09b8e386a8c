/**
 * What the listener calls of SLB 2014-05-15 take and give. Only types.
 *
 * The API spells some parameters of a creation with a small first letter (`healthCheckInterval`) and the same
 * ones of a change with a capital; both are kept as they are, so that a misspelling cannot compile.
 */
import type { Answered, Switch, Tag } from './client-types-common.ts';

export type ListenerProtocol = 'tcp' | 'udp' | 'http' | 'https';

export interface ListenerKey {
  readonly RegionId?: string | undefined;
  readonly LoadBalancerId: string;
  readonly ListenerPort: number;
}

/** A listener by port and protocol: TCP and UDP may share a port, so the protocol is always said. */
export interface ListenerRef extends ListenerKey {
  readonly ListenerProtocol: ListenerProtocol;
}

interface Common {
  readonly VServerGroupId?: string | undefined;
  /** Mbit/s; -1 for no limit of its own. */
  readonly Bandwidth?: number | undefined;
  readonly Scheduler?: string | undefined;
  readonly Description?: string | undefined;
  readonly AclId?: string | undefined;
  readonly AclStatus?: Switch | undefined;
  readonly AclType?: 'white' | 'black' | undefined;
  readonly HealthCheckConnectPort?: number | undefined;
  readonly HealthyThreshold?: number | undefined;
  readonly UnhealthyThreshold?: number | undefined;
}

interface HttpCheck {
  readonly HealthCheckURI?: string | undefined;
  readonly HealthCheckDomain?: string | undefined;
  readonly HealthCheckHttpCode?: string | undefined;
  readonly HealthCheckMethod?: 'head' | 'get' | undefined;
}

interface Transport {
  readonly HealthCheckSwitch?: Switch | undefined;
  /** Seconds. */
  readonly HealthCheckConnectTimeout?: number | undefined;
  /** Seconds of stickiness by source address, 0 for none. */
  readonly PersistenceTimeout?: number | undefined;
  readonly ConnectionDrain?: Switch | undefined;
  /** Seconds, 10 to 900. */
  readonly ConnectionDrainTimeout?: number | undefined;
  readonly ProxyProtocolV2Enabled?: boolean | undefined;
}

interface Tcp extends Common, Transport, HttpCheck {
  readonly HealthCheckType?: 'tcp' | 'http' | undefined;
  /** Seconds, 10 to 900. */
  readonly EstablishedTimeout?: number | undefined;
}

type Udp = Common & Transport;

interface Http extends Common, HttpCheck {
  readonly HealthCheck?: Switch | undefined;
  /** Seconds. */
  readonly HealthCheckTimeout?: number | undefined;
  /** Seconds. */
  readonly HealthCheckInterval?: number | undefined;
  readonly StickySession?: Switch | undefined;
  readonly StickySessionType?: 'insert' | 'server' | undefined;
  readonly Cookie?: string | undefined;
  /** Seconds. */
  readonly CookieTimeout?: number | undefined;
  /** Seconds. */
  readonly IdleTimeout?: number | undefined;
  /** Seconds. */
  readonly RequestTimeout?: number | undefined;
  readonly XForwardedFor?: Switch | undefined;
  readonly XForwardedFor_proto?: Switch | undefined;
  readonly XForwardedFor_SLBPORT?: Switch | undefined;
  readonly XForwardedFor_ClientSrcPort?: Switch | undefined;
  readonly Gzip?: Switch | undefined;
}

interface Forwarding {
  /** To another port of the balancer; cannot be changed afterwards. */
  readonly ListenerForward?: Switch | undefined;
  readonly ForwardPort?: number | undefined;
}

interface Tls {
  readonly ServerCertificateId?: string | undefined;
  readonly CACertificateId?: string | undefined;
  readonly TLSCipherPolicy?: string | undefined;
  readonly EnableHttp2?: Switch | undefined;
}

interface Tagged {
  readonly Tag?: readonly Tag[] | undefined;
}

interface SmallInterval {
  /** Seconds. The small letter is the API's, at creation only. */
  readonly healthCheckInterval?: number | undefined;
}

interface BigInterval {
  /** Seconds. */
  readonly HealthCheckInterval?: number | undefined;
}

interface Regroup {
  /** `on` for the group of `VServerGroupId` to be used. */
  readonly VServerGroup?: Switch | undefined;
}

type CreateHttp = Http & { readonly HealthCheck: Switch; readonly StickySession: Switch };

/** What a listener of one protocol is set to; only the block of its protocol is given. */
export interface ListenerConfig {
  readonly [setting: string]: unknown;
}

export interface Listener {
  readonly LoadBalancerId: string;
  readonly ListenerPort: number;
  readonly ListenerProtocol: string;
  /** `stopped`, `starting`, `running`, `configuring` or `stopping`. */
  readonly Status?: string | undefined;
  readonly Bandwidth?: number | undefined;
  readonly Scheduler?: string | undefined;
  readonly VServerGroupId?: string | undefined;
  readonly BackendServerPort?: number | undefined;
  readonly Description?: string | undefined;
  readonly AclId?: string | undefined;
  readonly AclIds?: readonly string[] | undefined;
  readonly AclStatus?: string | undefined;
  readonly AclType?: string | undefined;
  readonly Tags?: readonly { readonly TagKey: string; readonly TagValue?: string }[] | undefined;
  readonly TCPListenerConfig?: ListenerConfig | undefined;
  readonly UDPListenerConfig?: ListenerConfig | undefined;
  readonly HTTPListenerConfig?: ListenerConfig | undefined;
  readonly HTTPSListenerConfig?: ListenerConfig | undefined;
}

export interface BackendHealth {
  readonly ServerId: string;
  readonly ServerIp?: string | undefined;
  readonly Port?: number | undefined;
  readonly ListenerPort?: number | undefined;
  readonly Protocol?: string | undefined;
  /** `normal`, `abnormal` or `unavailable`. */
  readonly ServerHealthStatus?: string | undefined;
}

export interface DomainExtension {
  readonly DomainExtensionId: string;
  readonly Domain: string;
  readonly ServerCertificateId: string;
}

export interface ListenerCalls {
  readonly DescribeLoadBalancerListeners: [
    {
      readonly RegionId?: string | undefined;
      /** Up to 10. */
      readonly LoadBalancerId?: readonly string[] | undefined;
      readonly ListenerProtocol?: ListenerProtocol | undefined;
      readonly ListenerPort?: number | undefined;
      /** 1 to 100. The cloud's default is 20. */
      readonly MaxResults?: number | undefined;
      readonly NextToken?: string | undefined;
    },
    Answered & {
      readonly Listeners?: readonly Listener[] | undefined;
      readonly NextToken?: string | undefined;
      readonly TotalCount?: number | undefined;
    },
  ];
  readonly CreateLoadBalancerTCPListener: [
    ListenerKey & Tcp & SmallInterval & Tagged & { readonly Bandwidth: number },
    Answered,
  ];
  readonly CreateLoadBalancerUDPListener: [
    ListenerKey &
      Udp &
      SmallInterval &
      Tagged & {
        readonly Bandwidth: number;
        readonly healthCheckReq?: string | undefined;
        readonly healthCheckExp?: string | undefined;
      },
    Answered,
  ];
  readonly CreateLoadBalancerHTTPListener: [ListenerKey & CreateHttp & Forwarding & Tagged, Answered];
  readonly CreateLoadBalancerHTTPSListener: [
    ListenerKey &
      CreateHttp &
      Tls &
      Tagged & { readonly Bandwidth: number; readonly ServerCertificateId: string },
    Answered,
  ];
  readonly SetLoadBalancerTCPListenerAttribute: [ListenerKey & Tcp & BigInterval & Regroup, Answered];
  readonly SetLoadBalancerUDPListenerAttribute: [
    ListenerKey &
      Udp &
      BigInterval &
      Regroup & {
        readonly healthCheckReq?: string | undefined;
        readonly healthCheckExp?: string | undefined;
      },
    Answered,
  ];
  readonly SetLoadBalancerHTTPListenerAttribute: [ListenerKey & Http & Regroup, Answered];
  readonly SetLoadBalancerHTTPSListenerAttribute: [ListenerKey & Http & Tls & Regroup, Answered];
  readonly StartLoadBalancerListener: [ListenerRef, Answered];
  readonly StopLoadBalancerListener: [ListenerRef, Answered];
  readonly DeleteLoadBalancerListener: [ListenerRef, Answered];
  readonly DescribeHealthStatus: [
    {
      readonly RegionId?: string | undefined;
      readonly LoadBalancerId: string;
      /** Absent: all listeners. */
      readonly ListenerPort?: number | undefined;
      readonly ListenerProtocol?: ListenerProtocol | undefined;
    },
    Answered & {
      readonly BackendServers?: { readonly BackendServer?: readonly BackendHealth[] | undefined } | undefined;
    },
  ];
  readonly CreateDomainExtension: [
    ListenerKey & { readonly Domain: string; readonly ServerCertificateId: string },
    Answered & { readonly ListenerPort?: number | undefined; readonly DomainExtensionId: string },
  ];
  readonly DescribeDomainExtensions: [
    ListenerKey & { readonly DomainExtensionId?: string | undefined },
    Answered & {
      readonly DomainExtensions?:
        | { readonly DomainExtension?: readonly DomainExtension[] | undefined }
        | undefined;
    },
  ];
  readonly SetDomainExtensionAttribute: [
    {
      readonly RegionId?: string | undefined;
      readonly DomainExtensionId: string;
      readonly ServerCertificateId: string;
    },
    Answered,
  ];
  readonly DeleteDomainExtension: [
    { readonly RegionId?: string | undefined; readonly DomainExtensionId: string },
    Answered,
  ];
}
