/** The balancer itself: made, or changed where it differs from what the Service says. */
import { ref } from '../../src/core/plan.ts';
import type { Ref } from '../../src/core/plan.ts';
import { annotationField } from '../../src/core/problems.ts';
import { prefix } from './annotation-row.ts';
import { bandwidthCounts, bandwidthWarning } from './bandwidth.ts';
import type { Charges } from './bandwidth.ts';
import type { ObservedBalancer } from './observed.ts';
import { orderText } from './ordered.ts';
import { addStep } from './steps.ts';
import type { Planning } from './steps.ts';
import { keysTag, orderedTag, protectionTag, recordWord, splitRecord, toTagList } from './tags.ts';
import type { Tags } from './tags.ts';
import type { AlibabaWanted } from './wanted.ts';

/** A balancer as the rest of a plan refers to it: it may have to be made first. */
export interface BalancerHandle {
  readonly id: string | Ref;
  readonly name: string;
}

/** Why the console may not change it: begins with a letter (SLB API reference). */
export const protectionReason = 'managed.by.sluice';

export function planBalancer(
  planning: Planning,
  wanted: AlibabaWanted,
  balancer: ObservedBalancer | undefined,
): BalancerHandle {
  const charges: Charges = {
    addressType: balancer?.addressType ?? wanted.addressType,
    internetChargeType:
      (balancer?.ours === false ? undefined : wanted.chargeType) ??
      balancer?.internetChargeType ??
      'paybytraffic',
    instanceChargeType:
      (balancer?.ours === false ? undefined : wanted.instanceChargeType) ??
      balancer?.instanceChargeType ??
      'PayByCLCU',
  };
  const warning = bandwidthWarning(wanted.bandwidth, charges, wanted.bandwidthKey);
  if (warning !== undefined) planning.problems.push(warning);
  if (balancer === undefined) return create(planning, wanted, charges);
  if (balancer.ours) {
    immutable(planning, wanted, balancer);
    change(planning, wanted, balancer, charges);
  } else {
    changeBandwidth(planning, wanted, balancer, charges);
    if (balancer.tags[wanted.useTag] === undefined) {
      tag(planning, balancer, { [wanted.useTag]: wanted.service }, 'it is used by this Service');
    }
  }
  return { id: balancer.id, name: balancer.name };
}

function create(planning: Planning, wanted: AlibabaWanted, charges: Charges): BalancerHandle {
  const protect = wanted.deleteProtection !== 'off';
  const guarded = wanted.modificationProtection !== 'NonProtection';
  const intranet = wanted.addressType === 'intranet';
  const { instanceChargeType } = charges;
  const byBandwidth = bandwidthCounts(charges);
  const id = addStep(planning, 'CreateLoadBalancer', {
    id: 'createLoadBalancer',
    parameters: {
      AddressType: wanted.addressType,
      LoadBalancerName: wanted.name,
      InstanceChargeType: instanceChargeType,
      LoadBalancerSpec: instanceChargeType === 'PayBySpec' ? (wanted.spec ?? 'slb.s1.small') : undefined,
      InternetChargeType: intranet ? undefined : wanted.chargeType,
      Bandwidth: byBandwidth ? wanted.bandwidth : undefined,
      VpcId: intranet ? wanted.vpc : undefined,
      VSwitchId: intranet ? wanted.vSwitch : undefined,
      Address: wanted.ip,
      AddressIPVersion: wanted.ipVersion,
      MasterZoneId: wanted.masterZone,
      SlaveZoneId: wanted.slaveZone,
      ResourceGroupId: wanted.resourceGroup,
      DeleteProtection: protect ? 'on' : 'off',
      ModificationProtectionStatus: guarded ? 'ConsoleProtection' : 'NonProtection',
      ModificationProtectionReason: guarded ? protectionReason : undefined,
      Tag: toTagList({ ...wanted.tags, ...(protect ? { [protectionTag]: 'set' } : {}) }),
    },
    subject: `balancer ${wanted.name}`,
    reason: 'the Service has no balancer',
    risk: 'none',
  });
  return { id: ref(id, 'LoadBalancerId'), name: wanted.name };
}

