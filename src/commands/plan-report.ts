/**
 * A plan as people read it and as scripts do. Pure: previews in, text or plain data out.
 *
 * The JSON form is a promise (issue form `sluice.dev/v1alpha1` Plan): operations and parameters are exactly
 * those of the cloud's API, and a value that is not known yet is `{"$ref": "<step>.<Field>"}`.
 */
import type { Preview } from '../controller/preview.ts';
import type { Json, Step } from '../core/plan.ts';
import type { Problem } from '../core/problems.ts';
import type { Style } from './shell.ts';

export interface PlanDocument {
  readonly apiVersion: 'sluice.dev/v1alpha1';
  readonly kind: 'Plan';
  readonly services: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly provider: string | null;
    /** Why the Service is served, or not. */
    readonly claim: string;
    readonly mode: string;
    readonly problems: readonly Problem[];
    readonly wanted: unknown;
    readonly steps: readonly PlannedStep[];
    readonly waits: Preview['plan']['waits'];
    readonly excluded: Preview['excluded'];
  }[];
}

export interface PlannedStep {
  readonly id: string;
  readonly operation: string;
  readonly parameters: Step['parameters'];
  readonly subject: string;
  readonly reason: string;
  readonly risk: Step['risk'];
  /** Why the guard would hold it back; null where it would not. */
  readonly held: string | null;
}

export function planDocument(previews: readonly Preview[]): PlanDocument {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Plan',
    services: previews.map((preview) => ({
      namespace: preview.service.namespace,
      name: preview.service.name,
      provider: preview.provider ?? null,
      claim: preview.claim,
      mode: preview.mode,
      problems: preview.problems,
      wanted: preview.wanted ?? null,
      steps: plannedSteps(preview),
      waits: preview.plan.waits,
      excluded: preview.excluded,
    })),
  };
}

/** The steps of a plan as they are printed. */
export function plannedSteps(preview: Pick<Preview, 'plan' | 'held'>): readonly PlannedStep[] {
  const heldBecause = new Map(preview.held.map(({ step, message }) => [step.id, message]));
  return preview.plan.steps.map(({ id, operation, parameters, subject, reason, risk }) => ({
    id,
    operation,
    parameters,
    subject,
    reason,
    risk,
    held: heldBecause.get(id) ?? null,
  }));
}

/** 0 nothing to do, 2 changes, 1 any problem. */
export function planExitCode(document: PlanDocument): 0 | 1 | 2 {
  if (document.services.some(({ problems }) => problems.length > 0)) return 1;
  return document.services.some(({ steps }) => steps.length > 0) ? 2 : 0;
}

/** Adds (`+`), changes (`~`) or takes away (`-`), told by the verb that the API uses. */
export function sign(operation: string): '+' | '~' | '-' {
  if (/^(Create|Register|Add|Assign)/i.test(operation)) return '+';
  if (/^(Delete|Deregister|Remove|Release)/i.test(operation)) return '-';
  return '~';
}

const styles: Readonly<Record<'+' | '~' | '-', Style>> = { '+': 'green', '~': 'yellow', '-': 'red' };

export function planText(document: PlanDocument, paint: (style: Style, text: string) => string): string {
  const lines: string[] = [];
  for (const service of document.services) {
    const { steps } = service;
    const count =
      steps.length === 0 ? 'no changes' : `${steps.length} ${steps.length === 1 ? 'call' : 'calls'}`;
    const title = `${service.namespace}/${service.name}`;
    if (service.provider === null) {
      lines.push(`${paint('bold', title)}  ${service.claim}`);
      for (const problem of service.problems) lines.push(...problemLines(problem, paint));
      lines.push('');
      continue;
    }
    const mode = service.mode === 'apply' ? '' : ` [${service.mode}]`;
    lines.push(`${paint('bold', title)}  on ${service.provider}: ${count}${mode}`);
    for (const problem of service.problems) lines.push(...problemLines(problem, paint));
    for (const step of steps) lines.push(...stepLines(step, paint));
    for (const wait of service.waits) lines.push(`    … ${wait.message}`);
    for (const { node, message } of service.excluded)
      lines.push(paint('dim', `    node ${node} is no target: ${message.replace(`node ${node} `, 'it ')}`));
    lines.push('');
  }
  lines.push(summary(document));
  return `${lines.join('\n')}\n`;
}

export function problemLines(
  problem: Problem,
  paint: (style: Style, text: string) => string,
): readonly string[] {
  const style = problem.severity === 'error' ? 'red' : 'yellow';
  return [
    `    ${paint(style, `${problem.severity}: ${problem.field}`)}`,
    `      ${problem.message}; ${problem.cure} [${problem.reason}]`,
  ];
}

export function stepLines(
  step: PlannedStep,
  paint: (style: Style, text: string) => string,
): readonly string[] {
  const mark = sign(step.operation);
  const risk = step.risk === 'none' ? '' : `  ${paint('red', `! ${step.risk}`)}`;
  const held = step.held === null ? [] : [`      ${paint('yellow', `held back: ${step.held}`)}`];
  return [
    `  ${paint(styles[mark], mark)} ${step.operation}  ${step.subject}${risk}`,
    `      ${paint('dim', `because ${step.reason}`)}`,
    ...held,
    ...Object.entries(step.parameters)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `      ${name}: ${valueText(value)}`),
  ];
}

function valueText(value: Json | undefined): string {
  if (value === undefined || value === null) return 'null';
  if (typeof value !== 'object') return String(value);
  if ('$ref' in value && typeof value['$ref'] === 'string') return `(known after ${value['$ref']})`;
  if (Array.isArray(value)) {
    const pairs = value.map(pairText);
    if (pairs.every((pair) => pair !== undefined)) return pairs.join(', ');
    return `[${value.map((part: Json) => valueText(part)).join(', ')}]`;
  }
  const parts = Object.entries(value).filter(([, part]) => part !== undefined);
  return `{${parts.map(([name, part]) => `${name}: ${valueText(part as Json)}`).join(', ')}}`;
}

/** Tags and attributes are lists of `{Key, Value}`: shown as `key=value`. */
function pairText(value: Json): string | undefined {
  if (typeof value !== 'object' || value === null || !('Key' in value) || !('Value' in value))
    return undefined;
  return `${valueText(value['Key'])}=${valueText(value['Value'])}`;
}

function summary({ services }: PlanDocument): string {
  const steps = services.flatMap((service) => service.steps);
  const counts = (['+', '~', '-'] as const).map(
    (mark) => steps.filter(({ operation }) => sign(operation) === mark).length,
  );
  const problems = services.flatMap((service) => service.problems);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const trouble =
    problems.length === 0
      ? ''
      : ` ${errors} ${errors === 1 ? 'error' : 'errors'}, ${problems.length - errors} ${problems.length - errors === 1 ? 'warning' : 'warnings'}.`;
  return `Plan: ${counts[0]} to add, ${counts[1]} to change, ${counts[2]} to take away, for ${services.length} ${services.length === 1 ? 'Service' : 'Services'}.${trouble}`;
}
