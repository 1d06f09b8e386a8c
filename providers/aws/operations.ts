/**
 * The ELBv2 operations that the provider calls: their types, their class of rate limit, and the client seam.
 *
 * This table is the whole surface: what is not in it is never called, so the IAM policy can be made from it.
 * The SDK appears here as types only; its code is loaded by `client.ts` and nowhere else.
 */
import type * as Elb from '@aws-sdk/client-elastic-load-balancing-v2';

/** AWS limits each class of call by a bucket of its own, per account and region. */
export type CallClass = 'read' | 'register' | 'modify';

interface Calls {
  readonly DescribeLoadBalancers: [Elb.DescribeLoadBalancersCommandInput, Elb.DescribeLoadBalancersOutput];
  readonly DescribeLoadBalancerAttributes: [
    Elb.DescribeLoadBalancerAttributesCommandInput,
    Elb.DescribeLoadBalancerAttributesOutput,
  ];
  readonly DescribeTargetGroups: [Elb.DescribeTargetGroupsCommandInput, Elb.DescribeTargetGroupsOutput];
  readonly DescribeTargetGroupAttributes: [
    Elb.DescribeTargetGroupAttributesCommandInput,
    Elb.DescribeTargetGroupAttributesOutput,
  ];
  readonly DescribeTargetHealth: [Elb.DescribeTargetHealthCommandInput, Elb.DescribeTargetHealthOutput];
  readonly DescribeListeners: [Elb.DescribeListenersCommandInput, Elb.DescribeListenersOutput];
  readonly DescribeListenerCertificates: [
    Elb.DescribeListenerCertificatesCommandInput,
    Elb.DescribeListenerCertificatesOutput,
  ];
  readonly DescribeTags: [Elb.DescribeTagsCommandInput, Elb.DescribeTagsOutput];
  readonly CreateLoadBalancer: [Elb.CreateLoadBalancerCommandInput, Elb.CreateLoadBalancerOutput];
  readonly DeleteLoadBalancer: [Elb.DeleteLoadBalancerCommandInput, Elb.DeleteLoadBalancerOutput];
  readonly SetSubnets: [Elb.SetSubnetsCommandInput, Elb.SetSubnetsOutput];
  readonly SetSecurityGroups: [Elb.SetSecurityGroupsCommandInput, Elb.SetSecurityGroupsOutput];
  readonly ModifyLoadBalancerAttributes: [
    Elb.ModifyLoadBalancerAttributesCommandInput,
    Elb.ModifyLoadBalancerAttributesOutput,
  ];
  readonly CreateTargetGroup: [Elb.CreateTargetGroupCommandInput, Elb.CreateTargetGroupOutput];
  readonly ModifyTargetGroup: [Elb.ModifyTargetGroupCommandInput, Elb.ModifyTargetGroupOutput];
  readonly ModifyTargetGroupAttributes: [
    Elb.ModifyTargetGroupAttributesCommandInput,
    Elb.ModifyTargetGroupAttributesOutput,
  ];
  readonly DeleteTargetGroup: [Elb.DeleteTargetGroupCommandInput, Elb.DeleteTargetGroupOutput];
  readonly CreateListener: [Elb.CreateListenerCommandInput, Elb.CreateListenerOutput];
  readonly ModifyListener: [Elb.ModifyListenerCommandInput, Elb.ModifyListenerOutput];
  readonly DeleteListener: [Elb.DeleteListenerCommandInput, Elb.DeleteListenerOutput];
  readonly AddListenerCertificates: [
    Elb.AddListenerCertificatesCommandInput,
    Elb.AddListenerCertificatesOutput,
  ];
  readonly RemoveListenerCertificates: [
    Elb.RemoveListenerCertificatesCommandInput,
    Elb.RemoveListenerCertificatesOutput,
  ];
  readonly RegisterTargets: [Elb.RegisterTargetsCommandInput, Elb.RegisterTargetsOutput];
  readonly DeregisterTargets: [Elb.DeregisterTargetsCommandInput, Elb.DeregisterTargetsOutput];
  readonly AddTags: [Elb.AddTagsCommandInput, Elb.AddTagsOutput];
  readonly RemoveTags: [Elb.RemoveTagsCommandInput, Elb.RemoveTagsOutput];
}

export type ElbOperation = keyof Calls;
export type ElbInput<Operation extends ElbOperation> = Calls[Operation][0];
export type ElbOutput<Operation extends ElbOperation> = Calls[Operation][1];

/**
 * Class of each operation, by the buckets that AWS documents for Elastic Load Balancing: reads, target
 * registration, and everything else that writes.
 */
export const operations: { readonly [Operation in ElbOperation]: CallClass } = {
  DescribeLoadBalancers: 'read',
  DescribeLoadBalancerAttributes: 'read',
  DescribeTargetGroups: 'read',
  DescribeTargetGroupAttributes: 'read',
  DescribeTargetHealth: 'read',
  DescribeListeners: 'read',
  DescribeListenerCertificates: 'read',
  DescribeTags: 'read',
  CreateLoadBalancer: 'modify',
  DeleteLoadBalancer: 'modify',
  SetSubnets: 'modify',
  SetSecurityGroups: 'modify',
  ModifyLoadBalancerAttributes: 'modify',
  CreateTargetGroup: 'modify',
  ModifyTargetGroup: 'modify',
  ModifyTargetGroupAttributes: 'modify',
  DeleteTargetGroup: 'modify',
  CreateListener: 'modify',
  ModifyListener: 'modify',
  DeleteListener: 'modify',
  AddListenerCertificates: 'modify',
  RemoveListenerCertificates: 'modify',
  RegisterTargets: 'register',
  DeregisterTargets: 'register',
  AddTags: 'modify',
  RemoveTags: 'modify',
};

export function isElbOperation(name: string): name is ElbOperation {
  return Object.hasOwn(operations, name);
}

/**
 * The client seam: over the wire it is the SDK (`client.ts`), in tests and simulations the simulated account.
 *
 * It throws what the SDK throws; `door.ts` turns that into errors of ours.
 */
export interface ElbClient {
  call(operation: ElbOperation, input: object, signal?: AbortSignal): Promise<object>;
}
