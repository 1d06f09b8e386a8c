/**
 * Calls to AWS through a proxy that the environment names: a CONNECT proxy on loopback that leads every name to a
 * simulated account behind TLS. The account's name exists nowhere else, so a call that arrives came through it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, request, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createSdkClient } from '../../providers/aws/client.ts';
import { classify } from '../../providers/aws/errors.ts';
import type { ElbOutput } from '../../providers/aws/operations.ts';
import { Account } from '../../providers/aws/simulator/account.ts';
import { startServer, type SimulatorServer } from '../../providers/aws/simulator/server.ts';
import { seededRandom, systemClock } from '../../src/core/clock.ts';
import { newAuthority } from '../../src/sandbox/certificates.ts';

const name = 'elasticloadbalancing.proxied.test';
const endpoint = `https://${name}`;
const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'any' };
const ends: (() => void)[] = [];

let simulator: SimulatorServer;
let account: Server;
let proxy: Server;
/** What the proxy was asked for: the target, and the credentials that came along. */
let asked: { readonly target: string | undefined; readonly authorization: string | undefined }[] = [];
let proxyAnswer = 200;

beforeAll(async () => {
  simulator = await startServer({
    account: new Account({ clock: systemClock, random: seededRandom(1) }),
  });
  const authority = newAuthority(Date.now());
  setDefaultCACertificates([...getCACertificates('default'), authority.certificate]);
  const { certificate: cert, key } = authority.server([name]);
  account = createTlsServer({ cert, key }, (incoming, outgoing) => {
    const { method, headers, url } = incoming;
    const inner = request(`${simulator.url}${url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(inner);
  });
  proxy = createHttpServer();
  proxy.on('connect', (incoming, socket) => {
    asked.push({ target: incoming.url, authorization: incoming.headers['proxy-authorization'] });
    if (proxyAnswer !== 200) {
      socket.end(`HTTP/1.1 ${proxyAnswer} refused\r\n\r\n`);
      return;
    }
    const onward = connect(portOf(account), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    for (const end of [socket, onward]) end.on('error', () => onward.destroy());
  });
  for (const server of [account, proxy]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }
});

afterAll(async () => {
  account.closeAllConnections();
  account.close();
  proxy.close();
  await simulator.close();
});

beforeEach(() => {
  asked = [];
  proxyAnswer = 200;
});

afterEach(() => {
  for (const end of ends.splice(0)) end();
  vi.unstubAllEnvs();
});

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Lists the balancers of an account; what was thrown as one of our errors. */
async function list(env: Readonly<Record<string, string>> | undefined, url = endpoint): Promise<unknown> {
  const client = createSdkClient({ region: 'eu-west-1', endpoint: url, credentials, env });
  ends.push(() => client.close());
  try {
    const { LoadBalancers }: ElbOutput<'DescribeLoadBalancers'> = await client.call(
      'DescribeLoadBalancers',
      {},
    );
    return LoadBalancers;
  } catch (error) {
    const { kind, code, message } = classify(error, 'DescribeLoadBalancers');
    return { kind, code, message };
  }
}

const proxyUrl = (user = ''): string => `http://${user}127.0.0.1:${portOf(proxy)}`;

test('a call goes through the proxy, with the credentials that its URL holds', async () => {
  expect(await list({ HTTPS_PROXY: proxyUrl('user:secret@') })).toEqual([]);
  expect(asked).toEqual([
    { target: `${name}:443`, authorization: `Basic ${Buffer.from('user:secret').toString('base64')}` },
  ]);
});

test('the environment of the process is what counts by default', async () => {
  vi.stubEnv('https_proxy', proxyUrl());
  expect(await list(undefined)).toEqual([]);
  expect(asked).toHaveLength(1);
});

test('a connection through the proxy is used for many calls', async () => {
  const client = createSdkClient({
    region: 'eu-west-1',
    endpoint,
    credentials,
    env: { HTTPS_PROXY: proxyUrl() },
  });
  ends.push(() => client.close());
  for (let call = 0; call < 3; call += 1) await client.call('DescribeLoadBalancers', {});
  expect(asked).toHaveLength(1);
});

test('NO_PROXY is honoured', async () => {
  const env = { HTTPS_PROXY: proxyUrl(), NO_PROXY: 'example.com,.proxied.test' };
  expect(await list(env)).toMatchObject({ kind: 'transient' });
  expect(asked).toEqual([]);
});

test('a plain http end point is reached directly', async () => {
  expect(await list({ HTTPS_PROXY: proxyUrl(), HTTP_PROXY: proxyUrl() }, simulator.url)).toEqual([]);
  expect(asked).toEqual([]);
});

test('credentials for a web identity are fetched through it, too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-proxy-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  const token = join(folder, 'token');
  writeFileSync(token, 'any');
  const environment = {
    HOME: folder,
    AWS_ACCESS_KEY_ID: undefined,
    AWS_SECRET_ACCESS_KEY: undefined,
    AWS_PROFILE: undefined,
    AWS_WEB_IDENTITY_TOKEN_FILE: token,
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/any',
    AWS_ENDPOINT_URL_STS: 'https://sts.proxied.test',
    HTTPS_PROXY: proxyUrl(),
  };
  for (const [variable, value] of Object.entries(environment)) vi.stubEnv(variable, value);
  const client = createSdkClient({ region: 'eu-west-1', endpoint });
  ends.push(() => client.close());
  // What answers there is not the token service: that it was asked is enough.
  await expect(client.call('DescribeLoadBalancers', {})).rejects.toThrow();
  expect(asked.map(({ target }) => target)).toContain('sts.proxied.test:443');
});

test('a proxy that refuses is told, and not its password; the call was never made', async () => {
  proxyAnswer = 407;
  const answer = await list({ HTTPS_PROXY: proxyUrl('user:secret@') });
  expect(answer).toMatchObject({ kind: 'transient', code: 'ERR_PROXY_TUNNEL' });
  expect(JSON.stringify(answer)).toContain(`via ${proxyUrl()}`);
  expect(JSON.stringify(answer)).not.toContain('secret');
});

test('a proxy that cannot be used is told by the first call, by the name of its variable', async () => {
  expect(await list({ HTTPS_PROXY: 'socks5://127.0.0.1:1080' })).toMatchObject({
    kind: 'invalid',
    code: 'InvalidProxy',
    message: expect.stringContaining('environment variable HTTPS_PROXY does not name an HTTP proxy'),
  });
});
