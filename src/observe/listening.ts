/** A server of HTTP from its first moment to its last: it listens where it was told to, or says why it cannot. */
import type { Server } from 'node:http';
import { SluiceError } from '../core/errors.ts';

export interface Listening {
  /** The port in use: of interest when 0 was asked for. */
  readonly port: number;
  /** Cuts the connections that are open. */
  close(): Promise<void>;
}

export interface ListenAt {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

/** Splits `ADDRESS:PORT`, `[ADDRESS]:PORT` or `:PORT` (all addresses). */
export function parseListen(listen: string): ListenAt {
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, colon).replaceAll(/[[\]]/gu, '');
  return { host: host === '' ? undefined : host, port: Number(listen.slice(colon + 1)) };
}

/** Slow clients do not hold a connection for long. Milliseconds. */
export const httpLimits = { requestTimeout: 10_000, headersTimeout: 5_000 } as const;

/**
 * Begins to listen.
 *
 * @param refused the message where the address is taken or is not ours, from what the system says.
 * @throws SluiceError conflict, with that message.
 */
export async function listening(
  server: Server,
  at: ListenAt,
  refused: (why: string) => string,
): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        new SluiceError('conflict', refused(cause.message), { code: cause.code ?? 'ListenFailed', cause }),
      );
    });
    server.listen(at, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
