/** The undici Agent of a connection: direct, or through the proxy that the kubeconfig names. */
import { Agent, ProxyAgent, Socks5ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';

import type { TlsMaterial } from './credentials.ts';
import type { Access } from './kubeconfig.ts';

export function makeDispatcher(access: Access, tls: TlsMaterial): Dispatcher {
  const secure = {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(access.tlsServerName === undefined ? {} : { servername: access.tlsServerName }),
    ...(access.insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
  };
  const common = {
    allowH2: false,
    pipelining: 1,
    connections: 64,
    // Below the API server's own idle limit, so that we are the ones to close, and soon: a burst of work leaves dozens
    // of connections behind, each with the memory of its encryption.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 60_000,
  };
  const { proxyUrl } = access;
  if (proxyUrl === undefined) {
    return new Agent({
      ...common,
      connect: { ...secure, timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 30_000 },
    });
  }
  if (proxyUrl.startsWith('socks')) return new Socks5ProxyAgent(proxyUrl, { ...common, requestTls: secure });
  return new ProxyAgent({ ...common, uri: proxyUrl, requestTls: secure });
}

/** By content: files are read again now and then. */
export function sameTls(one: TlsMaterial, other: TlsMaterial): boolean {
  return same(one.ca, other.ca) && same(one.cert, other.cert) && same(one.key, other.key);
}

function same(one: Buffer | string | undefined, other: Buffer | string | undefined): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined) return false;
  return Buffer.from(one).equals(Buffer.from(other));
}
