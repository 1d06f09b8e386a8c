/** What a Service wants: plain data that the allocator's request is made from. Pure. */
import type { IpFamily, ObjectKey, ServiceObject, Uid } from '../../src/core/objects.ts';
import { eligibleNodes } from '../../src/core/nodes.ts';
import { parseAddress } from '../../src/core/cidr.ts';
import type { Desired, World } from '../../src/core/provider.ts';
import type { AddressRequest, Sharing } from './allocator/request.ts';
import { rival } from './neighbours.ts';
import type { LocalSettings } from './settings.ts';

export interface LocalWanted {
  readonly uid: Uid;
  readonly key: ObjectKey;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly families: readonly IpFamily[];
  readonly needsAll: boolean;
  readonly addresses: readonly string[];
  /** Null where none is named. */
  readonly pool: string | null;
  readonly sharing: Sharing | null;
  readonly ports: readonly string[];
  readonly mayMove: boolean;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Addresses in the status. */
  readonly published: readonly string[];
  /** Another controller that writes the status, and what to do; null where there is none. */
  readonly rival: string | null;
}

export function want(settings: LocalSettings, world: World): Desired<LocalWanted> {
  const { service } = world;
  const { excluded } = eligibleNodes(world.nodes);
  return { wanted: wantedOf(settings, service), problems: [], excluded };
}

export function wantedOf(settings: LocalSettings, service: ServiceObject): LocalWanted {
  const { families, needsAll, addresses, pool, sharingKey, mayMove } = settings;
  return {
    uid: service.uid,
    key: service.key,
    namespace: service.namespace,
    labels: service.labels,
    families,
    needsAll,
    addresses,
    pool: pool ?? null,
    sharing: sharingKey === undefined ? null : { key: sharingKey, backend: backendOf(service) },
    ports: [...new Set(service.ports.map(({ port, protocol }) => `${port}/${protocol}`))].toSorted(),
    mayMove,
    since: waitingSince(service),
    published: service.ingress.flatMap(({ ip }) => ip ?? []),
    rival: rival(service) ?? null,
  };
}

/** @param namespaceLabels of the Service's namespace. */
export function requestOf(
  wanted: LocalWanted,
  namespaceLabels: Readonly<Record<string, string>>,
): AddressRequest {
  const { pool, sharing, addresses, ...same } = wanted;
  return {
    ...same,
    namespaceLabels,
    pool: pool ?? undefined,
    sharing: sharing ?? undefined,
    addresses: addresses.flatMap((text) => {
      const address = parseAddress(text);
      return address === undefined ? [] : [{ ...address, text }];
    }),
  };
}

/** Two Services under policy Local can share an address only where one node has the endpoints of both. */
function backendOf({ externalTrafficPolicy, selector }: ServiceObject): string {
  if (externalTrafficPolicy !== 'Local') return '';
  return JSON.stringify(Object.entries(selector).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** A Service that was told to wait has waited since then, whoever controls it now; else since it was made. */
function waitingSince({ conditions, createdAt }: ServiceObject): number {
  const told = conditions.find(({ type, status }) => type === 'Provisioned' && status === 'False');
  const since = Date.parse(told?.lastTransitionTime ?? '');
  return Number.isNaN(since) ? createdAt : since;
}
