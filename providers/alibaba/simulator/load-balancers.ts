/** Balancers: made, found, read, deleted. */
import type { Calls, LoadBalancer } from '../client-types.ts';
import { configure, findLoadBalancer, inForce, isVisible, newId, requireIdle } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, invalid, missing } from './errors.ts';
import type { LoadBalancerRecord } from './store.ts';
import { foundTags, readTags } from './tag-rules.ts';
import { takeAddress } from './vswitches.ts';

type In<O extends keyof Calls> = Calls[O][0];
type Out<O extends keyof Calls> = Calls[O][1];

/** Mbit/s that a balancer has which pays by traffic, whatever was asked for. */
const unlimited = 5_120;
const pageSize = 10;

export function createLoadBalancer(
  context: Context,
  input: In<'CreateLoadBalancer'>,
): Out<'CreateLoadBalancer'> {
  const { settings, store, world, now } = context;
  const { ClientToken: token, ...rest } = input;
  const asked = JSON.stringify(Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const earlier = token === undefined ? undefined : world.tokens.get(token);
  if (earlier !== undefined) {
    if (earlier.asked === asked) return earlier.answer as Out<'CreateLoadBalancer'>;
    throw new CloudError('LX_REQUEST_TOKEN_CONFLICT', 'The client token was used with other parameters');
  }
  if (settings.arrears) throw new CloudError('ORDER.ARREARAGE', 'The account has overdue bills');
  if (store.all('load-balancer').length >= settings.quotas.loadBalancers) {
    throw new CloudError('ORDER.QUANTITY_INVALID', 'The quota of load balancers is used up');
  }
  const tags = readTags(input.Tag);
  if (Object.keys(tags).length > settings.quotas.tagsPerResource) {
    throw new CloudError('SizeLimitExceeded.Tag', 'Too many tags');
  }
  // Optional on the wire, whatever our own types ask for.
  const said = input as Partial<In<'CreateLoadBalancer'>>;
  const addressType = said.AddressType ?? (input.VSwitchId === undefined ? 'internet' : 'intranet');
  const charges = chargesOf(input, addressType);
  const record: LoadBalancerRecord = {
    kind: 'load-balancer',
    id: newId(context, 'lb'),
    seq: store.nextSeq(),
    createdAt: now,
    createdWall: context.wall,
    tags,
    name: input.LoadBalancerName ?? `auto_named_slb_${store.version}`,
    ...placeOf(context, input, addressType),
    addressType,
    ipVersion: input.AddressIPVersion ?? 'ipv4',
    masterZone: input.MasterZoneId ?? 'cn-hangzhou-h',
    slaveZone: input.SlaveZoneId ?? 'cn-hangzhou-i',
    resourceGroupId: input.ResourceGroupId ?? 'rg-default',
    ...charges,
    deleteProtection: input.DeleteProtection ?? 'off',
    modificationProtection: input.ModificationProtectionStatus ?? 'NonProtection',
    modificationReason: reasonOf(input.ModificationProtectionStatus, input.ModificationProtectionReason),
    status: 'active',
  };
  store.put(record, now);
  const answer: Out<'CreateLoadBalancer'> = {
    LoadBalancerId: record.id,
    Address: record.address,
    AddressIPVersion: record.ipVersion,
    NetworkType: networkType(record),
    VpcId: record.vpcId,
    VSwitchId: record.vSwitchId,
    LoadBalancerName: record.name,
    ResourceGroupId: record.resourceGroupId,
    // More digits than a double has.
    OrderId: String(9_007_199_254_740_993n + BigInt(2 * record.seq)),
  };
  if (token !== undefined) world.tokens.set(token, { asked, answer });
  return answer;
}

function chargesOf(
  input: In<'CreateLoadBalancer'>,
  addressType: LoadBalancerRecord['addressType'],
): Pick<LoadBalancerRecord, 'bandwidth' | 'internetChargeType' | 'instanceChargeType' | 'spec'> {
  const instanceChargeType = input.InstanceChargeType ?? 'PayBySpec';
  const internetChargeType = input.InternetChargeType ?? 'paybytraffic';
  if (instanceChargeType === 'PayBySpec' && input.LoadBalancerSpec === undefined)
    throw missing('LoadBalancerSpec');
  const byBandwidth = addressType === 'internet' && internetChargeType === 'paybybandwidth';
  if (byBandwidth && instanceChargeType === 'PayByCLCU') {
    throw new CloudError(
      'Instance.InternetChargeTypeNotAllowed',
      'The InternetChargeType is not allowed for this InstanceChargeType',
    );
  }
  return {
    // Accepted and without effect where it is not paid for.
    bandwidth: byBandwidth ? (input.Bandwidth ?? 1) : unlimited,
    internetChargeType,
    instanceChargeType,
    spec: instanceChargeType === 'PayBySpec' ? (input.LoadBalancerSpec ?? '') : '',
  };
}

function placeOf(
  context: Context,
  input: In<'CreateLoadBalancer'>,
  addressType: LoadBalancerRecord['addressType'],
): Pick<LoadBalancerRecord, 'address' | 'vpcId' | 'vSwitchId'> {
  const number = context.store.all('load-balancer').length + 1 + context.store.version;
  if (addressType === 'internet') {
    if (input.Address !== undefined) throw invalid('Address', 'only an intranet address can be chosen');
    const address =
      input.AddressIPVersion === 'ipv6'
        ? `2001:db8::${number.toString(16)}`
        : `203.0.113.${1 + (number % 254)}`;
    return { address, vpcId: '', vSwitchId: '' };
  }
  if (input.AddressIPVersion === 'ipv6') {
    throw new CloudError('InvalidParameter.Mismatch', 'AddressIPVersion and AddressType do not go together');
  }
  if (input.VpcId === undefined) throw missing('VpcId');
  if (input.VSwitchId === undefined) throw missing('VSwitchId');
  return {
    address: input.Address ?? takeAddress(context, input.VSwitchId, input.VpcId, number),
    vpcId: input.VpcId,
    vSwitchId: input.VSwitchId,
  };
}

/** The reason that is kept; one without protection is refused. */
export function reasonOf(status: string | undefined, reason: string | undefined): string {
  if (reason === undefined) return '';
  if (status === 'ConsoleProtection') return reason;
  throw invalid('ModificationProtectionReason', 'it goes with ConsoleProtection only');
}

function networkType(record: LoadBalancerRecord): string {
  return record.addressType === 'intranet' ? 'vpc' : 'classic';
}

/** As the single read and the list show it; `listed` makes the charge type the number that the list has. */
export function show(record: LoadBalancerRecord, listed: boolean): LoadBalancer {
  const byBandwidth = record.internetChargeType === 'paybybandwidth';
  return {
    LoadBalancerId: record.id,
    LoadBalancerName: record.name,
    LoadBalancerStatus: record.status,
    Address: record.address,
    AddressType: record.addressType,
    AddressIPVersion: record.ipVersion,
    NetworkType: networkType(record),
    VpcId: record.vpcId,
    VSwitchId: record.vSwitchId,
    Bandwidth: record.bandwidth,
    InternetChargeType: listed ? (byBandwidth ? '3' : '4') : record.internetChargeType,
    ...(listed && { InternetChargeTypeAlias: record.internetChargeType }),
    InstanceChargeType: record.instanceChargeType,
    LoadBalancerSpec: record.spec,
    MasterZoneId: record.masterZone,
    SlaveZoneId: record.slaveZone,
    DeleteProtection: record.deleteProtection,
    ModificationProtectionStatus: record.modificationProtection,
    ModificationProtectionReason: record.modificationReason,
    ResourceGroupId: record.resourceGroupId,
    CreateTime: new Date(record.createdWall).toISOString().replace(/\.\d+Z$/, 'Z'),
    Tags: { Tag: foundTags(record.tags) },
  };
}

export function describeLoadBalancerAttribute(
  context: Context,
  input: In<'DescribeLoadBalancerAttribute'>,
): Out<'DescribeLoadBalancerAttribute'> {
  return show(findLoadBalancer(context, input.LoadBalancerId), false);
}

export function describeLoadBalancers(
  context: Context,
  input: In<'DescribeLoadBalancers'>,
): Out<'DescribeLoadBalancers'> {
  const ids = split(input.LoadBalancerId, 'LoadBalancerId');
  const names = split(input.LoadBalancerName, 'LoadBalancerName');
  if ((input.Tags?.length ?? 0) > 10) throw invalid('Tags', 'up to 10');
  const { fuzzyNames, consistency } = context.settings;
  const found = context.store.all('load-balancer').filter(
    (record) =>
      isVisible(context, record) &&
      (ids?.includes(record.id) ?? true) &&
      (names?.some((name) => record.name === name || (fuzzyNames && record.name.includes(name))) ?? true) &&
      (input.VpcId ?? record.vpcId) === record.vpcId &&
      (input.AddressType ?? record.addressType) === record.addressType &&
      (input.ResourceGroupId ?? record.resourceGroupId) === record.resourceGroupId &&
      // Any one of the tags is enough.
      (input.Tags?.some(
        ({ TagKey, TagValue }) =>
          Object.hasOwn(record.tags, TagKey) && (TagValue ?? record.tags[TagKey]) === record.tags[TagKey],
      ) ??
        true) &&
      (input.Tags === undefined || context.now >= record.createdAt + consistency.tagLagMs),
  );
  // A size without a page is passed over.
  const size = input.PageNumber === undefined ? pageSize : (input.PageSize ?? pageSize);
  const page = input.PageNumber ?? 1;
  return {
    TotalCount: found.length,
    PageNumber: page,
    PageSize: size,
    LoadBalancers: {
      LoadBalancer: found
        .slice((page - 1) * size, page * size)
        .map((record) => show(inForce(context, record), true)),
    },
  };
}

function split(text: string | undefined, name: string): readonly string[] | undefined {
  const parts = text?.split(',');
  if ((parts?.length ?? 0) > 10) throw invalid(name, 'up to 10');
  return parts;
}

export function deleteLoadBalancer(
  context: Context,
  input: In<'DeleteLoadBalancer'>,
): Out<'DeleteLoadBalancer'> {
  const { store, now } = context;
  const record = findLoadBalancer(context, input.LoadBalancerId);
  requireIdle(context, record.id, 'ServiceIsConfiguring');
  if (record.deleteProtection === 'on') {
    throw new CloudError('OperationDenied.DeleteProtectionIsOn', 'Deletion protection is on');
  }
  // Also what a fault hides: it goes with its balancer.
  for (const kind of ['listener', 'group'] as const) {
    for (const one of store.all(kind)) if (one.loadBalancerId === record.id) store.remove(one, now);
  }
  for (const extension of store.all('domain-extension')) {
    if (extension.loadBalancerId === record.id) store.remove(extension, now);
  }
  store.remove(record, now);
  configure(context, record.id);
  return {};
}
