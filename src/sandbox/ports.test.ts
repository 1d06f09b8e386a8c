import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from './ports.ts';

/** Gives out the given numbers one after the other. */
function scripted(...values: readonly number[]): () => number {
  const left = [...values];
  return () => left.shift() ?? 0.999;
}

test('a port that somebody listens on is passed over', async () => {
  const port = await freePort('127.0.0.1', Math.random);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  try {
    const taken = (port - 20_000) / 10_000 + 1e-9;
    expect(await freePort('127.0.0.1', scripted(taken, 0.4321))).not.toBe(port);
  } finally {
    server.close();
  }
});

test('no port is handed out twice', async () => {
  const first = await freePort('127.0.0.1', scripted(0.1234, 0.1235));
  expect(await freePort('127.0.0.1', scripted(0.1234, 0.1235))).not.toBe(first);
});

test('ports stay clear of outgoing connections and of node ports', async () => {
  expect(await freePort('127.0.0.1', scripted(0))).toBeGreaterThanOrEqual(20_000);
  expect(await freePort('127.0.0.1', scripted(0.9999))).toBeLessThan(30_000);
});

test('an address that is not of this machine is refused with its name', async () => {
  await expect(freePort('192.0.2.1', Math.random)).rejects.toMatchObject({
    kind: 'invalid',
    message: expect.stringContaining('192.0.2.1'),
  });
});
