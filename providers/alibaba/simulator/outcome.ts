/** What can become of a call, and how ordered faults bear on it: the parts of the account that hold no state. */
import { unreachable } from '../../../src/core/errors.ts';
import { AnswerLost, CloudError } from './errors.ts';
import type { FaultEffect } from './faults.ts';

/** What became of a call. */
export type Outcome =
  | { readonly kind: 'answer'; readonly output: object; readonly requestId: string }
  | {
      readonly kind: 'refusal';
      readonly error: CloudError;
      readonly requestId: string;
      readonly retryAfterMs: number | undefined;
    }
  /** An answer that is not the cloud's. */
  | { readonly kind: 'html'; readonly status: number }
  /** The connection was cut. */
  | { readonly kind: 'lost' }
  /** There will never be an answer. */
  | { readonly kind: 'hang' };

/** The answer itself. Throws CloudError for a refusal, AnswerLost where none would arrive. */
export function resultOf(outcome: Outcome): object {
  if (outcome.kind === 'answer') return outcome.output;
  if (outcome.kind === 'refusal') throw outcome.error;
  throw new AnswerLost('no answer of the cloud arrived');
}

const gatewayStatus = 502;

/** The outcome of a fault that keeps the call from having any effect. */
export function earlyOutcome(effect: FaultEffect, requestId: string): Outcome | undefined {
  const refusal = (error: CloudError, retryAfterMs?: number): Outcome => ({
    kind: 'refusal',
    error,
    requestId,
    retryAfterMs,
  });
  switch (effect.kind) {
    case 'error':
      return refusal(new CloudError(effect.code, effect.message, effect.httpStatus));
    case 'error-in-answer':
      return refusal(new CloudError(effect.code, effect.message, 200));
    case 'throttle':
      return refusal(
        new CloudError(effect.code ?? 'Throttling.User', 'Request was denied due to user flow control'),
        effect.retryAfterMs,
      );
    case 'html':
      return effect.when === 'after' ? undefined : { kind: 'html', status: effect.status ?? gatewayStatus };
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

/** The outcome of a fault that lets the effect happen and keeps the answer back. */
export function lateOutcome(effect: FaultEffect): Outcome | undefined {
  if (effect.kind === 'lost-answer') return { kind: 'lost' };
  if (effect.kind === 'hang' && effect.when === 'after') return { kind: 'hang' };
  if (effect.kind === 'html' && effect.when === 'after') {
    return { kind: 'html', status: effect.status ?? gatewayStatus };
  }
  return undefined;
}

/** Cuts the lists of an answer as ordered, as if there were no more. */
export function shorten(output: object, effects: readonly FaultEffect[]): object {
  let keep = Number.POSITIVE_INFINITY;
  for (const effect of effects) {
    if (effect.kind === 'empty-list') keep = 0;
    if (effect.kind === 'truncated-list') keep = Math.min(keep, effect.keep);
  }
  if (keep === Number.POSITIVE_INFINITY) return output;
  const cut: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(output)) {
    if (name === 'NextToken') continue;
    cut[name] = shortened(value, keep);
    if (name === 'TotalCount') cut[name] = Math.min(Number(value), keep);
  }
  return cut;
}

/** A list, or the one in the envelope that the API puts around it. */
function shortened(value: unknown, keep: number): unknown {
  if (Array.isArray(value)) return value.slice(0, keep);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      Array.isArray(inner) ? (inner as readonly unknown[]).slice(0, keep) : (inner as unknown),
    ]),
  );
}
