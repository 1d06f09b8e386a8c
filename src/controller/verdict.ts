/**
 * Turns what a pass found into what the user is told: the four conditions and at most one event that asks
 * for attention. Pure.
 *
 * Messages are stable while the situation is (no request ids, no counters that only run), so that an
 * unchanged situation is never written twice.
 */
import type { ConditionDraft, OwnConditionType } from '../core/conditions.ts';
import type { SluiceError } from '../core/errors.ts';
import type { Step, Wait } from '../core/plan.ts';
import { listProblems, type Problem } from '../core/problems.ts';
import type { Address, TargetsReport } from '../core/provider.ts';
import type { ReasonCode } from '../core/reasons.ts';
import type { EventNote } from './cluster.ts';

export interface Failure {
  readonly step: Step;
  readonly error: SluiceError;
}

export interface Facts {
  readonly problems: readonly Problem[];
  readonly address: Address;
  readonly targets: TargetsReport;
  /** A read or an unexpected failure that ended the pass before or beside the steps. */
  readonly error: SluiceError | undefined;
  readonly failures: readonly Failure[];
  readonly held: readonly string[];
  readonly waits: readonly Wait[];
  /** What would have been done, where a mode or policy forbids doing it. */
  readonly withheld:
    | { readonly reason: 'Paused' | 'PlanOnly' | 'DriftReported'; readonly steps: readonly Step[] }
    | undefined;
  /** Short hash of the settings that are in force when everything succeeded. */
  readonly settings: string;
}

export interface Verdict {
  readonly drafts: readonly ConditionDraft[];
  readonly warning: (EventNote & { readonly signature: string }) | undefined;
}

const longestMessage = 1_000;

export function judge(facts: Facts): Verdict {
  const drafts = [accepted(facts), provisioned(facts), targetsReady(facts), inSync(facts)];
  return { drafts: drafts.filter((each) => each !== undefined), warning: warningOf(facts) };
}

function accepted({ problems }: Facts): ConditionDraft {
  const errors = problems.filter((problem) => problem.severity === 'error');
  const first = errors[0];
  if (first) return draft('Accepted', 'False', first.reason, listProblems(problems));
  const mild = problems[0];
  if (mild) return draft('Accepted', 'True', mild.reason, listProblems(problems));
  return draft('Accepted', 'True', 'Accepted', 'All settings are understood and have an effect');
}

function provisioned({ address, failures, error, problems }: Facts): ConditionDraft {
  switch (address.kind) {
    case 'ready':
      return draft('Provisioned', 'True', 'Active', `Reachable at ${names(address)}`);
    case 'pending':
      return draft('Provisioned', 'False', address.reason ?? 'Provisioning', address.message);
    case 'failed':
      return draft(
        'Provisioned',
        'False',
        failures[0]?.error.reason ?? 'SyncLoadBalancerFailed',
        address.message,
      );
    case 'none': {
      const failed = failures[0]?.error ?? error;
      if (failed) return draft('Provisioned', 'False', reasonOfError(failed), describeError(failed));
      const refused = problems.find((problem) => problem.severity === 'error');
      if (refused)
        return draft(
          'Provisioned',
          'False',
          refused.reason,
          'Nothing is provisioned until the Service is accepted',
        );
      return draft('Provisioned', 'False', 'Provisioning', 'Nothing is provisioned yet');
    }
  }
}

function targetsReady({ targets, address, waits, withheld }: Facts): ConditionDraft | undefined {
  // While paused nobody looks: what was said last stands.
  if (address.kind === 'none' || withheld?.reason === 'Paused') return undefined;
  const groups = targets.groups;
  const text = groups
    .map(
      ({ listener, healthy, total, reason }) =>
        `${listener}: ${healthy} of ${total} healthy${reason ? ` (${reason})` : ''}`,
    )
    .join('; ');
  const empty = waits.find((wait) => wait.reason === 'UnAvailableLoadBalancer');
  if (empty && groups.every(({ total }) => total === 0)) {
    return draft('TargetsReady', 'False', 'UnAvailableLoadBalancer', empty.message);
  }
  if (groups.length === 0)
    return draft('TargetsReady', 'Unknown', 'TargetsRegistering', 'No targets are registered yet');
  const dark = groups.filter(({ healthy }) => healthy === 0);
  if (dark.length === 0) return draft('TargetsReady', 'True', 'TargetsHealthy', text);
  if (dark.some(({ settling }) => settling))
    return draft('TargetsReady', 'False', 'TargetsRegistering', text);
  return draft(
    'TargetsReady',
    'False',
    dark.length === groups.length ? 'NoHealthyTargets' : 'SomeTargetsUnhealthy',
    text,
  );
}

