/** Destinations in the kernel that no decision has any more (pure): what an earlier run of ours has left. */
import type { TransportProtocol } from '../../core/objects.ts';
import type { Left } from '../backend.ts';
import type { Decision } from '../decision.ts';
import { dispatchMaps } from './chains.ts';
import { destinationsOf } from './compare.ts';
import type { Listed } from './listing.ts';
import { protocolNumbers } from './words.ts';

const protocols = new Map(
  Object.entries(protocolNumbers).map(([name, number]) => [String(number), name as TransportProtocol]),
);

/** Of a listing that has not been used up yet. */
export function leftBehind(listed: Listed, decisions: Iterable<Decision>): Left[] {
  const wanted = { address: new Set<string>(), port: new Set<string>() };
  for (const decision of decisions) {
    for (const [place, key] of destinationsOf(decision)) wanted[place].add(key);
  }
  const left: Left[] = [];
  for (const place of ['address', 'port'] as const) {
    for (const key of listed.sets.get(dispatchMaps[place])?.elements.keys() ?? []) {
      if (wanted[place].has(key)) continue;
      const parts = key.split(' . ');
      const [port, protocol, address] = parts.toReversed();
      const name = protocols.get(protocol ?? '');
      if (name !== undefined && port !== undefined)
        left.push({ protocol: name, address, port: Number(port) });
    }
  }
  return left;
}
