/**
 * Laptop mode through the API server: the real kube-apiserver tunnels to a stand-in for the kubelet. What the stand-in
 * is worth is shown by the real kubectl, which forwards through the same one.
 */
import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { forwardTo } from '../../src/kube/port-forward.ts';
import { findBinaries } from '../../src/sandbox/binaries.ts';
import { newAuthority } from '../../src/sandbox/certificates.ts';
import { until, untilService } from '../../src/sandbox/demo/stage.ts';
import { apply, remove } from '../../src/sandbox/objects.ts';
import { ask, LaptopGround, tcpEcho, type Echo } from './laptop-ground.ts';
import { startStandInKubelet, type StandInKubelet } from './stand-in-kubelet.ts';

/** As the bridge of Docker Desktop seen from the host: nobody can be reached there. */
const nodes = [['near', '127.255.255.255']] as const;
let ground: LaptopGround;
let kubelet: StandInKubelet;
const echoes: Echo[] = [];
const servers: Server[] = [];
const listening = new Map<number, number>();

/** A pod's port on this machine. */
async function podListens(port: number, onSocket: Parameters<typeof createServer>[1]): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, onSocket);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  const address = server.address();
  listening.set(port, typeof address === 'object' && address !== null ? address.port : 0);
}

beforeAll(async () => {
  ground = await LaptopGround.open();
  const { certificate: cert, key } = newAuthority(systemClock.wall()).server(['127.0.0.1']);
  kubelet = await startStandInKubelet({ cert, key }, (_, port) => {
    const at = listening.get(port);
    return at === undefined ? undefined : { host: '127.0.0.1', port: at };
  });
  // The API server asks the kubelet under the Hostname, which leads to the stand-in; node ports are asked at the InternalIP.
  for (const [name, address] of nodes) {
    await apply(ground.api, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      spec: {},
      status: {
        addresses: [
          { type: 'Hostname', address: '127.0.0.1' },
          { type: 'InternalIP', address },
        ],
        daemonEndpoints: { kubeletEndpoint: { Port: kubelet.port } },
      },
    });
  }
  await pod('p1', '10.9.0.1');
  await podListens(8080, (socket) => {
    socket.on('error', () => undefined);
    socket.write('p1\n');
    socket.pipe(socket);
  });
});

afterEach(async () => {
  await ground.tidy();
  for (const echo of echoes.splice(0)) await echo.close();
});

afterAll(async () => {
  for (const server of servers) server.close();
  await kubelet.close();
  await ground.close();
});

async function pod(name: string, ip: string): Promise<void> {
  const path = '/api/v1/namespaces/default/pods';
  await ground.api.request('POST', path, {
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: {
        nodeName: 'near',
        automountServiceAccountToken: false,
        containers: [{ name: 'c', image: 'none' }],
      },
    },
  });
  await ground.api.request('PATCH', `${path}/${name}/status`, {
    contentType: 'application/merge-patch+json',
    body: { status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] } },
  });
}

function forward(port: number): ReturnType<typeof forwardTo> {
  return forwardTo(ground.api, { namespace: 'default', pod: 'p1', port }, AbortSignal.timeout(60_000));
}

test('the stand-in serves the real kubectl', async () => {
  const { kubectl } = await findBinaries(['kubectl']);
  const child = spawn(kubectl, ['--kubeconfig', ground.plane.admin.path, 'port-forward', 'pod/p1', ':8080'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  try {
    const { value } = await until('kubectl listens', () =>
      Promise.resolve(/127\.0\.0\.1:(\d+)/u.exec(out)?.[1]),
    );
    expect(await ask('127.0.0.1', Number(value), 'by kubectl')).toBe('p1\nby kubectl');
    expect(await ask('127.0.0.1', Number(value), 'again')).toBe('p1\nagain');
  } finally {
    child.kill('SIGTERM');
  }
});

test('a stream to a pod: both halves end by themselves, and nothing is lost', async () => {
  const stream = await forward(8080);
  const sent = Buffer.alloc(3_000_000, 'x');
  const parts: Buffer[] = [];
  stream.on('data', (part: Buffer) => parts.push(part));
  const ended = new Promise((resolve) => stream.once('end', resolve));
  stream.end(sent);
  await ended;
  expect(Buffer.concat(parts).length).toBe(3 + sent.length);
});

test('a port on which the pod does not listen ends the stream with the kubelet’s word', async () => {
  const ended = forward(9999).then(
    (stream) => stream.errored ?? new Promise<Error>((resolve) => stream.once('error', resolve)),
    (error: Error) => error,
  );
  expect((await ended).message).toContain('connection refused');
});

test('a slow reader slows the pod down', async () => {
  let written = 0;
  await podListens(8081, (socket) => {
    socket.on('error', () => undefined);
    const chunk = Buffer.alloc(65_536);
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk)) written += chunk.length;
    };
    socket.on('drain', more);
    more();
  });
  const stream = await forward(8081);
  stream.pause();
  await until('the pod is held up', async () => {
    const before = written;
    await new Promise((resolve) => setTimeout(resolve, 400));
    return written === before ? true : undefined;
  });
  expect(written).toBeLessThan(60_000_000);
  stream.destroy();
});

