/**
 * A call that failed, as far as the other side (or its silence) tells: plain data, the same from the wire and
 * from the simulated account.
 *
 * Invariant: it carries nothing of the request: no URL, no header, no parameter. Whoever makes one from
 * something else takes over single fields, never the thing itself.
 */

export type FailureKind =
  /** The cloud answered with a code. */
  | 'refused'
  /** The connection was never made, so the call had no effect. */
  | 'not-sent'
  /** It was sent, or may have been, and no answer came. */
  | 'unanswered'
  /** An answer came that is not the cloud's: from something in between, or cut off. */
  | 'unreadable'
  /** The caller gave up while the call was on its way. */
  | 'aborted'
  /** Something in our own code. */
  | 'defect';

export interface FailureDetails {
  /** The cloud's code, or the system's (`ECONNRESET`), or a word of ours. */
  readonly code: string;
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** The RAM action that was missing, where the cloud says so. */
  readonly missingAction?: string | undefined;
}

export class CallFailure extends Error {
  override readonly name = 'CallFailure';
  readonly kind: FailureKind;
  readonly code: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly missingAction: string | undefined;

  constructor(kind: FailureKind, message: string, details: FailureDetails) {
    super(message);
    this.kind = kind;
    this.code = details.code;
    this.status = details.status;
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
    this.missingAction = details.missingAction;
  }
}
