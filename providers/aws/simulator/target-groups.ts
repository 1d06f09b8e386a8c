/** Target groups of Network Load Balancers, for instances and addresses. */

import type {
  CreateTargetGroupInput,
  CreateTargetGroupOutput,
  DeleteTargetGroupInput,
  DeleteTargetGroupOutput,
  DescribeTargetGroupsInput,
  DescribeTargetGroupsOutput,
  ModifyTargetGroupInput,
  ModifyTargetGroupOutput,
  TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { hexId, requireKind, targetGroupArn } from './arns.ts';
import { findLoadBalancer, findTargetGroup, isVisible, notFound } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, misconfigured, validation } from './errors.ts';
import { readHealthCheck } from './health-checks.ts';
import { checkName } from './names.ts';
import { page } from './paging.ts';
import type { TargetGroupProtocol, TargetGroupRecord } from './store.ts';
import { readTags } from './tags.ts';

export function createTargetGroup(context: Context, input: CreateTargetGroupInput): CreateTargetGroupOutput {
  const name = input.Name ?? '';
  checkName(name, 'Target group');
  const tags = readTags(context, input.Tags);
  const targetType = input.TargetType ?? 'instance';
  if (targetType !== 'instance' && targetType !== 'ip') {
    throw misconfigured(`Target groups of type '${targetType}' are not simulated`);
  }
  const port = input.Port;
  if (port === undefined) throw validation('A port must be specified');
  if (port < 1 || port > 65_535) throw validation(`Port '${port}' must be between 1 and 65535`);
  if (input.VpcId === undefined) throw validation('A VPC ID must be specified');
  if (!context.settings.subnets.some((subnet) => subnet.vpcId === input.VpcId)) {
    throw validation(`The VPC ID '${input.VpcId}' is not found`);
  }
  if (input.ProtocolVersion !== undefined) {
    throw misconfigured('A protocol version can only be specified for protocols HTTP and HTTPS');
  }
  const wanted = {
    protocol: readProtocol(input.Protocol),
    port,
    vpcId: input.VpcId,
    targetType,
    ipAddressType: input.IpAddressType ?? 'ipv4',
    healthCheck: readHealthCheck(input),
  };

  for (const other of context.store.all('target-group')) {
    if (other.name !== name) continue;
    if (!isSame(other, wanted) || (context.settings.compareTagsOnCreate && !sameTags(other.tags, tags))) {
      throw new CloudError(
        'DuplicateTargetGroupName',
        `A target group with the same name '${name}' exists, but with different settings`,
      );
    }
    return { TargetGroups: [describe(other)] };
  }
  const most = context.settings.quotas.targetGroups;
  if (context.store.count('target-group') >= most) {
    throw new CloudError('TooManyTargetGroups', `The account has reached its quota of ${most} target groups`);
  }
  const { region, accountId } = context.settings;
  const record: TargetGroupRecord = {
    kind: 'target-group',
    arn: targetGroupArn(region, accountId, name, hexId(context.random)),
    seq: context.store.nextSeq(),
    name,
    ...wanted,
    createdAt: context.now,
    tags,
    attributes: {},
    targets: new Map(),
    usedBy: undefined,
    releasedAt: 0,
  };
  context.store.put(record, context.now);
  return { TargetGroups: [describe(record)] };
}

export function describeTargetGroups(
  context: Context,
  input: DescribeTargetGroupsInput,
): DescribeTargetGroupsOutput {
  const { LoadBalancerArn: balancer, TargetGroupArns: arns, Names: names } = input;
  if ([balancer, arns, names].filter((filter) => filter !== undefined).length > 1) {
    throw validation(
      'Target groups can be described by load balancer, by ARNs or by names, not by several of them',
    );
  }
  if (arns !== undefined && arns.length > 0) {
    return { TargetGroups: arns.map((arn) => describe(findTargetGroup(context, arn))) };
  }
  if (names !== undefined && names.length > 0) {
    return { TargetGroups: names.map((name) => describe(findByName(context, name))) };
  }
  if (balancer !== undefined) findLoadBalancer(context, balancer);
  const visible = [...context.store.all('target-group')].filter(
    (record) =>
      isVisible(context, record) && (balancer === undefined || record.usedBy?.loadBalancerArn === balancer),
  );
  const { items, ...rest } = page(context, visible, (record) => record.seq, input);
  return { TargetGroups: items.map(describe), ...rest };
}

