/**
 * The ELBv2 operations that the provider calls, their class of rate limit, and the client seam.
 *
 * This table is the whole surface: what is not in it is never called, so the IAM policy can be made from it.
 */
import type { Calls } from './client-types.ts';

/** AWS limits each class of call by a bucket of its own, per account and region. */
export type CallClass = 'read' | 'register' | 'modify';

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
