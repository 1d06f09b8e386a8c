/** From counting elements to one row for each port of a Service (pure). */
import type { IpFamily, ObjectKey, TransportProtocol } from '../../core/objects.ts';
import type { Decision, DecisionKey } from '../decision.ts';
import { countingSets, type Counted, type CounterMode, type DropReason } from './layout.ts';
import { destinationId, readElement, type Wanted } from './table.ts';
import type { Listed } from '../nftables/listing.ts';

export type Counts = { -readonly [What in Counted]: number };

export function noCounts(): Counts {
  return {
    connections: 0,
    NoEndpoints: 0,
    NoLocalEndpoints: 0,
    OutsideSourceRanges: 0,
    'bytes-in': 0,
    'bytes-out': 0,
  };
}

/** One port of a Service in one family, as people and machines are told of it. */
export interface CounterRow {
  readonly service: ObjectKey;
  readonly port: { readonly name: string; readonly number: number; readonly protocol: TransportProtocol };
  readonly family: IpFamily;
  /** New connections that were given an endpoint. */
  readonly connections: number;
  /** New connections that were not, by reason; what is tried again counts again. */
  readonly dropped: Readonly<Record<DropReason, number>>;
  /** Of whole IP packets, to the Service and back; null where they are not counted. */
  readonly bytes: { readonly in: number; readonly out: number } | null;
}

/** Adds up what is listed, by decision. Elements that belong to nobody (any more) are left out. */
export function countsOf(listed: Listed, wanted: Wanted, mode: CounterMode): Map<DecisionKey, Counts> {
  const found = new Map<DecisionKey, Counts>();
  for (const { set, place, counted } of countingSets(mode)) {
    for (const text of listed.sets.get(set)?.elements.keys() ?? []) {
      const { key, packets, bytes } = readElement(text);
      const owner = wanted.get(destinationId({ place, key }))?.owner;
      if (owner === undefined || packets === 0) continue;
      const by = counted === 'bytes-in' || counted === 'bytes-out' ? bytes : packets;
      let counts = found.get(owner);
      if (counts === undefined) found.set(owner, (counts = noCounts()));
      counts[counted] += by;
    }
  }
  return found;
}

export function plus(a: Counts, b: Counts): Counts {
  return {
    connections: a.connections + b.connections,
    NoEndpoints: a.NoEndpoints + b.NoEndpoints,
    NoLocalEndpoints: a.NoLocalEndpoints + b.NoLocalEndpoints,
    OutsideSourceRanges: a.OutsideSourceRanges + b.OutsideSourceRanges,
    'bytes-in': a['bytes-in'] + b['bytes-in'],
    'bytes-out': a['bytes-out'] + b['bytes-out'],
  };
}

export function rowOf(decision: Decision, counts: Counts, mode: CounterMode): CounterRow {
  const { NoEndpoints, NoLocalEndpoints, OutsideSourceRanges } = counts;
  return {
    service: decision.service,
    port: { name: decision.portName, number: decision.port, protocol: decision.protocol },
    family: decision.family,
    connections: counts.connections,
    dropped: { NoEndpoints, NoLocalEndpoints, OutsideSourceRanges },
    bytes: mode === 'bytes' ? { in: counts['bytes-in'], out: counts['bytes-out'] } : null,
  };
}
