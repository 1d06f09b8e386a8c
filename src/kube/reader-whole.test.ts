/** A reader that lists in one answer, on real sockets. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { list, messageBytes } from '../../test/support/protobuf-writer.ts';
import { delay, ReaderWorld, serviceJson, until } from '../../test/support/reader-world.ts';
import { failing, page, quiet, status, streamed, type Step } from '../../test/support/scripted-api.ts';
import { serviceShape } from './protobuf/shapes.ts';

let world: ReaderWorld;

beforeEach(async () => {
  world = await ReaderWorld.make({ whole: true });
});

afterEach(() => world.close());

type Json = Readonly<Record<string, unknown>>;

/** As the API server sends it, but for the last `missing` bytes. */
function whole(services: readonly object[], version: string | undefined, missing = 0): Step {
  return (exchange) => {
    const bytes = list(
      version,
      services.map((one) => messageBytes(serviceShape, one as Json)),
    );
    exchange.head(200, { 'content-type': 'application/vnd.kubernetes.protobuf' });
    exchange.raw(bytes.subarray(0, bytes.length - missing));
    exchange.end();
  };
}

test('a list comes in one answer of the present, and is watched from its version', async () => {
  await world.run(whole([serviceJson('a', '5'), serviceJson('b', '7')], '9'), (exchange) => {
    exchange.event('MODIFIED', serviceJson('a', '10'));
    return exchange.gone;
  });
  await until(() => expect(world.names()).toEqual(['a@10', 'b@7']));

  expect(world.asked()).toEqual(['whole', 'watch 9']);
  const [first] = world.api.requests;
  expect(first?.headers.accept).toBe('application/vnd.kubernetes.protobuf,application/json');
  // A version would allow an answer from the past.
  expect(first?.query.has('resourceVersion')).toBe(false);
  expect(world.failureCodes()).toEqual([]);
});

test('objects are foretold as they come', async () => {
  const foretold: string[] = [];
  world.reader.foretell(({ name }) => {
    foretold.push(name);
    expect(world.reader.store.size).toBe(0);
  });
  await world.run(whole([serviceJson('a', '5')], '9'));
  expect(foretold).toEqual(['a']);
});

test('a first list is asked for at once, and taken in when it may be', async () => {
  await world.close();
  const ready = Promise.withResolvers<void>();
  world = await ReaderWorld.make({ whole: true, takeAfter: ready.promise });
  const foretold: string[] = [];
  world.reader.foretell(({ name }) => void foretold.push(name));
  const listed = world.run(whole([serviceJson('a', '5')], '9'), quiet);
  await until(() => expect(world.asked()).toEqual(['whole']));
  await delay(30);
  expect(foretold).toEqual([]);
  ready.resolve();
  await listed;
  expect(world.names()).toEqual(['a@5']);
});

test('a reader whose first list may never be taken in can be stopped', async () => {
  await world.close();
  world = await ReaderWorld.make({ whole: true, takeAfter: new Promise(() => undefined) });
  const listed = world.run(whole([serviceJson('a', '5')], '9'), quiet);
  await until(() => expect(world.asked()).toEqual(['whole']));
  await world.reader.stop();
  await expect(listed).rejects.toMatchObject({ code: 'Stopped' });
  expect(world.reader.store.size).toBe(0);
});

test('a server that answers in JSON all the same is understood', async () => {
  await world.run(page([serviceJson('a', '5')], '9'));
  expect(world.names()).toEqual(['a@5']);
  expect(world.asked()[0]).toBe('whole');
});

test('an answer that breaks off removes nothing; the next list comes in another form', async () => {
  await world.run(
    whole([serviceJson('a', '5'), serviceJson('b', '6')], '9'),
    (exchange) => exchange.event('ERROR', status(410, 'Expired')),
    whole([serviceJson('a', '5')], '10', 5),
    streamed([serviceJson('a', '5'), serviceJson('b', '11')], '12', quiet),
  );
  await until(() => expect(world.reader.store.version).toBe('12'));

  expect(world.heard).toEqual(['added a uid-a@5', 'added b uid-b@6', 'updated b uid-b@11']);
  expect(world.asked()).toEqual(['whole', 'watch 9', 'whole', 'stream']);
  expect(world.failureCodes()).toContain('UnparsableLine');
});

test('a server that refuses it is read in pages', async () => {
  await world.run(failing(422, 'Invalid'), page([serviceJson('a', '5')], '9'));
  await until(() => expect(world.asked()).toEqual(['whole', 'page', 'watch 9']));
  expect(world.names()).toEqual(['a@5']);
});

test('an answer that is no list is a failure, not an empty list', async () => {
  await world.run(
    (exchange) => exchange.answer(200, { kind: 'Status', status: 'Success' }),
    streamed([serviceJson('a', '5')], '9'),
  );
  expect(world.names()).toEqual(['a@5']);
  expect(world.failureCodes()).toEqual(['NotAList']);
});

test('a list that does not say its version is none: nobody could tell what to watch from', async () => {
  await world.run(whole([serviceJson('old', '4')], undefined), streamed([serviceJson('a', '5')], '9'));
  expect(world.names()).toEqual(['a@5']);
  expect(world.failureCodes()).toEqual(['NotAList']);
});
