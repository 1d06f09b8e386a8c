/** Destinations in our sets that no decision has any more (pure): what an earlier run of ours has left. */
import type { TransportProtocol } from '../../core/objects.ts';
import type { Left } from '../backend.ts';
import type { SetName } from './names.ts';

const protocols: Readonly<Record<string, TransportProtocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };

/** @param entries of that set, as the kernel has them and we no longer want them. */
export function leftBehind(name: SetName, entries: readonly string[]): Left[] {
  if (name !== 'DST' && name !== 'NP') return [];
  const found = new Map<string, Left>();
  for (const entry of entries) {
    const [, address = '', protocol = '', port = ''] = /^(.+),(tcp|udp|sctp):(\d+)$/.exec(entry) ?? [];
    const spoken = protocols[protocol];
    if (spoken === undefined) continue;
    const left = { protocol: spoken, address: name === 'DST' ? address : undefined, port: Number(port) };
    // Node ports have an entry for each half of all addresses.
    found.set(`${left.address ?? ''} ${protocol} ${port}`, left);
  }
  return [...found.values()];
}
