/** DescribeAccountLimits and DescribeSSLPolicies: what the account allows. */

import type {
  DescribeAccountLimitsInput,
  DescribeAccountLimitsOutput,
  DescribeSSLPoliciesInput,
  DescribeSSLPoliciesOutput,
  SslPolicy,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Context } from './context.ts';
import { CloudError } from './errors.ts';
import { pageOfList } from './paging.ts';
import type { Quotas } from './settings.ts';

/** AWS's names of the limits that are simulated. */
const LIMITS: readonly (readonly [string, keyof Quotas])[] = [
  ['target-groups', 'targetGroups'],
  ['network-load-balancers', 'networkLoadBalancers'],
  ['targets-per-network-load-balancer', 'targetsPerLoadBalancer'],
  ['listeners-per-network-load-balancer', 'listenersPerLoadBalancer'],
  ['targets-per-availability-zone-per-network-load-balancer', 'targetsPerZonePerLoadBalancer'],
  ['target-groups-per-action-on-network-load-balancer', 'targetGroupsPerAction'],
  ['certificates-per-network-load-balancer', 'certificatesPerLoadBalancer'],
  ['targets-per-target-group', 'targetsPerTargetGroup'],
];

export function describeAccountLimits(
  context: Context,
  input: DescribeAccountLimitsInput,
): DescribeAccountLimitsOutput {
  const all = LIMITS.map(([Name, quota]) => ({ Name, Max: String(context.settings.quotas[quota]) }));
  const { items, ...rest } = pageOfList(context, all, input);
  return { Limits: [...items], ...rest };
}

export function describeSSLPolicies(
  context: Context,
  input: DescribeSSLPoliciesInput,
): DescribeSSLPoliciesOutput {
  const known = context.settings.sslPolicies;
  const names = input.Names ?? [];
  for (const name of names) {
    if (!known.includes(name)) throw new CloudError('SSLPolicyNotFound', `SSL policy '${name}' not found`);
  }
  const { items, ...rest } = pageOfList(context, names.length > 0 ? names : known, input);
  return { SslPolicies: items.map(describePolicy), ...rest };
}

/** Protocols follow from the name; ciphers are abridged to one. */
function describePolicy(name: string): SslPolicy {
  const modern = name.includes('TLS13');
  const oldest = /TLS13-1-3/.test(name) ? 3 : /1-2/.test(name) ? 2 : 0;
  const protocols = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'].slice(oldest, modern ? 4 : 3);
  return {
    Name: name,
    SslProtocols: protocols,
    Ciphers: [{ Name: modern ? 'TLS_AES_128_GCM_SHA256' : 'ECDHE-RSA-AES128-GCM-SHA256', Priority: 1 }],
    SupportedLoadBalancerTypes: ['application', 'network'],
  };
}
