/**
 * The kinds of local mode as the API sends them, made slim: AddressPool and ServiceAddress of our own group, and of
 * Namespaces the labels, which pools may select by.
 */
import {
  poolFigures,
  type AddressPoolObject,
  type HolderRecord,
  type LabelSelector,
  type ProbeRecord,
  type ServiceAddressObject,
} from '../core/address-objects.ts';
import type { Meta, NodeName, ObjectKey, Uid } from '../core/objects.ts';
import type { Kind } from './kinds.ts';
import type { RawCondition, RawObject } from './raw.ts';
import { slimConditions } from './slim.ts';
import { withoutManagedFields } from './trim.ts';

export const addressGroup = '/apis/sluice.dev/v1alpha1';
export const poolsPath = `${addressGroup}/addresspools`;
export const addressesPath = `${addressGroup}/serviceaddresses`;

interface RawSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key?: string;
    readonly operator?: string;
    readonly values?: readonly string[];
  }[];
}

export interface RawPool extends RawObject {
  readonly spec?: {
    readonly addresses?: readonly string[];
    readonly autoAssign?: boolean;
    readonly avoidBuggyIPs?: boolean;
    readonly priority?: number;
    readonly namespaces?: readonly string[];
    readonly namespaceSelectors?: readonly RawSelector[];
    readonly serviceSelectors?: readonly RawSelector[];
    readonly nodeSelectors?: readonly RawSelector[];
    readonly interfaces?: readonly string[];
    readonly moveOnShrink?: boolean;
  };
  readonly status?: Parameters<typeof poolFigures>[0] & { readonly conditions?: readonly RawCondition[] };
}

export interface RawServiceAddress extends RawObject {
  readonly spec?: {
    readonly address?: string;
    readonly pool?: string;
    readonly services?: readonly { readonly service?: string; readonly uid?: string }[];
    readonly rememberedFor?: { readonly service?: string; readonly until?: string };
    readonly probeAfter?: string;
  };
  readonly status?: {
    readonly probe?: {
      readonly node?: string;
      readonly interface?: string;
      readonly at?: string;
      readonly outcome?: string;
      readonly mac?: string;
      readonly message?: string;
    };
    readonly holder?: {
      readonly node?: string;
      readonly interface?: string;
      readonly mac?: string;
      readonly since?: string;
      readonly reason?: string;
    };
    readonly conditions?: readonly RawCondition[];
  };
}

export function addressPools(): Kind<string, AddressPoolObject> {
  return {
    name: 'addresspools',
    path: poolsPath,
    trim: (text) => withoutManagedFields(text),
    slim: (raw) => slimPool(raw),
  };
}

export function serviceAddresses(): Kind<string, ServiceAddressObject> {
  return {
    name: 'serviceaddresses',
    path: addressesPath,
    trim: (text) => withoutManagedFields(text),
    slim: (raw) => slimServiceAddress(raw),
  };
}

/** A Namespace, as far as anybody asks. */
export interface NamespaceObject extends Meta {
  readonly labels: Readonly<Record<string, string>>;
}

export function namespaces(): Kind<string, NamespaceObject> {
  return {
    name: 'namespaces',
    path: '/api/v1/namespaces',
    trim: (text) => withoutManagedFields(text),
    slim: (raw) => slimNamespace(raw),
  };
}

export function slimNamespace(raw: RawObject): NamespaceObject {
  return { ...metaOf(raw), labels: raw.metadata?.labels ?? {} };
}

export function slimPool(raw: RawPool): AddressPoolObject {
  const { metadata = {}, spec = {}, status = {} } = raw;
  const created = Date.parse(metadata.creationTimestamp ?? '');
  return {
    ...metaOf(raw),
    generation: metadata.generation ?? 0,
    createdAt: Number.isNaN(created) ? 0 : created,
    deleting: metadata.deletionTimestamp !== undefined,
    addresses: spec.addresses ?? [],
    autoAssign: spec.autoAssign ?? true,
    avoidBuggyIPs: spec.avoidBuggyIPs ?? false,
    priority: spec.priority ?? 0,
    namespaces: spec.namespaces === undefined || spec.namespaces.length === 0 ? undefined : spec.namespaces,
    namespaceSelectors: (spec.namespaceSelectors ?? []).map(selector),
    serviceSelectors: (spec.serviceSelectors ?? []).map(selector),
    nodeSelectors: (spec.nodeSelectors ?? []).map(selector),
    interfaces: spec.interfaces ?? [],
    moveOnShrink: spec.moveOnShrink ?? false,
    conditions: slimConditions(status.conditions),
    figures: poolFigures(status),
  };
}

export function slimServiceAddress(raw: RawServiceAddress): ServiceAddressObject {
  const { spec = {}, status = {} } = raw;
  const { rememberedFor } = spec;
  return {
    ...metaOf(raw),
    address: spec.address ?? '',
    pool: spec.pool ?? '',
    services: (spec.services ?? []).map(({ service = '', uid = '' }) => ({
      key: service as ObjectKey,
      uid: uid as Uid,
    })),
    rememberedFor:
      rememberedFor === undefined
        ? undefined
        : { key: (rememberedFor.service ?? '') as ObjectKey, until: rememberedFor.until ?? '' },
    probeAfter: spec.probeAfter,
    probe: probe(status.probe),
    holder: holder(status.holder),
    conditions: slimConditions(status.conditions),
  };
}

function probe(raw: NonNullable<RawServiceAddress['status']>['probe']): ProbeRecord | undefined {
  if (raw === undefined) return undefined;
  const { outcome } = raw;
  return {
    node: (raw.node ?? '') as NodeName,
    interface: raw.interface ?? '',
    at: raw.at ?? '',
    outcome: outcome === 'free' || outcome === 'taken' ? outcome : 'failed',
    ...(raw.mac === undefined ? {} : { mac: raw.mac }),
    ...(raw.message === undefined ? {} : { message: raw.message }),
  };
}

function holder(raw: NonNullable<RawServiceAddress['status']>['holder']): HolderRecord | undefined {
  if (raw === undefined) return undefined;
  return {
    node: (raw.node ?? '') as NodeName,
    interface: raw.interface ?? '',
    mac: raw.mac ?? '',
    since: raw.since ?? '',
    reason: raw.reason ?? '',
  };
}

function selector(raw: RawSelector): LabelSelector {
  return {
    matchLabels: raw.matchLabels ?? {},
    matchExpressions: (raw.matchExpressions ?? []).map(({ key = '', operator = '', values = [] }) => ({
      key,
      operator: operators.find((one) => one === operator) ?? 'In',
      values,
    })),
  };
}

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

function metaOf({ metadata = {} }: RawObject): Meta {
  return {
    name: metadata.name ?? '',
    uid: (metadata.uid ?? '') as Uid,
    resourceVersion: metadata.resourceVersion ?? '',
  };
}
