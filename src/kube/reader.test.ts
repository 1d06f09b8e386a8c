/**
 * The reader on real sockets against a server that does everything that API servers and networks do.
 * Times are scaled down: a back-off of milliseconds, an inactivity limit of a fraction of a second.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import type { ObjectKey, ServiceObject } from '../core/objects.ts';
import { objectKey } from '../core/objects.ts';
import {
  ScriptedApi,
  bookmark,
  failing,
  page,
  quiet,
  status,
  streamed,
} from '../../test/support/scripted-api.ts';
import type { Step } from '../../test/support/scripted-api.ts';
import { Connection, plainAccess } from './connection.ts';
import { services } from './kinds.ts';
import type { Kind } from './kinds.ts';
import { Reader } from './reader.ts';
import type { ReaderReport } from './reader.ts';

let api: ScriptedApi;
let connection: Connection;
let reader: Reader<ObjectKey, ServiceObject>;
let heard: string[];
let reports: ReaderReport[];

function makeReader(kind: Kind<ObjectKey, ServiceObject> = services()): Reader<ObjectKey, ServiceObject> {
  const made = new Reader({
    api: connection,
    kind,
    indexes: { type: (one) => one.type },
    timings: {
      backoff: { minMs: 4, maxMs: 30, healthyMs: 500 },
      inactivityMs: 250,
      shortWatchMs: 3,
    },
    report: (event) => reports.push(event),
  });
  made.subscribe((change) => {
    heard.push(`${change.kind} ${change.object.name} ${change.object.uid}@${change.object.resourceVersion}`);
  });
  return made;
}

beforeEach(async () => {
  heard = [];
  reports = [];
  api = await ScriptedApi.start();
  connection = new Connection(plainAccess(api.url));
  reader = makeReader();
});

afterEach(async () => {
  await reader.stop();
  await connection.close();
  await api.close();
});

function service(name: string, version: string, uid = `uid-${name}`): object {
  return {
    metadata: { name, namespace: 'shop', uid, resourceVersion: version },
    spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
  };
}

async function running(...steps: readonly Step[]): Promise<void> {
  api.script(...steps);
  reader.start();
  await reader.synced();
}

function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 3_000, interval: 5 });
}

function names(): readonly string[] {
  return reader.store
    .list()
    .map((one) => `${one.name}@${one.resourceVersion}`)
    .toSorted();
}

/** What the requests asked for, in order. */
function asked(): readonly string[] {
  return api.requests.map(({ query }) => {
    if (query.get('sendInitialEvents') === 'true') return 'stream';
    if (query.get('watch') === 'true') return `watch ${query.get('resourceVersion') ?? 'any'}`;
    return query.has('continue') ? `page ${query.get('continue') ?? ''}` : 'page';
  });
}

function failureCodes(): readonly string[] {
  return reports.flatMap((event) => (event.kind === 'failed' ? [event.error.code] : []));
}

