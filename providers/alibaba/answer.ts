/**
 * Reads an answer's text.
 *
 * Numbers that do not fit a double, and every number that is an id by its name, come out as strings: a 64-bit
 * order number read as a double is another number.
 */
import { CallFailure } from './failure.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * The answer to a call that the cloud says went well. Throws `CallFailure`: `unreadable` when it is no JSON
 * object, `refused` when it holds an error all the same, which gateways in front of the API are known to send.
 */
export function readAnswer(text: string, status: number): object {
  const body = parse(text, status);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new CallFailure('unreadable', 'the answer is no JSON object', { code: 'UnreadableAnswer', status });
  }
  const refusal = readRefusal(body as Json, status);
  if (refusal !== undefined) throw refusal;
  return body;
}

/** The refusal in an error body; undefined where there is none. */
export function readRefusal(body: Json, status: number): CallFailure | undefined {
  const code = body['Code'];
  if (typeof code !== 'string' || code === '' || fine.has(code)) return undefined;
  const message = body['Message'];
  const requestId = body['RequestId'];
  const denied = body['AccessDeniedDetail'];
  const missing = typeof denied === 'object' && denied !== null ? (denied as Json)['AuthAction'] : undefined;
  return new CallFailure('refused', typeof message === 'string' ? message : 'no message', {
    code,
    status,
    requestId: typeof requestId === 'string' ? requestId : undefined,
    missingAction: typeof missing === 'string' ? missing : undefined,
  });
}

/** Values of `Code` that are no errors. */
const fine: ReadonlySet<string> = new Set(['200', 'OK', 'Success']);

function parse(text: string, status: number): unknown {
  try {
    return JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown);
  } catch {
    // The parser's message would quote the answer, whatever it is.
    throw new CallFailure('unreadable', 'the answer is no JSON', { code: 'UnreadableAnswer', status });
  }
}

function keepDigits(key: string, value: unknown, context: { readonly source?: string } | undefined): unknown {
  if (typeof value !== 'number') return value;
  const isId = key.endsWith('Id');
  return isId || (Number.isInteger(value) && !Number.isSafeInteger(value))
    ? (context?.source ?? String(value))
    : value;
}
