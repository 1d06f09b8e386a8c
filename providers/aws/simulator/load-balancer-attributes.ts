/** Attributes of a Network Load Balancer (keys, values and defaults: SDK documentation of LoadBalancerAttribute). */

import type {
  DescribeLoadBalancerAttributesInput,
  DescribeLoadBalancerAttributesOutput,
  ModifyLoadBalancerAttributesInput,
  ModifyLoadBalancerAttributesOutput,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  anyText,
  attribute,
  changeAttributes,
  flag,
  listAttributes,
  oneOf,
  wholeNumber,
} from './attributes.ts';
import type { AttributeRule } from './attributes.ts';
import { findLoadBalancer } from './context.ts';
import type { Context } from './context.ts';
import { misconfigured } from './errors.ts';
import type { LoadBalancerRecord } from './store.ts';

const SECONDARY_ADDRESSES = 'secondary_ips.auto_assigned.per_subnet';

export const loadBalancerAttributes: readonly AttributeRule[] = [
  { key: 'deletion_protection.enabled', initial: 'false', check: flag },
  { key: 'load_balancing.cross_zone.enabled', initial: 'false', check: flag },
  { key: 'access_logs.s3.enabled', initial: 'false', check: flag },
  { key: 'access_logs.s3.bucket', initial: '', check: anyText },
  { key: 'access_logs.s3.prefix', initial: '', check: anyText },
  { key: 'ipv6.deny_all_igw_traffic', initial: 'false', check: flag },
  { key: 'zonal_shift.config.enabled', initial: 'false', check: flag },
  {
    key: 'dns_record.client_routing_policy',
    initial: 'any_availability_zone',
    check: oneOf('any_availability_zone', 'availability_zone_affinity', 'partial_availability_zone_affinity'),
  },
  { key: SECONDARY_ADDRESSES, initial: '0', check: wholeNumber(0, 7) },
];

export function describeLoadBalancerAttributes(
  context: Context,
  input: DescribeLoadBalancerAttributesInput,
): DescribeLoadBalancerAttributesOutput {
  const record = findLoadBalancer(context, input.LoadBalancerArn ?? '');
  return { Attributes: listAttributes(rulesFor(record), record.attributes) };
}

export function modifyLoadBalancerAttributes(
  context: Context,
  input: ModifyLoadBalancerAttributesInput,
): ModifyLoadBalancerAttributesOutput {
  const record = findLoadBalancer(context, input.LoadBalancerArn ?? '');
  const rules = rulesFor(record);
  const attributes = changeAttributes(
    rules,
    record.attributes,
    input.Attributes,
    "load balancers of type 'network'",
  );
  const value = (key: string): string => attribute(rules, attributes, key);
  if (value('access_logs.s3.enabled') === 'true' && value('access_logs.s3.bucket') === '') {
    throw misconfigured('Access logs need the name of a bucket (access_logs.s3.bucket)');
  }
  if (Number(value(SECONDARY_ADDRESSES)) < Number(attribute(rules, record.attributes, SECONDARY_ADDRESSES))) {
    throw misconfigured(`The value of ${SECONDARY_ADDRESSES} cannot be decreased`);
  }
  context.store.put({ ...record, attributes }, context.now);
  return { Attributes: listAttributes(rules, attributes) };
}

const internalAttributes = loadBalancerAttributes.map((rule) =>
  rule.key === 'ipv6.deny_all_igw_traffic' ? { ...rule, initial: 'true' } : rule,
);

/** One default depends on the scheme. */
function rulesFor(record: LoadBalancerRecord): readonly AttributeRule[] {
  return record.scheme === 'internal' ? internalAttributes : loadBalancerAttributes;
}
