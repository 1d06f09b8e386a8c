/** Network Load Balancers: creation, description, deletion and the settings that can be replaced as a whole. */

import type {
  CreateLoadBalancerInput,
  CreateLoadBalancerOutput,
  DeleteLoadBalancerInput,
  DeleteLoadBalancerOutput,
  DescribeLoadBalancersInput,
  DescribeLoadBalancersOutput,
  LoadBalancer,
  LoadBalancerState,
  SetIpAddressTypeInput,
  SetIpAddressTypeOutput,
  SetSecurityGroupsInput,
  SetSecurityGroupsOutput,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { dnsName, hexId, loadBalancerArn, requireKind } from './arns.ts';
import { attribute } from './attributes.ts';
import { findLoadBalancer, isVisible, listenersOf, notFound } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, misconfigured, validation } from './errors.ts';
import { loadBalancerAttributes } from './load-balancer-attributes.ts';
import { checkName } from './names.ts';
import { page } from './paging.ts';
import type { LoadBalancerRecord, Tags } from './store.ts';
import { readZones, type Placement } from './subnets.ts';
import { readTags } from './tags.ts';
import { refreshUsage } from './usage.ts';

const MOST_DESCRIBED = 20;

export function createLoadBalancer(
  context: Context,
  input: CreateLoadBalancerInput,
): CreateLoadBalancerOutput {
  const name = input.Name ?? '';
  checkName(name, 'Load balancer');
  if (name.startsWith('internal-'))
    throw validation(`Load balancer name '${name}' must not begin with 'internal-'`);
  if (input.Type !== 'network') {
    throw misconfigured(
      `Only load balancers of type 'network' are simulated, not '${input.Type ?? 'application'}'`,
    );
  }
  const tags = readTags(context, input.Tags);
  const scheme = input.Scheme ?? 'internet-facing';
  const ipAddressType = readIpAddressType(input.IpAddressType ?? 'ipv4');
  const securityGroups = readSecurityGroups(context, input.SecurityGroups ?? []);
  const placement = readZones(context, input, scheme, ipAddressType);
  const sourceNatPrefix = input.EnablePrefixForIpv6SourceNat ?? 'off';
  if (sourceNatPrefix === 'on' && ipAddressType !== 'dualstack') {
    throw misconfigured('A source NAT prefix needs the IP address type dualstack');
  }

  const wanted = { scheme, ipAddressType, securityGroups, placement, sourceNatPrefix, tags };
  for (const other of context.store.all('load-balancer')) {
    if (other.name !== name) continue;
    if (!isSame(context, other, wanted)) {
      throw new CloudError(
        'DuplicateLoadBalancerName',
        `A load balancer with the same name '${name}' exists, but with different settings`,
      );
    }
    return { LoadBalancers: [describe(context, other)] };
  }
  const most = context.settings.quotas.networkLoadBalancers;
  if (context.store.count('load-balancer') >= most) {
    throw new CloudError(
      'TooManyLoadBalancers',
      `The account has reached its quota of ${most} network load balancers`,
    );
  }
  const id = hexId(context.random);
  const { region, accountId } = context.settings;
  const record: LoadBalancerRecord = {
    kind: 'load-balancer',
    arn: loadBalancerArn(region, accountId, name, id),
    seq: context.store.nextSeq(),
    name,
    dnsName: dnsName(region, name, id),
    createdAt: context.now,
    createdWall: context.wall,
    scheme,
    vpcId: placement.vpcId,
    ipAddressType,
    zones: placement.zones,
    securityGroups,
    enforceOnPrivateLink: 'on',
    sourceNatPrefix,
    tags,
    attributes: {},
    forcedState: undefined,
    hasEndpointService: false,
  };
  context.store.put(record, context.now);
  return { LoadBalancers: [describe(context, record)] };
}

export function describeLoadBalancers(
  context: Context,
  input: DescribeLoadBalancersInput,
): DescribeLoadBalancersOutput {
  const { LoadBalancerArns: arns, Names: names } = input;
  if (arns !== undefined && names !== undefined) {
    throw validation('Load balancers can be described by ARNs or by names, not by both');
  }
  const wanted = arns ?? names;
  if (wanted !== undefined && wanted.length > 0) {
    if (wanted.length > MOST_DESCRIBED) {
      throw validation(`At most ${MOST_DESCRIBED} load balancers can be named, not ${wanted.length}`);
    }
    const found =
      arns === undefined
        ? wanted.map((name) => findByName(context, name))
        : wanted.map((arn) => findLoadBalancer(context, arn));
    return { LoadBalancers: found.map((record) => describe(context, record)) };
  }
  const visible = [...context.store.all('load-balancer')].filter((record) => isVisible(context, record));
  const { items, ...rest } = page(context, visible, (record) => record.seq, input);
  return { LoadBalancers: items.map((record) => describe(context, record)), ...rest };
}

/** Also removes the listeners. Succeeds when there is no such balancer. */
export function deleteLoadBalancer(
  context: Context,
  input: DeleteLoadBalancerInput,
): DeleteLoadBalancerOutput {
  const arn = input.LoadBalancerArn ?? '';
  requireKind(arn, 'load-balancer');
  const record = context.store.get('load-balancer', arn);
  if (record === undefined) return {};
  if (attribute(loadBalancerAttributes, record.attributes, 'deletion_protection.enabled') === 'true') {
    throw new CloudError(
      'OperationNotPermitted',
      `Load balancer '${arn}' cannot be deleted because deletion protection is enabled`,
    );
  }
  if (record.hasEndpointService) {
    throw new CloudError(
      'ResourceInUse',
      `Load balancer '${arn}' cannot be deleted because it is currently associated with another service`,
    );
  }
  for (const listener of listenersOf(context, arn)) context.store.remove(listener, context.now);
  context.store.remove(record, context.now);
  refreshUsage(context, arn);
  return {};
}

