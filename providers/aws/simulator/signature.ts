/**
 * AWS Signature Version 4, as far as a server checks it: present, well formed, for this service and region,
 * by a known key, and, where that key's secret is known, true.
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { CloudError } from './errors.ts';

export const SERVICE = 'elasticloadbalancing';
const ALGORITHM = 'AWS4-HMAC-SHA256';
const LARGEST_SKEW_MS = 15 * 60_000;

export interface SignedRequest {
  readonly method: string;
  /** Path with query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface SignatureRules {
  readonly region: string;
  /** Access key id to secret. Absent: any key id is accepted and no signature is verified. */
  readonly secrets?: ReadonlyMap<string, string> | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The access key id. Throws the refusal that AWS would answer with. */
export function checkSignature(request: SignedRequest, rules: SignatureRules): string {
  const header = request.headers.authorization;
  if (header === undefined) throw new CloudError('MissingAuthenticationToken');
  const match =
    /^AWS4-HMAC-SHA256 +Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request, *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  const [, keyId = '', day = '', region = '', service = '', signedHeaders = '', signature = ''] = match ?? [];
  if (match === null) {
    throw new CloudError(
      'IncompleteSignature',
      `Authorization header is not a complete ${ALGORITHM} signature`,
    );
  }
  if (service !== SERVICE) {
    throw new CloudError(
      'SignatureDoesNotMatch',
      `Credential should be scoped to correct service: '${SERVICE}'`,
    );
  }
  if (region !== rules.region) {
    throw new CloudError(
      'SignatureDoesNotMatch',
      `Credential should be scoped to a valid region, not '${region}'`,
    );
  }
  const date = String(request.headers['x-amz-date'] ?? '');
  if (!/^\d{8}T\d{6}Z$/.test(date) || !date.startsWith(day)) {
    throw new CloudError(
      'IncompleteSignature',
      `Date '${date}' does not go with the scope of the credential`,
    );
  }
  if (rules.secrets === undefined) return keyId;

  const secret = rules.secrets.get(keyId);
  if (secret === undefined) throw new CloudError('InvalidClientTokenId');
  const signedAt = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
  );
  if (Math.abs(rules.now - signedAt) > LARGEST_SKEW_MS) {
    throw new CloudError('RequestExpired', `Signature of ${date} is too far from the present`);
  }
  const canonical = canonicalRequest(request, signedHeaders);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = [ALGORITHM, date, scope, sha256(canonical)].join('\n');
  let key: Buffer | string = `AWS4${secret}`;
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
  const expected = createHmac('sha256', key).update(text).digest();
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex')))
    throw new CloudError('SignatureDoesNotMatch');
  return keyId;
}

function canonicalRequest(request: SignedRequest, signedHeaders: string): string {
  const [path = '/', query = ''] = request.url.split('?');
  const headers = signedHeaders
    .split(';')
    .map(
      (name) =>
        `${name}:${String(request.headers[name] ?? '')
          .trim()
          .replaceAll(/ +/g, ' ')}\n`,
    )
    .join('');
  const sortedQuery = query.split('&').toSorted().join('&');
  return [request.method, path, sortedQuery, headers, signedHeaders, sha256(request.body)].join('\n');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