function inSync(facts: Facts): ConditionDraft {
  const { failures, error, held, withheld, problems, waits, settings, address } = facts;
  const failed = failures[0]?.error ?? error;
  // Beside a failure it would be too much to say that all else is in force.
  const kept =
    withheld && !(failed && withheld.reason === 'DriftReported')
      ? inSyncWithheld(withheld, settings)
      : undefined;
  if (kept) return kept;
  if (failed) {
    const more = failures.length - (failures[0] ? sameRefusal(failures, failures[0]).length : 1);
    const others = more > 0 ? ` (and ${more} more)` : '';
    const what = failures[0] ? `${failures[0].step.subject}: ${leftOut(failures, failures[0])}` : '';
    return draft('InSync', 'False', reasonOfError(failed), `${what}${describeError(failed)}${others}`);
  }
  if (held[0] !== undefined) return draft('InSync', 'False', 'RemovalHeld', held.join('; '));
  const refused = problems.find((problem) => problem.severity === 'error');
  if (refused)
    return draft(
      'InSync',
      'False',
      refused.reason,
      address.kind === 'none'
        ? 'Nothing is provisioned until the Service is accepted'
        : 'Only targets are kept up to date until the Service is accepted',
    );
  const wait = waits.find(({ reason }) => reason === 'HandingOver');
  if (wait) return draft('InSync', 'False', wait.reason, wait.message);
  return draft(
    'InSync',
    'True',
    'InSync',
    `All that the Service asks for is in force (settings ${settings})`,
  );
}

/** What a mode or policy keeps from being done; undefined where that is nothing. */
function inSyncWithheld(
  { reason, steps }: NonNullable<Facts['withheld']>,
  settings: string,
): ConditionDraft | undefined {
  switch (reason) {
    case 'Paused':
      return draft(
        'InSync',
        'Unknown',
        reason,
        'What exists is left as it is, and not looked at, until annotation sluice.dev/paused is removed',
      );
    case 'PlanOnly':
      if (steps.length === 0) return draft('InSync', 'True', reason, 'Plan only: nothing is to be done');
      return draft('InSync', 'False', reason, listSteps(steps));
    case 'DriftReported':
      if (steps.length === 0) return undefined;
      return draft(
        'InSync',
        'False',
        reason,
        `All else is in force (settings ${settings}); ${listSteps(steps)}`,
      );
  }
}

/**
 * Reads the settings hash back out of an `InSync` condition, so that a restart need not compare everything,
 * and does not take drift that is only reported for work of ours that was never done.
 */
export function settingsInForce(
  condition: { readonly status: string; readonly reason: string; readonly message: string } | undefined,
): string | undefined {
  if (condition === undefined || (condition.status !== 'True' && condition.reason !== 'DriftReported'))
    return undefined;
  return /^All (?:that the Service asks for|else) is in force \(settings (\S+)\)/.exec(
    condition.message,
  )?.[1];
}

