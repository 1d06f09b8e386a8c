/** What has to be asked of the kernel so that addresses stand, and when it is ready to answer for them. */
import { sleep, type Clock } from '../../../core/clock.ts';
import type { Kernel } from './kernel.ts';
import type { LinkTable } from './link-table.ts';
import type { Request } from './netlink.ts';
import type { Placement } from './placements.ts';
import { findRoute, leadsHere, putAddress, setArp, type ArpSettings } from './rtnetlink.ts';
import { obstacle } from './troubles.ts';

export interface PutUp {
  /** Those that can be put up, each with its link. */
  readonly put: readonly { readonly placement: Placement; readonly link: number }[];
  /** One for each of `put`, in their order. */
  readonly requests: readonly Request[];
  /** Of links that do not treat ARP yet as they must. */
  readonly arp: readonly {
    readonly link: number;
    readonly settings: ArpSettings;
    readonly request: Request;
  }[];
}

/** Placements that stand nowhere; one that cannot be put up learns why. */
export function planPutUp(placements: Iterable<Placement>, table: LinkTable, lifetimeSeconds: number): PutUp {
  const put: { placement: Placement; link: number }[] = [];
  const requests: Request[] = [];
  const arp = new Map<number, ArpSettings>();
  for (const placement of placements) {
    if (placement.link !== undefined) continue;
    const link = table.named(placement.linkName);
    const trouble = obstacle(placement, link, table.ownOf(placement.key));
    if (trouble !== undefined || link === undefined) {
      placement.trouble = trouble;
      continue;
    }
    const { index } = link;
    const { announce, ignore } = link.arp ?? { announce: 0, ignore: 0 };
    // A stricter setting of somebody else stays.
    if (announce < 2 || ignore < 1) arp.set(index, { announce: 2, ignore: Math.max(1, ignore) });
    const how = table.bearsOurs(placement.key, index) ? 'renew' : 'fresh';
    requests.push(putAddress({ address: placement.bytes, link: index }, lifetimeSeconds, how));
    put.push({ placement, link: index });
  }
  return {
    put,
    requests,
    arp: [...arp].map(([link, settings]) => ({ link, settings, request: setArp(link, settings) })),
  };
}

const everyMs = 2;
const turns = 50;

/**
 * Waits until the kernel takes packets for new IPv6 addresses, a tenth of a second at most. It makes them fit for use a
 * little after it has said yes; a neighbour whose word came in between would be heard again only after a second.
 *
 * @throws SluiceError where the child ended.
 */
export async function untilTaken(
  kernel: Pick<Kernel, 'find'>,
  clock: Clock,
  addresses: readonly Buffer[],
): Promise<void> {
  let asked = addresses.filter(({ length }) => length === 16);
  for (let turn = 0; asked.length > 0 && turn < turns; turn += 1) {
    if (turn > 0) await sleep(clock, everyMs);
    const routes = await kernel.find(asked.map(findRoute));
    asked = asked.filter((_, i) => {
      const route = routes[i];
      return route === undefined || !leadsHere(route);
    });
  }
}
