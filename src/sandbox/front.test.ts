import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { until } from './demo/stage.ts';
import { Front, type FrontListener } from './front.ts';

const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** A node port that says its name and hangs up. */
async function nodePort(name: string): Promise<number> {
  const server: Server = createServer((socket) => socket.end(name));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(server);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function frontOf(account: { listeners: readonly FrontListener[] }): Front {
  const front = new Front({
    read: () => Promise.resolve(account.listeners),
    reach: (instance) => (instance === 'i-unknown' ? undefined : '127.0.0.1'),
    clock: systemClock,
  });
  opened.push(front);
  front.start();
  return front;
}

/** Who answers; undefined where the connection is cut. */
async function ask(front: Front): Promise<string | undefined> {
  const { value: where } = await until('the listener', () => Promise.resolve(front.where('lb.example', 80)));
  const { connect } = await import('node:net');
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(Number(where.split(':')[1]), '127.0.0.1');
    socket.on('data', (data) => (said += data.toString()));
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => resolve(said === '' ? undefined : said));
  });
}

test('connections go to the targets by turns, and to new ones soon after they are registered', async () => {
  const [one, two] = [await nodePort('one'), await nodePort('two')];
  const first = { instance: 'i-1', port: one };
  const account = { listeners: [{ balancer: 'lb.example', port: 80, targets: [first] }] };
  const front = frontOf(account);
  expect(await ask(front)).toBe('one');
  account.listeners = [
    { balancer: 'lb.example', port: 80, targets: [first, { instance: 'i-2', port: two }] },
  ];
  await until('the new one', async () => ((await ask(front)) === 'two' ? true : undefined));
  expect(new Set([await ask(front), await ask(front)])).toEqual(new Set(['one', 'two']));
});

test('a target that refuses or is nowhere is passed over; without any the connection is cut', async () => {
  const dead = { instance: 'i-1', port: 1 };
  const account = {
    listeners: [
      {
        balancer: 'lb.example',
        port: 80,
        targets: [
          dead,
          { instance: 'i-unknown', port: 80 },
          { instance: 'i-2', port: await nodePort('live') },
        ],
      },
    ],
  };
  const front = frontOf(account);
  expect(await ask(front)).toBe('live');
  account.listeners = [{ balancer: 'lb.example', port: 80, targets: [dead] }];
  await until('the cut', async () => ((await ask(front)) === undefined ? true : undefined));
});

test('a listener that is deleted answers no more', async () => {
  const account: { listeners: readonly FrontListener[] } = {
    listeners: [{ balancer: 'lb.example', port: 80, targets: [] }],
  };
  const front = frontOf(account);
  await until('it answers', () => Promise.resolve(front.where('lb.example', 80)));
  account.listeners = [];
  await until('it is gone', () => Promise.resolve(front.where('lb.example', 80) === undefined || undefined));
});
