import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { objectKey, type ObjectKey } from '../../core/objects.ts';
import { HealthListeners } from './listeners.ts';

const web = objectKey('shop', 'web');
const open: HealthListeners[] = [];

afterEach(async () => {
  for (const listeners of open.splice(0)) await listeners.close();
});

interface Bench {
  readonly listeners: HealthListeners;
  readonly failed: string[];
  readonly ready: Map<ObjectKey, number>;
}

function bench(): Bench {
  const failed: string[] = [];
  const ready = new Map<ObjectKey, number>([[web, 1]]);
  const listeners = new HealthListeners({
    clock: systemClock,
    random: Math.random,
    ready: (service) => ready.get(service),
    proxyHealthy: () => true,
    onFailed: (service, address, port) => failed.push(`${service} ${address}:${port}`),
  });
  open.push(listeners);
  return { listeners, failed, ready };
}

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function ask(port: number, method = 'GET'): Promise<Response> {
  return await fetch(`http://127.0.0.1:${port}/any/path`, { method });
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i += 1) {
    if (await what()) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  throw new Error('it did not come true in 4 s');
}

describe('the listeners', () => {
  test('answer any path and any method by the count of the moment, and by 503 once the Service is gone', async () => {
    const { listeners, ready } = bench();
    const port = await freePort();
    listeners.sync([{ service: web, family: 'IPv4', port, addresses: ['127.0.0.1'] }]);
    await until(() => listeners.listening === 1);
    const answer = await ask(port);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-load-balancing-endpoint-weight')).toBe('1');
    ready.set(web, 0);
    expect((await ask(port, 'POST')).status).toBe(503);
    ready.delete(web);
    expect((await ask(port)).status).toBe(503);
  });

  test('close when they are wished for no more', async () => {
    const { listeners } = bench();
    const port = await freePort();
    listeners.sync([{ service: web, family: 'IPv4', port, addresses: ['127.0.0.1'] }]);
    await until(() => listeners.listening === 1);
    listeners.sync([]);
    await until(async () =>
      ask(port).then(
        () => false,
        () => true,
      ),
    );
  });

  test('a taken port is told once, and served as soon as it is free', async () => {
    const { listeners, failed } = bench();
    const port = await freePort();
    const other = createServer();
    await new Promise<void>((resolve) => {
      other.listen(port, '127.0.0.1', resolve);
    });
    listeners.sync([{ service: web, family: 'IPv4', port, addresses: ['127.0.0.1'] }]);
    await until(() => failed.length > 0);
    await new Promise((resolve) => {
      setTimeout(resolve, 700);
    });
    expect(failed).toEqual([`shop/web 127.0.0.1:${port}`]);
    await new Promise((resolve) => {
      other.close(resolve);
    });
    await until(() => listeners.listening === 1);
    expect((await ask(port)).status).toBe(200);
  });
});
