/** The triple with its end, as STS and the metadata service both spell it. */
import type { Issued } from './source.ts';

/** Undefined when a member is missing or the end is no date. */
export function readIssued(body: unknown): Issued | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { AccessKeyId, AccessKeySecret, SecurityToken, Expiration } = body as Readonly<
    Record<string, unknown>
  >;
  const expiresAt = typeof Expiration === 'string' ? Date.parse(Expiration) : Number.NaN;
  if (!isText(AccessKeyId) || !isText(AccessKeySecret) || !isText(SecurityToken)) return undefined;
  if (Number.isNaN(expiresAt)) return undefined;
  return {
    accessKeyId: AccessKeyId,
    accessKeySecret: AccessKeySecret,
    securityToken: SecurityToken,
    expiresAt,
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