function warningOf({ address, failures, error, held, problems, withheld }: Facts): Verdict['warning'] {
  const failure = failures.find((one) => !isWaiting(one.error));
  const failed = failure?.error ?? (error && !isWaiting(error) ? error : undefined);
  if (failed) {
    const what = failure
      ? `${failure.step.operation} for ${failure.step.subject}: ${leftOut(failures, failure)}`
      : '';
    const reason: ReasonCode =
      failure?.step.effect.kind === 'addTargets' || failure?.step.effect.kind === 'removeTargets'
        ? 'UpdateLoadBalancerFailed'
        : 'SyncLoadBalancerFailed';
    return warning(
      reason,
      'Provision',
      `${what}${describeError(failed, failure?.step.operation)}`,
      failed.code,
    );
  }
  const first = problems.find((problem) => problem.severity === 'error') ?? problems[0];
  if (first) return warning(first.reason, 'Validate', listProblems(problems), listProblems(problems));
  if (address.kind === 'pending' && address.reason !== undefined)
    return warning(address.reason, 'Provision', address.message, address.message);
  if (held[0] !== undefined) return warning('RemovalHeld', 'UpdateTargets', held.join('; '), held.join('; '));
  if (withheld && withheld.steps.length > 0) {
    const steps = listSteps(withheld.steps);
    const told = warning(withheld.reason, 'Plan', steps, steps);
    // A plan that was asked for is the answer to it, not a complaint.
    return withheld.reason === 'PlanOnly' ? { ...told, type: 'Normal' } : told;
  }
  return undefined;
}

/** The pieces of a batch that were refused for one and the same reason: one failure to people. */
function sameRefusal(failures: readonly Failure[], { step, error }: Failure): readonly Failure[] {
  return failures.filter(
    (other) =>
      other.step.subject === step.subject &&
      other.step.operation === step.operation &&
      other.error.code === error.code,
  );
}

/** How many targets a quota keeps out; empty where that is not what failed. */
function leftOut(failures: readonly Failure[], failure: Failure): string {
  if (failure.error.kind !== 'quota') return '';
  const count = sameRefusal(failures, failure).reduce(
    (sum, { step: { effect } }) => sum + (effect.kind === 'addTargets' ? effect.count : 0),
    0,
  );
  if (count === 0) return '';
  return count === 1 ? '1 target is not registered: ' : `${count} targets are not registered: `;
}

/** Throttled and busy answers are waited out, not reported: they are nobody's mistake. */
export function isWaiting(error: SluiceError): boolean {
  return error.kind === 'throttled' || error.kind === 'busy';
}

export function reasonOfError(error: SluiceError): ReasonCode {
  if (error.reason !== undefined) return error.reason;
  switch (error.kind) {
    case 'throttled':
      return 'Throttled';
    case 'busy':
      return 'Busy';
    case 'denied':
      return 'AccessDenied';
    case 'quota':
      return 'QuotaExceeded';
    case 'invalid':
      return 'CloudRefused';
    case 'bug':
      return 'InternalError';
    case 'gone':
    case 'conflict':
    case 'ambiguous':
    case 'transient':
      return 'SyncLoadBalancerFailed';
  }
}

/**
 * What failed, with the other side's own names for the call and the code, each once.
 *
 * @param named the call that was named already.
 */
export function describeError({ action, code, message }: SluiceError, named?: string): string {
  const told = action === undefined || action === named || message.includes(action);
  const call = told ? '' : `${action}: `;
  return `${call}${message}${message.includes(code) ? '' : ` (${code})`}`;
}

/** A plan in one line: for a condition or an event of a Service in plan-only mode. */
export function listSteps(steps: readonly Step[]): string {
  const calls = steps.map((step) => `${step.operation} ${step.subject} (${step.reason})`).join('; ');
  return `${steps.length} ${steps.length === 1 ? 'call' : 'calls'} withheld: ${calls}`;
}

function names(address: Extract<Address, { kind: 'ready' }>): string {
  return address.ingress.map((entry) => entry.hostname ?? entry.ip ?? '').join(', ');
}

function draft(
  type: OwnConditionType,
  status: ConditionDraft['status'],
  reason: ReasonCode,
  message: string,
): ConditionDraft {
  return { type, status, reason, message: cut(message) };
}

function warning(
  reason: ReasonCode,
  action: string,
  note: string,
  signature: string,
): NonNullable<Verdict['warning']> {
  return { type: 'Warning', reason, action, note: cut(note), signature: `${reason} ${signature}` };
}

function cut(text: string): string {
  return text.length <= longestMessage ? text : `${text.slice(0, longestMessage - 1)}…`;
}
