/** Lists, handlers and the life of a reader, against a server on real sockets. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { objectKey } from '../core/objects.ts';
import { ReaderWorld, delay, serviceJson, until } from '../../test/support/reader-world.ts';
import { failing, page, quiet, status, streamed } from '../../test/support/scripted-api.ts';
import { services } from './kinds.ts';

let world: ReaderWorld;

beforeEach(async () => {
  world = await ReaderWorld.make();
});

afterEach(() => world.close());

describe('lists', () => {
  test('a streaming list asks for everything in one consistent answer with bookmarks', async () => {
    await world.run(streamed([serviceJson('a', '5'), serviceJson('b', '7')], '9'));

    expect(world.names()).toEqual(['a@5', 'b@7']);
    expect(world.heard).toEqual(['added a uid-a@5', 'added b uid-b@7']);
    expect(world.reader.store.version).toBe('9');
    expect(world.reader.store.by('type', 'LoadBalancer')).toHaveLength(2);
    const [first] = world.api.requests;
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

  test('objects of the first list are foretold as they come, also of one that breaks off; none after it', async () => {
    const foretold: string[] = [];
    world.reader.foretell(({ name, resourceVersion }) => {
      foretold.push(`${name}@${resourceVersion}`);
      // Nothing of it is in the store yet.
      expect(world.reader.store.size).toBe(0);
    });
    await world.run(
      async (exchange) => {
        exchange.event('ADDED', serviceJson('old', '1'));
        await delay(20);
        exchange.end();
      },
      streamed([serviceJson('a', '5')], '9', async (exchange) => {
        exchange.event('ADDED', serviceJson('b', '10'));
        await exchange.gone;
      }),
    );
    await until(() => expect(world.names()).toEqual(['a@5', 'b@10']));

    expect(foretold).toEqual(['old@1', 'a@5']);
  });

  test('who asks late is foretold what has come already, then what comes; once the list is whole, nothing', async () => {
    const rest = Promise.withResolvers<void>();
    const listing = world.run(async (exchange) => {
      exchange.event('ADDED', serviceJson('early', '1'));
      await rest.promise;
      return streamed([serviceJson('late', '5')], '9', quiet)(exchange);
    });
    await until(() => expect(world.reader.state.lastProgressAt).toBeDefined());
    const foretold: string[] = [];
    world.reader.foretell(({ name }) => void foretold.push(name));
    expect(foretold).toEqual(['early']);
    rest.resolve();
    await listing;
    expect(foretold).toEqual(['early', 'late']);

    const after: string[] = [];
    world.reader.foretell(({ name }) => void after.push(name));
    expect(after).toEqual([]);
  });

  test('a server without streaming lists is read in pages of 500, then watched from the list', async () => {
    await world.run(
      failing(422, 'Invalid'),
      page([serviceJson('a', '5')], '9', 'more'),
      page([serviceJson('b', '7')], '9'),
    );
    await until(() => expect(world.asked()).toEqual(['stream', 'page', 'page more', 'watch 9']));

    expect(world.names()).toEqual(['a@5', 'b@7']);
    expect(world.api.requests[1]?.query.get('limit')).toBe('500');
  });

  test('a page that expired starts the list over', async () => {
    await world.run(
      failing(422, 'Invalid'),
      page([serviceJson('old', '1')], '9', 'more'),
      failing(410, 'Expired'),
      page([serviceJson('a', '12')], '13'),
    );

    expect(world.asked().slice(0, 4)).toEqual(['stream', 'page', 'page more', 'page']);
    expect(world.names()).toEqual(['a@12']);
  });

  test('a list that breaks off removes nothing and is asked for again', async () => {
    await world.run(
      streamed([serviceJson('a', '5'), serviceJson('b', '6')], '9', (exchange) => {
        exchange.event('ERROR', status(410, 'Expired'));
      }),
      (exchange) => {
        exchange.event('ADDED', serviceJson('a', '5'));
        exchange.end();
      },
      (exchange) => {
        exchange.event('ADDED', serviceJson('a', '5'));
        exchange.reset();
      },
      streamed([serviceJson('a', '5'), serviceJson('b', '11')], '12'),
    );
    await until(() => expect(world.reader.store.version).toBe('12'));

    expect(world.heard).toEqual(['added a uid-a@5', 'added b uid-b@6', 'updated b uid-b@11']);
    expect(world.failureCodes()).toContain('ShortList');
  });

  test('an answer that is no list is a failure, not an empty list', async () => {
    await world.run(
      streamed([serviceJson('a', '5')], '9', (exchange) => exchange.event('ERROR', status(410, 'Expired'))),
      failing(422, 'Invalid'),
      (exchange) => exchange.answer(200, { kind: 'Something' }),
      page([serviceJson('a', '5')], '20'),
    );
    await until(() => expect(world.reader.store.version).toBe('20'));

    expect(world.heard).toEqual(['added a uid-a@5']);
    expect(world.failureCodes()).toContain('NotAList');
  });

  test('a list that fails at first is tried again', async () => {
    await world.run(
      failing(503, 'ServiceUnavailable'),
      failing(500, 'InternalError'),
      streamed([serviceJson('a', '5')], '9'),
    );

    expect(world.names()).toEqual(['a@5']);
    expect(world.failureCodes()).toEqual(['ServiceUnavailable', 'InternalError']);
    expect(world.reader.state.problem).toBeUndefined();
  });

  test('an empty list is believed when the server says that it is whole', async () => {
    await world.run(streamed([], '9'));

    expect(world.reader.state).toMatchObject({ synced: true, objects: 0, lists: 1 });
  });

  test('a second list is told as differences, and unchanged objects stay the same values', async () => {
    await world.run(
      streamed([serviceJson('a', '5'), serviceJson('b', '6'), serviceJson('c', '7')], '9', (exchange) =>
        exchange.event('ERROR', status(410, 'Expired')),
      ),
    );
    const before = world.reader.store.get(objectKey('shop', 'a'));
    world.api.script(streamed([serviceJson('a', '5'), serviceJson('b', '8'), serviceJson('d', '9')], '10'));
    await until(() => expect(world.reader.store.version).toBe('10'));

    expect(world.heard.slice(3).toSorted()).toEqual([
      'added d uid-d@9',
      'deleted c uid-c@7',
      'updated b uid-b@8',
    ]);
    expect(world.reader.store.get(objectKey('shop', 'a'))).toBe(before);
    expect(world.reader.store.by('type', 'LoadBalancer')).toHaveLength(3);
  });

  test('deleted and made again between two lists is a deletion and an addition', async () => {
    await world.run(
      streamed([serviceJson('a', '5', 'first')], '9', (exchange) =>
        exchange.event('ERROR', status(410, 'Expired')),
      ),
      streamed([serviceJson('a', '12', 'second')], '13'),
    );
    await until(() => expect(world.reader.store.version).toBe('13'));

    expect(world.heard).toEqual(['added a first@5', 'deleted a first@5', 'added a second@12']);
  });
});

describe('handlers and life', () => {
  test('a handler that throws is reported, and neither the stream nor other handlers suffer', async () => {
    world.reader.subscribe(() => {
      throw new Error('handler is broken');
    });
    world.reader.subscribe(() => Promise.reject(new Error('handler is broken too')));
    const after: string[] = [];
    world.reader.subscribe((change) => {
      after.push(change.object.name);
    });
    await world.run(
      streamed([serviceJson('a', '5')], '9', (exchange) => exchange.event('ADDED', serviceJson('b', '10'))),
    );
    await until(() => expect(after).toEqual(['a', 'b']));
    await until(() =>
      expect(world.reports.filter((event) => event.kind === 'handler-failed')).toHaveLength(4),
    );

    expect(world.failureCodes()).toEqual([]);
  });

  test('a report that throws does not stop the reader', async () => {
    await world.close();
    world = await ReaderWorld.make({
      report: () => {
        throw new Error('log is broken');
      },
    });
    await world.run(failing(500, 'InternalError'), streamed([serviceJson('a', '5')], '9'));

    expect(world.names()).toEqual(['a@5']);
  });

  test('an object that cannot be read is reported, and what was known of it stays', async () => {
    const picky = services();
    await world.close();
    world = await ReaderWorld.make({
      kind: {
        ...picky,
        slim: (raw) => {
          if (raw.metadata?.resourceVersion === '11') throw new Error('a field is missing');
          return picky.slim(raw);
        },
      },
    });
    await world.run(
      streamed([serviceJson('a', '5')], '9', (exchange) => {
        exchange.event('MODIFIED', serviceJson('a', '11'));
        exchange.event('ADDED', serviceJson('b', '12'));
      }),
    );
    await until(() => expect(world.names()).toEqual(['a@5', 'b@12']));

    expect(world.reports.find((event) => event.kind === 'unreadable')).toMatchObject({ object: 'shop/a' });
  });

  test('stop ends it at once, and no handler is called afterwards', async () => {
    await world.run(streamed([serviceJson('a', '5')], '9'));
    const [heardBefore, from] = [world.heard.length, performance.now()];
    await world.reader.stop();

    expect(performance.now() - from).toBeLessThan(100);
    expect(world.heard).toHaveLength(heardBefore);
    await delay(30);
    expect(world.api.requests).toHaveLength(1);
  });

  test('stop before the first list makes those who wait for it hear of it', async () => {
    world.api.script(quiet);
    world.reader.start();
    const waiting = world.reader.synced();
    await delay(10);
    await world.reader.stop();

    await expect(waiting).rejects.toMatchObject({ code: 'Stopped' });
    expect(world.reader.state.synced).toBe(false);
  });

  test('many reads share few connections', async () => {
    world.api.script(...Array.from({ length: 50 }, () => page([], '1')));
    for (let call = 0; call < 50; call += 1) await world.connection.request('GET', '/api/v1/services');

    // One is still being put back when the next call goes out.
    expect(world.api.connections).toBeLessThanOrEqual(2);
  });
});