/** What applies at creation only and is asked for otherwise: each is told, and all else goes on. */
function immutable(planning: Planning, wanted: AlibabaWanted, balancer: ObservedBalancer): void {
  const rows: readonly (readonly [word: string, asked: string | undefined, is: string])[] = [
    ['address-type', wanted.addressTypeAsked ? wanted.addressType : undefined, balancer.addressType],
    ['ip-version', wanted.ipVersion, balancer.ipVersion],
    ['ip', wanted.ip, balancer.address],
    ['master-zoneid', wanted.masterZone, balancer.masterZone],
    ['slave-zoneid', wanted.slaveZone, balancer.slaveZone],
    [
      'resource-group-id',
      wanted.resourceGroupAsked ? wanted.resourceGroup : undefined,
      balancer.resourceGroup,
    ],
  ];
  for (const [word, asked, is] of rows) {
    if (asked === undefined || is === '' || asked === is) continue;
    planning.problems.push({
      severity: 'error',
      reason: 'ImmutableSetting',
      field: annotationField(`${prefix}${word}`),
      message: `balancer ${balancer.name} was made with "${is}", and this cannot be changed to "${asked}"`,
      cure: 'undo the change, or delete the Service and create it anew (the address changes)',
    });
  }
}

function change(
  planning: Planning,
  wanted: AlibabaWanted,
  balancer: ObservedBalancer,
  charges: Charges,
): void {
  const LoadBalancerId = balancer.id;
  const subject = `balancer ${balancer.name}`;
  planTags(planning, wanted, balancer);
  if (wanted.named && wanted.name !== balancer.name) {
    addStep(planning, 'SetLoadBalancerName', {
      id: 'setLoadBalancerName',
      parameters: { LoadBalancerId, LoadBalancerName: wanted.name },
      subject,
      reason: `its name shall be ${wanted.name}`,
      risk: 'none',
    });
  }
  const protect = wanted.deleteProtection;
  if (protect !== undefined && (protect === 'on') !== balancer.deleteProtection) {
    if (protect === 'on' && balancer.tags[protectionTag] === undefined)
      tag(
        planning,
        balancer,
        { [protectionTag]: 'set' },
        'deletion protection is about to be ours',
        'tagResources.protection',
      );
    addStep(planning, 'SetLoadBalancerDeleteProtection', {
      id: 'setLoadBalancerDeleteProtection',
      parameters: { LoadBalancerId, DeleteProtection: protect },
      subject,
      reason: `deletion protection shall be ${protect}`,
      risk: 'none',
    });
  }
  const guard = wanted.modificationProtection;
  if (guard !== undefined && (guard === 'ConsoleProtection') !== balancer.modificationProtection) {
    addStep(planning, 'SetLoadBalancerModificationProtection', {
      id: 'setLoadBalancerModificationProtection',
      parameters: {
        LoadBalancerId,
        ModificationProtectionStatus: guard,
        ModificationProtectionReason: guard === 'ConsoleProtection' ? protectionReason : undefined,
      },
      subject,
      reason: `protection against changes shall be ${guard}`,
      risk: 'none',
    });
  }
  changeCharges(planning, wanted, balancer, charges);
}

function changeCharges(
  planning: Planning,
  wanted: AlibabaWanted,
  balancer: ObservedBalancer,
  charges: Charges,
): void {
  const refuse = (word: string, message: string, cure: string): void => {
    planning.problems.push({
      severity: 'error',
      reason: 'ImmutableSetting',
      field: annotationField(`${prefix}${word}`),
      message: `balancer ${balancer.name} ${message}`,
      cure,
    });
  };
  const closed = wanted.instanceChargeType === 'PayBySpec' && balancer.instanceChargeType === 'PayByCLCU';
  if (closed) {
    refuse(
      'instance-charge-type',
      'pays for usage (PayByCLCU), and the cloud has closed the way back to PayBySpec',
      'set it to PayByCLCU, and charge-type to paybytraffic',
    );
    return;
  }
  const toUsage = wanted.instanceChargeType === 'PayByCLCU' && balancer.instanceChargeType === 'PayBySpec';
  if (toUsage && charges.addressType === 'internet' && balancer.internetChargeType === 'paybybandwidth') {
    refuse(
      'instance-charge-type',
      'pays by bandwidth, which is not possible with PayByCLCU',
      `set ${prefix}charge-type to paybytraffic first, which counts from the next day`,
    );
    return;
  }
  if (toUsage) {
    addStep(planning, 'ModifyLoadBalancerInstanceChargeType', {
      id: 'modifyLoadBalancerInstanceChargeType',
      parameters: { LoadBalancerId: balancer.id, InstanceChargeType: 'PayByCLCU' },
      subject: `balancer ${balancer.name}`,
      reason: 'it shall pay for usage',
      risk: 'none',
    });
  } else if (
    wanted.spec !== undefined &&
    charges.instanceChargeType === 'PayBySpec' &&
    wanted.spec !== balancer.spec
  ) {
    addStep(planning, 'ModifyLoadBalancerInstanceSpec', {
      id: 'modifyLoadBalancerInstanceSpec',
      parameters: { LoadBalancerId: balancer.id, LoadBalancerSpec: wanted.spec },
      subject: `balancer ${balancer.name}`,
      reason: `its size shall be ${wanted.spec}`,
      risk: 'none',
    });
  }
  changeBandwidth(planning, wanted, balancer, charges);
}

