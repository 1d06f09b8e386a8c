/**
 * What can become of a call, and how ordered faults and the schema bear on it: the parts of the account that
 * hold no state.
 */

import { SluiceError, unreachable } from '../../../src/core/errors.ts';
import { AnswerLost, CloudError } from './errors.ts';
import type { FaultEffect } from '../../../src/core/simulated/faults.ts';
import { simulatedOperations, type Operation } from './operations.ts';
import { checkShape } from './schema/check.ts';
import { operationSchemas, type OperationSchema } from './schema/model.ts';

/** What became of a call. */
export type Outcome =
  | { readonly kind: 'answer'; readonly output: object }
  | { readonly kind: 'refusal'; readonly error: CloudError }
  /** The connection was cut. */
  | { readonly kind: 'lost' }
  /** There will never be an answer. */
  | { readonly kind: 'hang' };

/** The answer itself. Throws CloudError for a refusal, AnswerLost where none would arrive. */
export function resultOf(outcome: Outcome): object {
  if (outcome.kind === 'answer') return outcome.output;
  if (outcome.kind === 'refusal') throw outcome.error;
  throw new AnswerLost('the connection was cut before an answer arrived');
}

/** Throws InvalidAction for what ELBv2 has not, and for what is not simulated. */
export function findOperation(name: string): { operation: Operation; schema: OperationSchema } {
  const schema = operationSchemas.get(name);
  const operation = simulatedOperations.get(name);
  if (schema === undefined) throw new CloudError('InvalidAction', `Could not find operation ${name}`);
  if (operation === undefined) throw new CloudError('InvalidAction', `Operation ${name} is not simulated`);
  return { operation, schema };
}

/** Throws ValidationError with every deviation from the schema. */
export function checkInput(schema: OperationSchema, input: object): void {
  const problems = checkShape(schema.input, input);
  if (problems.length === 0) return;
  const text = problems.map(({ path, message }) => `'${path}' ${message}`).join('; ');
  throw new CloudError('ValidationError', `${problems.length} validation error(s) detected: ${text}`);
}

/** Throws a defect of the simulator if its answer does not conform. */
export function checkOutput(schema: OperationSchema, output: object): void {
  const problems = checkShape(schema.output, output);
  if (problems.length === 0) return;
  const text = problems.map(({ path, message }) => `'${path}' ${message}`).join('; ');
  throw new SluiceError('bug', `the simulated answer of ${schema.name} does not conform: ${text}`, {
    code: 'NonConformingAnswer',
    action: schema.name,
  });
}

/** The outcome of a fault that keeps the call from having any effect. */
export function earlyOutcome(effect: FaultEffect): Outcome | undefined {
  switch (effect.kind) {
    case 'error':
      return { kind: 'refusal', error: new CloudError(effect.code, effect.message, effect.httpStatus) };
    case 'throttle':
      return { kind: 'refusal', error: new CloudError(effect.code ?? 'ThrottlingException') };
    case 'lost-request':
      return { kind: 'lost' };
    case 'hang':
      return effect.when === 'after' ? undefined : { kind: 'hang' };
    case 'latency':
    case 'lost-answer':
    case 'stale':
    case 'hide-created':
    case 'empty-list':
    case 'truncated-list':
    case 'hook':
      return undefined;
    default:
      return unreachable(effect);
  }
}

/** True for a fault that lets the effect happen and keeps the answer back. */
export function swallowsAnswer(effect: FaultEffect): boolean {
  return effect.kind === 'lost-answer' || (effect.kind === 'hang' && effect.when === 'after');
}

/** Cuts the lists of an answer as ordered. */
export function shorten(output: object, effects: readonly FaultEffect[]): object {
  let keep = Number.POSITIVE_INFINITY;
  for (const effect of effects) {
    if (effect.kind === 'empty-list') keep = 0;
    if (effect.kind === 'truncated-list') keep = Math.min(keep, effect.keep);
  }
  if (keep === Number.POSITIVE_INFINITY) return output;
  return Object.fromEntries(
    Object.entries(output)
      .filter(([name]) => name !== 'NextMarker')
      .map(([name, value]) => [name, Array.isArray(value) ? value.slice(0, keep) : value]),
  );
}
