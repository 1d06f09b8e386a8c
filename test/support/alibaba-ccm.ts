/**
 * What the cloud's own controller leaves in an account for a Service: names, tags, groups, members and listeners
 * exactly as it makes them, for tests of taking over.
 */
import type { ServiceObject } from '../../src/core/objects.ts';
import { splitKey } from '../../src/core/objects.ts';

/** Carries out one call in the account: `account.byHand`, or the control door of a simulated account. */
export type ByHand = (operation: string, input: object) => Promise<object> | object;

export interface CcmShape {
  readonly service: Pick<ServiceObject, 'key' | 'uid'>;
  readonly ports: readonly {
    readonly port: number;
    readonly nodePort: number;
    readonly protocol: 'tcp' | 'udp';
  }[];
  /** Instance → weight. */
  readonly servers: Readonly<Record<string, number>>;
  readonly cluster?: string;
  readonly balancer?: object;
  readonly listener?: object;
}

export const ccmFinalizer = 'service.k8s.alibaba/resources';
export const ccmHashLabel = 'service.beta.kubernetes.io/hash';
export const ccmCluster = 'c1234567890abcdef1234567890abcdef';

export function ccmBalancerName(uid: string): string {
  return `a${uid.replaceAll('-', '')}`.slice(0, 32);
}

/** @returns the balancer's id and address. */
export async function asCcm(
  byHand: ByHand,
  { service, ports, servers, cluster = ccmCluster, balancer = {}, listener = {} }: CcmShape,
): Promise<{ readonly id: string; readonly address: string }> {
  const { namespace, name } = splitKey(service.key);
  const labelled = (port: number): string => `k8s/${port}/${name}/${namespace}/${cluster}`;
  const made = (await byHand('CreateLoadBalancer', {
    AddressType: 'internet',
    InstanceChargeType: 'PayByCLCU',
    LoadBalancerName: ccmBalancerName(service.uid),
    DeleteProtection: 'on',
    ModificationProtectionStatus: 'ConsoleProtection',
    ModificationProtectionReason: 'managed.by.ack',
    Tag: [
      { Key: 'kubernetes.do.not.delete', Value: ccmBalancerName(service.uid) },
      { Key: 'ack.aliyun.com', Value: cluster },
    ],
    ...balancer,
  })) as { readonly LoadBalancerId: string; readonly Address: string };
  const { LoadBalancerId } = made;
  const groups = new Map<number, string>();
  for (const { port, nodePort, protocol } of ports) {
    let VServerGroupId = groups.get(nodePort);
    if (VServerGroupId === undefined) {
      const VServerGroupName = labelled(nodePort);
      const group = (await byHand('CreateVServerGroup', { LoadBalancerId, VServerGroupName })) as {
        readonly VServerGroupId: string;
      };
      VServerGroupId = group.VServerGroupId;
      groups.set(nodePort, VServerGroupId);
      await byHand('AddVServerGroupBackendServers', {
        VServerGroupId,
        BackendServers: Object.entries(servers).map(([ServerId, Weight]) => ({
          ServerId,
          Port: nodePort,
          Weight,
          Type: 'ecs',
          Description: labelled(nodePort),
        })),
      });
    }
    await byHand(`CreateLoadBalancer${protocol.toUpperCase()}Listener`, {
      LoadBalancerId,
      ListenerPort: port,
      Bandwidth: -1,
      Scheduler: 'rr',
      VServerGroupId,
      Description: labelled(port),
      ...listener,
    });
    await byHand('StartLoadBalancerListener', {
      LoadBalancerId,
      ListenerPort: port,
      ListenerProtocol: protocol,
    });
  }
  return { id: LoadBalancerId, address: made.Address };
}