test('a pod that does not exist is refused by the API server, in its words', async () => {
  const gone = forwardTo(
    ground.api,
    { namespace: 'default', pod: 'nobody', port: 80 },
    AbortSignal.timeout(60_000),
  );
  await expect(gone).rejects.toMatchObject({ kind: 'gone', message: expect.stringContaining('nobody') });
});

test('nodes that cannot be reached are gone around through the API server; UDP is refused with a reason', async () => {
  const service = ground.service(
    {
      ports: [
        { name: 'tcp', port: 6001, nodePort: 31_201 },
        { name: 'udp', port: 6001, protocol: 'UDP', nodePort: 31_202 },
      ],
    },
    'far',
  );
  await apply(ground.api, service);
  await apply(ground.api, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'default', name: 'far-1', labels: { 'kubernetes.io/service-name': 'far' } },
    addressType: 'IPv4',
    ports: [{ name: 'tcp', protocol: 'TCP', port: 8080 }],
    endpoints: [{ addresses: ['10.9.0.1'], conditions: { ready: true } }],
  });
  const local = ground.local();
  const row = await ground.shows(
    local,
    'far',
    'goes by way of the API server',
    ({ ports }) => ports[0]?.via === 'api',
  );
  const [address = ''] = row.addresses;
  await until('an answer', async () => ((await ask(address, 6001, 'x')) === 'p1\nx' ? true : undefined));
  await ground.shows(
    local,
    'far',
    'says what is wrong with UDP',
    ({ message, ports }) => ports[1]?.healthy === 0 && /cannot be reached/u.test(message),
  );
  // Connections beside each other do not meet.
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(address, 6001, `n${i}`)));
  expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => `p1\nn${i}`));
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (live) => live === undefined);
  expect(await local.end()).toBe(0);

  // Asked for by name, UDP is not opened at all.
  await apply(ground.api, service);
  const api = ground.local(['--via', 'api']);
  const refused = await ground.shows(api, 'far', 'is limited', ({ state }) => state === 'limited');
  expect(refused.ports[1]).toMatchObject({ protocol: 'UDP', url: '' });
  expect(refused.message).toContain('carries TCP only');
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (live) => live === undefined);
  expect(await api.end()).toBe(0);
});

test('node ports are taken again as soon as they answer', async () => {
  await ground.node('home', '127.77.1.1');
  const service = ground.service({ ports: [{ port: 6002, nodePort: 31_203 }] }, 'home');
  await apply(ground.api, service);
  await ground.slice('home', [{ addresses: ['10.9.0.1'], conditions: { ready: true } }]);
  const local = ground.local();
  const row = await ground.shows(
    local,
    'home',
    'goes by way of the API server',
    ({ ports }) => ports[0]?.via === 'api',
  );
  echoes.push(await tcpEcho('127.77.1.1', 31_203, 'node'));
  await ground.shows(local, 'home', 'goes by the node', ({ ports }) => ports[0]?.via === 'nodes');
  expect(await ask(row.addresses[0] ?? '', 6002)).toBe('node\n');
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (live) => live === undefined);
  expect(await local.end()).toBe(0);
});

test('a node that dies behind the API server is noticed by its silence', async () => {
  const stream = await forwardTo(
    ground.api,
    { namespace: 'default', pod: 'p1', port: 8080 },
    AbortSignal.timeout(60_000),
    { clock: systemClock, everyMs: 100, deadMs: 4_000 },
  );
  stream.resume();
  // It answers while it lives.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  expect(stream.destroyed).toBe(false);
  const error = new Promise<Error>((resolve) => stream.once('error', resolve));
  kubelet.cut();
  expect((await error).message).toMatch(/no sign of life|cut|without a word/u);
});
