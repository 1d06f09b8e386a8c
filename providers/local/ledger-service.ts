/** What the ledger asks of one Service. Pure. */
import { ownAnnotations } from '../../src/core/annotations.ts';
import type { ObjectKey, ServiceObject, Uid } from '../../src/core/objects.ts';
import { hasErrors } from '../../src/core/problems.ts';
import type { AddressRequest } from './allocator/request.ts';
import { rival } from './neighbours.ts';
import { parseService } from './settings.ts';

/** The addresses that its status shows, each once; none where it is no balancer any more, or goes. */
export function shownBy({ type, deleting, ingress }: ServiceObject): readonly string[] {
  if (type !== 'LoadBalancer' || deleting) return [];
  return [...new Set(ingress.flatMap(({ ip }) => ip ?? []))];
}

/** Paused Services and those whose plan is only shown take no place in the row. */
export function mayAsk(service: ServiceObject): boolean {
  const { paused, planOnly } = ownAnnotations(service.annotations).settings;
  return !paused && !planOnly && !service.deleting && !hasErrors(parseService(service).problems);
}

/** Stands for a Service that is not there (any more) and whose mark is still on an address. */
export function ghost(key: ObjectKey, uid: Uid): AddressRequest {
  return {
    uid,
    key,
    namespace: '',
    namespaceLabels: {},
    labels: {},
    families: ['IPv4'],
    needsAll: true,
    addresses: [],
    pool: undefined,
    sharing: undefined,
    ports: [],
    mayMove: false,
    since: 0,
  };
}

export function asks(service: ServiceObject): string {
  const { labels, selector, ipFamilies, ipFamilyPolicy } = service;
  return JSON.stringify([labels, selector, ipFamilies, ipFamilyPolicy ?? null, rival(service) ?? null]);
}

/** An address that stood in the status stands there no more. */
export function hasLost(before: ServiceObject, after: ServiceObject): boolean {
  return before.ingress.some(({ ip }) => !after.ingress.some((entry) => entry.ip === ip));
}

export function byAge(a: ServiceObject, b: ServiceObject): number {
  return a.createdAt - b.createdAt || (a.key < b.key ? -1 : 1);
}
