/** What the VServer group calls of SLB 2014-05-15 take and give. Only types. */
import type { Answered, FoundTag, Tag } from './client-types-common.ts';

/** One member of a group. An ECS server is one by `ServerId` and `Port`, a network interface also by `ServerIp`. */
export interface BackendServer {
  readonly ServerId: string;
  readonly Port: number;
  /** 0 to 100; the cloud's default is 100. */
  readonly Weight?: number | undefined;
  readonly Type?: 'ecs' | 'eni' | 'eci' | undefined;
  readonly ServerIp?: string | undefined;
  /** 1 to 80 characters. */
  readonly Description?: string | undefined;
}

interface OfGroup {
  readonly RegionId?: string | undefined;
  readonly VServerGroupId: string;
}

export interface GroupListener {
  readonly Port: number;
  readonly Protocol?: string | undefined;
}

export interface VServerGroup {
  readonly VServerGroupId: string;
  readonly VServerGroupName?: string | undefined;
  readonly ServerCount?: number | undefined;
  /** With `IncludeListener` only. */
  readonly AssociatedObjects?:
    | { readonly Listeners?: { readonly Listener?: readonly GroupListener[] | undefined } | undefined }
    | undefined;
  readonly Tags?: { readonly Tag?: readonly FoundTag[] | undefined } | undefined;
}

/** Whether the list is all members or only those of the call is not documented: do not build on it. */
type Members = Answered & {
  readonly VServerGroupId?: string | undefined;
  readonly BackendServers?: { readonly BackendServer?: readonly BackendServer[] | undefined } | undefined;
};

export interface GroupCalls {
  readonly CreateVServerGroup: [
    {
      readonly RegionId?: string | undefined;
      readonly LoadBalancerId: string;
      /** 1 to 80 characters; not unique in the cloud's eyes. */
      readonly VServerGroupName: string;
      readonly BackendServers?: readonly BackendServer[] | undefined;
      readonly Tag?: readonly Tag[] | undefined;
    },
    Members & { readonly VServerGroupId: string },
  ];
  readonly DescribeVServerGroups: [
    {
      readonly RegionId?: string | undefined;
      readonly LoadBalancerId: string;
      readonly IncludeListener?: boolean | undefined;
      readonly IncludeRule?: boolean | undefined;
    },
    Answered & {
      readonly VServerGroups?: { readonly VServerGroup?: readonly VServerGroup[] | undefined } | undefined;
    },
  ];
  readonly DescribeVServerGroupAttribute: [
    OfGroup,
    Members & {
      readonly LoadBalancerId?: string | undefined;
      readonly VServerGroupName?: string | undefined;
      readonly Tags?: { readonly Tag?: readonly FoundTag[] | undefined } | undefined;
    },
  ];
  readonly AddVServerGroupBackendServers: [
    OfGroup & { readonly BackendServers: readonly BackendServer[] },
    Members,
  ];
  /** Members that are not there are passed over. */
  readonly RemoveVServerGroupBackendServers: [
    OfGroup & { readonly BackendServers: readonly BackendServer[] },
    Members,
  ];
  /** Name and weights; members that are not named stay as they are. */
  readonly SetVServerGroupAttribute: [
    OfGroup & {
      readonly VServerGroupName?: string | undefined;
      readonly BackendServers?: readonly BackendServer[] | undefined;
    },
    Members & { readonly VServerGroupName?: string | undefined },
  ];
  readonly ModifyVServerGroupBackendServers: [
    OfGroup & {
      readonly OldBackendServers: readonly BackendServer[];
      readonly NewBackendServers: readonly BackendServer[];
    },
    Members,
  ];
  readonly DeleteVServerGroup: [OfGroup, Answered];
}
