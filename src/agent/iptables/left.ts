/** Destinations in our sets that no decision has any more (pure): what an earlier run of ours has left. */
import type { TransportProtocol } from '../../core/objects.ts';
import type { Left } from '../backend.ts';
import type { Model } from './model.ts';
import type { SavedSet } from './saved.ts';

const protocols: Readonly<Record<string, TransportProtocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };

/** @param sets as the kernel has them. */
export function leftBehind(model: Model, sets: ReadonlyMap<string, SavedSet>): Left[] {
  return (['DST', 'NP'] as const).flatMap((name) => {
    const wanted = model.entriesOf(name);
    const gone = [...(sets.get(name)?.entries ?? [])].filter((entry) => !wanted.has(entry));
    return destinationsIn(gone, name === 'NP');
  });
}

function destinationsIn(entries: readonly string[], nodePorts: boolean): Left[] {
  const found = new Map<string, Left>();
  for (const entry of entries) {
    const [, address = '', protocol = '', port = ''] = /^(.+),(tcp|udp|sctp):(\d+)$/.exec(entry) ?? [];
    const spoken = protocols[protocol];
    if (spoken === undefined) continue;
    const left = { protocol: spoken, address: nodePorts ? undefined : address, port: Number(port) };
    // Node ports have an entry for each half of all addresses.
    found.set(`${left.address ?? ''} ${protocol} ${port}`, left);
  }
  return [...found.values()];
}
