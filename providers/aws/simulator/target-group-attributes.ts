/** Attributes of a target group of a Network Load Balancer (SDK documentation of TargetGroupAttribute). */

import type {
  DescribeTargetGroupAttributesInput,
  DescribeTargetGroupAttributesOutput,
  ModifyTargetGroupAttributesInput,
  ModifyTargetGroupAttributesOutput,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  attribute,
  changeAttributes,
  flag,
  listAttributes,
  offOr,
  oneOf,
  wholeNumber,
} from './attributes.ts';
import type { AttributeRule } from './attributes.ts';
import { findTargetGroup } from './context.ts';
import type { Context } from './context.ts';
import { misconfigured } from './errors.ts';
import type { TargetGroupProtocol, TargetGroupRecord } from './store.ts';

const PRESERVE_CLIENT_IP = 'preserve_client_ip.enabled';
const TERMINATE_UNHEALTHY = 'target_health_state.unhealthy.connection_termination.enabled';
const DRAIN_UNHEALTHY = 'target_health_state.unhealthy.draining_interval_seconds';
const TERMINATE_DEREGISTERED = 'deregistration_delay.connection_termination.enabled';
const MOST_TARGETS = 1_000_000;

export function describeTargetGroupAttributes(
  context: Context,
  input: DescribeTargetGroupAttributesInput,
): DescribeTargetGroupAttributesOutput {
  const record = findTargetGroup(context, input.TargetGroupArn ?? '');
  return { Attributes: listAttributes(rulesFor(record), record.attributes) };
}

export function modifyTargetGroupAttributes(
  context: Context,
  input: ModifyTargetGroupAttributesInput,
): ModifyTargetGroupAttributesOutput {
  const record = findTargetGroup(context, input.TargetGroupArn ?? '');
  const rules = rulesFor(record);
  const attributes = changeAttributes(
    rules,
    record.attributes,
    input.Attributes,
    'target groups of Network Load Balancers',
  );
  const value = (key: string): string => attribute(rules, attributes, key);
  if (isDatagram(record.protocol)) {
    if (value(PRESERVE_CLIENT_IP) === 'false') {
      throw misconfigured(`${PRESERVE_CLIENT_IP} cannot be disabled for protocol ${record.protocol}`);
    }
    if (value(TERMINATE_UNHEALTHY) === 'true' && attributes[TERMINATE_UNHEALTHY] !== undefined) {
      throw misconfigured(`${TERMINATE_UNHEALTHY} cannot be enabled for protocol ${record.protocol}`);
    }
  }
  if (Number(value(DRAIN_UNHEALTHY)) > 0 && value(TERMINATE_UNHEALTHY) === 'true') {
    throw misconfigured(`${DRAIN_UNHEALTHY} needs ${TERMINATE_UNHEALTHY} to be false`);
  }
  if (record.protocol === 'TLS' && value('stickiness.enabled') === 'true') {
    throw misconfigured('Stickiness is not supported by target groups with protocol TLS');
  }
  context.store.put({ ...record, attributes }, context.now);
  return { Attributes: listAttributes(rules, attributes) };
}

/** How long a deregistered target drains, in milliseconds. */
export function deregistrationDelayMs(record: TargetGroupRecord): number {
  return (
    1000 * Number(attribute(rulesFor(record), record.attributes, 'deregistration_delay.timeout_seconds'))
  );
}

/** How long an unhealthy target shows `unhealthy.draining`, in milliseconds. */
export function unhealthyDrainMs(record: TargetGroupRecord): number {
  return 1000 * Number(attribute(rulesFor(record), record.attributes, DRAIN_UNHEALTHY));
}

function isDatagram(protocol: TargetGroupProtocol): boolean {
  return protocol !== 'TCP' && protocol !== 'TLS';
}

function rulesFor(record: TargetGroupRecord): readonly AttributeRule[] {
  if (isDatagram(record.protocol)) return datagramRules;
  return record.targetType === 'ip' ? ipStreamRules : streamRules;
}

function rulesWith(preserveClientIp: boolean, datagram: boolean): readonly AttributeRule[] {
  return [
    { key: 'deregistration_delay.timeout_seconds', initial: '300', check: wholeNumber(0, 3600) },
    { key: TERMINATE_DEREGISTERED, initial: String(datagram), check: flag },
    { key: 'stickiness.enabled', initial: 'false', check: flag },
    { key: 'stickiness.type', initial: 'source_ip', check: oneOf('source_ip') },
    { key: PRESERVE_CLIENT_IP, initial: String(preserveClientIp), check: flag },
    { key: 'proxy_protocol_v2.enabled', initial: 'false', check: flag },
    {
      key: 'load_balancing.cross_zone.enabled',
      initial: 'use_load_balancer_configuration',
      check: oneOf('true', 'false', 'use_load_balancer_configuration'),
    },
    { key: TERMINATE_UNHEALTHY, initial: String(!datagram), check: flag },
    { key: DRAIN_UNHEALTHY, initial: '0', check: wholeNumber(0, 360_000) },
    {
      key: 'target_group_health.dns_failover.minimum_healthy_targets.count',
      initial: '1',
      check: offOr(1, MOST_TARGETS),
    },
    {
      key: 'target_group_health.dns_failover.minimum_healthy_targets.percentage',
      initial: 'off',
      check: offOr(1, 100),
    },
    {
      key: 'target_group_health.unhealthy_state_routing.minimum_healthy_targets.count',
      initial: '1',
      check: wholeNumber(1, MOST_TARGETS),
    },
    {
      key: 'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage',
      initial: 'off',
      check: offOr(1, 100),
    },
  ];
}

const streamRules = rulesWith(true, false);
const ipStreamRules = rulesWith(false, false);
const datagramRules = rulesWith(true, true);
