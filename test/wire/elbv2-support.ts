/** What the wire tests of the simulated ELBv2 share: an account that is served, and the real SDK pointed at it. */

import * as sdk from '@aws-sdk/client-elastic-load-balancing-v2';
import { Account } from '../../providers/aws/simulator/account.ts';
import { startServer, type SimulatorServer } from '../../providers/aws/simulator/server.ts';
import { seededRandom, systemClock, type Clock } from '../../src/core/clock.ts';

export const credentials = { accessKeyId: 'TEST', secretAccessKey: 'test-secret' };
export const CERTIFICATE = 'arn:aws:acm:eu-west-1:123456789012:certificate/one';

/** Time stands still for the account, so that two accounts can be compared; waiting on the wire is real. */
const still: Clock = { ...systemClock, now: () => 0, wall: () => Date.UTC(2026, 0, 1, 0, 0, 0, 123) };

export function newAccount(): Account {
  return new Account({ clock: still, random: seededRandom(1) });
}

export interface Served {
  readonly account: Account;
  readonly server: SimulatorServer;
  readonly client: sdk.ElasticLoadBalancingV2Client;
  readonly close: () => Promise<void>;
}

export async function serve(): Promise<Served> {
  const account = newAccount();
  const server = await startServer({ account });
  const client = newClient(server.url);
  return {
    account,
    server,
    client,
    close: async () => {
      client.destroy();
      await server.close();
    },
  };
}

export function newClient(
  endpoint: string,
  options: sdk.ElasticLoadBalancingV2ClientConfig = {},
): sdk.ElasticLoadBalancingV2Client {
  return new sdk.ElasticLoadBalancingV2Client({
    endpoint,
    region: 'eu-west-1',
    credentials,
    maxAttempts: 1,
    ...options,
  });
}

/** Sends the SDK's own command for an operation, and gives back its output without the metadata. */
export async function send(
  client: sdk.ElasticLoadBalancingV2Client,
  operation: string,
  input: object,
): Promise<Record<string, unknown>> {
  const commands = sdk as unknown as Record<string, new (input: object) => sdk.DescribeTagsCommand>;
  const Command = commands[`${operation}Command`];
  if (Command === undefined) throw new Error(`the SDK has no ${operation}Command`);
  const { $metadata: _, ...output } = await client.send(new Command(input));
  return output;
}
