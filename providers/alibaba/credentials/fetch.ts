/**
 * One request to whoever issues credentials.
 *
 * Invariants: it ends in time, it follows no redirect (a token would go along), and no error of it holds the
 * URL, a header, the body that was sent or the body that came: an issuer's answers are secrets.
 */
import type { Clock } from '../../../src/core/clock.ts';
import { SluiceError } from '../../../src/core/errors.ts';

export interface IssuerRequest {
  /** What the request is for, in errors: `AssumeRoleWithOIDC`. */
  readonly action: string;
  readonly url: string;
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly form?: Readonly<Record<string, string>>;
  /** Milliseconds for all of it. */
  readonly answerMs: number;
}

export interface IssuerAnswer {
  readonly status: number;
  readonly text: string;
}

/** Any answer, whatever its status. Throws `transient` when none came. */
export async function ask(request: IssuerRequest, clock: Clock, signal: AbortSignal): Promise<IssuerAnswer> {
  const late = new AbortController();
  const cancel = clock.schedule(request.answerMs, () => late.abort());
  try {
    const response = await fetch(request.url, {
      method: request.method,
      redirect: 'manual',
      signal: AbortSignal.any([signal, late.signal]),
      ...(request.headers === undefined ? {} : { headers: request.headers }),
      ...(request.form === undefined ? {} : { body: new URLSearchParams(request.form) }),
    });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    const code = late.signal.aborted ? 'Timeout' : signal.aborted ? 'Aborted' : systemCode(error);
    throw new SluiceError('transient', `${request.action}: ${code}: no answer came`, {
      code,
      action: request.action,
    });
  } finally {
    cancel();
  }
}

/** What an issuer answers with, as JSON. Throws `transient` when it is none. */
export function readJson(action: string, answer: IssuerAnswer): Readonly<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(answer.text);
    if (typeof body === 'object' && body !== null) return body as Readonly<Record<string, unknown>>;
  } catch {
    // Said below, without the parser's words: they quote the answer.
  }
  throw unreadable(action, answer.status);
}

export function unreadable(action: string, status: number): SluiceError {
  return new SluiceError(
    'transient',
    `${action}: UnreadableAnswer: an answer with status ${status} came that gives no credentials`,
    { code: 'UnreadableAnswer', action },
  );
}

function systemCode(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code =
    typeof cause === 'object' && cause !== null ? (cause as { readonly code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : 'NoConnection';
}