export function setSecurityGroups(context: Context, input: SetSecurityGroupsInput): SetSecurityGroupsOutput {
  const record = findLoadBalancer(context, input.LoadBalancerArn ?? '');
  if (record.securityGroups.length === 0) {
    throw misconfigured(
      'Security groups cannot be set on a Network Load Balancer that was created without security groups',
    );
  }
  const securityGroups = readSecurityGroups(context, input.SecurityGroups ?? []);
  if (securityGroups.length === 0) {
    throw misconfigured('A Network Load Balancer that has security groups must keep at least one');
  }
  const enforceOnPrivateLink =
    input.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic ?? record.enforceOnPrivateLink;
  context.store.put({ ...record, securityGroups, enforceOnPrivateLink }, context.now);
  return {
    SecurityGroupIds: [...securityGroups],
    EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic: enforceOnPrivateLink,
  };
}

export function setIpAddressType(context: Context, input: SetIpAddressTypeInput): SetIpAddressTypeOutput {
  const record = findLoadBalancer(context, input.LoadBalancerArn ?? '');
  const ipAddressType = readIpAddressType(input.IpAddressType ?? '');
  if (ipAddressType === 'dualstack') {
    for (const zone of record.zones) {
      const subnet = context.settings.subnets.find((candidate) => candidate.id === zone.SubnetId);
      if (subnet?.ipv6 === false) {
        throw new CloudError(
          'InvalidSubnet',
          `Subnet '${subnet.id}' has no IPv6 range, which dualstack needs`,
        );
      }
    }
    const udp = listenersOf(context, record.arn).find((listener) => /UDP|QUIC/.test(listener.protocol));
    if (udp !== undefined && record.sourceNatPrefix === 'off') {
      throw misconfigured(
        `Listener '${udp.arn}' (${udp.protocol}) does not allow dualstack without a source NAT prefix`,
      );
    }
  }
  context.store.put({ ...record, ipAddressType }, context.now);
  return { IpAddressType: ipAddressType };
}

/** The balancer as DescribeLoadBalancers shows it. */
export function describe(context: Context, record: LoadBalancerRecord): LoadBalancer {
  return {
    LoadBalancerArn: record.arn,
    DNSName: record.dnsName,
    CanonicalHostedZoneId: context.settings.hostedZoneId,
    CreatedTime: new Date(record.createdWall),
    LoadBalancerName: record.name,
    Scheme: record.scheme,
    VpcId: record.vpcId,
    State: stateOf(context, record),
    Type: 'network',
    AvailabilityZones: record.zones.map((zone) => ({ ...zone })),
    ...(record.securityGroups.length > 0 && {
      SecurityGroups: [...record.securityGroups],
      EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic: record.enforceOnPrivateLink,
    }),
    IpAddressType: record.ipAddressType,
    ...(record.ipAddressType === 'dualstack' && { EnablePrefixForIpv6SourceNat: record.sourceNatPrefix }),
  };
}

/** When provisioning is over, on the account's clock. */
export function activeAt(context: Context, record: LoadBalancerRecord): number {
  return record.createdAt + context.settings.delays.provisioningMs;
}

function stateOf(context: Context, record: LoadBalancerRecord): LoadBalancerState {
  const forced = record.forcedState;
  if (forced !== undefined) {
    return { Code: forced.code, ...(forced.reason !== undefined && { Reason: forced.reason }) };
  }
  return { Code: context.now < activeAt(context, record) ? 'provisioning' : 'active' };
}

function findByName(context: Context, name: string): LoadBalancerRecord {
  for (const record of context.store.all('load-balancer')) {
    if (record.name === name && isVisible(context, record)) return record;
  }
  throw notFound('load-balancer', name);
}

interface Wanted {
  readonly scheme: LoadBalancerRecord['scheme'];
  readonly ipAddressType: LoadBalancerRecord['ipAddressType'];
  readonly securityGroups: readonly string[];
  readonly placement: Placement;
  readonly sourceNatPrefix: LoadBalancerRecord['sourceNatPrefix'];
  readonly tags: Tags;
}

/** The loose comparison behind "same settings": never proof of ownership. */
function isSame(context: Context, record: LoadBalancerRecord, wanted: Wanted): boolean {
  return (
    record.scheme === wanted.scheme &&
    record.ipAddressType === wanted.ipAddressType &&
    record.sourceNatPrefix === wanted.sourceNatPrefix &&
    sameSet(record.securityGroups, wanted.securityGroups) &&
    sameSet(record.zones.map(zoneKey), wanted.placement.zones.map(zoneKey)) &&
    (!context.settings.compareTagsOnCreate || sameSet(tagKeys(record.tags), tagKeys(wanted.tags)))
  );
}

function zoneKey(zone: LoadBalancerRecord['zones'][number]): string {
  return JSON.stringify([zone.SubnetId, zone.LoadBalancerAddresses?.[0]]);
}

function tagKeys(tags: Tags): string[] {
  return Object.entries(tags).map((entry) => JSON.stringify(entry));
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}

function readIpAddressType(type: string): 'ipv4' | 'dualstack' {
  if (type === 'ipv4' || type === 'dualstack') return type;
  throw misconfigured(`IP address type '${type}' is not supported for load balancers of type 'network'`);
}

function readSecurityGroups(context: Context, ids: readonly string[]): readonly string[] {
  const known = context.settings.securityGroups;
  for (const id of ids) {
    const valid = known === 'any' ? /^sg-\S+$/.test(id) : known.includes(id);
    if (!valid) throw new CloudError('InvalidSecurityGroup', `Security group '${id}' does not exist`);
  }
  return [...new Set(ids)];
}