/** Compared with what the balancer has, never with a supposed default. */
function changeBandwidth(
  planning: Planning,
  { bandwidth }: AlibabaWanted,
  balancer: ObservedBalancer,
  charges: Charges,
): void {
  if (charges.addressType !== 'internet') return;
  const type = charges.internetChargeType;
  const counts = bandwidthCounts(charges);
  if (counts && balancer.instanceChargeType === 'PayByCLCU') {
    planning.problems.push({
      severity: 'error',
      reason: 'ConflictingSettings',
      field: annotationField(`${prefix}charge-type`),
      message: `balancer ${balancer.name} pays for usage (PayByCLCU), with which paybybandwidth is not possible`,
      cure: `set ${prefix}charge-type to paybytraffic, or delete the Service and create it anew with instance-charge-type PayBySpec (the address changes)`,
    });
    return;
  }
  const typeDiffers = type !== balancer.internetChargeType;
  const widthDiffers = counts && bandwidth !== undefined && bandwidth !== balancer.bandwidth;
  if (!typeDiffers && !widthDiffers) return;
  const ordered = addStep(planning, 'ModifyLoadBalancerInternetSpec', {
    id: 'modifyLoadBalancerInternetSpec',
    parameters: {
      LoadBalancerId: balancer.id,
      InternetChargeType: type,
      Bandwidth: counts ? (bandwidth ?? Math.max(1, balancer.bandwidth)) : undefined,
    },
    subject: `balancer ${balancer.name}`,
    reason: [
      ...(typeDiffers ? [`its traffic shall be charged ${type}`] : []),
      ...(widthDiffers ? [`its bandwidth shall be ${bandwidth} Mbit/s, not ${balancer.bandwidth}`] : []),
    ].join(', and '),
    risk: 'none',
  });
  if (!typeDiffers && balancer.tags[orderedTag] === undefined) return;
  addStep(planning, 'TagResources', {
    id: 'tagResources.ordered',
    parameters: {
      ResourceType: 'instance',
      ResourceId: [balancer.id],
      Tag: toTagList({
        [orderedTag]: orderText(type, counts ? (bandwidth ?? Math.max(1, balancer.bandwidth)) : undefined),
      }),
    },
    subject: `balancer ${balancer.name}`,
    reason: 'the charge type counts from the next day, and until then nobody shall order it again',
    risk: 'none',
    needs: [ordered],
  });
}

/** Ours and the user's tags are put right, those of others are left alone. */
function planTags(planning: Planning, wanted: AlibabaWanted, balancer: ObservedBalancer): void {
  const record = splitRecord(balancer.tags[keysTag]);
  const stale = Object.keys(balancer.tags).filter(
    (key) => wanted.tags[key] === undefined && (key === keysTag || record.has(recordWord(key))),
  );
  const missing = Object.fromEntries(
    Object.entries(wanted.tags).filter(([key, value]) => {
      if (key !== keysTag) return balancer.tags[key] !== value;
      // The record shrinks after what it records is gone.
      return stale.length === 0
        ? balancer.tags[key] !== value
        : [...splitRecord(value)].some((word) => !record.has(word));
    }),
  );
  const grown = stale.length > 0 && missing[keysTag] !== undefined;
  const set = grown
    ? {
        ...missing,
        [keysTag]: [...new Set([...record, ...splitRecord(missing[keysTag])])].toSorted().join(' '),
      }
    : missing;
  if (Object.keys(set).length > 0)
    tag(planning, balancer, set, `tags are missing or differ: ${Object.keys(set).join(', ')}`);
  if (stale.length === 0) return;
  addStep(planning, 'UntagResources', {
    id: 'untagResources',
    parameters: { ResourceType: 'instance', ResourceId: [balancer.id], TagKey: stale.toSorted() },
    subject: `balancer ${balancer.name}`,
    reason: `tags are no longer asked for: ${stale.join(', ')}`,
    risk: 'none',
  });
  const record2 = wanted.tags[keysTag];
  if (record2 !== undefined && (set[keysTag] ?? balancer.tags[keysTag]) !== record2)
    tag(planning, balancer, { [keysTag]: record2 }, 'fewer tags are ours than before', 'tagResources.record');
}

function tag(
  planning: Planning,
  balancer: ObservedBalancer,
  tags: Tags,
  reason: string,
  id = 'tagResources',
): void {
  addStep(planning, 'TagResources', {
    id,
    parameters: { ResourceType: 'instance', ResourceId: [balancer.id], Tag: toTagList(tags) },
    subject: `balancer ${balancer.name}`,
    reason,
    risk: 'none',
  });
}
