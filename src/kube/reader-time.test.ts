/** The paces of the reader in virtual time: back-off, re-lists, and what ends a watch that never ends. */
import { expect, test } from 'vitest';

import { sleep } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { bookmark } from '../../test/support/scripted-api.ts';
import type { Api, Query } from './api.ts';
import { services } from './kinds.ts';
import { Reader } from './reader.ts';
import { readerTimings } from './reader-report.ts';
import type { ReaderReport } from './reader-report.ts';

type Answer = (query: Query, signal: AbortSignal | undefined) => AsyncIterable<unknown>;

/** A reader whose streams are answered by `answer`, and when each of them was opened. */
function world(time: VirtualClock, answer: Answer) {
  const opened: { readonly at: number; readonly list: boolean }[] = [];
  const reports: ReaderReport[] = [];
  const api: Api = {
    server: 'memory',
    request: () => Promise.reject(new SluiceError('transient', 'no pages here', { code: 'Test' })),
    stream: async function* stream(_path, { query = {}, signal }) {
      opened.push({ at: time.now(), list: query['sendInitialEvents'] === true });
      for await (const line of answer(query, signal)) yield [line];
    },
  };
  const reader = new Reader({
    api,
    kind: services(),
    clock: time,
    random: () => 0.5,
    report: (event) => reports.push(event),
  });
  return { reader, opened, reports };
}

const list = { type: 'BOOKMARK', object: bookmark('10', true) };

test('failures are answered by growing pauses up to half a minute, never in step, and health resets them', async () => {
  const time = new VirtualClock();
  let down = true;
  const { reader, reports } = world(time, async function* answer(_query, signal) {
    if (down) throw new SluiceError('transient', 'down', { code: 'ECONNREFUSED' });
    yield list;
    await sleep(time, 200_000, signal);
    throw new SluiceError('transient', 'reset', { code: 'ECONNRESET' });
  });
  reader.start();
  await time.advance(200_000);
  const waits = reports.flatMap((event) => (event.kind === 'failed' ? [event.retryInMs] : []));
  expect(waits.slice(0, 6)).toEqual([1_200, 2_400, 4_800, 9_600, 19_200, 22_500]);
  expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
  // No hot loop: three minutes of outage cost about a dozen tries.
  expect(waits.length).toBeLessThan(14);

  down = false;
  await time.advance(240_000);
  const last = reports.findLast((event) => event.kind === 'failed');
  expect(last).toMatchObject({ error: { code: 'ECONNRESET' }, retryInMs: 1_200 });
  await reader.stop();
});

test('a watch that the server ends is resumed at once, and the whole is listed about every hour', async () => {
  const time = new VirtualClock();
  const { reader, opened, reports } = world(time, async function* answer(query, signal) {
    if (query['sendInitialEvents'] === true) yield list;
    await sleep(time, Number(query['timeoutSeconds']) * 1_000, signal);
  });
  reader.start();
  await time.advance(6 * 3_600_000);

  const lists = opened.filter((one) => one.list);
  expect(lists.length).toBeGreaterThanOrEqual(5);
  expect(lists.length).toBeLessThanOrEqual(7);
  expect(opened.length - lists.length).toBeGreaterThan(30);
  expect(reports.filter((event) => event.kind === 'failed')).toEqual([]);
  await reader.stop();
});

test('a watch that the server forgets to end is ended by us, without counting as failed', async () => {
  const time = new VirtualClock();
  const { reader, opened, reports } = world(time, async function* answer(query, signal) {
    if (query['sendInitialEvents'] === true) yield list;
    // Bookmarks keep it alive; it never ends.
    for (;;) {
      await sleep(time, 60_000, signal);
      yield { type: 'BOOKMARK', object: bookmark('11') };
    }
  });
  reader.start();
  await time.advance(3_000_000);

  expect(opened.length).toBeGreaterThan(4);
  expect(reports.filter((event) => event.kind === 'failed')).toEqual([]);
  await reader.stop();
});

test('a server that ends every watch at once is not asked in a hot loop', async () => {
  const time = new VirtualClock();
  const { reader, opened } = world(time, async function* answer(query) {
    if (query['sendInitialEvents'] === true) yield list;
  });
  reader.start();
  await time.advance(600_000);

  expect(opened.length).toBeLessThan(40);
  await reader.stop();
});

test('a server that says one word and ends is not asked more than once a second', async () => {
  const time = new VirtualClock();
  let version = 10;
  const { reader, opened } = world(time, async function* answer(query) {
    if (query['sendInitialEvents'] === true) yield list;
    version += 1;
    yield { type: 'BOOKMARK', object: bookmark(String(version)) };
  });
  reader.start();
  await time.advance(60_000);

  expect(opened.length).toBeLessThanOrEqual(62);
  expect(reader.store.version).toBe(String(version));
  await reader.stop();
});

test('a server whose versions expire again and again is not listed in a hot loop', async () => {
  const time = new VirtualClock();
  const { reader, opened } = world(time, async function* answer(query) {
    if (query['sendInitialEvents'] === true) yield list;
    throw new SluiceError('gone', 'too old', { code: 'Expired' });
  });
  reader.start();
  await time.advance(600_000);

  expect(opened.length).toBeLessThan(80);
  await reader.stop();
});

test('readiness can see progress, and what stands in its way', async () => {
  const time = new VirtualClock();
  let down = false;
  const { reader } = world(time, async function* answer(_query, signal) {
    if (down) throw new SluiceError('denied', 'no rights', { code: 'Forbidden' });
    yield list;
    await sleep(time, 50_000, signal);
  });
  expect(reader.state).toMatchObject({ synced: false, lastProgressAt: undefined });
  reader.start();
  await time.advance(40_000);
  expect(reader.state).toMatchObject({ synced: true, lastProgressAt: 0, problem: undefined });

  down = true;
  await time.advance(40_000);
  expect(reader.state).toMatchObject({ synced: true, problem: { kind: 'denied' } });
  await reader.stop();
  expect(time.pending).toBe(0);
  expect(readerTimings.inactivityMs).toBeGreaterThan(60_000);
});
