/**
 * What a bandwidth does: the cloud applies it to internet balancers that pay by bandwidth, takes it without a
 * word from all others, and does not let those pay by bandwidth that pay for usage (CLCU).
 *
 * So a value is sent where it counts and kept in step there, reported where it does not, and refused before any
 * call where it never can.
 */
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import { prefix } from './annotation-row.ts';
import type { AddressType, InstanceChargeType, InternetChargeType } from './client-types.ts';

/** What is in force or will be. */
export interface Charges {
  readonly addressType: AddressType;
  readonly internetChargeType: InternetChargeType;
  readonly instanceChargeType: InstanceChargeType;
}

export function bandwidthCounts({ addressType, internetChargeType }: Charges): boolean {
  return addressType === 'internet' && internetChargeType === 'paybybandwidth';
}

const both = `${prefix}charge-type to paybybandwidth and ${prefix}instance-charge-type to PayBySpec`;

/** That the value has no effect, and which charge type would give it one; undefined where it has. */
export function bandwidthWarning(
  bandwidth: number | undefined,
  charges: Charges,
  key: string,
): Problem | undefined {
  if (bandwidth === undefined || bandwidthCounts(charges)) return undefined;
  const asked = `${bandwidth} Mbit/s are asked for and have no effect`;
  const { addressType, internetChargeType, instanceChargeType } = charges;
  const [message, cure] =
    addressType === 'intranet'
      ? [
          `${asked}: the balancer is intranet, where the cloud limits nothing`,
          `remove the annotation; only internet balancers with charge type paybybandwidth have a bandwidth`,
        ]
      : [
          `${asked}: the balancer pays by traffic (${internetChargeType}, ${instanceChargeType}), for which the cloud ignores a bandwidth`,
          `set ${both}, or remove the bandwidth`,
        ];
  return { severity: 'warning', reason: 'BandwidthNotEffective', field: annotationField(key), message, cure };
}

/** That paying by bandwidth and for usage exclude each other, with the way out. */
export function impossibleCharges(instanceSaid: boolean): Problem {
  const by = instanceSaid
    ? `${prefix}instance-charge-type says PayByCLCU`
    : 'a balancer pays for usage (PayByCLCU) unless told otherwise';
  return {
    severity: 'error',
    reason: 'ConflictingSettings',
    field: annotationField(`${prefix}charge-type`),
    message: `paybybandwidth is not possible with PayByCLCU, and ${by}`,
    cure: `set ${prefix}instance-charge-type to PayBySpec, or ${prefix}charge-type to paybytraffic`,
  };
}
