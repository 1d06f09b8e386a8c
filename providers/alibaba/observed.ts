/**
 * What Alibaba Cloud holds for one Service, as plain data.
 *
 * Invariants: lists are sorted (groups by name and id, listeners by port and protocol), so that equal states are equal
 * values. A listener's settings hold only what differs from the documented default, so that one made a moment
 * ago and the same one read back are equal. `undefined` means "not read", never "nothing".
 */
import type { TargetHealth } from '../../src/core/hand-over.ts';
import type { Certificates } from './certificate-state.ts';
import type { ListenerProtocol } from './client-types-listeners.ts';
import type { AddressType, InstanceChargeType, InternetChargeType } from './client-types.ts';
import type { Tags } from './tags.ts';

export type Setting = string | number | boolean;
export type ListenerSettings = Readonly<Record<string, Setting>>;

export interface ObservedListener {
  readonly port: number;
  readonly protocol: ListenerProtocol;
  readonly status: string;
  /** Id of its group; empty where it has none. */
  readonly group: string;
  /** Bears the owner's tags. */
  readonly ours: boolean;
  /** Ours, and made by another controller before: what that chose by itself stays. */
  readonly takenOver?: true;
  readonly owner: string;
  readonly settings: ListenerSettings;
  /** Certificates for single domains. Absent: not read, as nobody asks for any. */
  readonly domains?: Readonly<Record<string, { readonly id: string; readonly certificate: string }>>;
}

export interface ObservedMember {
  /** 0 to 100. */
  readonly weight: number;
  readonly health: TargetHealth;
  /** In the cloud's words; empty when healthy. */
  readonly reason: string;
  /** We put it there: only such are ever changed. */
  readonly ours: boolean;
}

export interface ObservedGroup {
  readonly id: string;
  readonly name: string;
  /** Bears the owner's tags; false for one that the user brought along. */
  readonly ours: boolean;
  /** Bears the mark of a controller that is not this Service's. */
  readonly marked: boolean;
  /** Ours, and made by another controller before, for this node port: its name is not one of ours. */
  readonly takenOver?: number;
  /** Listeners that use it: `80/tcp`, sorted. */
  readonly usedBy: readonly string[];
  /** By `serverId:port`. Undefined when not read: nothing of it is wanted. */
  readonly members: Readonly<Record<string, ObservedMember>> | undefined;
}

export interface ObservedBalancer {
  readonly id: string;
  readonly name: string;
  /** Made for this Service. False: the user brought it along. */
  readonly ours: boolean;
  /** Whose it says it is, for people. */
  readonly owner: string;
  readonly address: string;
  readonly addressType: AddressType;
  readonly ipVersion: string;
  /** `active`, `inactive` or `locked`. */
  readonly status: string;
  readonly vpc: string;
  readonly vSwitch: string;
  /** Mbit/s where it is paid for, else 0. */
  readonly bandwidth: number;
  readonly internetChargeType: InternetChargeType;
  readonly instanceChargeType: InstanceChargeType;
  readonly spec: string;
  readonly deleteProtection: boolean;
  readonly modificationProtection: boolean;
  readonly masterZone: string;
  readonly slaveZone: string;
  readonly resourceGroup: string;
  readonly tags: Tags;
  readonly listeners: readonly ObservedListener[];
  readonly groups: readonly ObservedGroup[];
}

/** A balancer of the wanted name without our mark. */
export interface Stranger {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
}

export interface AlibabaObserved {
  readonly balancer: ObservedBalancer | undefined;
  readonly strangers: readonly Stranger[];
  /** Ids of all balancers with the owner's mark, where there are several; sorted. Nothing is done then. */
  readonly doubles: readonly string[];
  /** Server certificates that the Service names. */
  readonly certificates: Certificates;
}

export const nothing: AlibabaObserved = {
  balancer: undefined,
  strangers: [],
  doubles: [],
  certificates: {},
};

export function memberKey(server: string, port: number): string {
  return `${server}:${port}`;
}

export function splitMemberKey(key: string): { readonly server: string; readonly port: number } {
  const colon = key.lastIndexOf(':');
  return { server: key.slice(0, colon), port: Number(key.slice(colon + 1)) };
}

export function listenerKey({ port, protocol }: Pick<ObservedListener, 'port' | 'protocol'>): string {
  return `${port}/${protocol}`;
}

export function sortListeners(listeners: readonly ObservedListener[]): readonly ObservedListener[] {
  return listeners.toSorted((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

export function sortGroups(groups: readonly ObservedGroup[]): readonly ObservedGroup[] {
  const key = ({ name, id }: ObservedGroup): string => `${name}\n${id}`;
  return groups.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Members that we have just put in, by key and weight. */
export function newMembers(
  members: readonly (readonly [key: string, weight: number])[],
): Readonly<Record<string, ObservedMember>> {
  return Object.fromEntries(
    members.map(([key, weight]): readonly [string, ObservedMember] => [
      key,
      { weight, health: 'initial', reason: 'unavailable', ours: true },
    ]),
  );
}
