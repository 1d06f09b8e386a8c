/**
 * What can be set on a simulated account. Plain data: the same object travels over the wire, so that another
 * process can change it (control.ts). Every duration is in milliseconds.
 *
 * The defaults make everything happen at once and refuse what AWS refuses; delays, throttling and staleness
 * are ordered by whoever wants them.
 */

export interface Subnet {
  readonly id: string;
  readonly vpcId: string;
  readonly zone: string;
  /** IPv4 range; known ranges decide whether an `ip` target is inside the VPC. */
  readonly cidr?: string;
  /** Default 250. A balancer needs 8. */
  readonly freeAddresses?: number;
  /** Default true: the subnet has an IPv6 range, which `dualstack` needs. */
  readonly ipv6?: boolean;
  /** Default true: the zone supports Network Load Balancers. */
  readonly supported?: boolean;
}

/** A token bucket: `burst` calls at once, refilled with `perSecond` tokens a second. */
export interface Bucket {
  readonly burst: number;
  readonly perSecond: number;
}

export interface Quotas {
  readonly networkLoadBalancers: number;
  readonly listenersPerLoadBalancer: number;
  /** Beside the default certificates. */
  readonly certificatesPerLoadBalancer: number;
  readonly targetGroups: number;
  readonly targetsPerTargetGroup: number;
  readonly targetsPerLoadBalancer: number;
  /** Per zone while cross-zone balancing is off, in total while it is on. Counts instances whose zone is known. */
  readonly targetsPerZonePerLoadBalancer: number;
  readonly registrationsPerTarget: number;
  readonly targetGroupsPerAction: number;
  readonly tagsPerResource: number;
}

export interface Delays {
  /** From CreateLoadBalancer to `active`. 0: answered as active at once. */
  readonly provisioningMs: number;
  /** How long a target is `initial` with Elb.RegistrationInProgress. */
  readonly registrationMs: number;
  /** How long a target then is `initial` with Elb.InitialHealthChecking. */
  readonly initialCheckMs: number;
  /** From a change of the target to the state it shows. */
  readonly becomesHealthyMs: number;
  readonly becomesUnhealthyMs: number;
  /** How long a target group still counts as used after its listener or balancer went. */
  readonly targetGroupReleaseMs: number;
}

export interface Consistency {
  /** Reads are answered from the state of that long ago: what is new is unseen, what is deleted still listed. */
  readonly readLagMs: number;
  /** Each read takes a lag between 0 and `readLagMs` instead, as if answered by replicas. */
  readonly readLagVaries: boolean;
  /** Writes that name a resource younger than this are refused as if it did not exist. */
  readonly referenceLagMs: number;
}

export interface Throttling {
  readonly enabled: boolean;
  readonly code: string;
  readonly read: Bucket;
  readonly registration: Bucket;
  readonly mutation: Bucket;
}

export interface Latency {
  /** Time of every call, half of it before the effect and half after. */
  readonly callMs: number;
}

export interface Settings {
  readonly accountId: string;
  readonly region: string;
  readonly hostedZoneId: string;
  readonly subnets: readonly Subnet[];
  /** `any`: every id of the right form is accepted. */
  readonly securityGroups: 'any' | readonly string[];
  readonly allocations: 'any' | readonly string[];
  readonly certificates: 'any' | readonly string[];
  readonly sslPolicies: readonly string[];
  /** False: only instances that were set (`setInstance`) can be registered. */
  readonly acceptUnknownInstances: boolean;
  /** True: CreateLoadBalancer and CreateTargetGroup with other tags than the existing one's are not "the same settings". */
  readonly compareTagsOnCreate: boolean;
  /** SetSubnets may leave out zones that are enabled. */
  readonly zonesRemovable: boolean;
  /** Entries of one page where the caller names no size; AWS allows up to 400. */
  readonly pageSize: number;
  readonly quotas: Quotas;
  readonly delays: Delays;
  readonly consistency: Consistency;
  readonly throttling: Throttling;
  readonly latency: Latency;
  /** Calls kept in the record; the oldest go first. */
  readonly recordLimit: number;
  /** State changes kept for stale reads. */
  readonly historyLimit: number;
  /** Check every request and answer against the published schema. */
  readonly checkSchema: boolean;
}

/** Settings as given by a caller: any part of them. */
export type SettingsInput = {
  readonly [K in keyof Settings]?: Settings[K] extends readonly unknown[] | string | number | boolean
    ? Settings[K]
    : Partial<Settings[K]>;
};

export const defaultSettings: Settings = {
  accountId: '123456789012',
  region: 'eu-west-1',
  hostedZoneId: 'Z2IFOLAFXWLO4F',
  subnets: [
    { id: 'subnet-a', vpcId: 'vpc-1', zone: 'eu-west-1a' },
    { id: 'subnet-b', vpcId: 'vpc-1', zone: 'eu-west-1b' },
    { id: 'subnet-c', vpcId: 'vpc-1', zone: 'eu-west-1a' },
    { id: 'subnet-d', vpcId: 'vpc-1', zone: 'eu-west-1b' },
  ],
  securityGroups: 'any',
  allocations: 'any',
  certificates: 'any',
  sslPolicies: [
    'ELBSecurityPolicy-2016-08',
    'ELBSecurityPolicy-TLS-1-2-2017-01',
    'ELBSecurityPolicy-TLS-1-2-Ext-2018-06',
    'ELBSecurityPolicy-FS-1-2-Res-2020-10',
    'ELBSecurityPolicy-TLS13-1-2-2021-06',
    'ELBSecurityPolicy-TLS13-1-2-Res-2021-06',
    'ELBSecurityPolicy-TLS13-1-3-2021-06',
  ],
  acceptUnknownInstances: true,
  compareTagsOnCreate: false,
  zonesRemovable: true,
  pageSize: 400,
  quotas: {
    networkLoadBalancers: 50,
    listenersPerLoadBalancer: 50,
    certificatesPerLoadBalancer: 25,
    targetGroups: 3000,
    targetsPerTargetGroup: 1000,
    targetsPerLoadBalancer: 3000,
    targetsPerZonePerLoadBalancer: 500,
    registrationsPerTarget: 1000,
    targetGroupsPerAction: 5,
    tagsPerResource: 50,
  },
  delays: {
    provisioningMs: 0,
    registrationMs: 0,
    initialCheckMs: 0,
    becomesHealthyMs: 0,
    becomesUnhealthyMs: 0,
    targetGroupReleaseMs: 0,
  },
  consistency: { readLagMs: 0, readLagVaries: false, referenceLagMs: 0 },
  throttling: {
    enabled: false,
    code: 'ThrottlingException',
    read: { burst: 40, perSecond: 10 },
    registration: { burst: 20, perSecond: 4 },
    mutation: { burst: 20, perSecond: 3 },
  },
  latency: { callMs: 0 },
  recordLimit: 100_000,
  historyLimit: 2_000,
  checkSchema: true,
};

/** `base` with what `input` names; groups (quotas, delays, …) are merged member by member, lists replaced. */
export function mergeSettings(base: Settings, input: SettingsInput): Settings {
  return {
    ...base,
    ...input,
    quotas: { ...base.quotas, ...input.quotas },
    delays: { ...base.delays, ...input.delays },
    consistency: { ...base.consistency, ...input.consistency },
    throttling: { ...base.throttling, ...input.throttling },
    latency: { ...base.latency, ...input.latency },
  };
}
