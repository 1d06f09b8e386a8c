/** Subnets of a balancer: `Subnets` or `SubnetMappings`, one for each zone, all of one VPC. */

import type {
  AvailabilityZone,
  LoadBalancerAddress,
  SetSubnetsInput,
  SetSubnetsOutput,
  SubnetMapping,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { findLoadBalancer } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, misconfigured, validation } from './errors.ts';
import type { LoadBalancerRecord } from './store.ts';

const FREE_ADDRESSES_NEEDED = 8;

export interface Placement {
  readonly vpcId: string;
  readonly zones: readonly AvailabilityZone[];
}

interface SubnetsInput {
  readonly Subnets?: string[] | undefined;
  readonly SubnetMappings?: SubnetMapping[] | undefined;
}

/**
 * Where a balancer would stand. Throws ValidationError, SubnetNotFound, InvalidSubnet,
 * AvailabilityZoneNotSupported, AllocationIdNotFound, ResourceInUse or InvalidConfigurationRequest.
 */
export function readZones(
  context: Context,
  input: SubnetsInput,
  scheme: LoadBalancerRecord['scheme'],
  ipAddressType: LoadBalancerRecord['ipAddressType'],
  existing?: LoadBalancerRecord,
): Placement {
  const plain = input.Subnets ?? [];
  const mapped = input.SubnetMappings ?? [];
  if (plain.length > 0 === mapped.length > 0) {
    throw validation('Exactly one of Subnets and SubnetMappings must be specified');
  }
  const mappings = mapped.length > 0 ? mapped : plain.map((id): SubnetMapping => ({ SubnetId: id }));
  const zones: AvailabilityZone[] = [];
  let vpcId: string | undefined;
  for (const mapping of mappings) {
    const subnet = context.settings.subnets.find((candidate) => candidate.id === mapping.SubnetId);
    if (subnet === undefined) {
      throw new CloudError('SubnetNotFound', `The subnet ID '${mapping.SubnetId}' does not exist`);
    }
    if (zones.some((zone) => zone.ZoneName === subnet.zone)) {
      throw misconfigured(
        'A load balancer cannot be attached to multiple subnets in the same Availability Zone',
      );
    }
    if (vpcId !== undefined && vpcId !== subnet.vpcId) {
      throw new CloudError('InvalidSubnet', `Subnet '${subnet.id}' is not in VPC '${vpcId}' like the others`);
    }
    if (subnet.supported === false) {
      throw new CloudError(
        'AvailabilityZoneNotSupported',
        `Availability Zone '${subnet.zone}' is not supported`,
      );
    }
    const enabled = existing?.zones.some((zone) => zone.SubnetId === subnet.id) ?? false;
    if (!enabled && (subnet.freeAddresses ?? 250) < FREE_ADDRESSES_NEEDED) {
      throw new CloudError(
        'InvalidSubnet',
        `Subnet '${subnet.id}' has fewer than ${FREE_ADDRESSES_NEEDED} free IP addresses`,
      );
    }
    if (ipAddressType === 'dualstack' && subnet.ipv6 === false) {
      throw new CloudError('InvalidSubnet', `Subnet '${subnet.id}' has no IPv6 range, which dualstack needs`);
    }
    vpcId = subnet.vpcId;
    const addresses = readAddresses(context, mapping, scheme, ipAddressType, existing);
    zones.push({ ZoneName: subnet.zone, SubnetId: subnet.id, LoadBalancerAddresses: addresses });
  }
  return { vpcId: vpcId ?? '', zones };
}

export function setSubnets(context: Context, input: SetSubnetsInput): SetSubnetsOutput {
  const record = findLoadBalancer(context, input.LoadBalancerArn ?? '');
  const ipAddressType = input.IpAddressType ?? record.ipAddressType;
  if (ipAddressType === 'dualstack-without-public-ipv4') {
    throw misconfigured(
      `IP address type '${ipAddressType}' is not supported for load balancers of type 'network'`,
    );
  }
  const { vpcId, zones } = readZones(context, input, record.scheme, ipAddressType, record);
  if (vpcId !== record.vpcId) {
    throw misconfigured(`The subnets are in VPC '${vpcId}', the load balancer is in '${record.vpcId}'`);
  }
  for (const old of record.zones) {
    const kept = zones.find((zone) => zone.ZoneName === old.ZoneName);
    if (kept === undefined) {
      if (context.settings.zonesRemovable) continue;
      throw misconfigured(
        `Availability Zone '${old.ZoneName}' cannot be removed from a Network Load Balancer`,
      );
    }
    if (JSON.stringify(kept) !== JSON.stringify(old)) {
      throw misconfigured(
        `The subnet and addresses of Availability Zone '${old.ZoneName}' cannot be changed`,
      );
    }
  }
  const sourceNatPrefix = input.EnablePrefixForIpv6SourceNat ?? record.sourceNatPrefix;
  context.store.put({ ...record, zones, ipAddressType, sourceNatPrefix }, context.now);
  return {
    AvailabilityZones: zones.map((zone) => ({ ...zone })),
    IpAddressType: ipAddressType,
    ...(ipAddressType === 'dualstack' && { EnablePrefixForIpv6SourceNat: sourceNatPrefix }),
  };
}

function readAddresses(
  context: Context,
  mapping: SubnetMapping,
  scheme: LoadBalancerRecord['scheme'],
  ipAddressType: LoadBalancerRecord['ipAddressType'],
  existing: LoadBalancerRecord | undefined,
): LoadBalancerAddress[] {
  const { AllocationId: allocation, PrivateIPv4Address: privateAddress, IPv6Address: ipv6 } = mapping;
  if (allocation !== undefined) {
    if (scheme !== 'internet-facing') {
      throw misconfigured('Elastic IP addresses can only be given to internet-facing load balancers');
    }
    const known = context.settings.allocations;
    if (known === 'any' ? !/^eipalloc-\S+$/.test(allocation) : !known.includes(allocation)) {
      throw new CloudError('AllocationIdNotFound', `The allocation ID '${allocation}' does not exist`);
    }
    for (const other of context.store.all('load-balancer')) {
      if (other.arn !== existing?.arn && other.zones.some((zone) => usesAllocation(zone, allocation))) {
        // SetSubnets documents no ResourceInUse: there the configuration is what is wrong.
        throw existing === undefined
          ? new CloudError('ResourceInUse', `The allocation ID '${allocation}' is in use by '${other.arn}'`)
          : misconfigured(`The allocation ID '${allocation}' is in use by '${other.arn}'`);
      }
    }
  }
  if (privateAddress !== undefined && scheme !== 'internal') {
    throw misconfigured('Private IPv4 addresses can only be given to internal load balancers');
  }
  if (ipv6 !== undefined && ipAddressType !== 'dualstack') {
    throw misconfigured('IPv6 addresses need the IP address type dualstack');
  }
  const address: LoadBalancerAddress = {
    ...(allocation !== undefined && { IpAddress: publicAddress(allocation), AllocationId: allocation }),
    ...(privateAddress !== undefined && { PrivateIPv4Address: privateAddress }),
    ...(ipv6 !== undefined && { IPv6Address: ipv6 }),
  };
  return Object.keys(address).length > 0 ? [address] : [];
}

function usesAllocation(zone: AvailabilityZone, allocation: string): boolean {
  return zone.LoadBalancerAddresses?.some((address) => address.AllocationId === allocation) ?? false;
}

/** The same allocation has the same address for ever (203.0.113.0/24, kept for documentation by RFC 5737). */
function publicAddress(allocation: string): string {
  let sum = 0;
  for (const character of allocation) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 254;
  return `203.0.113.${sum + 1}`;
}
