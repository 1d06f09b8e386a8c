/** Everything that API servers and networks do to a watch, on real sockets. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { ReaderWorld, delay, serviceJson, until } from '../../test/support/reader-world.ts';
import { bookmark, failing, status, streamed } from '../../test/support/scripted-api.ts';
import type { Step } from '../../test/support/scripted-api.ts';

let world: ReaderWorld;

beforeEach(async () => {
  world = await ReaderWorld.make();
});

afterEach(() => world.close());

test('events change the store, and each is told once', async () => {
  await world.run(
    streamed([serviceJson('a', '5')], '9', (exchange) => {
      exchange.event('MODIFIED', serviceJson('a', '10'));
      exchange.event('ADDED', serviceJson('b', '11'));
      exchange.event('DELETED', serviceJson('a', '12'));
    }),
  );
  await until(() => expect(world.reader.store.version).toBe('12'));

  expect(world.heard).toEqual([
    'added a uid-a@5',
    'updated a uid-a@10',
    'added b uid-b@11',
    'deleted a uid-a@12',
  ]);
  expect(world.names()).toEqual(['b@11']);
});

test('a new uid under an old name is a deletion and an addition', async () => {
  await world.run(
    streamed([serviceJson('a', '5', 'first')], '9', (exchange) =>
      exchange.event('MODIFIED', serviceJson('a', '10', 'second')),
    ),
  );
  await until(() => expect(world.heard).toHaveLength(3));

  expect(world.heard.slice(1)).toEqual(['deleted a first@5', 'added a second@10']);
});

test('a late deletion of an earlier object of the same name changes nothing', async () => {
  await world.run(
    streamed([serviceJson('a', '5', 'second')], '9', (exchange) => {
      exchange.event('DELETED', serviceJson('a', '4', 'first'));
      exchange.event('BOOKMARK', bookmark('10'));
    }),
  );
  await until(() => expect(world.reader.store.version).toBe('10'));

  expect(world.heard).toEqual(['added a second@5']);
});

test('an event from the past does not undo what is known', async () => {
  await world.run(
    streamed([serviceJson('a', '50')], '60', (exchange) => {
      exchange.event('MODIFIED', serviceJson('a', '9'));
      exchange.event('BOOKMARK', bookmark('70'));
    }),
  );
  await until(() => expect(world.reader.store.version).toBe('70'));

  expect(world.names()).toEqual(['a@50']);
});

test.each<[string, Step, string]>([
  ['the connection is reset in the middle', (exchange) => exchange.reset(), 'watch 10'],
  ['half a line arrives before a reset', (exchange) => cutInHalf(exchange), 'watch 10'],
  [
    'an ERROR event with another code comes',
    (exchange) => exchange.event('ERROR', status(500, 'InternalError')),
    'watch 10',
  ],
  [
    '410 comes as an event and the stream stays open',
    (exchange) => exchange.event('ERROR', status(410, 'Gone')),
    'stream',
  ],
  [
    '410 comes as an event and the stream closes',
    (exchange) => {
      exchange.event('ERROR', status(410, 'Expired'));
      exchange.end();
    },
    'stream',
  ],
  ['a line is not JSON', (exchange) => exchange.raw('{"type":"MODI\n'), 'stream'],
  [
    'an event has an unknown type',
    (exchange) => exchange.event('SURPRISE', serviceJson('a', '11')),
    'stream',
  ],
  ['an event has no object', (exchange) => exchange.raw('{"type":"MODIFIED"}\n'), 'stream'],
  ['the server falls silent', (exchange) => exchange.gone, 'watch 10'],
])('when %s, the reader goes on', async (_what, breaks, next) => {
  await world.run(
    streamed([serviceJson('a', '5')], '9', async (exchange) => {
      exchange.event('BOOKMARK', bookmark('10'));
      await delay(20);
      await breaks(exchange);
    }),
    next === 'stream'
      ? streamed([serviceJson('a', '5'), serviceJson('b', '20')], '21')
      : async (exchange) => {
          exchange.event('ADDED', serviceJson('b', '20'));
          await exchange.gone;
        },
  );
  await until(() => expect(world.names()).toEqual(['a@5', 'b@20']));

  expect(world.asked().slice(0, 2)).toEqual(['stream', next]);
  expect(world.heard).toEqual(['added a uid-a@5', 'added b uid-b@20']);
  expect(world.failureCodes()).toHaveLength(1);
});

test.each<[string, Step, string]>([
  ['500', failing(500, 'InternalError'), 'watch 9'],
  ['403', failing(403, 'Forbidden'), 'watch 9'],
  ['410 as the answer', failing(410, 'Expired'), 'stream'],
  ['a page of HTML from a proxy', (exchange) => exchange.answer(502, '<html>'), 'watch 9'],
])('a watch that is answered with %s is opened again', async (_what, answer, next) => {
  await world.run(
    streamed([serviceJson('a', '5')], '9', resetSoon),
    answer,
    next === 'stream'
      ? streamed([serviceJson('a', '5'), serviceJson('b', '20')], '21')
      : async (exchange) => {
          exchange.event('ADDED', serviceJson('b', '20'));
          await exchange.gone;
        },
  );
  await until(() => expect(world.names()).toEqual(['a@5', 'b@20']));

  expect(world.asked()).toEqual(['stream', 'watch 9', next]);
});

test('429 is waited out as long as the server says', async () => {
  const times: number[] = [];
  await world.run(
    streamed([serviceJson('a', '5')], '9', resetSoon),
    (exchange) => {
      times.push(performance.now());
      exchange.answer(429, status(429, 'TooManyRequests'), { 'retry-after': '1' });
    },
    async (exchange) => {
      times.push(performance.now());
      exchange.event('ADDED', serviceJson('b', '20'));
      await exchange.gone;
    },
  );
  await until(() => expect(world.names()).toEqual(['a@5', 'b@20']));

  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990);
});

test('a half-open peer is noticed, though it accepted the request', async () => {
  await world.run(
    streamed([serviceJson('a', '5')], '9', resetSoon),
    // Not even the head of an answer.
    (exchange) => exchange.gone,
    async (exchange) => {
      exchange.event('ADDED', serviceJson('b', '20'));
      await exchange.gone;
    },
  );
  await until(() => expect(world.names()).toEqual(['a@5', 'b@20']));

  expect(world.failureCodes()).toContain('Quiet');
});

test('a quiet watch stays open as long as bookmarks come', async () => {
  await world.run(
    streamed([serviceJson('a', '5')], '9', async (exchange) => {
      for (let version = 10; version < 15; version += 1) {
        await delay(120);
        exchange.event('BOOKMARK', bookmark(String(version)));
      }
      await exchange.gone;
    }),
  );
  await until(() => expect(world.reader.store.version).toBe('14'));

  expect(world.api.requests).toHaveLength(1);
  expect(world.failureCodes()).toEqual([]);
});

test('events in small pieces are put together, whatever the pieces are', async () => {
  const text = `${JSON.stringify({ type: 'ADDED', object: { ...serviceJson('ä-€-😀', '10') } })}\n`;
  await world.run(
    streamed([], '9', async (exchange) => {
      const bytes = Buffer.from(text.repeat(2), 'utf8');
      for (let at = 0; at < bytes.length; at += 37) {
        exchange.raw(bytes.subarray(at, at + 37));
        await delay(1);
      }
    }),
  );
  await until(() => expect(world.names()).toEqual(['ä-€-😀@10']));

  expect(world.failureCodes()).toEqual([]);
});

test('a server that keeps closing a quiet watch cleanly finds it open again at once', async () => {
  await world.run(
    streamed([serviceJson('a', '5')], '9', closing),
    ...Array.from({ length: 12 }, () => closing),
  );
  const from = performance.now();
  await until(() => expect(world.api.stepsLeft).toBe(0));

  // Twelve lives of 15 ms; a growing pause between them would add hundreds.
  expect(performance.now() - from).toBeLessThan(600);
  expect(world.failureCodes()).toEqual([]);
  expect(world.asked().slice(1)).toEqual(Array.from({ length: world.asked().length - 1 }, () => 'watch 9'));
});

/** After what was written has left. */
async function resetSoon(exchange: Parameters<Step>[0]): Promise<void> {
  await delay(15);
  exchange.reset();
}

async function closing(exchange: Parameters<Step>[0]): Promise<void> {
  exchange.raw('');
  await delay(15);
  exchange.end();
}

async function cutInHalf(exchange: Parameters<Step>[0]): Promise<void> {
  exchange.raw('{"type":"ADDED","object":{"metadata":{"name":"b"');
  await delay(5);
  exchange.reset();
}
