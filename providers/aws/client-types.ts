/**
 * The SDK's types, and only its types: nothing is loaded by importing this.
 *
 * Elsewhere the provider names AWS's values by the words of this file, so the SDK itself stays behind
 * `client.ts`.
 */
import type * as Elb from '@aws-sdk/client-elastic-load-balancing-v2';

export type LoadBalancer = Elb.LoadBalancer;
export type TargetGroup = Elb.TargetGroup;
export type Listener = Elb.Listener;
export type Tag = Elb.Tag;
export type TargetHealthDescription = Elb.TargetHealthDescription;

/** Input and output of each operation that is called. */
export interface Calls {
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
