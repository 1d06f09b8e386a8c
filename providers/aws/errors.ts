/**
 * What AWS refuses with, as errors of ours.
 *
 * Both spellings of a code count: the wire's (`LoadBalancerNotFound`) and the SDK's name of a modelled error
 * (`LoadBalancerNotFoundException`). Decisions are made by code and status, never by a message text.
 *
 * Invariant: nothing that a credential could be read from leaves this file. Refusals about credentials may
 * quote the signed request, so for those neither the message nor the cause of the other party is kept; of
 * other causes only their words are, because the SDK hangs the whole exchange on its errors.
 */
import { SluiceError, isSluiceError } from '../../src/core/errors.ts';
import type { ErrorKind } from '../../src/core/errors.ts';
import { credentialAdvice } from './credential-advice.ts';
import { operations } from './operations.ts';
import type { ElbOperation } from './operations.ts';
import { quotaAdvice } from './quota-advice.ts';

/** The fields of an SDK error that are looked at; all may be missing. */
interface Thrown {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

const kinds: Readonly<Record<string, ErrorKind>> = {
  LoadBalancerNotFound: 'gone',
  TargetGroupNotFound: 'gone',
  ListenerNotFound: 'gone',
  RuleNotFound: 'gone',
  DuplicateLoadBalancerName: 'conflict',
  DuplicateTargetGroupName: 'conflict',
  DuplicateListener: 'conflict',
  TargetGroupAssociationLimit: 'conflict',
  ResourceInUse: 'busy',
  PriorRequestNotComplete: 'busy',
  CapacityReservationPending: 'busy',
  DependencyViolation: 'busy',
  Throttling: 'throttled',
  Throttled: 'throttled',
  RequestLimitExceeded: 'throttled',
  RequestThrottled: 'throttled',
  TooManyRequests: 'throttled',
  SlowDown: 'throttled',
  InsufficientCapacity: 'quota',
  OperationNotPermitted: 'invalid',
  AccessDenied: 'denied',
  UnauthorizedOperation: 'denied',
  NotAuthorized: 'denied',
  AuthFailure: 'denied',
  ExpiredToken: 'denied',
  RequestExpired: 'denied',
  InvalidClientTokenId: 'denied',
  InvalidAccessKeyId: 'denied',
  UnrecognizedClient: 'denied',
  MissingAuthenticationToken: 'denied',
  IncompleteSignature: 'denied',
  SignatureDoesNotMatch: 'denied',
  InvalidSignature: 'denied',
  OptInRequired: 'denied',
  CredentialsProviderError: 'denied',
  TokenProviderError: 'denied',
  HealthUnavailable: 'transient',
};

/** Denials of one action; the others concern the credential as a whole. */
const permissions: ReadonlySet<string> = new Set(['AccessDenied', 'UnauthorizedOperation', 'NotAuthorized']);

/** Connections that were never made: the call cannot have had an effect. */
const notSent: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_PROXY_TUNNEL',
]);

/**
 * Anything that a call threw, as one of ours.
 *
 * @param operation names the call, and decides whether an unanswered one may have had an effect.
 */
export function classify(thrown: unknown, operation: ElbOperation, signal?: AbortSignal): SluiceError {
  if (isSluiceError(thrown)) return thrown;
  const error: Thrown = typeof thrown === 'object' && thrown !== null ? thrown : { message: String(thrown) };
  const code = codeOf(error);
  const unanswered: ErrorKind = operations[operation] === 'read' ? 'transient' : 'ambiguous';
  const status = error.$metadata?.httpStatusCode;
  const common = { code, action: operation, requestId: error.$metadata?.requestId };

  if (signal?.aborted === true) {
    return new SluiceError(unanswered, `${operation} was given up`, {
      ...common,
      code: 'Aborted',
      cause: wordsOf(thrown),
    });
  }
  const kind = kindOf(code, status, unanswered, thrown);
  if (kind === 'denied') {
    // Without an action where it is the credential that is not accepted: no other call would fare better.
    return permissions.has(code)
      ? new SluiceError(
          kind,
          `${operation}: ${code}: the action elasticloadbalancing:${operation} is not allowed`,
          { ...common, action: `elasticloadbalancing:${operation}` },
        )
      : new SluiceError(kind, `${operation}: ${code}: ${credentialAdvice(code)}`, {
          ...common,
          action: undefined,
        });
  }
  const advice = kind === 'quota' ? quotaAdvice(code) : '';
  return new SluiceError(kind, `${operation}: ${code}: ${messageOf(error, code)}${advice}`, {
    ...common,
    retryAfterMs: kind === 'throttled' ? retryAfter(error) : undefined,
    cause: wordsOf(thrown),
  });
}

/** Name, message and stack, without the request and the response that the SDK keeps beside them. */
function wordsOf(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  return Object.assign(new Error(thrown.message), { name: thrown.name, stack: thrown.stack });
}

function kindOf(code: string, status: number | undefined, unanswered: ErrorKind, thrown: unknown): ErrorKind {
  const known = kinds[code];
  if (known !== undefined) return known;
  if (status === 429) return 'throttled';
  if (/^TooMany|LimitExceeded$/.test(code)) return 'quota';
  if (status !== undefined && status >= 500) return unanswered;
  if (status === 401 || status === 403) return 'denied';
  if (status !== undefined && status >= 400) return 'invalid';
  if (notSent.has(code)) return 'transient';
  // No answer came. Only what JavaScript itself throws is a defect; the rest is the network's.
  const defect =
    thrown instanceof TypeError || thrown instanceof RangeError || thrown instanceof ReferenceError;
  return defect || !(thrown instanceof Error) ? 'bug' : unanswered;
}

/**
 * The wire's spelling; for a failure of the network the code of the system (`ECONNRESET`), which the SDK hides
 * behind the name of a time-out; for an answer that gives no reason its status.
 */
function codeOf(error: Thrown): string {
  const name = typeof error.name === 'string' ? error.name : '';
  if (nameless.has(name) && typeof error.code === 'string' && error.code !== '') return error.code;
  const status = error.$metadata?.httpStatusCode;
  if (name === 'Unknown' && status !== undefined) return `Http${status}`;
  if (name !== 'TimeoutError' && nameless.has(name)) return status === undefined ? 'Unknown' : unreadable;
  const plain = name.replace(/Exception$/, '');
  return plain === '' ? name : plain;
}

/** Names that say less than a code of the system beside them. */
const nameless: ReadonlySet<string> = new Set(['', 'Error', 'AggregateError', 'TimeoutError']);
/** An answer came, and it is not in AWS's form: cut off, or from something in between. */
const unreadable = 'UnreadableAnswer';

function messageOf(error: Thrown, code: string): string {
  const status = error.$metadata?.httpStatusCode;
  if (code === unreadable) return `an answer with status ${status} came that is not AWS's`;
  if (code === `Http${status}`) return `an answer with status ${status} came that gives no reason`;
  return typeof error.message === 'string' && error.message !== '' ? error.message : 'no message';
}

/** Header Retry-After in seconds, as milliseconds. */
function retryAfter(error: Thrown): number | undefined {
  const seconds = Number(error.$response?.headers?.['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** The other side says that what the call names does not exist. */
export function isGone(error: unknown): boolean {
  return isSluiceError(error) && error.kind === 'gone';
}
