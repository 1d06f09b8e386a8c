import {
  CreateLoadBalancerCommand,
  DescribeLoadBalancersCommand,
  DescribeTagsCommand,
  ElasticLoadBalancingV2Client,
  LoadBalancerNotFoundException,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Account } from '../../providers/aws/simulator/account.ts';
import { startServer, type SimulatorServer } from '../../providers/aws/simulator/server.ts';
import { seededRandom, systemClock } from '../../src/core/clock.ts';

let account: Account;
let server: SimulatorServer;
let client: ElasticLoadBalancingV2Client;

beforeEach(async () => {
  account = new Account({ clock: systemClock, random: seededRandom(1) });
  server = await startServer({ account });
  client = new ElasticLoadBalancingV2Client({
    endpoint: server.url,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'TEST', secretAccessKey: 'test' },
    maxAttempts: 1,
  });
});

afterEach(async () => {
  client.destroy();
  await server.close();
});

test('the SDK makes and describes a balancer', async () => {
  const made = await client.send(
    new CreateLoadBalancerCommand({
      Name: 'web',
      Type: 'network',
      Subnets: ['subnet-a', 'subnet-b'],
      Tags: [{ Key: 'a', Value: '<&>"\' é\n' }],
    }),
  );
  const arn = made.LoadBalancers?.[0]?.LoadBalancerArn ?? '';
  const { $metadata: _, ...described } = await client.send(
    new DescribeLoadBalancersCommand({ LoadBalancerArns: [arn] }),
  );
  expect(described).toEqual(account.handle('DescribeLoadBalancers', {}));
  const tags = await client.send(new DescribeTagsCommand({ ResourceArns: [arn] }));
  expect(tags.TagDescriptions).toEqual([{ ResourceArn: arn, Tags: [{ Key: 'a', Value: '<&>"\' é\n' }] }]);
});

test('a refusal arrives as the typed exception of the SDK', async () => {
  await expect(client.send(new DescribeLoadBalancersCommand({ Names: ['none'] }))).rejects.toThrow(
    LoadBalancerNotFoundException,
  );
});
