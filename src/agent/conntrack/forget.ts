/** What a change of destinations asks of the connection tracking table. */
import type { Left } from '../backend.ts';
import { retiredBy, type Destinations } from '../slice-facts.ts';
import type { ConntrackReconciler } from './reconcile.ts';
import type { Tracked } from './table.ts';

/** Has tracked flows looked at that a change may have made stale. */
export function forget(
  reconciler: ConntrackReconciler | undefined,
  before: Destinations | undefined,
  after: Destinations | undefined,
): void {
  const retired = before && retiredBy(before, after);
  if (retired) reconciler?.retire(retired);
  else reconciler?.request();
}

/** Forgets the flows of a destination that an earlier run of ours served and that nobody serves now. */
export function retire(
  reconcilers: ReadonlyMap<Tracked, ConntrackReconciler>,
  { protocol, address, port }: Left,
): void {
  const reconciler = protocol === 'SCTP' ? undefined : reconcilers.get(protocol === 'UDP' ? 'udp' : 'tcp');
  reconciler?.retire(
    address === undefined
      ? { addresses: [], port: 0, nodePort: port }
      : { addresses: [address], port, nodePort: 0 },
  );
}
