/**
 * The keys and certificates of a throw-away control plane: an authority of its own, what it signs for
 * servers and for users, and the key pair that signs service account tokens.
 *
 * Everything is made afresh for each control plane and lives no longer than its folder, so nothing here
 * is ever renewed or revoked. Keys are on curve P-256: a key takes a millisecond, RSA would take a second.
 */
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import {
  addressOctets,
  bits,
  boolean,
  integer,
  octets,
  oid,
  sequence,
  set,
  tagged,
  time,
  utf8,
} from './der.ts';

/** A certificate and its private key, both PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority {
  /** PEM; what clients and servers trust. */
  readonly certificate: string;
  /** For a server that is reached under `names`: DNS names and IP addresses. */
  server(names: readonly string[]): Credentials;
  /** For a client that Kubernetes is to see as `user` in `groups` (subject CN and O). */
  client(user: string, groups: readonly string[]): Credentials;
}

interface Subject {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

const names = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
  clientAuthentication: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const;

const hourMs = 3_600_000;
const lifetimeMs = 365 * 24 * hourMs;

/**
 * A new authority whose certificates are valid from an hour before `now` (milliseconds since the epoch;
 * for clocks that differ a little) until a year after it.
 */
export function newAuthority(now: number): Authority {
  const own = newKeys();
  const subject = { commonName: 'sluice-sandbox', organizations: [] };
  const issue = (to: Subject, keys: KeyPair, extensions: readonly Buffer[]): string =>
    certificate({ issuer: subject, issuerKeys: own, subject: to, keys, now, extensions });

  const root = issue(subject, own, [
    extension(names.basicConstraints, 'critical', sequence(boolean(true))),
    // Digital signature, certificate signing, revocation list signing.
    extension(names.keyUsage, 'critical', bits(Buffer.from([0x86]), 1)),
  ]);
  const leaf = (to: Subject, purpose: string, more: readonly Buffer[]): Credentials => {
    const keys = newKeys();
    const text = issue(to, keys, [
      extension(names.basicConstraints, 'critical', sequence()),
      extension(names.keyUsage, 'critical', bits(Buffer.from([0x80]), 7)),
      extension(names.extendedKeyUsage, 'plain', sequence(oid(purpose))),
      ...more,
    ]);
    return { certificate: text, key: privatePem(keys.privateKey) };
  };

  return {
    certificate: root,
    server: (reached) =>
      leaf({ commonName: reached[0] ?? 'server', organizations: [] }, names.serverAuthentication, [
        extension(names.subjectAlternativeName, 'plain', sequence(...reached.map(alternativeName))),
      ]),
    client: (user, groups) =>
      leaf({ commonName: user, organizations: groups }, names.clientAuthentication, []),
  };
}

/** Both halves, PEM, of the key that signs service account tokens. */
export function newTokenKey(): { readonly publicKey: string; readonly privateKey: string } {
  const keys = newKeys();
  return {
    publicKey: keys.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKey: privatePem(keys.privateKey),
  };
}

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function newKeys(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function privatePem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

interface CertificateFields {
  readonly issuer: Subject;
  readonly issuerKeys: KeyPair;
  readonly subject: Subject;
  readonly keys: KeyPair;
  readonly now: number;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280, section 4.1: version 3, signed with ECDSA over SHA-256, as PEM. */
function certificate(fields: CertificateFields): string {
  const algorithm = sequence(oid(names.ecdsaWithSha256));
  const identifiers = [
    extension(names.subjectKeyId, 'plain', octets(keyId(fields.keys.publicKey))),
    extension(
      names.authorityKeyId,
      'plain',
      sequence(tagged(0, 'primitive', keyId(fields.issuerKeys.publicKey))),
    ),
  ];
  const body = sequence(
    tagged(0, 'constructed', integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    algorithm,
    name(fields.issuer),
    sequence(time(fields.now - hourMs), time(fields.now + lifetimeMs)),
    name(fields.subject),
    fields.keys.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, 'constructed', sequence(...fields.extensions, ...identifiers)),
  );
  const whole = sequence(body, algorithm, bits(sign('sha256', body, fields.issuerKeys.privateKey)));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** Kubernetes reads each organization as a group. */
function name(subject: Subject): Buffer {
  return sequence(
    ...subject.organizations.map((group) => attribute(names.organization, group)),
    attribute(names.commonName, subject.commonName),
  );
}

function attribute(type: string, value: string): Buffer {
  return set(sequence(oid(type), utf8(value)));
}

function alternativeName(reached: string): Buffer {
  return isIP(reached) === 0
    ? tagged(2, 'primitive', Buffer.from(reached, 'ascii'))
    : tagged(7, 'primitive', addressOctets(reached));
}

function extension(id: string, weight: 'critical' | 'plain', value: Buffer): Buffer {
  return weight === 'critical'
    ? sequence(oid(id), boolean(true), octets(value))
    : sequence(oid(id), octets(value));
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}
