/** Is the agent well? Decided from the state of its writers and of its node; pure. */
import type { NodeObject } from '../../core/objects.ts';
import type { SyncState } from '../sync-report.ts';
import type { ProxyHealth } from './answer.ts';

/** A change that has waited this long says that the kernel does not follow. kube-proxy: twice its sync period. */
export const staleAfterMs = 60_000;

/** The autoscaler of clusters taints a node that it is about to remove (KEP-3836). */
const toBeDeleted = 'ToBeDeletedByClusterAutoscaler';

export interface HealthInput {
  readonly families: readonly { readonly family: string; readonly state: SyncState }[];
  /** The node's own object; undefined while it is not known. */
  readonly node: NodeObject | undefined;
  /** Monotonic milliseconds. */
  readonly now: number;
}

/**
 * For `/healthz` the agent must have written at least once. `live` is more patient: an agent that waits for an API
 * server is not mended by a restart, and the rules of before stay in the kernel.
 */
export function judgeHealth(input: HealthInput): ProxyHealth & { readonly live: boolean } {
  const { families, node, now } = input;
  const stuck: string[] = [];
  const waiting: string[] = [];
  let lastUpdated: number | undefined;
  for (const { family, state } of families) {
    const { waitingSince, problem, badLooks, writtenAt, programmed } = state;
    const why = problem === undefined ? '' : `: ${problem.message}`;
    if (!programmed) waiting.push(`${family}: nothing has been written yet${why}`);
    if (waitingSince !== undefined && programmed && now - waitingSince > staleAfterMs)
      stuck.push(
        `${family}: a change has been waiting for ${Math.round((now - waitingSince) / 1000)} s${why}`,
      );
    if (badLooks > 1)
      stuck.push(
        `${family}: the kernel is not as it was written, ${badLooks} looks in a row; something else undoes it`,
      );
    if (writtenAt !== undefined) lastUpdated = Math.min(writtenAt, lastUpdated ?? writtenAt);
  }
  const reasons = [...stuck, ...waiting];
  return {
    healthy: reasons.length === 0,
    live: stuck.length === 0,
    reason: reasons.join('; '),
    lastUpdated,
    nodeEligible: node === undefined || isEligible(node),
  };
}

/** The node is neither being deleted nor about to be. */
export function isEligible(node: Pick<NodeObject, 'deleting' | 'taints'>): boolean {
  return !node.deleting && !node.taints.some(({ key }) => key === toBeDeleted);
}
