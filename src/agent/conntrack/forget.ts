/** What a change of destinations asks of the connection tracking table. */
import { retiredBy, type Destinations } from '../slice-facts.ts';
import type { ConntrackReconciler } from './reconcile.ts';

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
