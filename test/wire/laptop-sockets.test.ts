/** The engine of laptop mode on real sockets: half-close, resets, back-pressure, affinity, datagram flows, lost backends. */
import { createSocket } from 'node:dgram';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { aUid } from '../../src/core/fixtures.ts';
import { objectKey } from '../../src/core/objects.ts';
import { Engine } from '../../providers/local/laptop/engine/engine.ts';
import { machine } from '../../providers/local/laptop/engine/network.ts';
import type { ListenerRules } from '../../providers/local/laptop/host.ts';
import { memoryTable } from '../../providers/local/laptop/table.ts';

const holder = { cluster: 'c', uid: aUid('u'), service: objectKey('default', 'web') };
const { signal } = new AbortController();
const open: ListenerRules = { sourceRanges: [], affinityMs: 0 };
const closers: (() => void)[] = [];
let last = 0;

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A node port on a node of its own. */
async function aNode(
  onSocket: (socket: Socket) => void,
): Promise<{ address: string; server: Server; sockets: Set<Socket> }> {
  last += 1;
  const address = `127.74.0.${last}`;
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(30_500, address, resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address, server, sockets };
}

async function served(
  nodes: readonly string[],
  rules = open,
  protocol: 'TCP' | 'UDP' = 'TCP',
): Promise<{ engine: Engine; address: string }> {
  const engine = new Engine({
    clock: systemClock,
    network: machine,
    table: memoryTable(),
    forward: { lacks: () => 'none', open: () => Promise.reject(new Error('none')) },
    onChange: () => undefined,
  });
  closers.push(() => engine.close());
  last += 1;
  const address = `127.74.1.${last}`;
  const name = { address, protocol, port: 7_600 };
  await engine.reserve(holder, [address], signal);
  await engine.listen(holder, { ...name, listenPort: 7_600, rules }, signal);
  const targets = nodes.map((node) => ({ kind: 'node' as const, node, address: node, port: 30_500 }));
  await engine.addTargets(holder, name, targets, signal);
  await new Promise((resolve) => setTimeout(resolve, 50));
  return { engine, address };
}

function hear(socket: Socket): Promise<string> {
  let heard = '';
  socket.on('data', (data: Buffer) => {
    heard += data.toString();
  });
  return new Promise((resolve) => {
    socket.once('end', () => resolve(heard));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(`${heard}!${error.code ?? ''}`));
  });
}

test('a half-close is passed on, and the answer still comes', async () => {
  const node = await aNode((socket) => {
    let got = 0;
    socket.on('data', (data: Buffer) => {
      got += data.length;
    });
    socket.on('end', () => setTimeout(() => socket.end(`got ${got}`), 50));
  });
  const { address } = await served([node.address]);
  const client = connect({ host: address, port: 7_600, allowHalfOpen: true });
  client.end(Buffer.alloc(1_000_000));
  expect(await hear(client)).toBe('got 1000000');
});

test('the other half too: a server that ends first is still written to', async () => {
  let got = '';
  const ended = Promise.withResolvers<void>();
  const node = await aNode((socket) => {
    socket.end('bye');
    socket.on('data', (data: Buffer) => {
      got += data.toString();
    });
    socket.on('end', () => ended.resolve());
  });
  const { address } = await served([node.address]);
  const client = connect({ host: address, port: 7_600, allowHalfOpen: true });
  expect(await hear(client)).toBe('bye');
  client.end('after that');
  await ended.promise;
  expect(got).toBe('after that');
});

test('a backend that dies in mid-stream resets the client, and the next connection finds another', async () => {
  const dying = await aNode((socket) => void socket.write('dying'));
  const other = await aNode((socket) => void socket.end('other'));
  const { address, engine } = await served([dying.address]);
  const client = connect({ host: address, port: 7_600 });
  const heard = hear(client);
  await new Promise<void>((resolve) => client.once('data', () => resolve()));
  dying.server.close();
  for (const socket of dying.sockets) socket.resetAndDestroy();
  expect(await heard).toBe('dying!ECONNRESET');
  const name = { address, protocol: 'TCP' as const, port: 7_600 };
  await engine.addTargets(
    holder,
    name,
    [{ kind: 'node', node: 'other', address: other.address, port: 30_500 }],
    signal,
  );
  for (let i = 0; i < 4; i += 1) expect(await hear(connect({ host: address, port: 7_600 }))).toBe('other');
  const [view] = engine.view();
  expect(view?.targets.find(({ health }) => health === 'unhealthy')?.reason).toContain('refuses');
});

test('a client that resets takes its backend along', async () => {
  const gone = Promise.withResolvers<void>();
  const node = await aNode((socket) => {
    socket.write('x');
    socket.once('close', () => gone.resolve());
  });
  const { address, engine } = await served([node.address]);
  const client = connect({ host: address, port: 7_600 });
  await new Promise<void>((resolve) => client.once('data', () => resolve()));
  client.resetAndDestroy();
  await gone.promise;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(engine.view()[0]?.count).toMatchObject({ open: 0, total: 1 });
});