/** Only the health check can be changed. */
export function modifyTargetGroup(context: Context, input: ModifyTargetGroupInput): ModifyTargetGroupOutput {
  const record = findTargetGroup(context, input.TargetGroupArn ?? '');
  const changed = { ...record, healthCheck: readHealthCheck(input, record.healthCheck) };
  context.store.put(changed, context.now);
  return { TargetGroups: [describe(changed)] };
}

/** Succeeds when there is no such group: the operation documents no TargetGroupNotFound. */
export function deleteTargetGroup(context: Context, input: DeleteTargetGroupInput): DeleteTargetGroupOutput {
  const arn = input.TargetGroupArn ?? '';
  requireKind(arn, 'target-group');
  const record = context.store.get('target-group', arn);
  if (record === undefined) return {};
  if (record.usedBy !== undefined || context.now < record.releasedAt) {
    throw new CloudError(
      'ResourceInUse',
      `Target group '${arn}' is currently in use by a listener or a rule`,
    );
  }
  context.store.remove(record, context.now);
  return {};
}

/** The group as DescribeTargetGroups shows it. */
export function describe(record: TargetGroupRecord): TargetGroup {
  const check = record.healthCheck;
  return {
    TargetGroupArn: record.arn,
    TargetGroupName: record.name,
    Protocol: record.protocol,
    Port: record.port,
    VpcId: record.vpcId,
    HealthCheckProtocol: check.protocol,
    HealthCheckPort: check.port,
    HealthCheckEnabled: true,
    HealthCheckIntervalSeconds: check.intervalSeconds,
    HealthCheckTimeoutSeconds: check.timeoutSeconds,
    HealthyThresholdCount: check.healthyThreshold,
    UnhealthyThresholdCount: check.unhealthyThreshold,
    ...(check.path !== undefined && { HealthCheckPath: check.path }),
    ...(check.matcher !== undefined && { Matcher: { ...check.matcher } }),
    LoadBalancerArns: record.usedBy === undefined ? [] : [record.usedBy.loadBalancerArn],
    TargetType: record.targetType,
    IpAddressType: record.ipAddressType,
  };
}

function findByName(context: Context, name: string): TargetGroupRecord {
  for (const record of context.store.all('target-group')) {
    if (record.name === name && isVisible(context, record)) return record;
  }
  throw notFound('target-group', name);
}

function readProtocol(protocol: string | undefined): TargetGroupProtocol {
  switch (protocol) {
    case 'TCP':
    case 'UDP':
    case 'TCP_UDP':
    case 'TLS':
    case 'QUIC':
    case 'TCP_QUIC':
      return protocol;
    case undefined:
      throw validation('A protocol must be specified');
    default:
      throw misconfigured(`Protocol '${protocol}' is not supported by Network Load Balancers`);
  }
}

type TargetGroupSettings = Pick<
  TargetGroupRecord,
  'protocol' | 'port' | 'vpcId' | 'targetType' | 'ipAddressType' | 'healthCheck'
>;

function isSame(record: TargetGroupRecord, wanted: TargetGroupSettings): boolean {
  return (
    record.protocol === wanted.protocol &&
    record.port === wanted.port &&
    record.vpcId === wanted.vpcId &&
    record.targetType === wanted.targetType &&
    record.ipAddressType === wanted.ipAddressType &&
    JSON.stringify(record.healthCheck) === JSON.stringify(wanted.healthCheck)
  );
}

function sameTags(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
