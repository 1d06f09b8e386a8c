/**
 * ACS3-HMAC-SHA256, as far as a server checks it: present, well formed, over the headers and the body that
 * came, recent, by a known key, and, where that key's secret is known, true.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { CloudError } from './errors.ts';

const ALGORITHM = 'ACS3-HMAC-SHA256';
const LARGEST_SKEW_MS = 15 * 60_000;
/** What has to be signed; others may be. */
const REQUIRED = [
  'host',
  'x-acs-action',
  'x-acs-content-sha256',
  'x-acs-date',
  'x-acs-signature-nonce',
  'x-acs-version',
];

export interface SignedRequest {
  readonly method: string;
  /** Path with query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Secret {
  readonly accessKeySecret: string;
  /** Present for temporary keys: the token that has to come along. */
  readonly securityToken?: string;
}

export interface SignatureRules {
  /** By access key id. Absent: any key id is accepted and no signature is verified. */
  readonly secrets?: ReadonlyMap<string, Secret> | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** True for a nonce that was used before; remembers it. */
  readonly isKnownNonce: (nonce: string) => boolean;
}

/** The access key id. Throws the refusal that the cloud would answer with. */
export function checkSignature(request: SignedRequest, rules: SignatureRules): string {
  const { headers } = request;
  const match =
    /^ACS3-HMAC-SHA256 Credential=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
  if (match === null) throw new CloudError('IncompleteSignature', `No complete ${ALGORITHM} signature`);
  const [, keyId = '', signedList = '', signature = ''] = match;
  const signed = signedList.split(';');
  const unsigned = REQUIRED.find((name) => !signed.includes(name) || headers[name] === undefined);
  if (unsigned !== undefined)
    throw new CloudError('IncompleteSignature', `The header ${unsigned} is not signed`);
  const strange = Object.keys(headers).find((name) => name.startsWith('x-acs-') && !signed.includes(name));
  if (strange !== undefined)
    throw new CloudError('IncompleteSignature', `The header ${strange} is not signed`);
  const hash = String(headers['x-acs-content-sha256']);
  if (hash !== sha256(request.body))
    throw new CloudError('SignatureDoesNotMatch', 'The body is not the signed one');
  const date = String(headers['x-acs-date']);
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(date) ? Date.parse(date) : Number.NaN;
  if (!(Math.abs(rules.now - at) <= LARGEST_SKEW_MS)) {
    throw new CloudError('InvalidTimeStamp.Expired', `The date ${date} is too far from the present`);
  }
  if (rules.isKnownNonce(String(headers['x-acs-signature-nonce']))) {
    throw new CloudError('SignatureNonceUsed', 'The nonce was used before');
  }
  if (rules.secrets === undefined) return keyId;

  const secret = rules.secrets.get(keyId);
  if (secret === undefined)
    throw new CloudError('InvalidAccessKeyId.NotFound', 'The access key is not known');
  if (secret.securityToken !== undefined && headers['x-acs-security-token'] !== secret.securityToken) {
    throw new CloudError('InvalidSecurityToken.Expired', 'The security token has expired');
  }
  const text = `${ALGORITHM}\n${sha256(canonical(request, signed, hash))}`;
  const expected = createHmac('sha256', secret.accessKeySecret).update(text).digest();
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex'))) {
    // As the cloud does, the refusal quotes what was signed: callers must not pass it on.
    throw new CloudError(
      'SignatureDoesNotMatch',
      `The signature does not match; server string to sign is: ${text}`,
    );
  }
  return keyId;
}

function canonical(request: SignedRequest, signed: readonly string[], hash: string): string {
  const [path = '/', query = ''] = request.url.split('?');
  const headers = signed.map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`).join('');
  const sorted = query
    .split('&')
    .filter((part) => part !== '')
    .toSorted((a, b) => ((a.split('=')[0] ?? '') < (b.split('=')[0] ?? '') ? -1 : 1))
    .join('&');
  // The wire may leave characters plain that the canonical form escapes.
  const escaped = sorted.replaceAll(
    /[!'()*]/g,
    (found) => `%${found.codePointAt(0)?.toString(16).toUpperCase()}`,
  );
  return [request.method, path, escaped, headers, signed.join(';'), hash].join('\n');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
