/** Changes of a balancer, each with a call of its own. */
import type { Calls } from '../client-types.ts';
import { configure, findLoadBalancer, requireIdle } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, missing } from './errors.ts';
import { reasonOf } from './load-balancers.ts';
import type { LoadBalancerRecord } from './store.ts';

type In<O extends keyof Calls> = Calls[O][0];

export function setDeleteProtection(context: Context, input: In<'SetLoadBalancerDeleteProtection'>): object {
  return change(context, input.LoadBalancerId, () => ({ deleteProtection: input.DeleteProtection }));
}

export function setModificationProtection(
  context: Context,
  input: In<'SetLoadBalancerModificationProtection'>,
): object {
  const { ModificationProtectionStatus: status, ModificationProtectionReason: reason } = input;
  return change(context, input.LoadBalancerId, () => ({
    modificationProtection: status,
    modificationReason: reasonOf(status, reason),
  }));
}

export function setName(context: Context, input: In<'SetLoadBalancerName'>): object {
  return change(context, input.LoadBalancerId, () => ({ name: input.LoadBalancerName }));
}

export function modifyInternetSpec(context: Context, input: In<'ModifyLoadBalancerInternetSpec'>): object {
  return change(context, input.LoadBalancerId, (record) => {
    if (record.instanceChargeType === 'PayByCLCU') {
      throw new CloudError('OperationDenied.PayByCLCU', 'The instance pays by usage');
    }
    if (record.addressType !== 'internet') {
      throw new CloudError('Operation.NotAllowed', 'The instance is not on the internet');
    }
    const internetChargeType = input.InternetChargeType ?? record.internetChargeType;
    if (internetChargeType === 'paybybandwidth' && input.Bandwidth === undefined) throw missing('Bandwidth');
    const asked = {
      internetChargeType,
      bandwidth: internetChargeType === 'paybybandwidth' ? (input.Bandwidth ?? record.bandwidth) : 5_120,
    };
    const later = context.settings.chargesNextDay && internetChargeType !== record.internetChargeType;
    return later ? { ordered: { ...asked, from: nextDay(context.wall) } } : asked;
  });
}

export function modifyInstanceSpec(context: Context, input: In<'ModifyLoadBalancerInstanceSpec'>): object {
  return change(context, input.LoadBalancerId, (record) => {
    if (record.instanceChargeType === 'PayByCLCU') {
      throw new CloudError('OperationDenied.PayByCLCU', 'The instance pays by usage');
    }
    return { spec: input.LoadBalancerSpec };
  });
}

export function modifyInstanceChargeType(
  context: Context,
  input: In<'ModifyLoadBalancerInstanceChargeType'>,
): object {
  return change(context, input.LoadBalancerId, (record) => {
    if (input.InstanceChargeType === 'PayBySpec' && record.instanceChargeType === 'PayByCLCU') {
      throw new CloudError('Forbidden.LcuToSpec', 'The way back to a specification is closed', 400);
    }
    if (input.InstanceChargeType === 'PayByCLCU' && record.internetChargeType === 'paybybandwidth') {
      throw new CloudError('Instance.InternetChargeTypeNotAllowed', 'The instance pays by bandwidth');
    }
    return {
      instanceChargeType: input.InstanceChargeType,
      spec: input.InstanceChargeType === 'PayBySpec' ? (input.LoadBalancerSpec ?? record.spec) : '',
    };
  });
}

/** The next midnight at UTC+8. */
function nextDay(wall: number): number {
  const [day, zone] = [24 * 3_600_000, 8 * 3_600_000];
  return (Math.floor((wall + zone) / day) + 1) * day - zone;
}

function change(
  context: Context,
  id: string,
  next: (record: LoadBalancerRecord) => Partial<LoadBalancerRecord>,
): object {
  const record = findLoadBalancer(context, id);
  requireIdle(context, id, 'ServiceIsConfiguring');
  context.store.put({ ...record, ...next(record) }, context.now);
  configure(context, id);
  return {};
}
