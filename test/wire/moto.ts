/** moto beside ours: started, given the same network, and asked the same questions through the same SDK. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { newClient, serve } from './elbv2-support.ts';

interface Net {
  readonly vpc: string;
  readonly subnets: readonly string[];
}

/** One side: a client, and what exists in its network. */
export interface Side extends Net {
  readonly client: ElasticLoadBalancingV2Client;
}

export type Ask = (side: Side) => Promise<unknown>;

export interface Moto {
  /** Asks both, each with an empty account. */
  askBoth(ask: Ask): Promise<{ readonly ours: unknown; readonly motos: unknown }>;
  stop(): Promise<void>;
}

const mostAttempts = 300;

/** Starts `program` (moto_server) on loopback; resolves when it answers. */
export async function startMoto(program: string): Promise<Moto> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const child = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill();
    await gone;
  };
  for (let attempt = 0; !(await answers(endpoint)); attempt += 1) {
    if (attempt === mostAttempts) {
      await stop();
      throw new Error('moto did not answer within 30 s');
    }
    await pause(100);
  }
  return { askBoth: (ask) => askBoth(endpoint, ask), stop };
}

function answers(endpoint: string): Promise<boolean> {
  return fetch(`${endpoint}/moto-api/`).then(
    (response) => response.ok,
    () => false,
  );
}

async function askBoth(endpoint: string, ask: Ask): Promise<{ ours: unknown; motos: unknown }> {
  await fetch(`${endpoint}/moto-api/reset`, { method: 'POST' });
  const net = await network(endpoint);
  const theirs = newClient(endpoint);
  const served = await serve();
  served.account.configure({
    subnets: net.subnets.map((id, index) => ({ id, vpcId: net.vpc, zone: `eu-west-1${'abc'[index]}` })),
  });
  try {
    return {
      ours: await ask({ ...net, client: served.client }),
      motos: await ask({ ...net, client: theirs }),
    };
  } finally {
    theirs.destroy();
    await served.close();
  }
}

/** The default network of moto's EC2, asked for by hand: the project has no EC2 client. */
async function network(endpoint: string): Promise<Net> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      authorization:
        'AWS4-HMAC-SHA256 Credential=TEST/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0',
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: 'Action=DescribeSubnets&Version=2016-11-15',
  });
  const text = await response.text();
  const all = (name: string): readonly string[] =>
    [...text.matchAll(new RegExp(`<${name}>([^<]+)<`, 'g'))].map((match) => match[1] ?? '');
  return { vpc: all('vpcId')[0] ?? '', subnets: all('subnetId') };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
