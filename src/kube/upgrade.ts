/**
 * The handshake that turns a request to the API server into a stream of bytes both ways (WebSocket, RFC 6455).
 *
 * By Node's own HTTP client: undici's upgrade tells nothing of a refusal but that it was one, and the reason that the
 * API server gives is what a user needs.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { SluiceError } from '../core/errors.ts';
import type { Query } from './api.ts';
import type { Identity } from './credentials.ts';
import type { Access } from './kubeconfig.ts';
import { answerError, transportError, type Call } from './status.ts';
import { acceptOf, newKey } from './websocket.ts';

export interface UpgradeOptions {
  readonly query?: Query;
  /** Subprotocols, the most wanted first. */
  readonly protocols: readonly string[];
  readonly signal: AbortSignal;
}

export interface Upgraded {
  readonly socket: Duplex;
  /** Bytes that came with the answer. */
  readonly head: Buffer;
  /** What the server chose; empty where it named none. */
  readonly protocol: string;
}

export interface Upgrader {
  /** Errors: as `Api.request`. */
  upgrade(path: string, options: UpgradeOptions): Promise<Upgraded>;
}

/** One handshake. `url` has the query already. */
export function handshake(
  access: Access,
  identity: Identity,
  call: Call,
  url: URL,
  userAgent: string,
  { protocols, signal }: UpgradeOptions,
): Promise<Upgraded> {
  const { proxyUrl } = access;
  if (proxyUrl !== undefined) {
    const message = `${access.source}: streams through the proxy ${new URL(proxyUrl).host} are not supported; reach the node ports instead`;
    return Promise.reject(new SluiceError('invalid', message, { code: 'ProxiedStream' }));
  }
  const { tls } = identity;
  const key = newKey();
  return new Promise((resolve, reject) => {
    const outgoing = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      method: 'GET',
      // A connection of its own that is never given back to a pool.
      agent: false,
      headers: {
        ...identity.headers,
        'user-agent': userAgent,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': key,
        'sec-websocket-protocol': protocols.join(', '),
      },
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
      ...(access.tlsServerName === undefined ? {} : { servername: access.tlsServerName }),
      ...(access.insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
    });
    // Not handed to the request: it would cut the stream too, long after the handshake.
    const onAbort = (): void => void outgoing.destroy(asError(signal.reason));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const settled = (): void => signal.removeEventListener('abort', onAbort);
    outgoing.once('upgrade', (answer, socket, head) => {
      settled();
      if (answer.headers['sec-websocket-accept'] !== acceptOf(key)) {
        socket.destroy();
        reject(
          new SluiceError('transient', `${access.server} does not speak WebSocket`, { code: 'BadHandshake' }),
        );
        return;
      }
      socket.setKeepAlive(true, 30_000);
      socket.setNoDelay(true);
      resolve({ socket, head, protocol: answer.headers['sec-websocket-protocol'] ?? '' });
    });
    outgoing.once('response', (answer) => {
      settled();
      refusal(answer).then(
        (text) => {
          const after = answer.headers['retry-after'];
          reject(answerError('GET', call, answer.statusCode ?? 500, text, after));
        },
        (error: unknown) => reject(transportError('GET', call, access.server, error)),
      );
    });
    outgoing.on('error', (error) => {
      settled();
      reject(transportError('GET', call, access.server, error));
    });
    outgoing.end();
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** The text of a refusal, as far as it is of use. */
async function refusal(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of answer) {
    text += String(part);
    if (text.length > 65_536) break;
  }
  return text;
}
