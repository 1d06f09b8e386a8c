/** What the agent tells, for logs, metrics and events. */
import type { SluiceError } from '../core/errors.ts';
import type { IpFamily, ObjectKey } from '../core/objects.ts';
import type { Problem } from '../core/problems.ts';
import type { ConntrackReport } from './conntrack/reconcile.ts';
import type { Conflict } from './decide/claims.ts';
import type { Finding } from './preflight.ts';
import type { SyncReport } from './sync-report.ts';

/** What is heard of the agent. None of these may throw. */
export interface AgentTelemetry {
  sync(event: SyncReport): void;
  conntrack(event: ConntrackReport): void;
  changes(kind: 'services' | 'slices', count: number): void;
  queued(family: IpFamily): void;
  /** A change is in the kernel: so long after it was heard of, and after what triggered it, where that is known. */
  programmed(
    family: IpFamily,
    times: { readonly heardMs: number; readonly triggeredMs: number | undefined },
  ): void;
  healthPortFailed(service: ObjectKey, address: string, port: number, error: SluiceError): void;
  found(finding: Finding & { readonly service?: ObjectKey }): void;
  addresses(count: number): void;
  /** All that a Service says and that cannot be done as it says it, whenever that is something else; none any more. */
  problems(service: ObjectKey, problems: readonly Problem[]): void;
  /** Two Services ask for one destination. */
  conflict(conflict: Conflict): void;
}
