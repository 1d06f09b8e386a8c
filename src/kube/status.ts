/**
 * Answers and failures of the API server, translated into our closed set of errors.
 *
 * The rule that matters: a write whose answer was lost is `ambiguous`, never `transient`. Messages name
 * verb and resource the way RBAC does, so that a refused call can be granted by copying two words.
 */
import { SluiceError } from '../core/errors.ts';
import type { ErrorKind } from '../core/errors.ts';
import type { Method } from './api.ts';

/** The part of `meta/v1 Status` that we read. */
interface Status {
  readonly kind?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
  readonly details?: {
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly { readonly field?: string; readonly message?: string }[];
  };
}

export interface Call {
  /** RBAC's verb: get, list, watch, create, patch, delete. */
  readonly verb: string;
  /** RBAC's resource with its group and subresource: `services/status`, `leases.coordination.k8s.io`. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

/** What a request is, in RBAC's words. Paths outside the resource scheme (`/version`) name themselves. */
export function describeCall(method: Method, path: string, watch: boolean): Call {
  const parts = path.split('/').filter((part) => part !== '');
  const core = parts[0] === 'api';
  const group = core ? '' : (parts[1] ?? '');
  let rest = parts.slice(core ? 2 : 3);
  let namespace: string | undefined;
  if (rest[0] === 'namespaces' && rest.length > 2) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [plural, name, sub] = rest;
  const resource =
    plural === undefined
      ? path
      : `${plural}${group === '' ? '' : `.${group}`}${sub === undefined ? '' : `/${sub}`}`;
  const verb = { POST: 'create', PATCH: 'patch', DELETE: 'delete', GET: 'get' }[method];
  return {
    verb: name === undefined && method === 'GET' ? (watch ? 'watch' : 'list') : verb,
    resource,
    namespace,
    name,
  };
}

export function isWrite(method: Method): boolean {
  return method !== 'GET';
}

/** `patch services/status of shop/web`. */
export function nameCall(call: Call): string {
  const where = [call.namespace, call.name].filter((part) => part !== undefined).join('/');
  return `${call.verb} ${call.resource}${where === '' ? '' : ` of ${where}`}`;
}

/** The error for an answer with a code of 400 or more. `body` is the answer's text. */
export function answerError(
  method: Method,
  call: Call,
  httpCode: number,
  body: string,
  retryAfterHeader: string | undefined,
): SluiceError {
  return statusError(method, call, httpCode, parseStatus(body), body, retryAfterHeader);
}

/** The error for an ERROR event inside a watch: the same classes, from the Status that it carries. */
export function eventError(call: Call, object: unknown): SluiceError {
  const status: Status = typeof object === 'object' && object !== null ? object : {};
  return statusError('GET', call, status.code ?? 500, status, '', undefined);
}

function statusError(
  method: Method,
  call: Call,
  httpCode: number,
  status: Status | undefined,
  text: string,
  retryAfterHeader: string | undefined,
): SluiceError {
  const action = `${call.verb} ${call.resource}`;
  const said = status?.message ?? shortened(text);
  const reason = status?.reason === undefined || status.reason === '' ? undefined : status.reason;
  const make = (kind: ErrorKind, code: string, message: string): SluiceError =>
    new SluiceError(kind, message, {
      code: reason ?? code,
      action,
      retryAfterMs: retryAfter(retryAfterHeader, status),
      cause: status ?? text,
    });
  const plain = `${nameCall(call)}: the API server answered ${httpCode}${said === '' ? '' : `: ${said}`}`;

  switch (httpCode) {
    case 401:
      return make(
        'denied',
        'Unauthorized',
        `${nameCall(call)}: the API server does not accept our credentials (401); renew the token or client certificate of this kubeconfig user`,
      );
    case 403:
      return make(
        'denied',
        'Forbidden',
        `not allowed to ${nameCall(call)}: grant verb "${call.verb}" on resource "${call.resource}" to this account (${said})`,
      );
    case 404:
      return make('gone', 'NotFound', plain);
    case 409:
      return make('conflict', 'Conflict', plain);
    case 410:
      // `Gone` and `Expired` are both in use for a version that was compacted away.
      return new SluiceError('gone', plain, { code: 'Expired', action, cause: status ?? text });
    case 422:
      return make('invalid', 'Invalid', `${plain}${causes(status)}`);
    case 429:
      return make('throttled', 'TooManyRequests', plain);
    default:
      if (httpCode >= 500) {
        // 503 is said before anything is done; the others may come from behind a write that went through.
        const lost = isWrite(method) && httpCode !== 503;
        return make(lost ? 'ambiguous' : 'transient', `Http${httpCode}`, plain);
      }
      return make('bug', `Http${httpCode}`, plain);
  }
}

/** The version that we asked to resume from is no longer kept: only a new list helps. */
export function isExpired(error: SluiceError): boolean {
  return error.kind === 'gone' && error.code === 'Expired';
}

/** Failures before a request can have left: nothing happened on the other side. */
const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** The error for a call that got no answer, or half of one. */
export function transportError(method: Method, call: Call, server: string, cause: unknown): SluiceError {
  const code = codeOf(cause);
  const message = cause instanceof Error ? cause.message : String(cause);
  const lost = isWrite(method) && !neverSent.has(code);
  const hint = hints[code];
  return new SluiceError(
    lost ? 'ambiguous' : 'transient',
    `${nameCall(call)}: no answer from ${server} (${code}: ${message})${hint === undefined ? '' : `; ${hint}`}`,
    { code, action: `${call.verb} ${call.resource}`, cause },
  );
}

const hints: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'is the API server running, and is the address in the kubeconfig right?',
  ENOTFOUND: 'the host name in the kubeconfig does not resolve',
  CERT_HAS_EXPIRED: 'the certificate of the API server has expired',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate authority in the kubeconfig is not the one of this server',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the kubeconfig names no certificate authority for this server',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'the certificate authority in the kubeconfig is not the one of this server',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'the certificate authority in the kubeconfig is not the one of this server',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the API server is for another name',
};

function codeOf(cause: unknown): string {
  if (typeof cause === 'object' && cause !== null) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
    if ('cause' in cause && cause.cause !== undefined) return codeOf(cause.cause);
  }
  return 'Transport';
}

function parseStatus(body: string): Status | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    return JSON.parse(body) as Status;
  } catch {
    return undefined;
  }
}

function causes(status: Status | undefined): string {
  const list = status?.details?.causes ?? [];
  if (list.length === 0) return '';
  return ` (${list.map((one) => `${one.field ?? 'object'}: ${one.message ?? 'invalid'}`).join('; ')})`;
}

/** Milliseconds. The API server sends whole seconds; the date form of the header comes only from proxies. */
function retryAfter(header: string | undefined, status: Status | undefined): number | undefined {
  const fromHeader = header === undefined ? Number.NaN : Number(header.trim());
  if (Number.isFinite(fromHeader) && fromHeader >= 0) return fromHeader * 1000;
  const seconds = status?.details?.retryAfterSeconds;
  return seconds === undefined ? undefined : seconds * 1000;
}

function shortened(text: string): string {
  const line = text.trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
