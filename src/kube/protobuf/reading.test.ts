/** A reader and the binary form on real sockets: asked for where there is one, done without where there is none. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { enveloped, frame, messageBytes } from '../../../test/support/protobuf-writer.ts';
import { ReaderWorld, serviceJson, until } from '../../../test/support/reader-world.ts';
import { quiet, streamed, type Exchange, type Step } from '../../../test/support/scripted-api.ts';
import { serviceShape, statusShape } from './shapes.ts';

let world: ReaderWorld;

beforeEach(async () => {
  world = await ReaderWorld.make();
});

afterEach(() => world.close());

type Json = Readonly<Record<string, unknown>>;

const bytesOf = (object: object): Buffer => messageBytes(serviceShape, object as Json);

const end = {
  metadata: { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } },
};

/** One answer in the binary form, all of it in one piece. */
function binary(frames: readonly Buffer[], then: Step = (exchange: Exchange) => exchange.gone): Step {
  return async (exchange) => {
    exchange.head(200, { 'content-type': 'application/vnd.kubernetes.protobuf;stream=watch' });
    exchange.raw(Buffer.concat(frames));
    await then(exchange);
  };
}

test('the binary form is asked for first, and read; what comes with the end of the list is heard after it', async () => {
  await world.run(
    binary([
      frame('ADDED', bytesOf(serviceJson('a', '5'))),
      frame('BOOKMARK', bytesOf(end)),
      frame('MODIFIED', bytesOf(serviceJson('a', '10'))),
      frame('ADDED', bytesOf(serviceJson('b', '11'))),
    ]),
  );
  await until(() => expect(world.names()).toEqual(['a@10', 'b@11']));

  expect(world.heard).toEqual(['added a uid-a@5', 'updated a uid-a@10', 'added b uid-b@11']);
  expect(world.reader.store.version).toBe('11');
  expect(world.api.requests[0]?.headers.accept).toBe('application/vnd.kubernetes.protobuf,application/json');
});

test('a server that answers in JSON all the same is understood', async () => {
  await world.run(streamed([serviceJson('a', '5')], '9'));

  expect(world.names()).toEqual(['a@5']);
});

test('changes that came before an ERROR in the same piece are kept', async () => {
  const expired = messageBytes(statusShape, { status: 'Failure', reason: 'InternalError', code: 500 });
  await world.run(
    binary([frame('BOOKMARK', bytesOf(end))], (exchange) => {
      exchange.raw(Buffer.concat([frame('ADDED', bytesOf(serviceJson('a', '10'))), frame('ERROR', expired)]));
      exchange.end();
    }),
    quiet,
  );
  await until(() => expect(world.asked()).toEqual(['stream', 'watch 10']));

  expect(world.names()).toEqual(['a@10']);
});

test('a refusal in the binary form is told like any other', async () => {
  const status = { status: 'Failure', message: 'services is forbidden', reason: 'Forbidden', code: 403 };
  world.api.script((exchange) => {
    exchange.head(403, { 'content-type': 'application/vnd.kubernetes.protobuf' });
    exchange.raw(enveloped(messageBytes(statusShape, status)));
    exchange.end();
  });
  await world.run(streamed([], '9'));

  expect(world.reports).toContainEqual(
    expect.objectContaining({
      kind: 'failed',
      error: expect.objectContaining({
        kind: 'denied',
        code: 'Forbidden',
        message: expect.stringContaining('grant verb "watch" on resource "services"'),
      }),
    }),
  );
});

test('bytes that are no event call for a new list', async () => {
  await world.run(
    binary([frame('ADDED', bytesOf(serviceJson('a', '5'))), frame('BOOKMARK', bytesOf(end))], (exchange) => {
      exchange.raw(Buffer.from([0, 0, 0, 3, 10, 9, 65]));
    }),
    streamed([serviceJson('a', '12')], '13'),
  );
  await until(() => expect(world.names()).toEqual(['a@12']));

  expect(world.asked().slice(0, 2)).toEqual(['stream', 'stream']);
});
