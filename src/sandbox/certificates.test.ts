import { createPublicKey, sign, verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { newAuthority, newTokenKey, type Authority, type Credentials } from './certificates.ts';

const now = Date.parse('2026-05-04T03:02:01Z');
const authority = newAuthority(Date.now());

interface Handshake {
  readonly seenByServer: ReturnType<TLSSocket['getPeerCertificate']>;
  readonly serverTrustsClient: boolean;
}

/** One TLS connection on loopback in which both sides show a certificate. */
async function handshake(
  server: Credentials,
  client: Credentials,
  trust: { readonly clientTrusts: Authority; readonly serverName?: string },
): Promise<Handshake> {
  const listener = createServer({
    cert: server.certificate,
    key: server.key,
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: false,
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  try {
    const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
    accepted.catch(() => {});
    const socket = connect({
      port: (listener.address() as AddressInfo).port,
      host: '127.0.0.1',
      ca: trust.clientTrusts.certificate,
      cert: client.certificate,
      key: client.key,
      ...(trust.serverName === undefined ? {} : { servername: trust.serverName }),
    });
    await once(socket, 'secureConnect');
    const [peer] = await accepted;
    const seen = { seenByServer: peer.getPeerCertificate(), serverTrustsClient: peer.authorized };
    socket.destroy();
    peer.destroy();
    return seen;
  } finally {
    listener.close();
  }
}

test('a TLS server and a client accept each other, and the server sees user and groups', async () => {
  const seen = await handshake(
    authority.server(['127.0.0.1', 'localhost']),
    authority.client('jane', ['system:masters', 'ops']),
    { clientTrusts: authority },
  );
  expect(seen.serverTrustsClient).toBe(true);
  expect(seen.seenByServer.subject).toMatchObject({ CN: 'jane', O: ['system:masters', 'ops'] });
});

test('a client that trusts another authority refuses the server', async () => {
  const other = newAuthority(Date.now());
  const attempt = handshake(authority.server(['127.0.0.1']), authority.client('jane', []), {
    clientTrusts: other,
  });
  await expect(attempt).rejects.toThrow(/certificate|signature/i);
});

test('a server is refused under an address that its certificate does not name', async () => {
  const attempt = handshake(authority.server(['10.0.0.1']), authority.client('jane', []), {
    clientTrusts: authority,
  });
  await expect(attempt).rejects.toThrow(/altnames/i);
});

test('a certificate of a client cannot be used to serve', async () => {
  const attempt = handshake(authority.client('127.0.0.1', []), authority.client('jane', []), {
    clientTrusts: authority,
  });
  await expect(attempt).rejects.toThrow(/purpose|altnames/i);
});

test.each([
  ['DNS name', 'api.sandbox.test', 'DNS:api.sandbox.test'],
  ['IPv4 address', '192.0.2.7', 'IP Address:192.0.2.7'],
  ['IPv6 address in short form', 'fd00::1:2', 'IP Address:FD00:0:0:0:0:0:1:2'],
  ['IPv6 loopback', '::1', 'IP Address:0:0:0:0:0:0:0:1'],
  ['IPv6 address in full', '2001:db8:1:2:3:4:5:6', 'IP Address:2001:DB8:1:2:3:4:5:6'],
])('a server certificate names a %s', (_what, reached, printed) => {
  const parsed = new X509Certificate(authority.server([reached]).certificate);
  expect(parsed.subjectAltName).toBe(printed);
});

test('leaf certificates are signed by the authority and are no authorities themselves', () => {
  const root = new X509Certificate(authority.certificate);
  const leaf = new X509Certificate(authority.client('jane', []).certificate);
  expect(root.ca).toBe(true);
  expect(leaf.ca).toBe(false);
  expect(root.verify(root.publicKey)).toBe(true);
  expect(leaf.verify(root.publicKey)).toBe(true);
  expect(leaf.checkIssued(root)).toBe(true);
});

test('a certificate is valid from an hour before it was made for a year', () => {
  const root = new X509Certificate(newAuthority(now).certificate);
  expect(root.validFromDate.toISOString()).toBe('2026-05-04T02:02:01.000Z');
  expect(root.validToDate.toISOString()).toBe('2027-05-04T03:02:01.000Z');
});

test('a certificate that ends after 2049 has its year in four digits', () => {
  const root = new X509Certificate(newAuthority(Date.parse('2049-06-01T00:00:00Z')).certificate);
  expect(root.validToDate.toISOString()).toBe('2050-06-01T00:00:00.000Z');
});

test('a private key fits its certificate', () => {
  const made = authority.client('jane', []);
  expect(createPublicKey(made.key).equals(new X509Certificate(made.certificate).publicKey)).toBe(true);
});

test('the serial numbers of a hundred certificates are positive and differ', () => {
  const serials = Array.from({ length: 100 }, () => {
    return new X509Certificate(authority.client('jane', []).certificate).serialNumber;
  });
  expect(new Set(serials).size).toBe(100);
  expect(serials.filter((serial) => serial.startsWith('-'))).toEqual([]);
});

test('what the private half of the token key signs, the public half verifies', () => {
  const key = newTokenKey();
  const text = Buffer.from('header.payload');
  expect(verify('sha256', text, key.publicKey, sign('sha256', text, key.privateKey))).toBe(true);
});
