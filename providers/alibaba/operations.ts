/**
 * The operations that the provider calls, what may be done about one that got no answer, and the client seam.
 *
 * This table is the whole surface: what is not in it is never called, so the RAM policy can be made from it.
 */
import type { Calls } from './client-types.ts';

/** Each class has an allowance of its own: reads, changes of a group's members, and everything else that writes. */
export type CallClass = 'read' | 'members' | 'modify';

/**
 * Whether a call without an answer may be made once more, unseen: one that states an end may, one with a client
 * token may, one that would add a second thing or a second order may not and goes up as ambiguous.
 */
export type Repeat = 'harmless' | 'with-token' | 'never';

export type SlbOperation = keyof Calls;
export type SlbInput<Operation extends SlbOperation> = Calls[Operation][0];
export type SlbOutput<Operation extends SlbOperation> = Calls[Operation][1];

export interface OperationFacts {
  readonly callClass: CallClass;
  readonly repeat: Repeat;
  /** Whose API it is of; each has its own end point and version. */
  readonly product: 'slb' | 'vpc';
}

const read: OperationFacts = { callClass: 'read', repeat: 'harmless', product: 'slb' };
const modify: OperationFacts = { callClass: 'modify', repeat: 'harmless', product: 'slb' };
const once: OperationFacts = { callClass: 'modify', repeat: 'never', product: 'slb' };
const members: OperationFacts = { callClass: 'members', repeat: 'harmless', product: 'slb' };

export const operations: { readonly [Operation in SlbOperation]: OperationFacts } = {
  DescribeLoadBalancers: read,
  DescribeLoadBalancerAttribute: read,
  DescribeLoadBalancerListeners: read,
  DescribeVServerGroups: read,
  DescribeVServerGroupAttribute: read,
  DescribeHealthStatus: read,
  DescribeServerCertificates: read,
  DescribeDomainExtensions: read,
  ListTagResources: read,
  DescribeVSwitches: { ...read, product: 'vpc' },
  CreateLoadBalancer: { ...modify, repeat: 'with-token' },
  DeleteLoadBalancer: modify,
  SetLoadBalancerDeleteProtection: modify,
  SetLoadBalancerModificationProtection: modify,
  SetLoadBalancerName: modify,
  // Each of these makes an order, which is money.
  ModifyLoadBalancerInternetSpec: once,
  ModifyLoadBalancerInstanceSpec: once,
  ModifyLoadBalancerInstanceChargeType: once,
  TagResources: modify,
  UntagResources: modify,
  // A second one would be refused as a conflict with the first, which says less than "ambiguous".
  CreateLoadBalancerTCPListener: once,
  CreateLoadBalancerUDPListener: once,
  CreateLoadBalancerHTTPListener: once,
  CreateLoadBalancerHTTPSListener: once,
  SetLoadBalancerTCPListenerAttribute: modify,
  SetLoadBalancerUDPListenerAttribute: modify,
  SetLoadBalancerHTTPListenerAttribute: modify,
  SetLoadBalancerHTTPSListenerAttribute: modify,
  StartLoadBalancerListener: modify,
  StopLoadBalancerListener: modify,
  DeleteLoadBalancerListener: modify,
  // Names of groups are not unique: a second call would make a second group.
  CreateVServerGroup: once,
  // Whether a member that is already there is refused is not documented.
  AddVServerGroupBackendServers: { ...members, repeat: 'never' },
  RemoveVServerGroupBackendServers: members,
  SetVServerGroupAttribute: members,
  ModifyVServerGroupBackendServers: { ...members, repeat: 'never' },
  DeleteVServerGroup: modify,
  CreateDomainExtension: once,
  SetDomainExtensionAttribute: modify,
  DeleteDomainExtension: modify,
};

export function isSlbOperation(name: string): name is SlbOperation {
  return Object.hasOwn(operations, name);
}

/** The name of an operation in a RAM policy. */
export function ramAction(operation: SlbOperation): string {
  return `${operations[operation].product}:${operation}`;
}

/**
 * The client seam: over the wire it is the signed client (`client.ts`), in tests and simulations the simulated
 * account. Inputs and outputs are those of `client-types.ts` on both.
 *
 * It throws `CallFailure` (`failure.ts`), or a `SluiceError` where a door in front of it has already decided;
 * `door.ts` turns the former into errors of ours.
 */
export interface SlbClient {
  call(operation: SlbOperation, input: object, signal?: AbortSignal): Promise<object>;
}