describe('lists', () => {
  test('a streaming list asks for everything in one consistent answer with bookmarks', async () => {
    await running(streamed([service('a', '5'), service('b', '7')], '9'));

    expect(names()).toEqual(['a@5', 'b@7']);
    expect(heard).toEqual(['added a uid-a@5', 'added b uid-b@7']);
    expect(reader.store.version).toBe('9');
    expect(reader.store.by('type', 'LoadBalancer')).toHaveLength(2);
    const [first] = api.requests;
    expect(Object.fromEntries(first?.query ?? [])).toMatchObject({
      watch: 'true',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    });
    // A version would allow an answer from the past.
    expect(first?.query.has('resourceVersion')).toBe(false);
    const seconds = Number(first?.query.get('timeoutSeconds'));
    expect(seconds).toBeGreaterThanOrEqual(300);
    expect(seconds).toBeLessThanOrEqual(600);
  });

  test('a server without streaming lists is read in pages of 500, then watched from the list', async () => {
    await running(
      failing(422, 'Invalid'),
      page([service('a', '5')], '9', 'more'),
      page([service('b', '7')], '9'),
    );
    await until(() => expect(asked()).toEqual(['stream', 'page', 'page more', 'watch 9']));

    expect(names()).toEqual(['a@5', 'b@7']);
    expect(api.requests[1]?.query.get('limit')).toBe('500');
  });

  test('a page that expired starts the list over', async () => {
    await running(
      failing(422, 'Invalid'),
      page([service('old', '1')], '9', 'more'),
      failing(410, 'Expired'),
      page([service('a', '12')], '13'),
    );

    expect(asked().slice(0, 4)).toEqual(['stream', 'page', 'page more', 'page']);
    expect(names()).toEqual(['a@12']);
  });

  test('a list that breaks off removes nothing and is asked for again', async () => {
    await running(
      streamed([service('a', '5'), service('b', '6')], '9', (exchange) => {
        exchange.event('ERROR', status(410, 'Expired'));
      }),
      (exchange) => {
        exchange.event('ADDED', service('a', '5'));
        exchange.end();
      },
      (exchange) => {
        exchange.event('ADDED', service('a', '5'));
        exchange.reset();
      },
      streamed([service('a', '5'), service('b', '11')], '12'),
    );
    await until(() => expect(reader.store.version).toBe('12'));

    expect(heard).toEqual(['added a uid-a@5', 'added b uid-b@6', 'updated b uid-b@11']);
    expect(failureCodes()).toContain('ShortList');
  });

  test('an answer that is no list is a failure, not an empty list', async () => {
    await running(
      streamed([service('a', '5')], '9', (exchange) => exchange.event('ERROR', status(410, 'Expired'))),
      failing(422, 'Invalid'),
      (exchange) => exchange.answer(200, { kind: 'Something' }),
      page([service('a', '5')], '20'),
    );
    await until(() => expect(reader.store.version).toBe('20'));

    expect(heard).toEqual(['added a uid-a@5']);
    expect(failureCodes()).toContain('NotAList');
  });

  test('a list that fails at first is tried again', async () => {
    await running(
      failing(503, 'ServiceUnavailable'),
      failing(500, 'InternalError'),
      streamed([service('a', '5')], '9'),
    );

    expect(names()).toEqual(['a@5']);
    expect(failureCodes()).toEqual(['ServiceUnavailable', 'InternalError']);
    expect(reader.state.problem).toBeUndefined();
  });

  test('an empty list is believed when the server says that it is whole', async () => {
    await running(streamed([], '9'));

    expect(reader.state).toMatchObject({ synced: true, objects: 0, lists: 1 });
  });

  test('a second list is told as differences, and unchanged objects stay the same values', async () => {
    await running(
      streamed([service('a', '5'), service('b', '6'), service('c', '7')], '9', (exchange) =>
        exchange.event('ERROR', status(410, 'Expired')),
      ),
    );
    const before = reader.store.get(objectKey('shop', 'a'));
    api.script(streamed([service('a', '5'), service('b', '8'), service('d', '9')], '10'));
    await until(() => expect(reader.store.version).toBe('10'));

    expect(heard.slice(3).toSorted()).toEqual(['added d uid-d@9', 'deleted c uid-c@7', 'updated b uid-b@8']);
    expect(reader.store.get(objectKey('shop', 'a'))).toBe(before);
    expect(reader.store.by('type', 'LoadBalancer')).toHaveLength(3);
  });

  test('deleted and made again between two lists is a deletion and an addition', async () => {
    await running(
      streamed([service('a', '5', 'first')], '9', (exchange) =>
        exchange.event('ERROR', status(410, 'Expired')),
      ),
      streamed([service('a', '12', 'second')], '13'),
    );
    await until(() => expect(reader.store.version).toBe('13'));

    expect(heard).toEqual(['added a first@5', 'deleted a first@5', 'added a second@12']);
  });
});

