/** The connection on real sockets: classes of failure, pauses, rotation of credentials. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { ScriptedApi, failing, status } from '../../test/support/scripted-api.ts';
import type { Step } from '../../test/support/scripted-api.ts';
import { Connection, plainAccess } from './connection.ts';
import type { Credentials } from './credentials.ts';

let api: ScriptedApi;
let connection: Connection;

beforeEach(async () => {
  api = await ScriptedApi.start();
  connection = new Connection(plainAccess(api.url));
});

afterEach(async () => {
  await connection.close();
  await api.close();
});

describe('connected', () => {
  test('resolves when so many connections stand, before any of them is answered', async () => {
    api.script(hang, hang);
    const calls = [1, 2].map(() => connection.request('GET', webPath).catch(() => 'cut'));
    await connection.connected(2, 60_000);
    await connection.connected(1, 60_000);
    await connection.close();
    expect(await Promise.all(calls)).toEqual(['cut', 'cut']);
  });

  test('waits no longer than it may', async () => {
    const started = performance.now();
    await connection.connected(1, 20);
    expect(performance.now() - started).toBeGreaterThan(15);
  });
});

const webPath = '/api/v1/namespaces/shop/services/web';
const reset: Step = (exchange) => exchange.reset();
const hang: Step = (exchange) => exchange.gone;

describe('answers', () => {
  test.each<[number, string, 'GET' | 'PATCH', string, string]>([
    [401, 'Unauthorized', 'GET', 'denied', 'Unauthorized'],
    [403, 'Forbidden', 'PATCH', 'denied', 'Forbidden'],
    [404, 'NotFound', 'GET', 'gone', 'NotFound'],
    [409, 'Conflict', 'PATCH', 'conflict', 'Conflict'],
    [409, 'AlreadyExists', 'PATCH', 'conflict', 'AlreadyExists'],
    [410, 'Gone', 'GET', 'gone', 'Expired'],
    [410, 'Expired', 'GET', 'gone', 'Expired'],
    [422, 'Invalid', 'PATCH', 'invalid', 'Invalid'],
    [415, 'UnsupportedMediaType', 'PATCH', 'bug', 'UnsupportedMediaType'],
    [500, 'InternalError', 'GET', 'transient', 'InternalError'],
    [500, 'InternalError', 'PATCH', 'ambiguous', 'InternalError'],
    [503, 'ServiceUnavailable', 'PATCH', 'transient', 'ServiceUnavailable'],
    [504, 'Timeout', 'PATCH', 'ambiguous', 'Timeout'],
  ])('%d %s to a %s is %s', async (code, reason, method, kind, named) => {
    api.script(failing(code, reason), failing(code, reason));

    await expect(connection.request(method, webPath)).rejects.toMatchObject({ kind, code: named });
  });

  test('a refusal for lack of rights names verb and resource as RBAC does', async () => {
    api.script(failing(403, 'Forbidden'));

    await expect(connection.request('PATCH', `${webPath}/status`)).rejects.toMatchObject({
      action: 'patch services/status',
      message: expect.stringContaining('grant verb "patch" on resource "services/status"'),
    });
  });

  test('a refusal for invalid fields lists them', async () => {
    const body = {
      ...status(422, 'Invalid', 'Service "web" is invalid'),
      details: { causes: [{ field: 'spec.ports[0].port', message: 'must be between 1 and 65535' }] },
    };
    api.script((exchange) => exchange.answer(422, body));

    await expect(connection.request('PATCH', webPath)).rejects.toThrow(
      'spec.ports[0].port: must be between 1 and 65535',
    );
  });

  test('an answer that is not JSON is no success', async () => {
    api.script((exchange) => exchange.answer(200, '<html>sign in</html>'));

    await expect(connection.request('GET', webPath)).rejects.toMatchObject({
      kind: 'transient',
      code: 'UnparsableAnswer',
    });
  });

  test('query, body, media type and user agent go out as given', async () => {
    api.script((exchange) => exchange.answer(200, { ok: true }));
    const answer = await connection.request('PATCH', webPath, {
      query: { fieldManager: 'a b&c', dryRun: undefined },
      body: { metadata: null },
      contentType: 'application/merge-patch+json',
    });

    expect(answer).toEqual({ ok: true });
    expect(Object.fromEntries(api.requests[0]?.query ?? [])).toEqual({ fieldManager: 'a b&c' });
    expect(api.requests[0]?.body).toEqual({ metadata: null });
    expect(api.requests[0]?.headers).toMatchObject({
      'content-type': 'application/merge-patch+json',
      'user-agent': 'sluice',
    });
  });
});

describe('no answer', () => {
  test.each<['GET' | 'PATCH', string, Step, string, string]>([
    ['GET', 'a reset', reset, 'transient', 'UND_ERR_SOCKET'],
    ['PATCH', 'a reset', reset, 'ambiguous', 'UND_ERR_SOCKET'],
    ['GET', 'silence', hang, 'transient', 'Timeout'],
    ['PATCH', 'silence', hang, 'ambiguous', 'Timeout'],
  ])('a %s that meets %s', async (method, _what, step, kind, code) => {
    api.script(step);
    const failure = connection.request(method, webPath, { timeoutMs: 100 });

    await expect(failure).rejects.toMatchObject({ kind, code: expect.stringMatching(`${code}|ECONNRESET`) });
  });

  test('a write whose answer breaks off may have happened', async () => {
    api.script(async (exchange) => {
      exchange.raw('{"metadata":');
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
      exchange.reset();
    });

    await expect(connection.request('PATCH', webPath)).rejects.toMatchObject({ kind: 'ambiguous' });
  });

  test('a server that is not there had no part in it, and the message says where we looked', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => {
      server.close(resolve);
    });
    const nowhere = new Connection(plainAccess(`http://127.0.0.1:${port}`));

    await expect(nowhere.request('PATCH', webPath)).rejects.toMatchObject({
      kind: 'transient',
      code: 'ECONNREFUSED',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    await nowhere.close();
  });

  test('an aborted call ends at once', async () => {
    api.script(hang);
    const controller = new AbortController();
    const call = connection.request('GET', webPath, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);

    await expect(call).rejects.toMatchObject({ kind: 'transient', code: 'Aborted' });
  });
});

describe('429', () => {
  test('all calls wait as long as the server says, and the refused one is made again', async () => {
    api.script(failing(429, 'TooManyRequests', { 'retry-after': '1' }));
    api.script(
      ...[1, 2].map(
        (number): Step =>
          (exchange) =>
            exchange.answer(200, { number }),
      ),
    );
    const from = performance.now();
    const first = connection.request('GET', webPath);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    const second = connection.request('PATCH', webPath);
    await Promise.all([first, second]);

    expect(performance.now() - from).toBeGreaterThanOrEqual(990);
    expect(api.requests).toHaveLength(3);
  });

  test('a call that cannot wait that long says so, with the time; an urgent one goes out', async () => {
    api.script(failing(429, 'TooManyRequests', { 'retry-after': '30' }));
    await expect(connection.request('GET', webPath, { timeoutMs: 200 })).rejects.toMatchObject({
      kind: 'throttled',
    });
    await expect(connection.request('GET', webPath, { timeoutMs: 200 })).rejects.toMatchObject({
      kind: 'throttled',
      code: 'Paused',
    });

    api.script((exchange) => exchange.answer(200, { ok: true }));
    expect(await connection.request('GET', webPath, { urgent: true })).toEqual({ ok: true });
  });
});

describe('credentials', () => {
  test('after a 401 they are read again, once', async () => {
    const tokens = ['old', 'new', 'newer'];
    let refused = 0;
    const credentials: Credentials = {
      current: async () => ({
        headers: { authorization: `Bearer ${tokens[refused] ?? ''}` },
        tls: { ca: undefined, cert: undefined, key: undefined },
      }),
      refused: () => {
        refused += 1;
      },
    };
    const own = new Connection(plainAccess(api.url), { credentials });
    api.script(failing(401, 'Unauthorized'), (exchange) => exchange.answer(200, { ok: true }));
    expect(await own.request('PATCH', webPath)).toEqual({ ok: true });
    expect(api.requests.map((request) => request.headers.authorization)).toEqual([
      'Bearer old',
      'Bearer new',
    ]);

    api.script(failing(401, 'Unauthorized'), failing(401, 'Unauthorized'));
    await expect(own.request('GET', webPath)).rejects.toMatchObject({ kind: 'denied' });
    expect(api.requests).toHaveLength(4);
    await own.close();
  });
});
