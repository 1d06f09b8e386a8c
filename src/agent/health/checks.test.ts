import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { objectKey } from '../../core/objects.ts';
import type { HealthCheck } from '../decide/facts.ts';
import { HealthChecks } from './checks.ts';

const service = objectKey('shop', 'web');

/** Checks of one Service on a port of this machine; the kernel is written when `write` is called. */
async function stage() {
  const port = await freePort();
  let waiting: (() => void)[] = [];
  const checks = new HealthChecks({
    clock: systemClock,
    random: Math.random,
    programmed: () => true,
    whenWritten: (_family, then) => waiting.push(then),
    nodePortAddresses: () => ['127.0.0.1'],
    proxyHealthy: () => true,
    onFailed: () => undefined,
  });
  onTestFinished(() => checks.close());
  let before: HealthCheck | undefined;
  return {
    decide: (ready: number) => {
      const after: HealthCheck = { service, family: 'IPv4', port, ready };
      if (checks.turn([{ before, after }])) checks.sync();
      before = after;
    },
    write: () => {
      const due = waiting;
      waiting = [];
      for (const then of due) then();
    },
    /** What a balancer is told. */
    status: async (): Promise<number> => {
      await expect.poll(() => checks.listening).toBe(1);
      return (await fetch(`http://127.0.0.1:${port}/`)).status;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => void server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

test('a node is called healthy once the rules to its first endpoint are written, and not before', async () => {
  const { decide, write, status } = await stage();
  decide(1);
  expect(await status()).toBe(503);
  write();
  expect(await status()).toBe(200);
});

test('a node without an endpoint is called ill at once, before the rules are written', async () => {
  const { decide, write, status } = await stage();
  decide(1);
  write();
  decide(0);
  expect(await status()).toBe(503);
});

test('an endpoint that went before the rules to it were written is not spoken of', async () => {
  const { decide, write, status } = await stage();
  decide(0);
  decide(1);
  decide(0);
  write();
  expect(await status()).toBe(503);
  decide(1);
  write();
  expect(await status()).toBe(200);
});
