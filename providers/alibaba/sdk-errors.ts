/**
 * What Alibaba Cloud's package throws, as plain failures.
 *
 * It throws its own classes for answers with a status of 4xx and 5xx, a bare SyntaxError for an answer that is
 * no JSON, a nameless time-out, and the errors of the system with the URL of the call in their message. Single
 * fields are taken over, never the error: neither as cause nor as message.
 */
import { readRefusal } from './answer.ts';
import { CallFailure } from './failure.ts';

interface Thrown {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly retryAfter?: unknown;
  readonly data?: unknown;
}

/** Connections that were never made, by the system's code. */
const neverMade: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EACCES',
]);
/** The other side could not prove who it is: nothing was sent to it. */
const untrusted = /^(CERT_|ERR_TLS_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/;

export function failureOf(thrown: unknown): CallFailure {
  if (thrown instanceof CallFailure) return thrown;
  const error: Thrown = typeof thrown === 'object' && thrown !== null ? thrown : {};
  if (typeof error.statusCode === 'number') return ofAnswer(error, error.statusCode);
  if (error.name === 'SyntaxError') {
    return new CallFailure('unreadable', 'the answer is no JSON', { code: 'UnreadableAnswer' });
  }
  if (error.name === 'RequestTimeoutError') {
    return new CallFailure('unanswered', 'no answer in time', { code: 'Timeout' });
  }
  if (typeof error.code === 'string' && error.code !== '') {
    const notSent = neverMade.has(error.code) || untrusted.test(error.code);
    return new CallFailure(notSent ? 'not-sent' : 'unanswered', 'the connection failed', {
      code: error.code,
    });
  }
  const name = typeof error.name === 'string' && error.name !== '' ? error.name : 'Unknown';
  return new CallFailure('defect', 'the call could not be made', { code: name });
}

function ofAnswer(error: Thrown, status: number): CallFailure {
  const body = typeof error.data === 'object' && error.data !== null ? error.data : {};
  const refusal = readRefusal(body as Readonly<Record<string, unknown>>, status);
  if (refusal === undefined) {
    return new CallFailure('unreadable', 'the answer gives no reason', { code: `Http${status}`, status });
  }
  const { message, code, requestId, missingAction } = refusal;
  const wait = error.retryAfter;
  return new CallFailure('refused', message, {
    code,
    status,
    requestId,
    missingAction,
    retryAfterMs: typeof wait === 'number' && wait > 0 ? wait : undefined,
  });
}
