/**
 * What is wrong with a Service or a settings file, as data.
 *
 * A parser never throws and never stops at the first mistake: it returns every problem with the object's
 * field, what is wrong with it and the cure, so that a user mends all of them in one go.
 */
import type { ReasonCode } from './reasons.ts';

export interface Problem {
  /** An `error` keeps the Service from being provisioned; a `warning` says that something has no effect. */
  readonly severity: 'error' | 'warning';
  readonly reason: ReasonCode;
  /** Where, as a path: `metadata.annotations["…"]`, `spec.ports[1].protocol`, `providers.aws.region`. */
  readonly field: string;
  /** What is wrong, quoting the value found. One sentence, no trailing full stop. */
  readonly message: string;
  /** What to do about it. One sentence, no trailing full stop. */
  readonly cure: string;
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === 'error');
}

export function annotationField(key: string): string {
  return `metadata.annotations["${key}"]`;
}

/** One line for a condition, an event or a terminal. */
export function describeProblem(problem: Problem): string {
  return `${problem.field}: ${problem.message}; ${problem.cure}`;
}

/** All of them in one line. */
export function listProblems(problems: readonly Problem[]): string {
  return problems.map(describeProblem).join(' | ');
}
