import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { withLock } from './lock.ts';

async function lockPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, 'lock');
}

const quick = { clock: systemClock, pollMs: 10 };

test('only one at a time is inside, and all get their turn', async () => {
  const path = await lockPath();
  let inside = 0;
  let most = 0;
  const turns = await Promise.all(
    [1, 2, 3, 4].map((turn) =>
      withLock(path, quick, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await wait(15);
        inside -= 1;
        return turn;
      }),
    ),
  );
  expect(turns).toEqual([1, 2, 3, 4]);
  expect(most).toBe(1);
});

test('a failure inside releases the lock and is passed on', async () => {
  const path = await lockPath();
  const failing = withLock(path, quick, () => Promise.reject(new Error('inside')));
  await expect(failing).rejects.toThrow('inside');
  expect(await withLock(path, quick, () => Promise.resolve('next'))).toBe('next');
});

test('the lock of a process that is killed is free again, and was not before', async () => {
  const path = await lockPath();
  const holder = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { withLock } from ${JSON.stringify(new URL('lock.ts', import.meta.url).href)};
       import { systemClock } from ${JSON.stringify(new URL('../core/clock.ts', import.meta.url).href)};
       await withLock(${JSON.stringify(path)}, { clock: systemClock }, async () => {
         console.log('held');
         await new Promise((resolve) => setTimeout(resolve, 60_000));
       });`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(() => {
    holder.kill('SIGKILL');
  });
  await once(holder.stdout, 'data');
  const waits: number[] = [];
  const mine = withLock(
    path,
    {
      ...quick,
      onWait: (ms) => {
        waits.push(ms);
        if (waits.length === 3) holder.kill('SIGKILL');
      },
    },
    () => Promise.resolve('mine'),
  );
  expect(await mine).toBe('mine');
  expect(waits.length).toBeGreaterThanOrEqual(3);
  expect(waits.at(-1)).toBeGreaterThan(waits[0] ?? Infinity);
});

test('waiting can be called off', async () => {
  const path = await lockPath();
  const controller = new AbortController();
  await withLock(path, quick, async () => {
    const waiting = withLock(path, { ...quick, signal: controller.signal }, () => Promise.resolve());
    controller.abort(new Error('no longer'));
    await expect(waiting).rejects.toThrow('no longer');
  });
});

test('a lock that cannot be made is reported with its path', async () => {
  const attempt = withLock('/nowhere/lock', quick, () => Promise.resolve());
  await expect(attempt).rejects.toMatchObject({
    code: 'CannotLock',
    message: expect.stringContaining('/nowhere/lock'),
  });
});
