/**
 * Draining an endpoint or the endpoints of a node: which Services it concerns, what their annotation becomes, and which
 * tracked flows are still open (pure).
 *
 * The annotation does the work: every agent gives such endpoints no new connections while there are others. Waiting
 * only looks. The node of an endpoint tracks all flows to it, whichever node they came in by.
 */
import { parseList } from '../core/annotations.ts';
import { agentAnnotation } from '../core/agent-annotations.ts';
import type {
  EndpointSliceObject,
  ObjectKey,
  ServiceObject,
  SliceEndpoint,
  TransportProtocol,
} from '../core/objects.ts';
import type { ConntrackEntry } from './conntrack/entries.ts';
import { canonical, familyOf, sortedSet } from './decide/addresses.ts';
import { isDrained, serviceOptions } from './decide/annotations.ts';
import { fitnessOf } from './decide/endpoints.ts';

export type DrainTarget =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'pod'; readonly name: string }
  | { readonly kind: 'node'; readonly name: string };

/** `pod/NAME`, `node/NAME` or an address; undefined for anything else. */
export function parseDrainTarget(text: string): DrainTarget | undefined {
  const [, kind, name = ''] = /^(pod|node)\/([a-z0-9.-]+)$/u.exec(text) ?? [];
  if (kind === 'pod' || kind === 'node') return { kind, name };
  const family = familyOf(text);
  const address = family && canonical(text, family);
  return address === undefined ? undefined : { kind: 'address', address };
}

/** A slice, with the names of the pods behind its endpoints by address. */
export interface NamedSlice {
  readonly slice: EndpointSliceObject;
  readonly pods: ReadonlyMap<string, string>;
}

export interface DrainedService {
  readonly service: ObjectKey;
  /** Parts of the annotation that stand for the target. */
  readonly entries: readonly string[];
  /** `address port`, by protocol. */
  readonly sockets: Readonly<Record<TransportProtocol, readonly string[]>>;
  /** Some ready endpoint is not drained: new connections have somewhere to go. */
  readonly others: boolean;
  /** Those of the entries that the annotation does not have yet: these endpoints still get new connections. */
  readonly unmarked: readonly string[];
}

/** The Services that have the target among their endpoints. */
export function drainedServices(
  target: DrainTarget,
  services: readonly ServiceObject[],
  slices: readonly NamedSlice[],
): readonly DrainedService[] {
  const byService = Map.groupBy(slices, ({ slice }) => slice.service);
  return services.flatMap((service): readonly DrainedService[] => {
    const { drain } = serviceOptions(service).options;
    const entries: string[] = [];
    const sockets: Record<TransportProtocol, string[]> = { TCP: [], UDP: [], SCTP: [] };
    let others = false;
    const unmarked: string[] = [];
    for (const named of byService.get(service.key) ?? []) {
      for (const endpoint of named.slice.endpoints) {
        const address = addressIn(named.slice, endpoint);
        if (address === undefined) continue;
        if (!isTarget(target, address, endpoint, named.pods)) {
          others ||= fitnessOf(endpoint) === 'ready' && !isDrained(drain, address, endpoint);
          continue;
        }
        const entry = target.kind === 'node' ? `node:${target.name}` : address;
        entries.push(entry);
        if (!isDrained(drain, address, endpoint)) unmarked.push(entry);
        for (const { port, protocol } of named.slice.ports)
          if (port !== undefined) sockets[protocol].push(`${address} ${port}`);
      }
    }
    if (entries.length === 0) return [];
    return [
      { service: service.key, entries: sortedSet(entries), sockets, others, unmarked: sortedSet(unmarked) },
    ];
  });
}

/** The Services whose annotation names the target, also where it is among their endpoints no more. */
export function markedServices(
  target: DrainTarget,
  services: readonly ServiceObject[],
): readonly Pick<DrainedService, 'service' | 'entries'>[] {
  const entry =
    target.kind === 'node' ? `node:${target.name}` : target.kind === 'address' ? target.address : undefined;
  if (entry === undefined) return [];
  return services
    .filter(({ annotations }) => parseList(annotations[drainAnnotation] ?? '').includes(entry))
    .map(({ key }) => ({ service: key, entries: [entry] }));
}

function addressIn({ addressType }: EndpointSliceObject, { addresses }: SliceEndpoint): string | undefined {
  return addressType === 'FQDN' ? undefined : canonical(addresses[0] ?? '', addressType);
}

function isTarget(
  target: DrainTarget,
  address: string,
  { nodeName }: SliceEndpoint,
  pods: ReadonlyMap<string, string>,
): boolean {
  switch (target.kind) {
    case 'address':
      return address === target.address;
    case 'node':
      return nodeName === target.name;
    case 'pod':
      return pods.get(address) === target.name;
  }
}

/** The annotation with these parts, or without them: what else stands in it stays. Null: it is to go. */
export function drainText(
  text: string | undefined,
  entries: readonly string[],
  undo: boolean,
): string | null {
  const held = parseList(text ?? '');
  const next = undo
    ? held.filter((part) => !entries.includes(part))
    : [...held, ...entries.filter((part) => !held.includes(part))];
  return next.length === 0 ? null : next.join(', ');
}

export const drainAnnotation = agentAnnotation.drain.key;

/** TCP connections that are over: the kernel only remembers them for a while. */
const over: ReadonlySet<string> = new Set(['TIME_WAIT', 'CLOSE', 'LAST_ACK']);

/** Whether a tracked flow is answered by one of the sockets (`address port`), and still open. */
export function isOpenTo(sockets: ReadonlySet<string>, entry: ConntrackEntry): boolean {
  return sockets.has(`${entry.replySource} ${entry.replyPort}`) && !over.has(entry.state ?? '');
}
