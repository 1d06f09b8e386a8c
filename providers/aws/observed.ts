/**
 * What AWS holds for one Service, as plain data.
 *
 * Only resources that bear the owner's tags are in it; of those that stand in the way without bearing them
 * (a stranger's balancer of our name, a listener on our port) just enough is kept to name them.
 *
 * Invariants: lists are sorted (groups by name, listeners by port), so that equal states are equal values.
 * Attributes hold only what differs from the documented default, so that a resource made a moment ago and
 * the same one read back are equal. `undefined` means "not read", never "nothing".
 */
import type { TargetHealth } from '../../src/core/hand-over.ts';

export type Tags = Readonly<Record<string, string>>;
export type Attributes = Readonly<Record<string, string>>;
export type Scheme = 'internal' | 'internet-facing';
export type ListenerProtocol = 'TCP' | 'UDP' | 'TCP_UDP' | 'TLS';
export type GroupProtocol = 'TCP' | 'UDP' | 'TCP_UDP' | 'TLS';

export interface SubnetMapping {
  readonly subnet: string;
  /** Elastic IP, by its allocation id. */
  readonly allocation?: string;
}

export interface HealthCheck {
  readonly protocol: 'TCP' | 'HTTP' | 'HTTPS';
  /** `traffic-port` or a number. */
  readonly port: string;
  /** Only beside HTTP and HTTPS, as is `matcher`. */
  readonly path?: string;
  /** HTTP codes that count as healthy: `200`, `200-399`. */
  readonly matcher?: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
}

export interface ObservedListener {
  readonly arn: string;
  readonly port: number;
  /** Any word of AWS's: a listener made by hand may have one that we never use. */
  readonly protocol: string;
  /** Target group of the default action; empty when the action is something else. */
  readonly group: string;
  /** Bears the owner's tags. */
  readonly ours: boolean;
  readonly tags: Tags;
  /** ARN of the default certificate; empty without TLS. */
  readonly certificate: string;
  /**
   * The list of further certificates as ARNs, sorted; undefined when not read. The default one may be in it
   * too, and cannot be taken off while it is the default.
   */
  readonly moreCertificates: readonly string[] | undefined;
  readonly sslPolicy: string;
  readonly alpn: string;
}

export interface ObservedBalancer {
  readonly arn: string;
  readonly name: string;
  /** As AWS spells it. */
  readonly dnsName: string;
  readonly state: 'provisioning' | 'active' | 'active_impaired' | 'failed';
  readonly stateReason: string;
  /** While it is being provisioned: for how long, in milliseconds, when it was looked at; else 0. */
  readonly provisioningMs: number;
  readonly scheme: Scheme;
  readonly vpc: string;
  readonly ipAddressType: string;
  /** Sorted by subnet. */
  readonly subnets: readonly SubnetMapping[];
  /** Sorted. */
  readonly securityGroups: readonly string[];
  readonly tags: Tags;
  readonly attributes: Attributes | undefined;
  readonly listeners: readonly ObservedListener[];
}

export interface ObservedTarget {
  readonly health: TargetHealth;
  /** AWS's reason code, such as `Target.FailedHealthChecks`; empty when healthy. */
  readonly reason: string;
}

export interface ObservedGroup {
  readonly arn: string;
  readonly name: string;
  readonly protocol: string;
  readonly targetType: string;
  readonly vpc: string;
  /** Balancers whose listeners use it, sorted. */
  readonly balancers: readonly string[];
  readonly healthCheck: HealthCheck;
  readonly tags: Tags;
  readonly attributes: Attributes | undefined;
  /** By `instanceId:port`. Undefined when not read: no listener of the Service wants the group. */
  readonly targets: Readonly<Record<string, ObservedTarget>> | undefined;
}

/** A resource of a name that we want, which does not bear our tags. */
export interface Stranger {
  readonly kind: 'balancer' | 'group';
  readonly name: string;
  readonly arn: string;
  /** Whose it says it is, for people: `Service shop/web`, `another cluster`, `not made by Sluice`. */
  readonly owner: string;
}

export interface AwsObserved {
  readonly balancer: ObservedBalancer | undefined;
  readonly groups: readonly ObservedGroup[];
  readonly strangers: readonly Stranger[];
}

export const nothing: AwsObserved = { balancer: undefined, groups: [], strangers: [] };
