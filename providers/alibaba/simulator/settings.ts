/**
 * What can be set on a simulated account. Plain data: the same object travels over the wire, so that another
 * process can change it (control.ts). Every duration is in milliseconds.
 *
 * The defaults make everything happen at once and refuse what SLB refuses; delays, throttling and staleness are
 * ordered by whoever wants them.
 */

export interface VSwitchSetting {
  readonly id: string;
  readonly vpcId: string;
  readonly zone: string;
  /** Default 250. A balancer in it takes one. */
  readonly freeAddresses?: number;
}

/** A token bucket: `burst` calls at once, refilled with `perSecond` tokens a second. */
export interface Bucket {
  readonly burst: number;
  readonly perSecond: number;
}

export interface Quotas {
  readonly loadBalancers: number;
  readonly listenersPerLoadBalancer: number;
  readonly groupsPerLoadBalancer: number;
  /** Members of all groups of a balancer together. */
  readonly backendsPerLoadBalancer: number;
  /** Groups that one server may be in. */
  readonly attachmentsPerServer: number;
  readonly backendsPerCall: number;
  readonly domainExtensionsPerListener: number;
  readonly tagsPerResource: number;
}

export interface Delays {
  /** After a write a balancer, with its listeners and groups, is configured for this long and refuses other writes. */
  readonly configuringMs: number;
  /** From StartLoadBalancerListener to `running`. */
  readonly startingMs: number;
  /** How long a new member's health is `unavailable`. */
  readonly firstCheckMs: number;
}

export interface Consistency {
  /** Reads are answered from the state of that long ago. */
  readonly readLagMs: number;
  /** Each read takes a lag between 0 and `readLagMs` instead, as if answered by replicas. */
  readonly readLagVaries: boolean;
  /** Balancers younger than this are not found by their tags. */
  readonly tagLagMs: number;
}

export interface Throttling {
  readonly enabled: boolean;
  readonly code: string;
  readonly read: Bucket;
  readonly write: Bucket;
}

export interface Latency {
  /** Time of every call, half of it before the effect and half after. */
  readonly callMs: number;
}

export interface Settings {
  readonly region: string;
  readonly vswitches: readonly VSwitchSetting[];
  /** `any`: every id is accepted. */
  readonly certificates: 'any' | readonly string[];
  /** Milliseconds from now until certificates end. */
  readonly certificateLifeMs: number;
  /** Of them, those that ended yesterday. */
  readonly expiredCertificates: readonly string[];
  readonly acls: 'any' | readonly string[];
  /** False: only servers that were set (`setServer`) can be added to a group. */
  readonly acceptUnknownServers: boolean;
  /** What AddVServerGroupBackendServers makes of a member that is there: SLB does not say. */
  readonly addExisting: 'refused' | 'ignored';
  /** A filter by name also finds names that contain it: SLB hints at it. */
  readonly fuzzyNames: boolean;
  /** Which of its two names the health check's flag has in what TCP and UDP listeners report. */
  readonly healthFlag: 'HealthCheck' | 'HealthCheckSwitch';
  /** The account has bills to pay: nothing can be made. */
  readonly arrears: boolean;
  /** A change of what internet traffic is charged by counts from the next midnight in China, as in the cloud. */
  readonly chargesNextDay: boolean;
  readonly quotas: Quotas;
  readonly delays: Delays;
  readonly consistency: Consistency;
  readonly throttling: Throttling;
  readonly latency: Latency;
  /** Calls kept in the record; the oldest go first. */
  readonly recordLimit: number;
  /** State changes kept for stale reads. */
  readonly historyLimit: number;
}

/** Settings as given by a caller: any part of them. */
export type SettingsInput = {
  readonly [K in keyof Settings]?: Settings[K] extends readonly unknown[] | string | number | boolean
    ? Settings[K]
    : Partial<Settings[K]>;
};

export const defaultSettings: Settings = {
  region: 'cn-hangzhou',
  vswitches: [
    { id: 'vsw-a', vpcId: 'vpc-1', zone: 'cn-hangzhou-h' },
    { id: 'vsw-b', vpcId: 'vpc-1', zone: 'cn-hangzhou-i' },
  ],
  certificates: 'any',
  certificateLifeMs: 90 * 86_400_000,
  expiredCertificates: [],
  acls: 'any',
  acceptUnknownServers: true,
  addExisting: 'refused',
  fuzzyNames: true,
  healthFlag: 'HealthCheck',
  arrears: false,
  chargesNextDay: false,
  quotas: {
    loadBalancers: 60,
    listenersPerLoadBalancer: 50,
    groupsPerLoadBalancer: 1_000,
    backendsPerLoadBalancer: 200,
    attachmentsPerServer: 50,
    backendsPerCall: 20,
    domainExtensionsPerListener: 3,
    tagsPerResource: 20,
  },
  delays: { configuringMs: 0, startingMs: 0, firstCheckMs: 0 },
  consistency: { readLagMs: 0, readLagVaries: false, tagLagMs: 0 },
  throttling: {
    enabled: false,
    code: 'Throttling.User',
    read: { burst: 60, perSecond: 20 },
    write: { burst: 40, perSecond: 10 },
  },
  latency: { callMs: 0 },
  recordLimit: 100_000,
  historyLimit: 2_000,
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
