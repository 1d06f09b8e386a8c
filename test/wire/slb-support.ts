/** What the wire tests of the Alibaba client share. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createWireClient } from '../../providers/alibaba/client.ts';
import { createSource } from '../../providers/alibaba/credentials/choose.ts';
import { CredentialSession } from '../../providers/alibaba/credentials/session.ts';
import type { CredentialSource } from '../../providers/alibaba/credentials/source.ts';
import type { SlbClient } from '../../providers/alibaba/operations.ts';
import { Account } from '../../providers/alibaba/simulator/account.ts';
import { startServer } from '../../providers/alibaba/simulator/server.ts';
import type { ServerOptions, SimulatorServer } from '../../providers/alibaba/simulator/server.ts';
import type { SettingsInput } from '../../providers/alibaba/simulator/settings.ts';
import { seededRandom, systemClock } from '../../src/core/clock.ts';

export const region = 'cn-hangzhou';
/** Planted: they may be in no error. */
export const keys = {
  kind: 'access-key',
  accessKeyId: 'LTAI5tPlantedKeyId0001',
  accessKeySecret: 'planted-secret-0001',
  securityToken: `CAIS-planted-token-${'0123456789'.repeat(4)}`,
} as const;

export const keysSource = (): CredentialSource => createSource(keys, systemClock);

export interface Served {
  readonly account: Account;
  readonly server: SimulatorServer;
  close(): Promise<void>;
}

export async function serve(
  options: Partial<ServerOptions> & { readonly settings?: SettingsInput } = {},
): Promise<Served> {
  const { settings, ...rest } = options;
  const account = new Account({
    clock: systemClock,
    random: seededRandom(1),
    ...(settings !== undefined && { settings }),
  });
  const server = await startServer({ account, ...rest });
  return { account, server, close: () => server.close() };
}

/** A client with the planted keys, or with another source. */
export function clientTo(
  endpoint: string,
  source: CredentialSource = keysSource(),
  answerMs?: number,
): SlbClient & { close(): void } {
  return createWireClient({
    region,
    endpoint,
    session: new CredentialSession(source, systemClock),
    ...(answerMs !== undefined && { answerMs }),
  });
}

export interface StandIn {
  readonly url: string;
  /** Requests so far, as `METHOD path`. */
  readonly seen: string[];
  close(): Promise<void>;
}

/** A server on loopback that answers by a function of the request and its body. */
export async function standIn(
  answer: (request: IncomingMessage, body: string, response: ServerResponse) => void,
): Promise<StandIn> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      seen.push(`${request.method} ${request.url?.split('?')[0]}`);
      answer(request, Buffer.concat(parts).toString('utf8'), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
