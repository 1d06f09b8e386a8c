/**
 * What the balancer calls of SLB 2014-05-15 take and give, in the names of the API, typed by us: the generated
 * package is not to be had from npm. Only types.
 *
 * Parameters that travel as one JSON text (`BackendServers`, `Tags`) are lists here; the client writes the text.
 * Every id is a string, also where the API sends a number. Lists keep the API's envelope
 * (`LoadBalancers.LoadBalancer`), and members that the cloud leaves out are optional.
 */
import type { Answered, FoundTag, Switch, Tag } from './client-types-common.ts';
import type { ListenerCalls } from './client-types-listeners.ts';
import type { GroupCalls } from './client-types-groups.ts';

export type AddressType = 'internet' | 'intranet';
export type InternetChargeType = 'paybytraffic' | 'paybybandwidth';
export type InstanceChargeType = 'PayByCLCU' | 'PayBySpec';

interface OfBalancer {
  readonly LoadBalancerId: string;
}

interface OfRegion {
  /** Filled in by the client. */
  readonly RegionId?: string | undefined;
}

export interface CreateLoadBalancerInput extends OfRegion {
  /** Always said: with a vswitch and without it the API takes `intranet`. */
  readonly AddressType: AddressType;
  readonly AddressIPVersion?: 'ipv4' | 'ipv6' | undefined;
  readonly Address?: string | undefined;
  readonly InternetChargeType?: InternetChargeType | undefined;
  /** Mbit/s. Has an effect only with `paybybandwidth` on the internet. */
  readonly Bandwidth?: number | undefined;
  readonly InstanceChargeType?: InstanceChargeType | undefined;
  readonly LoadBalancerSpec?: string | undefined;
  readonly LoadBalancerName?: string | undefined;
  readonly VpcId?: string | undefined;
  readonly VSwitchId?: string | undefined;
  readonly MasterZoneId?: string | undefined;
  readonly SlaveZoneId?: string | undefined;
  readonly ResourceGroupId?: string | undefined;
  readonly DeleteProtection?: Switch | undefined;
  readonly ModificationProtectionStatus?: ModificationProtection | undefined;
  readonly ModificationProtectionReason?: string | undefined;
  readonly Tag?: readonly Tag[] | undefined;
  /** The same token with the same parameters gives the same balancer. */
  readonly ClientToken?: string | undefined;
}

export type ModificationProtection = 'ConsoleProtection' | 'NonProtection';

export interface CreateLoadBalancerOutput extends Answered {
  readonly LoadBalancerId: string;
  readonly Address: string;
  readonly AddressIPVersion?: string | undefined;
  readonly NetworkType?: string | undefined;
  readonly VpcId?: string | undefined;
  readonly VSwitchId?: string | undefined;
  readonly LoadBalancerName?: string | undefined;
  readonly ResourceGroupId?: string | undefined;
  /** A 64-bit number on the wire. */
  readonly OrderId?: string | undefined;
}

/** One balancer, as the list and as the single read give it. */
export interface LoadBalancer {
  readonly LoadBalancerId: string;
  readonly LoadBalancerName?: string | undefined;
  /** `active`, `inactive` or `locked`. */
  readonly LoadBalancerStatus?: string | undefined;
  readonly Address?: string | undefined;
  readonly AddressType?: string | undefined;
  readonly AddressIPVersion?: string | undefined;
  readonly NetworkType?: string | undefined;
  readonly VpcId?: string | undefined;
  readonly VSwitchId?: string | undefined;
  readonly Bandwidth?: number | undefined;
  /** A number in the list (3 by bandwidth, 4 by traffic), a word in the single read: see `InternetChargeTypeAlias`. */
  readonly InternetChargeType?: string | number | undefined;
  /** The list's word for it. */
  readonly InternetChargeTypeAlias?: string | undefined;
  readonly InstanceChargeType?: string | undefined;
  readonly LoadBalancerSpec?: string | undefined;
  readonly MasterZoneId?: string | undefined;
  readonly SlaveZoneId?: string | undefined;
  readonly DeleteProtection?: string | undefined;
  readonly ModificationProtectionStatus?: string | undefined;
  readonly ModificationProtectionReason?: string | undefined;
  readonly ResourceGroupId?: string | undefined;
  readonly RegionId?: string | undefined;
  readonly CreateTime?: string | undefined;
  readonly Tags?: { readonly Tag?: readonly FoundTag[] | undefined } | undefined;
}

export interface DescribeLoadBalancersInput extends OfRegion {
  /** Up to 10, joined by commas. */
  readonly LoadBalancerId?: string | undefined;
  /** Up to 10, joined by commas. May match more than asked for: compare names. */
  readonly LoadBalancerName?: string | undefined;
  /** Up to 10; a balancer with any one of them matches. */
  readonly Tags?: readonly FoundTag[] | undefined;
  readonly VpcId?: string | undefined;
  readonly AddressType?: AddressType | undefined;
  readonly ResourceGroupId?: string | undefined;
  /** From 1. */
  readonly PageNumber?: number | undefined;
  /** 1 to 100, with `PageNumber` only. The cloud's default is 10. */
  readonly PageSize?: number | undefined;
}