describe('watches', () => {
  test('events change the store, and each is told once', async () => {
    await running(
      streamed([service('a', '5')], '9', (exchange) => {
        exchange.event('MODIFIED', service('a', '10'));
        exchange.event('ADDED', service('b', '11'));
        exchange.event('DELETED', service('a', '12'));
      }),
    );
    await until(() => expect(reader.store.version).toBe('12'));

    expect(heard).toEqual([
      'added a uid-a@5',
      'updated a uid-a@10',
      'added b uid-b@11',
      'deleted a uid-a@12',
    ]);
    expect(names()).toEqual(['b@11']);
  });

  test('a new uid under an old name is a deletion and an addition', async () => {
    await running(
      streamed([service('a', '5', 'first')], '9', (exchange) =>
        exchange.event('MODIFIED', service('a', '10', 'second')),
      ),
    );
    await until(() => expect(heard).toHaveLength(3));

    expect(heard.slice(1)).toEqual(['deleted a first@5', 'added a second@10']);
  });

  test('a late deletion of an earlier object of the same name changes nothing', async () => {
    await running(
      streamed([service('a', '5', 'second')], '9', (exchange) => {
        exchange.event('DELETED', service('a', '4', 'first'));
        exchange.event('BOOKMARK', bookmark('10'));
      }),
    );
    await until(() => expect(reader.store.version).toBe('10'));

    expect(heard).toEqual(['added a second@5']);
  });

  test('an event from the past does not undo what is known', async () => {
    await running(
      streamed([service('a', '50')], '60', (exchange) => {
        exchange.event('MODIFIED', service('a', '9'));
        exchange.event('BOOKMARK', bookmark('70'));
      }),
    );
    await until(() => expect(reader.store.version).toBe('70'));

    expect(names()).toEqual(['a@50']);
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
    ['an event has an unknown type', (exchange) => exchange.event('SURPRISE', service('a', '11')), 'stream'],
    ['an event has no object', (exchange) => exchange.raw('{"type":"MODIFIED"}\n'), 'stream'],
    ['the server falls silent', (exchange) => exchange.gone, 'watch 10'],
  ])('when %s, the reader goes on', async (_what, breaks, next) => {
    await running(
      streamed([service('a', '5')], '9', async (exchange) => {
        exchange.event('BOOKMARK', bookmark('10'));
        await delay(20);
        await breaks(exchange);
      }),
      next === 'stream'
        ? streamed([service('a', '5'), service('b', '20')], '21')
        : async (exchange) => {
            exchange.event('ADDED', service('b', '20'));
            await exchange.gone;
          },
    );
    await until(() => expect(names()).toEqual(['a@5', 'b@20']));

    expect(asked().slice(0, 2)).toEqual(['stream', next]);
    expect(heard).toEqual(['added a uid-a@5', 'added b uid-b@20']);
    expect(failureCodes()).toHaveLength(1);
  });

  test.each<[string, Step, string]>([
    ['500', failing(500, 'InternalError'), 'watch 9'],
    ['403', failing(403, 'Forbidden'), 'watch 9'],
    ['410 as the answer', failing(410, 'Expired'), 'stream'],
    ['a page of HTML from a proxy', (exchange) => exchange.answer(502, '<html>'), 'watch 9'],
  ])('a watch that is answered with %s is opened again', async (_what, answer, next) => {
    await running(
      streamed([service('a', '5')], '9', resetSoon),
      answer,
      next === 'stream'
        ? streamed([service('a', '5'), service('b', '20')], '21')
        : async (exchange) => {
            exchange.event('ADDED', service('b', '20'));
            await exchange.gone;
          },
    );
    await until(() => expect(names()).toEqual(['a@5', 'b@20']));

    expect(asked()).toEqual(['stream', 'watch 9', next]);
  });

  test('429 is waited out as long as the server says', async () => {
    const times: number[] = [];
    await running(
      streamed([service('a', '5')], '9', resetSoon),
      (exchange) => {
        times.push(performance.now());
        exchange.answer(429, status(429, 'TooManyRequests'), { 'retry-after': '1' });
      },
      async (exchange) => {
        times.push(performance.now());
        exchange.event('ADDED', service('b', '20'));
        await exchange.gone;
      },
    );
    await until(() => expect(names()).toEqual(['a@5', 'b@20']));

    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('a half-open peer is noticed, though it accepted the request', async () => {
    await running(
      streamed([service('a', '5')], '9', resetSoon),
      // Not even the head of an answer.
      (exchange) => exchange.gone,
      async (exchange) => {
        exchange.event('ADDED', service('b', '20'));
        await exchange.gone;
      },
    );
    await until(() => expect(names()).toEqual(['a@5', 'b@20']));

    expect(failureCodes()).toContain('Quiet');
  });

  test('a quiet watch stays open as long as bookmarks come', async () => {
    await running(
      streamed([service('a', '5')], '9', async (exchange) => {
        for (let version = 10; version < 15; version += 1) {
          await delay(120);
          exchange.event('BOOKMARK', bookmark(String(version)));
        }
        await exchange.gone;
      }),
    );
    await until(() => expect(reader.store.version).toBe('14'));

    expect(api.requests).toHaveLength(1);
    expect(failureCodes()).toEqual([]);
  });

  test('events in small pieces are put together, whatever the pieces are', async () => {
    const text = `${JSON.stringify({ type: 'ADDED', object: { ...service('ä-€-😀', '10') } })}\n`;
    await running(
      streamed([], '9', async (exchange) => {
        const bytes = Buffer.from(text.repeat(2), 'utf8');
        for (let at = 0; at < bytes.length; at += 37) {
          exchange.raw(bytes.subarray(at, at + 37));
          await delay(1);
        }
      }),
    );
    await until(() => expect(names()).toEqual(['ä-€-😀@10']));

    expect(failureCodes()).toEqual([]);
  });

  test('a server that keeps closing a quiet watch cleanly finds it open again at once', async () => {
    await running(streamed([service('a', '5')], '9', closing), ...Array.from({ length: 12 }, () => closing));
    const from = performance.now();
    await until(() => expect(api.stepsLeft).toBe(0));

    // Twelve lives of 15 ms; a growing pause between them would add hundreds.
    expect(performance.now() - from).toBeLessThan(600);
    expect(failureCodes()).toEqual([]);
    expect(asked().slice(1)).toEqual(Array.from({ length: asked().length - 1 }, () => 'watch 9'));
  });
});

describe('handlers and life', () => {
  test('a handler that throws is reported, and neither the stream nor other handlers suffer', async () => {
    reader.subscribe(() => {
      throw new Error('handler is broken');
    });
    reader.subscribe(() => Promise.reject(new Error('handler is broken too')));
    const after: string[] = [];
    reader.subscribe((change) => {
      after.push(change.object.name);
    });
    await running(
      streamed([service('a', '5')], '9', (exchange) => exchange.event('ADDED', service('b', '10'))),
    );
    await until(() => expect(after).toEqual(['a', 'b']));
    await until(() => expect(reports.filter((event) => event.kind === 'handler-failed')).toHaveLength(4));

    expect(failureCodes()).toEqual([]);
  });

  test('a report that throws does not stop the reader', async () => {
    reader = new Reader({
      api: connection,
      kind: services(),
      timings: { backoff: { minMs: 1, maxMs: 2, healthyMs: 500 } },
      report: () => {
        throw new Error('log is broken');
      },
    });
    await running(failing(500, 'InternalError'), streamed([service('a', '5')], '9'));

    expect(names()).toEqual(['a@5']);
  });

  test('an object that cannot be read is reported, and what was known of it stays', async () => {
    const picky = services();
    reader = makeReader({
      ...picky,
      slim: (raw) => {
        if (raw.metadata?.resourceVersion === '11') throw new Error('a field is missing');
        return picky.slim(raw);
      },
    });
    await running(
      streamed([service('a', '5')], '9', (exchange) => {
        exchange.event('MODIFIED', service('a', '11'));
        exchange.event('ADDED', service('b', '12'));
      }),
    );
    await until(() => expect(names()).toEqual(['a@5', 'b@12']));

    expect(reports.find((event) => event.kind === 'unreadable')).toMatchObject({ object: 'shop/a' });
  });

  test('stop ends it at once, and no handler is called afterwards', async () => {
    await running(streamed([service('a', '5')], '9'));
    const [heardBefore, from] = [heard.length, performance.now()];
    await reader.stop();

    expect(performance.now() - from).toBeLessThan(100);
    expect(heard).toHaveLength(heardBefore);
    await delay(30);
    expect(api.requests).toHaveLength(1);
  });

  test('stop before the first list makes those who wait for it hear of it', async () => {
    api.script(quiet);
    reader.start();
    const waiting = reader.synced();
    await delay(10);
    await reader.stop();

    await expect(waiting).rejects.toMatchObject({ code: 'Stopped' });
    expect(reader.state.synced).toBe(false);
  });

  test('many reads share few connections', async () => {
    api.script(...Array.from({ length: 50 }, () => page([], '1')));
    for (let call = 0; call < 50; call += 1) await connection.request('GET', '/api/v1/services');

    // One is still being put back when the next call goes out.
    expect(api.connections).toBeLessThanOrEqual(2);
  });
});

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

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
