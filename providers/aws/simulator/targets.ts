/** Registration and deregistration of targets. A target is an id and a port: one instance can be several targets. */

import { isIPv4, isIPv6 } from 'node:net';
import type {
  DeregisterTargetsInput,
  DeregisterTargetsOutput,
  RegisterTargetsInput,
  RegisterTargetsOutput,
  TargetDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { inCidr } from './addresses.ts';
import { findTargetGroup } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, validation } from './errors.ts';
import type { TargetGroupRecord, TargetRecord } from './store.ts';
import { deregistrationDelayMs } from './target-group-attributes.ts';
import { checkTargetQuotas } from './target-quotas.ts';

export function registerTargets(context: Context, input: RegisterTargetsInput): RegisterTargetsOutput {
  const group = findTargetGroup(context, input.TargetGroupArn ?? '');
  const wanted = input.Targets ?? [];
  if (wanted.length === 0) throw validation('At least one target must be specified');
  checkAll(context, group, wanted);
  const targets = liveTargets(group, context.now);
  let changed = false;
  for (const target of wanted) {
    const record = read(context, group, target);
    const key = targetKey(record.id, record.port);
    const existing = targets.get(key);
    // The same target again is no news; one that drains is wanted back and starts anew.
    if (existing !== undefined && existing.drainingUntil === undefined) continue;
    targets.delete(key);
    targets.set(key, record);
    changed = true;
  }
  if (!changed) return {};
  const result = { ...group, targets };
  checkTargetQuotas(context, result, group.usedBy?.loadBalancerArn);
  context.store.put(result, context.now);
  return {};
}

/** Succeeds for targets that are not registered; the port is part of what is named. */
export function deregisterTargets(context: Context, input: DeregisterTargetsInput): DeregisterTargetsOutput {
  const group = findTargetGroup(context, input.TargetGroupArn ?? '');
  const wanted = input.Targets ?? [];
  if (wanted.length === 0) throw validation('At least one target must be specified');
  const targets = liveTargets(group, context.now);
  const delay = deregistrationDelayMs(group);
  let changed = false;
  for (const target of wanted) {
    const key = targetKey(target.Id ?? '', target.Port ?? group.port);
    const existing = targets.get(key);
    if (existing === undefined || existing.drainingUntil !== undefined) continue;
    changed = true;
    // Where no traffic ever went there is nothing to drain.
    if (group.usedBy === undefined || delay === 0) targets.delete(key);
    else targets.set(key, { ...existing, drainingUntil: context.now + delay });
  }
  if (changed) context.store.put({ ...group, targets }, context.now);
  return {};
}

export function targetKey(id: string, port: number): string {
  return `${id}|${port}`;
}

/** A copy of the group's targets without those whose draining is over. */
export function liveTargets(group: TargetGroupRecord, now: number): Map<string, TargetRecord> {
  const live = new Map<string, TargetRecord>();
  for (const [key, target] of group.targets) {
    if (target.drainingUntil === undefined || now < target.drainingUntil) live.set(key, target);
  }
  return live;
}

/** One bad target refuses the whole call, as at AWS. Throws InvalidTarget or ValidationError. */
function checkAll(context: Context, group: TargetGroupRecord, targets: readonly TargetDescription[]): void {
  const unknown: string[] = [];
  const notRunning: string[] = [];
  const elsewhere: string[] = [];
  for (const target of targets) {
    const id = target.Id ?? '';
    const port = target.Port;
    if (port !== undefined && (port < 1 || port > 65_535)) {
      throw validation(`Port '${port}' of target '${id}' must be between 1 and 65535`);
    }
    const quic = group.protocol === 'QUIC' || group.protocol === 'TCP_QUIC';
    if (quic !== (target.QuicServerId !== undefined)) {
      throw validation(
        `A QUIC server ID must be specified for protocols QUIC and TCP_QUIC, and only for them`,
      );
    }
    if (group.targetType === 'ip') {
      checkAddress(context, group, target);
      continue;
    }
    if (target.AvailabilityZone !== undefined) {
      throw validation('An Availability Zone cannot be specified for targets of type instance');
    }
    const instance = context.world.instances.get(id);
    if (instance === undefined) {
      if (!context.settings.acceptUnknownInstances || !/^i-\S+$/.test(id)) unknown.push(id);
    } else if (instance.state !== 'running') notRunning.push(id);
    else if (instance.vpcId !== undefined && instance.vpcId !== group.vpcId) elsewhere.push(id);
  }
  if (unknown.length > 0) throw invalidTarget(`The instance IDs ${quoted(unknown)} are not valid`);
  if (notRunning.length > 0) {
    throw invalidTarget(
      `The following targets are not in a running state and cannot be registered: ${quoted(notRunning)}`,
    );
  }
  if (elsewhere.length > 0) {
    throw invalidTarget(
      `The following targets are not in the target group VPC '${group.vpcId}': ${quoted(elsewhere)}`,
    );
  }
}

function checkAddress(context: Context, group: TargetGroupRecord, target: TargetDescription): void {
  const address = target.Id ?? '';
  if (group.ipAddressType === 'ipv6' ? !isIPv6(address) : !isIPv4(address)) {
    throw validation(`The IP address '${address}' is not a valid ${group.ipAddressType} address`);
  }
  if (group.ipAddressType === 'ipv6' || zoneOfAddress(context, group, address) !== undefined) return;
  if (!PRIVATE_RANGES.some((range) => inCidr(address, range))) {
    throw invalidTarget(`The IP address '${address}' is neither in the VPC nor private (RFC 1918, RFC 6598)`);
  }
  const rangesKnown = context.settings.subnets.some(
    (subnet) => subnet.vpcId === group.vpcId && subnet.cidr !== undefined,
  );
  if (rangesKnown && target.AvailabilityZone === undefined) {
    throw validation(`An Availability Zone must be specified for '${address}', which is outside the VPC`);
  }
}

/** RFC 1918 and RFC 6598. */
const PRIVATE_RANGES = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

function read(context: Context, group: TargetGroupRecord, target: TargetDescription): TargetRecord {
  const id = target.Id ?? '';
  const detected = group.targetType === 'ip' ? zoneOfAddress(context, group, id) : undefined;
  return {
    id,
    port: target.Port ?? group.port,
    zone: target.AvailabilityZone ?? detected,
    quicServerId: target.QuicServerId,
    registeredAt: context.now,
    drainingUntil: undefined,
  };
}

function zoneOfAddress(context: Context, group: TargetGroupRecord, address: string): string | undefined {
  return context.settings.subnets.find(
    (subnet) => subnet.vpcId === group.vpcId && subnet.cidr !== undefined && inCidr(address, subnet.cidr),
  )?.zone;
}

function invalidTarget(message: string): CloudError {
  return new CloudError('InvalidTarget', message);
}

function quoted(ids: readonly string[]): string {
  return ids.map((id) => `'${id}'`).join(', ');
}
