/** The operations that are simulated. Whether one writes follows AWS's own split of its throttling buckets. */

import {
  addListenerCertificates,
  describeListenerCertificates,
  removeListenerCertificates,
} from './certificates.ts';
import type { Context } from './context.ts';
import { describeAccountLimits, describeSSLPolicies } from './limits.ts';
import { describeListenerAttributes, modifyListenerAttributes } from './listener-attributes.ts';
import { createListener, deleteListener, describeListeners, modifyListener } from './listeners.ts';
import { describeLoadBalancerAttributes, modifyLoadBalancerAttributes } from './load-balancer-attributes.ts';
import {
  createLoadBalancer,
  deleteLoadBalancer,
  describeLoadBalancers,
  setIpAddressType,
  setSecurityGroups,
} from './load-balancers.ts';
import { setSubnets } from './subnets.ts';
import { addTags, describeTags, removeTags } from './tags.ts';
import { describeTargetGroupAttributes, modifyTargetGroupAttributes } from './target-group-attributes.ts';
import {
  createTargetGroup,
  deleteTargetGroup,
  describeTargetGroups,
  modifyTargetGroup,
} from './target-groups.ts';
import { describeTargetHealth } from './target-health.ts';
import { deregisterTargets, registerTargets } from './targets.ts';

export type Bucketing = 'read' | 'registration' | 'mutation';

export interface Operation {
  readonly name: string;
  readonly bucket: Bucketing;
  readonly run: (context: Context, input: object) => object;
}

/**
 * What an operation's function takes is its own input type; the schema check has established that shape before
 * it is called, which is what makes this cast sound.
 */
type Run = (context: Context, input: never) => object;

const operations = new Map<string, Operation>();

function serve(name: string, bucket: Bucketing, run: Run): void {
  operations.set(name, { name, bucket, run: run as Operation['run'] });
}

serve('CreateLoadBalancer', 'mutation', createLoadBalancer);
serve('DescribeLoadBalancers', 'read', describeLoadBalancers);
serve('DeleteLoadBalancer', 'mutation', deleteLoadBalancer);
serve('SetSubnets', 'mutation', setSubnets);
serve('SetSecurityGroups', 'mutation', setSecurityGroups);
serve('SetIpAddressType', 'mutation', setIpAddressType);
serve('DescribeLoadBalancerAttributes', 'read', describeLoadBalancerAttributes);
serve('ModifyLoadBalancerAttributes', 'mutation', modifyLoadBalancerAttributes);
serve('CreateTargetGroup', 'mutation', createTargetGroup);
serve('DescribeTargetGroups', 'read', describeTargetGroups);
serve('ModifyTargetGroup', 'mutation', modifyTargetGroup);
serve('DeleteTargetGroup', 'mutation', deleteTargetGroup);
serve('DescribeTargetGroupAttributes', 'read', describeTargetGroupAttributes);
serve('ModifyTargetGroupAttributes', 'mutation', modifyTargetGroupAttributes);
serve('RegisterTargets', 'registration', registerTargets);
serve('DeregisterTargets', 'registration', deregisterTargets);
serve('DescribeTargetHealth', 'read', describeTargetHealth);
serve('CreateListener', 'mutation', createListener);
serve('DescribeListeners', 'read', describeListeners);
serve('ModifyListener', 'mutation', modifyListener);
serve('DeleteListener', 'mutation', deleteListener);
serve('AddListenerCertificates', 'mutation', addListenerCertificates);
serve('RemoveListenerCertificates', 'mutation', removeListenerCertificates);
serve('DescribeListenerCertificates', 'read', describeListenerCertificates);
serve('DescribeListenerAttributes', 'read', describeListenerAttributes);
serve('ModifyListenerAttributes', 'mutation', modifyListenerAttributes);
serve('DescribeTags', 'read', describeTags);
serve('AddTags', 'mutation', addTags);
serve('RemoveTags', 'mutation', removeTags);
serve('DescribeAccountLimits', 'read', describeAccountLimits);
serve('DescribeSSLPolicies', 'read', describeSSLPolicies);

/** By name. Operations that ELBv2 has and the simulator has not are in the published schema only. */
export const simulatedOperations: ReadonlyMap<string, Operation> = operations;
