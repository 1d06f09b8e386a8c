/**
 * The port-forward's older wire form (`v4.channel.k8s.io`), which servers before 1.30 pass through to the kubelet, and
 * what happens at the handshake, against a server of the test. The newer form is tried on a real API server
 * (test/cluster/laptop-forward.test.ts).
 */
import { createServer, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { Connection, plainAccess } from '../../src/kube/connection.ts';
import { channelProtocol, forwardTo, tunnelProtocol } from '../../src/kube/port-forward.ts';
import { acceptOf } from '../../src/kube/websocket.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Unmasked binary frames, as a server sends them. */
function message(...parts: readonly (Buffer | number)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : part)));
  if (body.length < 126) return Buffer.concat([Buffer.from([0x82, body.length]), body]);
  const head = Buffer.from([0x82, 126, 0, 0]);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}

/** Takes the mask off one short frame; undefined when it is not whole. */
function unmask(bytes: Buffer): { opcode: number; body: Buffer; size: number } | undefined {
  const length = (bytes[1] ?? 0) & 0x7f;
  if (bytes.length < 6 + length) return undefined;
  const mask = bytes.subarray(2, 6);
  const body = Buffer.from(bytes.subarray(6, 6 + length)).map((byte, i) => byte ^ (mask[i & 3] ?? 0));
  return { opcode: (bytes[0] ?? 0) & 0x0f, body: Buffer.from(body), size: 6 + length };
}

async function aKubelet(
  onSocket: (socket: Duplex, onFrame: (run: (opcode: number, body: Buffer) => void) => void) => void,
): Promise<{ api: Connection; asked: { url: string; protocols: string }[] }> {
  const asked: { url: string; protocols: string }[] = [];
  const server: Server = createServer((_, answer) => {
    answer.writeHead(403, { 'content-type': 'application/json' });
    answer.end(JSON.stringify({ kind: 'Status', message: 'pods "p" is forbidden', reason: 'Forbidden' }));
  });
  const sockets = new Set<Duplex>();
  server.on('upgrade', (request, socket) => {
    sockets.add(socket);
    asked.push({
      url: request.url ?? '',
      protocols: String(request.headers['sec-websocket-protocol']),
    });
    socket.on('error', () => undefined);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Accept: ${acceptOf(String(request.headers['sec-websocket-key']))}\r\n` +
        `Sec-WebSocket-Protocol: ${channelProtocol}\r\n\r\n`,
    );
    let rest: Buffer = Buffer.alloc(0);
    onSocket(socket, (run) => {
      socket.on('data', (data: Buffer) => {
        rest = Buffer.concat([rest, data]);
        for (let frame = unmask(rest); frame !== undefined && rest.length > 0; frame = unmask(rest)) {
          rest = rest.subarray(frame.size);
          run(frame.opcode, frame.body);
        }
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const api = new Connection(plainAccess(`http://127.0.0.1:${port}`));
  closers.push(async () => {
    await api.close();
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { api, asked };
}

const to = { namespace: 'shop', pod: 'p', port: 8080 };
const port = Buffer.from([0x90, 0x1f]);

test('both forms are offered; channels carry bytes both ways, and closing is the end', async () => {
  const { api, asked } = await aKubelet((socket, onFrame) => {
    // The port comes on each channel first, here in one piece with data and in two.
    socket.write(Buffer.concat([message(0, port), message(1, port), message(0, Buffer.from('hello '))]));
    onFrame((opcode, body) => {
      if (opcode !== 2) return;
      socket.write(message(body));
      socket.end(Buffer.from([0x88, 2, 0x03, 0xe8]));
    });
  });
  const stream = await forwardTo(api, to, AbortSignal.timeout(5_000));
  let heard = '';
  stream.on('data', (data: Buffer) => {
    heard += data.toString();
  });
  const ended = new Promise((resolve) => stream.once('end', resolve));
  stream.write('world');
  await ended;
  expect(heard).toBe('hello world');
  expect(asked).toEqual([
    {
      url: '/api/v1/namespaces/shop/pods/p/portforward?ports=8080',
      protocols: `${tunnelProtocol}, ${channelProtocol}`,
    },
  ]);
});

test('what comes on the error channel ends the stream with it', async () => {
  const { api } = await aKubelet((socket) => {
    socket.write(message(0, port));
    socket.write(message(1, port));
    socket.write(message(1, Buffer.from('connection refused')));
    socket.end(Buffer.from([0x88, 2, 0x03, 0xe8]));
  });
  const error = await forwardTo(api, to, AbortSignal.timeout(5_000)).then(
    (stream) => stream.errored ?? new Promise<Error>((resolve) => stream.once('error', resolve)),
    (thrown: Error) => thrown,
  );
  expect(error?.message).toContain('shop/p:8080: connection refused');
});

test('frames cut anywhere mean the same', async () => {
  const whole = Buffer.concat([
    message(0, port),
    message(1, port),
    message(0, Buffer.alloc(300, 'a')),
    Buffer.from([0x89, 0]),
    message(0, Buffer.from('end')),
  ]);
  let pongs = 0;
  const { api } = await aKubelet((socket, onFrame) => {
    onFrame((opcode) => {
      if (opcode === 0xa) pongs += 1;
    });
    let at = 0;
    const next = (): void => {
      if (at >= whole.length) {
        socket.end(Buffer.from([0x88, 2, 0x03, 0xe8]));
        return;
      }
      socket.write(whole.subarray(at, at + 1));
      at += 1;
      setImmediate(next);
    };
    next();
  });
  const stream = await forwardTo(api, to, AbortSignal.timeout(5_000));
  let heard = '';
  for await (const part of stream) heard += String(part);
  expect(heard).toBe(`${'a'.repeat(300)}end`);
  expect(pongs).toBe(1);
});

test('a refusal keeps the reason that the server gave', async () => {
  const server = createServer((_, answer) => {
    answer.writeHead(403, { 'content-type': 'application/json' });
    answer.end(JSON.stringify({ kind: 'Status', message: 'pods "p" is forbidden', reason: 'Forbidden' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const api = new Connection(
    plainAccess(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`),
  );
  closers.push(async () => {
    await api.close();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  await expect(forwardTo(api, to, AbortSignal.timeout(5_000))).rejects.toMatchObject({
    kind: 'denied',
    message: expect.stringContaining('pods/portforward'),
  });
});

test('a server that says nothing is given up in time', async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const api = new Connection(
    plainAccess(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`),
  );
  closers.push(async () => {
    await api.close();
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  await expect(forwardTo(api, to, AbortSignal.timeout(200))).rejects.toMatchObject({ kind: 'transient' });
});
