/**
 * What a call to Alibaba Cloud failed with, as errors of ours.
 *
 * Invariant: nothing that a credential could be read from leaves this file. Refusals about credentials quote
 * the text that was signed, so of those no word of the other party is kept; from all others URLs and key ids
 * are taken out.
 */
import { isSluiceError, SluiceError, unreachable } from '../../src/core/errors.ts';
import type { ErrorKind } from '../../src/core/errors.ts';
import { credentialAdvice } from './credential-advice.ts';
import { isAboutMoney, isAboutPermission, kindOfCode } from './error-codes.ts';
import { CallFailure } from './failure.ts';
import { operations, ramAction } from './operations.ts';
import type { SlbOperation } from './operations.ts';

/**
 * Anything that a call threw, as one of ours.
 *
 * @param operation names the call, and decides whether an unanswered one may have had an effect.
 */
export function classify(thrown: unknown, operation: SlbOperation): SluiceError {
  if (isSluiceError(thrown)) return thrown;
  if (!(thrown instanceof CallFailure)) {
    const name = thrown instanceof Error ? thrown.name : typeof thrown;
    return new SluiceError('bug', `${operation}: ${name}: ${cleaned(messageOf(thrown))}`, {
      code: 'Unclassified',
      action: operation,
      cause: thrown,
    });
  }
  const { code, requestId } = thrown;
  const common = { code, action: operation, requestId, cause: thrown };
  const unanswered: ErrorKind = operations[operation].callClass === 'read' ? 'transient' : 'ambiguous';
  switch (thrown.kind) {
    case 'aborted':
      return new SluiceError(unanswered, `${operation} was given up`, common);
    case 'not-sent':
      return new SluiceError('transient', `${operation}: ${code}: ${notSent(code)}`, common);
    case 'unanswered':
      return new SluiceError(unanswered, `${operation}: ${code}: no answer came`, common);
    case 'unreadable': {
      const status = thrown.status === undefined ? '' : ` with status ${thrown.status}`;
      return new SluiceError(
        unanswered,
        `${operation}: ${code}: an answer${status} came that is not Alibaba Cloud's`,
        common,
      );
    }
    case 'defect':
      return new SluiceError('bug', `${operation}: ${code}: ${cleaned(thrown.message)}`, common);
    case 'refused':
      return refused(thrown, operation, unanswered);
    default:
      return unreachable(thrown.kind);
  }
}

function refused(failure: CallFailure, operation: SlbOperation, unanswered: ErrorKind): SluiceError {
  const { code, requestId } = failure;
  const kind = kindOf(code, failure.status, unanswered);
  if (kind === 'denied' && isAboutPermission(code)) {
    const action = failure.missingAction ?? ramAction(operation);
    return new SluiceError(kind, say(operation, code, `the RAM action ${action} is not allowed`, requestId), {
      code,
      action,
      requestId,
    });
  }
  if (kind === 'denied') {
    // Without an action: it is the credential that is not accepted, no other call would fare better. And without
    // a cause, whose words may quote what was signed.
    return new SluiceError(kind, say(operation, code, credentialAdvice(code), requestId), {
      code,
      requestId,
    });
  }
  const words = isAboutMoney(code)
    ? 'the account has unpaid bills or too little balance; settle them at Alibaba Cloud'
    : cleaned(failure.message);
  return new SluiceError(kind, say(operation, code, words, requestId), {
    code,
    action: operation,
    requestId,
    retryAfterMs: kind === 'throttled' ? failure.retryAfterMs : undefined,
    cause: new CallFailure('refused', cleaned(failure.message), failure),
  });
}

function kindOf(code: string, status: number | undefined, unanswered: ErrorKind): ErrorKind {
  const known = kindOfCode(code, status);
  if (known !== undefined) return known === 'unanswered' ? unanswered : known;
  if (status === 429) return 'throttled';
  if (status !== undefined && status >= 500) return unanswered;
  if (status === 401 || status === 403) return 'denied';
  return 'invalid';
}

function say(operation: string, code: string, words: string, requestId: string | undefined): string {
  return `${operation}: ${code}: ${words}${requestId === undefined ? '' : ` (request ${requestId})`}`;
}

function notSent(code: string): string {
  return code === 'ENOTFOUND'
    ? 'the end point has no address; check the region and the endpoint in the settings'
    : 'no connection to the end point could be made';
}

const longest = 400;

/** Without URLs (they may be signed), key ids and tokens. */
function cleaned(text: string): string {
  const plain = text
    .replaceAll(/\bhttps?:\/\/\S+/gi, '(URL)')
    .replaceAll(/\b(LTAI|STS\.|TMP\.)[\w.-]{8,}/g, '(key)')
    .replaceAll(/[\w+/=.-]{120,}/g, '(token)');
  return plain.length > longest ? `${plain.slice(0, longest)}…` : plain;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The other side says that what the call names does not exist. */
export function isGone(error: unknown): boolean {
  return isSluiceError(error) && error.kind === 'gone';
}
