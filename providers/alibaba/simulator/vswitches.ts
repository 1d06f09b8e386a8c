/** VSwitches and certificates: what balancers and listeners stand on, from the settings. */
import type { Calls } from '../client-types.ts';
import type { Context } from './context.ts';
import { CloudError } from './errors.ts';

type In<O extends keyof Calls> = Calls[O][0];
type Out<O extends keyof Calls> = Calls[O][1];

const pageSize = 10;

/** The free addresses of a vswitch, those of our balancers taken off. */
function freeAddresses(context: Context, id: string, free = 250): number {
  return free - context.store.all('load-balancer').filter(({ vSwitchId }) => vSwitchId === id).length;
}

/** Throws VSwitchNotExist, VSwitchAvailableIpNotExist, or InvalidParameter.Mismatch for one of another VPC. */
export function takeAddress(context: Context, id: string, vpcId: string, number: number): string {
  const found = context.settings.vswitches.find((vswitch) => vswitch.id === id);
  if (found === undefined) throw new CloudError('VSwitchNotExist', `The vswitch ${id} does not exist`);
  if (found.vpcId !== vpcId) {
    throw new CloudError('InvalidParameter.Mismatch', `The vswitch ${id} is not of ${vpcId}`);
  }
  if (freeAddresses(context, id, found.freeAddresses) < 1) {
    throw new CloudError('VSwitchAvailableIpNotExist', `The vswitch ${id} has no free address`);
  }
  return `192.168.${(number >> 8) & 0xff}.${number & 0xff}`;
}

export function describeVSwitches(
  context: Context,
  input: In<'DescribeVSwitches'>,
): Out<'DescribeVSwitches'> {
  const found = context.settings.vswitches.filter(
    ({ id, vpcId }) => (input.VpcId ?? vpcId) === vpcId && (input.VSwitchId ?? id) === id,
  );
  const size = input.PageSize ?? pageSize;
  const page = input.PageNumber ?? 1;
  return {
    TotalCount: found.length,
    PageNumber: page,
    PageSize: size,
    VSwitches: {
      VSwitch: found.slice((page - 1) * size, page * size).map((vswitch) => ({
        VSwitchId: vswitch.id,
        ZoneId: vswitch.zone,
        Status: 'Available',
        AvailableIpAddressCount: freeAddresses(context, vswitch.id, vswitch.freeAddresses),
      })),
    },
  };
}

/** Throws CertificateNotExist. */
export function requireCertificate(context: Context, id: string): void {
  const { certificates } = context.settings;
  if (certificates !== 'any' && !certificates.includes(id)) {
    throw new CloudError('CertificateNotExist', `The certificate ${id} does not exist`);
  }
}

export function describeServerCertificates(
  context: Context,
  input: In<'DescribeServerCertificates'>,
): Out<'DescribeServerCertificates'> {
  const { certificates, certificateLifeMs, expiredCertificates } = context.settings;
  const asked = input.ServerCertificateId;
  const known = certificates === 'any' ? (asked === undefined ? [] : [asked]) : certificates;
  return {
    ServerCertificates: {
      ServerCertificate: known
        .filter((id) => (asked ?? id) === id)
        .map((id) => ({
          ServerCertificateId: id,
          ServerCertificateName: id,
          ExpireTimeStamp:
            context.wall + (expiredCertificates.includes(id) ? -86_400_000 : certificateLifeMs),
        })),
    },
  };
}
