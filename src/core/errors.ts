/**
 * The closed set of errors that anything in Sluice may fail with.
 *
 * Every door to the outside (a cloud client, the Kubernetes writer, the kernel) translates what it gets
 * into one of these kinds, so that policy (retry, wait, give up, tell the user) is decided in one place by
 * `kind` and never by a message text. `code` is the stable code of the party that refused (for example
 * `TooManyLoadBalancers`), and becomes a metric label.
 */
import type { ReasonCode } from './reasons.ts';

export type ErrorKind =
  /** The other side asks us to slow down; `retryAfterMs` where it said for how long. */
  | 'throttled'
  /** The object is in use or in transition; the same call will work later. */
  | 'busy'
  /** The object is not there (any more). Success when deleting. */
  | 'gone'
  /** Something else holds the name, the version or the port. */
  | 'conflict'
  /** No answer: the call may or may not have had its effect. */
  | 'ambiguous'
  /** A failure of the other side or of the network, known to have had no effect. */
  | 'transient'
  /** We lack the permission for `action`; without an `action`, our credential is not accepted at all. */
  | 'denied'
  /** A limit of the account is reached. */
  | 'quota'
  /** The request is wrong in a way that only the user can mend. */
  | 'invalid'
  /** A defect of ours. */
  | 'bug';

export interface ErrorDetails {
  /** Stable code, CamelCase, in the words of the party that refused. */
  readonly code: string;
  /** Milliseconds to wait before the next try, when the other side named a time. */
  readonly retryAfterMs?: number | undefined;
  /** The call that failed, in the other side's own name (`CreateListener`, `patch services`). */
  readonly action?: string | undefined;
  /** The other side's id of the request, for its support. */
  readonly requestId?: string | undefined;
  /** What people are told for a reason, where it says more than the kind does. */
  readonly reason?: ReasonCode | undefined;
  readonly cause?: unknown;
}

const brand = Symbol.for('sluice.dev/error');

export class SluiceError extends Error {
  override readonly name = 'SluiceError';
  readonly kind: ErrorKind;
  readonly code: string;
  readonly retryAfterMs: number | undefined;
  readonly action: string | undefined;
  readonly requestId: string | undefined;
  readonly reason: ReasonCode | undefined;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.code = details.code;
    this.retryAfterMs = details.retryAfterMs;
    this.action = details.action;
    this.requestId = details.requestId;
    this.reason = details.reason;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Recognises ours across bundle chunks: `instanceof` fails between duplicate copies of a module. */
export function isSluiceError(value: unknown): value is SluiceError {
  return typeof value === 'object' && value !== null && brand in value;
}

/** Anything thrown, as one of ours. What nobody classified is a defect of ours and says so. */
export function asSluiceError(value: unknown): SluiceError {
  if (isSluiceError(value)) return value;
  const message = value instanceof Error ? value.message : String(value);
  return new SluiceError('bug', message, { code: 'Unclassified', cause: value });
}

/** For branches that the type system says cannot be reached. */
export function unreachable(value: never): never {
  throw new SluiceError('bug', `unexpected value ${JSON.stringify(value)}`, { code: 'Unreachable' });
}