test('a slow reader slows the writer down', async () => {
  let written = 0;
  const chunk = Buffer.alloc(64 * 1024);
  const node = await aNode((socket) => {
    const more = (): void => {
      let goesOn = true;
      while (goesOn && !socket.destroyed) {
        goesOn = socket.write(chunk);
        written += chunk.length;
      }
    };
    socket.on('drain', more);
    more();
  });
  const { address } = await served([node.address]);
  const client = connect({ host: address, port: 7_600 });
  client.pause();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const after = written;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(written).toBe(after);
  expect(written).toBeLessThan(40_000_000);
  client.destroy();
});

test('a client with affinity keeps its node while that answers', async () => {
  const one = await aNode((socket) => void socket.end('one'));
  const two = await aNode((socket) => void socket.end('two'));
  const { address } = await served([one.address, two.address], { ...open, affinityMs: 60_000 });
  const asked = async () => await hear(connect({ host: address, port: 7_600 }));
  const first = await asked();
  for (let i = 0; i < 5; i += 1) expect(await asked()).toBe(first);
  (first === 'one' ? one : two).server.close();
  const next = await asked();
  expect(next).not.toBe(first);
  expect(await asked()).toBe(next);
});

test('datagrams of a client stay with one node; when it refuses, the next finds another', async () => {
  const udpNode = async (name: string) => {
    last += 1;
    const address = `127.74.0.${last}`;
    const socket = createSocket('udp4');
    socket.on('message', (_, from) => socket.send(name, from.port, from.address));
    await new Promise<void>((resolve) => socket.bind(30_500, address, resolve));
    let closed = false;
    const close = (): void => {
      if (!closed) socket.close();
      closed = true;
    };
    closers.push(close);
    return { address, close };
  };
  const nodes = { one: await udpNode('one'), two: await udpNode('two') };
  const { address, engine } = await served([nodes.one.address, nodes.two.address], open, 'UDP');
  const client = createSocket('udp4');
  closers.push(() => client.close());
  const ask = (): Promise<string | undefined> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => {
        client.removeAllListeners('message');
        resolve(undefined);
      }, 300);
      client.once('message', (data) => {
        clearTimeout(timer);
        resolve(data.toString());
      });
      client.send('q', 7_600, address);
    });
  const first = await ask();
  for (let i = 0; i < 4; i += 1) expect(await ask()).toBe(first);
  expect(engine.view()[0]?.count).toMatchObject({ open: 1, total: 1 });
  nodes[first === 'one' ? 'one' : 'two'].close();
  // The refusal comes back for a datagram that is lost; the next one goes elsewhere.
  await ask();
  expect(await ask()).toBe(first === 'one' ? 'two' : 'one');
});

test('after sleep every target is looked at again: one that went meanwhile is found without a lost connection, and found again', async () => {
  const [stays, goes] = [await aNode((socket) => socket.end('a')), await aNode((socket) => socket.end('b'))];
  const { address, engine } = await served([stays.address, goes.address]);
  const healths = () =>
    engine
      .view()
      .flatMap(({ targets }) =>
        targets.map(({ target, health }) => [target.kind === 'node' && target.node, health]),
      );
  await vi.waitFor(() =>
    expect(healths()).toEqual([
      [stays.address, 'healthy'],
      [goes.address, 'healthy'],
    ]),
  );
  await new Promise<void>((resolve) => goes.server.close(() => resolve()));
  expect(healths()).toEqual([
    [stays.address, 'healthy'],
    [goes.address, 'healthy'],
  ]);
  engine.recheck();
  await vi.waitFor(
    () =>
      expect(healths()).toEqual([
        [stays.address, 'healthy'],
        [goes.address, 'unhealthy'],
      ]),
    10_000,
  );
  for (let i = 0; i < 4; i += 1) expect(await hear(connect({ host: address, port: 7_600 }))).toBe('a');
  await new Promise<void>((resolve) => goes.server.listen(30_500, goes.address, resolve));
  engine.recheck();
  await vi.waitFor(
    () =>
      expect(healths()).toEqual([
        [stays.address, 'healthy'],
        [goes.address, 'healthy'],
      ]),
    10_000,
  );
});

test('a client outside the source ranges is reset before anything is asked of a node', async () => {
  let asked = 0;
  const node = await aNode((socket) => {
    asked += 1;
    socket.end('x');
  });
  const { address, engine } = await served([node.address], { ...open, sourceRanges: ['192.0.2.0/24'] });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = asked;
  expect(await hear(connect({ host: address, port: 7_600 }))).toBe('!ECONNRESET');
  expect(asked).toBe(before);
  expect(engine.view()[0]?.count).toMatchObject({ refused: 1, total: 0 });
});

test.each([
  ['a port that is taken', '127.74.2.1', { kind: 'conflict', code: 'PortInUse', reason: 'PortInUse' }],
  [
    'an address that is not this machine’s',
    '198.51.100.1',
    { kind: 'invalid', code: 'AddressNotHere', reason: 'AddressNotHere' },
  ],
] as const)('%s is told apart, with the cure', async (_, address, error) => {
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(7_601, '127.74.2.1', resolve));
  closers.push(() => blocker.close());
  for (const attempt of [
    machine.listenTcp(
      address,
      7_601,
      () => undefined,
      () => undefined,
    ),
    ...(error.kind === 'invalid'
      ? [
          machine.listenUdp(
            address,
            7_601,
            () => undefined,
            () => undefined,
          ),
        ]
      : []),
  ])
    await expect(attempt).rejects.toMatchObject(error);
});
