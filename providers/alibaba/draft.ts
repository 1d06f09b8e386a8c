/**
 * The draft that the rows of the annotation table fill in, before the rows are checked against each other, the
 * spec and the settings file. Mutable, and gone once `AlibabaSettings` is made from it.
 */
import type { Switch } from './client-types-common.ts';
import type {
  AddressType,
  InstanceChargeType,
  InternetChargeType,
  ModificationProtection,
} from './client-types.ts';
import type { ListenerProtocol } from './client-types-listeners.ts';
import type { Setting } from './observed.ts';
import type { Tags } from './tags.ts';

/** One `a:b` of a list about ports, b to be understood by the row. */
export interface PortPair<Value> {
  readonly port: number;
  readonly value: Value;
}

export interface Draft {
  addressType: AddressType | undefined;
  id: string | undefined;
  override: boolean;
  name: string | undefined;
  resourceGroup: string | undefined;
  tags: Tags;
  deleteProtection: Switch | undefined;
  modificationProtection: ModificationProtection | undefined;
  instanceChargeType: InstanceChargeType | undefined;
  spec: string | undefined;
  chargeType: InternetChargeType | undefined;
  /** Mbit/s. */
  bandwidth: number | undefined;
  vSwitch: string | undefined;
  ip: string | undefined;
  ipVersion: 'ipv4' | 'ipv6' | undefined;
  masterZone: string | undefined;
  slaveZone: string | undefined;
  hostname: string | undefined;
  preserve: boolean;
  recreate: boolean;
  protocols: readonly PortPair<ListenerProtocol>[];
  forwards: readonly PortPair<number>[];
  certificate: string | undefined;
  /** Domain → certificate; undefined is no opinion. */
  domains: Readonly<Record<string, string>> | undefined;
  /** By the API's names of a change. */
  listener: Record<string, Setting>;
  /** Setting → the annotation that gave it. */
  keys: Record<string, string>;
  groups: readonly PortPair<string>[];
  weight: number | undefined;
  defaultWeight: number;
  ignoreWeights: boolean;
  nodeSelector: Readonly<Record<string, string>>;
}

/** A Service without annotations. */
export function emptyDraft(): Draft {
  return {
    addressType: undefined,
    id: undefined,
    override: false,
    name: undefined,
    resourceGroup: undefined,
    tags: {},
    deleteProtection: undefined,
    modificationProtection: undefined,
    instanceChargeType: undefined,
    spec: undefined,
    chargeType: undefined,
    bandwidth: undefined,
    vSwitch: undefined,
    ip: undefined,
    ipVersion: undefined,
    masterZone: undefined,
    slaveZone: undefined,
    hostname: undefined,
    preserve: false,
    recreate: false,
    protocols: [],
    forwards: [],
    certificate: undefined,
    domains: undefined,
    listener: {},
    keys: {},
    groups: [],
    weight: undefined,
    defaultWeight: 100,
    ignoreWeights: false,
    nodeSelector: {},
  };
}
