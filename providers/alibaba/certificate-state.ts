/** How server certificates stand: it changes by the day and not by the minute, so that equal states stay equal. */
import type { ServerCertificate } from './client-types.ts';

/** How a certificate stands. */
export type CertificateState =
  | { readonly kind: 'missing' | 'good' }
  /** `on`: the day on which it ends, `2026-01-31`. */
  | { readonly kind: 'expiring' | 'expired'; readonly on: string };

/** Id → how it stands. Ids that are absent were not looked at. */
export type Certificates = Readonly<Record<string, CertificateState>>;

const warnBeforeMs = 30 * 24 * 3_600_000;

/** @param wall milliseconds since the epoch. */
export function stateOf(certificate: ServerCertificate | undefined, wall: number): CertificateState {
  if (certificate === undefined) return { kind: 'missing' };
  const ends = certificate.ExpireTimeStamp ?? 0;
  if (!(ends > 0) || ends - wall > warnBeforeMs) return { kind: 'good' };
  return { kind: ends <= wall ? 'expired' : 'expiring', on: new Date(ends).toISOString().slice(0, 10) };
}