export interface DescribeLoadBalancersOutput extends Answered {
  readonly TotalCount?: number | undefined;
  readonly PageNumber?: number | undefined;
  readonly PageSize?: number | undefined;
  readonly LoadBalancers?: { readonly LoadBalancer?: readonly LoadBalancer[] | undefined } | undefined;
}

export interface TaggedResource {
  readonly ResourceId: string;
  readonly ResourceType?: string | undefined;
  readonly TagKey: string;
  readonly TagValue?: string | undefined;
}

export interface VSwitch {
  readonly VSwitchId: string;
  readonly ZoneId?: string | undefined;
  readonly Status?: string | undefined;
  readonly CidrBlock?: string | undefined;
  readonly AvailableIpAddressCount?: number | undefined;
}

export interface ServerCertificate {
  readonly ServerCertificateId: string;
  readonly ServerCertificateName?: string | undefined;
  readonly CommonName?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly ExpireTimeStamp?: number | undefined;
}

/** Input and output of the calls about balancers, their tags and what they stand on. */
export interface BalancerCalls {
  readonly CreateLoadBalancer: [CreateLoadBalancerInput, CreateLoadBalancerOutput];
  readonly DescribeLoadBalancers: [DescribeLoadBalancersInput, DescribeLoadBalancersOutput];
  readonly DescribeLoadBalancerAttribute: [OfRegion & OfBalancer, LoadBalancer & Answered];
  readonly DeleteLoadBalancer: [OfRegion & OfBalancer, Answered];
  readonly SetLoadBalancerDeleteProtection: [
    OfRegion & OfBalancer & { readonly DeleteProtection: Switch },
    Answered,
  ];
  readonly SetLoadBalancerModificationProtection: [
    OfRegion &
      OfBalancer & {
        readonly ModificationProtectionStatus: ModificationProtection;
        /** With `ConsoleProtection` only: 1 to 80 characters, a letter first. */
        readonly ModificationProtectionReason?: string | undefined;
      },
    Answered,
  ];
  readonly SetLoadBalancerName: [OfRegion & OfBalancer & { readonly LoadBalancerName: string }, Answered];
  /** A change of the charge type counts from the next day, bandwidth at once. */
  readonly ModifyLoadBalancerInternetSpec: [
    OfRegion &
      OfBalancer & {
        readonly InternetChargeType?: InternetChargeType | undefined;
        readonly Bandwidth?: number | undefined;
      },
    Answered & { readonly OrderId?: string | undefined },
  ];
  readonly ModifyLoadBalancerInstanceSpec: [
    OfRegion & OfBalancer & { readonly LoadBalancerSpec: string },
    Answered & { readonly OrderId?: string | undefined },
  ];
  readonly ModifyLoadBalancerInstanceChargeType: [
    OfRegion &
      OfBalancer & {
        readonly InstanceChargeType: InstanceChargeType;
        readonly LoadBalancerSpec?: string | undefined;
      },
    Answered,
  ];
  readonly TagResources: [
    OfRegion & {
      readonly ResourceType: 'instance';
      readonly ResourceId: readonly string[];
      readonly Tag: readonly Tag[];
    },
    Answered,
  ];
  readonly UntagResources: [
    OfRegion & {
      readonly ResourceType: 'instance';
      readonly ResourceId: readonly string[];
      readonly TagKey: readonly string[];
    },
    Answered,
  ];
  readonly ListTagResources: [
    OfRegion & {
      readonly ResourceType: 'instance';
      readonly ResourceId?: readonly string[] | undefined;
      readonly Tag?: readonly Tag[] | undefined;
      readonly NextToken?: string | undefined;
    },
    Answered & {
      readonly NextToken?: string | undefined;
      readonly TagResources?: { readonly TagResource?: readonly TaggedResource[] | undefined } | undefined;
    },
  ];
  readonly DescribeServerCertificates: [
    OfRegion & { readonly ServerCertificateId?: string | undefined },
    Answered & {
      readonly ServerCertificates?:
        | { readonly ServerCertificate?: readonly ServerCertificate[] | undefined }
        | undefined;
    },
  ];
  /** Of the VPC API (2016-04-28). */
  readonly DescribeVSwitches: [
    OfRegion & {
      readonly VpcId?: string | undefined;
      readonly VSwitchId?: string | undefined;
      readonly PageNumber?: number | undefined;
      /** 1 to 50. The cloud's default is 10. */
      readonly PageSize?: number | undefined;
    },
    Answered & {
      readonly TotalCount?: number | undefined;
      readonly PageNumber?: number | undefined;
      readonly PageSize?: number | undefined;
      readonly VSwitches?: { readonly VSwitch?: readonly VSwitch[] | undefined } | undefined;
    },
  ];
}

/** Input and output of each operation that is called. */
export type Calls = BalancerCalls & ListenerCalls & GroupCalls;
