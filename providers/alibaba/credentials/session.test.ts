/** Credentials in use: one request at a time, none that has ended, no hammering of a source that is down. */
import { expect, test } from 'vitest';
import { SluiceError } from '../../../src/core/errors.ts';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { createSource } from './choose.ts';
import { CredentialSession } from './session.ts';
import type { CredentialSource, Issued } from './source.ts';

const minute = 60_000;
const down = new SluiceError('transient', 'STS is away', { code: 'ECONNRESET' });

interface Bench {
  readonly clock: VirtualClock;
  readonly session: CredentialSession;
  /** Times at which the source was asked. */
  readonly asked: number[];
  /** What the source does from now on: minutes to live, or an error. */
  script: number | SluiceError;
}

function bench(script: number | SluiceError, issueMs = 0): Bench {
  const clock = new VirtualClock();
  const asked: number[] = [];
  const made = { clock, asked, script } as Bench & { session: CredentialSession };
  const source: CredentialSource = {
    name: 'test',
    renewable: true,
    async issue(): Promise<Issued> {
      asked.push(clock.now());
      const number = asked.length;
      const { script: now } = made;
      if (issueMs > 0) await new Promise<void>((resolve) => void clock.schedule(issueMs, resolve));
      if (now instanceof SluiceError) throw now;
      return {
        accessKeyId: `key-${number}`,
        accessKeySecret: 's',
        securityToken: 't',
        expiresAt: clock.wall() + now * minute,
      };
    },
  };
  made.session = new CredentialSession(source, clock);
  return made;
}

const idOf = async (session: CredentialSession): Promise<string> => (await session.get()).accessKeyId;

test('ten that come together make one request', async () => {
  const { asked, clock, session } = bench(60, 100);
  const all = Promise.all(Array.from({ length: 10 }, () => idOf(session)));
  await clock.advance(100);
  expect(new Set(await all)).toEqual(new Set(['key-1']));
  expect(asked).toEqual([0]);
});

test('they are renewed a quarter of an hour before their end, and nobody waits for it', async () => {
  const { asked, clock, session } = bench(60, 100);
  const first = idOf(session);
  await clock.advance(100);
  await first;
  await clock.advance(44 * minute);
  expect(await idOf(session)).toBe('key-1');
  expect(asked).toHaveLength(1);
  await clock.advance(minute);
  expect(await idOf(session)).toBe('key-1');
  await clock.advance(100);
  expect(await idOf(session)).toBe('key-2');
  expect(asked).toHaveLength(2);
});

test('short-lived ones are not renewed at every call', async () => {
  const { asked, clock, session } = bench(15);
  for (let i = 0; i < 10; i += 1) {
    await idOf(session);
    await clock.advance(minute);
  }
  expect(asked).toHaveLength(1);
});

test('while the source is away the old ones serve to their end, and not beyond', async () => {
  const made = bench(60);
  const { clock, session } = made;
  await idOf(session);
  made.script = down;
  await clock.advance(59 * minute);
  expect(await idOf(session)).toBe('key-1');
  await clock.advance(0);
  await clock.advance(minute);
  await expect(session.get()).rejects.toBe(down);
});

test('a source that is away is asked after growing pauses, whoever asks', async () => {
  const made = bench(down);
  const { asked, clock, session } = made;
  for (let i = 0; i < 200; i += 1) {
    await session.get().catch(() => {});
    await clock.advance(100);
  }
  expect(asked).toEqual([0, 1_000, 3_000, 7_000, 15_000]);
  made.script = 60;
  await clock.advance(minute);
  expect(await idOf(session)).toBe('key-6');
});

test('one who gives up does not end the request that others wait for', async () => {
  const { asked, clock, session } = bench(60, 100);
  const abort = new AbortController();
  const gaveUp = expect(session.get(abort.signal)).rejects.toMatchObject({
    kind: 'transient',
    code: 'Aborted',
  });
  const stays = idOf(session);
  abort.abort();
  await gaveUp;
  await clock.advance(100);
  expect([await stays, asked.length]).toEqual(['key-1', 1]);
});

test('what was not accepted is replaced once, however many found out', async () => {
  const { asked, session } = bench(60);
  const used = await session.get();
  session.drop(used);
  expect(await idOf(session)).toBe('key-2');
  session.drop(used);
  expect(await idOf(session)).toBe('key-2');
  expect(asked).toHaveLength(2);
});

test('with a clock that is an hour ahead they are used for a minute, not renewed at every call', async () => {
  const { asked, clock, session } = bench(-60);
  for (let i = 0; i < 50; i += 1) {
    await idOf(session);
    await clock.advance(1_000);
  }
  expect(asked.length).toBeLessThanOrEqual(2);
});

test.each([
  [undefined, 'static_ak'],
  ['token', 'static_sts'],
])('keys that were written down (token: %s) come as they are', async (securityToken, name) => {
  const clock = new VirtualClock();
  const keys = { kind: 'access-key', accessKeyId: 'id', accessKeySecret: 'secret', securityToken } as const;
  const session = new CredentialSession(createSource(keys, clock), clock);
  await clock.advance(1_000 * minute);
  expect(await session.get()).toMatchObject({ accessKeyId: 'id', securityToken: securityToken ?? '' });
  expect([session.name, session.renewable]).toEqual([name, false]);
});
