/** The signed client against the simulated account over HTTP: the same as in memory, whatever happens. */
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CredentialSource } from '../../providers/alibaba/credentials/source.ts';
import { createDoor } from '../../providers/alibaba/door.ts';
import type { Door } from '../../providers/alibaba/door.ts';
import { classify } from '../../providers/alibaba/errors.ts';
import { CallFailure } from '../../providers/alibaba/failure.ts';
import { createLimits, defaultRates } from '../../providers/alibaba/limits.ts';
import { operations } from '../../providers/alibaba/operations.ts';
import { Account } from '../../providers/alibaba/simulator/account.ts';
import { inMemoryClient } from '../../providers/alibaba/simulator/client.ts';
import { controlClient } from '../../providers/alibaba/simulator/control-client.ts';
import type { FaultEffect } from '../../providers/alibaba/simulator/faults.ts';
import type { Secret } from '../../providers/alibaba/simulator/signature.ts';
import { seededRandom, systemClock } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';
import { runLife } from './slb-life.ts';
import { clientTo, keys, region, serve, standIn } from './slb-support.ts';
import type { Served } from './slb-support.ts';

const create = { AddressType: 'internet', InstanceChargeType: 'PayByCLCU' } as const;
const secrets: ReadonlyMap<string, Secret> = new Map([[keys.accessKeyId, keys]]);

let served: Served;

beforeEach(async () => {
  served = await serve({ secrets });
});

afterEach(() => served.close());

async function failureOf(promise: Promise<unknown>): Promise<CallFailure> {
  const thrown: unknown = await promise.then(
    () => new Error('it was answered'),
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(CallFailure);
  return thrown as CallFailure;
}

/** Without what goes by the machine's clock. */
function timeless(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, inner: unknown) =>
      key === 'CreateTime' || key === 'ExpireTimeStamp' ? undefined : inner,
    ),
  );
}

test('every operation: signed, sent, read and answered as in memory', async () => {
  const memory = new Account({ clock: systemClock, random: seededRandom(1) });
  const there = await runLife(inMemoryClient(memory));
  const wire = await runLife(clientTo(served.server.url));
  expect(timeless(wire)).toEqual(timeless(there));
  expect(new Set(wire.map(({ operation }) => operation))).toEqual(new Set(Object.keys(operations)));
  const inputs = (account: Account): readonly unknown[] =>
    account.calls().map(({ input }) => ({ RegionId: region, ...input }));
  expect(inputs(served.account)).toEqual(inputs(memory));
  expect(served.account.calls()[0]?.by).toBe(keys.accessKeyId);
});

test('a 64-bit order number keeps its digits', async () => {
  const answer = await clientTo(served.server.url).call('CreateLoadBalancer', create);
  expect(answer).toMatchObject({ OrderId: expect.stringMatching(/^90071992547409\d\d$/) });
  expect((answer as { OrderId: string }).OrderId).toBe('9007199254740995');
});

describe('signatures', () => {
  const hourAhead: Clock = { ...systemClock, wall: () => systemClock.wall() + 3_600_000 };
  const source = (change: Partial<typeof keys>): CredentialSource => ({
    name: 'test',
    renewable: false,
    issue: () => Promise.resolve({ ...keys, ...change, expiresAt: undefined }),
  });

  test.each<[string, object, string]>([
    ['the wrong secret', { accessKeySecret: 'planted-secret-0002' }, 'SignatureDoesNotMatch'],
    ['an unknown key', { accessKeyId: 'LTAI5tPlantedKeyId0002' }, 'InvalidAccessKeyId.NotFound'],
    ['another token', { securityToken: 'CAIS-planted-token-old' }, 'InvalidSecurityToken.Expired'],
  ])(
    '%s: refused, said what to do, and no word of the cloud or of the key is passed on',
    async (_what, change, code) => {
      const client = clientTo(served.server.url, source(change));
      const failure = await failureOf(client.call('DescribeLoadBalancers', {}));
      const error = classify(failure, 'DescribeLoadBalancers');
      expect(error).toMatchObject({ kind: 'denied', code, action: undefined });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/planted|string to sign|LTAI|ACS3/i);
    },
  );

  test('a clock that is off by an hour is noticed', async () => {
    const strict = await serve({ secrets, clock: hourAhead });
    const failure = await failureOf(clientTo(strict.server.url).call('DescribeLoadBalancers', {}));
    expect(failure.code).toBe('InvalidTimeStamp.Expired');
    await strict.close();
  });

  test.each<[string, Record<string, string>, string]>([
    ['no signature', {}, 'IncompleteSignature'],
    ['half a signature', { authorization: 'ACS3-HMAC-SHA256 Credential=a' }, 'IncompleteSignature'],
    [
      'a body that was not signed',
      {
        authorization: `ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature=${'0'.repeat(64)}`,
        'x-acs-content-sha256': '0'.repeat(64),
        'x-acs-date': '2026-01-01T00:00:00Z',
        'x-acs-signature-nonce': 'n',
        'x-acs-version': '2014-05-15',
      },
      'SignatureDoesNotMatch',
    ],
  ])('%s is refused', async (_what, headers, code) => {
    const response = await fetch(`${served.server.url}/?RegionId=${region}`, {
      method: 'POST',
      headers: { 'x-acs-action': 'DescribeLoadBalancers', ...headers },
      body: 'a=b',
    });
    expect(await response.json()).toMatchObject({ Code: code });
  });
});

describe('what goes wrong looks as in memory', () => {
  test.each<FaultEffect>([
    { kind: 'error', code: 'InternalError' },
    { kind: 'error', code: 'ServiceIsConfiguring', message: 'try later' },
    { kind: 'error', code: 'Throttling', httpStatus: 503 },
    { kind: 'error', code: 'Forbidden.RAM' },
    { kind: 'error-in-answer', code: 'SystemBusy' },
    { kind: 'throttle', retryAfterMs: 700 },
    { kind: 'throttle', code: 'Throttling.Api' },
    { kind: 'lost-request' },
    { kind: 'lost-answer' },
    { kind: 'html' },
    { kind: 'html', status: 503, when: 'after' },
  ])('%o', async (effect) => {
    const memory = new Account({ clock: systemClock, random: seededRandom(1) });
    const outcomes = [];
    for (const [account, client] of [
      [memory, inMemoryClient(memory)],
      [served.account, clientTo(served.server.url)],
    ] as const) {
      account.faults.order({ effect });
      const { kind, code, status, message, requestId, retryAfterMs, missingAction } = await failureOf(
        client.call('CreateLoadBalancer', create),
      );
      const balancers = account.resources().length;
      outcomes.push({ kind, code, status, message, requestId, retryAfterMs, missingAction, balancers });
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  });

  test('an answer that is late', async () => {
    served.account.faults.order({ effect: { kind: 'latency', ms: 2_000, when: 'after' } });
    const client = clientTo(served.server.url, undefined, 200);
    const started = Date.now();
    const failure = await failureOf(client.call('CreateLoadBalancer', create));
    expect(failure).toMatchObject({ kind: 'unanswered', code: 'Timeout' });
    expect(Date.now() - started).toBeLessThan(1_500);
    expect(served.account.resources(), 'it happened all the same').toHaveLength(1);
  });

  test('a caller who gives up', async () => {
    served.account.faults.order({ effect: { kind: 'hang', when: 'after' } });
    const abort = new AbortController();
    const pending = failureOf(clientTo(served.server.url).call('CreateLoadBalancer', create, abort.signal));
    setTimeout(() => abort.abort(), 100);
    expect(await pending).toMatchObject({ kind: 'aborted' });
    expect(served.account.resources()).toHaveLength(1);
  });

  test('an answer that ends half way', async () => {
    const half = await standIn((_request, _body, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"RequestId":');
      setTimeout(() => response.destroy(), 20);
    });
    const failure = await failureOf(clientTo(half.url).call('CreateLoadBalancer', create));
    expect(['unanswered', 'unreadable']).toContain(failure.kind);
    await half.close();
  });

  test.each([
    ['nothing, with status 500', 500, ''],
    ['nothing, with status 200', 200, ''],
    ['JSON of somebody else, with status 502', 502, '{"error":"planted"}'],
    ['a redirect', 302, ''],
  ])('%s is no answer of the cloud', async (_what, status, text) => {
    const other = await standIn((_request, _body, response) => {
      response.writeHead(status, { location: 'http://127.0.0.1:1/planted' });
      response.end(text);
    });
    const failure = await failureOf(
      clientTo(other.url).call('DeleteLoadBalancer', { LoadBalancerId: 'lb-1' }),
    );
    expect(failure.kind).toBe('unreadable');
    expect(classify(failure, 'DeleteLoadBalancer')).toMatchObject({ kind: 'ambiguous' });
    expect(inspect(failure)).not.toContain('planted');
    await other.close();
  });

  test('nobody there: known to have had no effect, and no word of the request', async () => {
    const gone = await standIn(() => {});
    await gone.close();
    const call = clientTo(gone.url).call('DeleteLoadBalancer', { LoadBalancerId: 'lb-planted' });
    const failure = await failureOf(call);
    expect(failure).toMatchObject({ kind: 'not-sent', code: 'ECONNREFUSED' });
    const error = classify(failure, 'DeleteLoadBalancer');
    expect(error.kind).toBe('transient');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/planted|127\.0\.0\.1|http:/i);
  });
});

test('a reset in the middle quotes neither URL nor parameters', async () => {
  served.account.faults.order({ effect: { kind: 'lost-answer' } });
  const call = clientTo(served.server.url).call('CreateLoadBalancer', {
    ...create,
    LoadBalancerName: 'planted',
  });
  const error = classify(await failureOf(call), 'CreateLoadBalancer');
  expect(error).toMatchObject({ kind: 'ambiguous', code: 'ECONNRESET' });
  expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/planted|127\.0\.0\.1|http:/i);
});

test('a token that ends on its way is renewed, and the call made again, once', async () => {
  const live = new Map<string, Secret>();
  const strict = await serve({ secrets: live });
  let issued = 0;
  const rolling: CredentialSource = {
    name: 'rolling',
    renewable: true,
    issue: () => {
      issued += 1;
      const accessKeyId = `STS.planted${issued}`;
      const next = { accessKeyId, accessKeySecret: `s${issued}`, securityToken: `t${issued}` };
      live.set(accessKeyId, next);
      return Promise.resolve({ ...next, expiresAt: Date.now() + 3_600_000 });
    },
  };
  const client = clientTo(strict.server.url, rolling);
  await client.call('DescribeLoadBalancers', {});
  live.set('STS.planted1', { accessKeySecret: 's1', securityToken: 'withdrawn' });
  await client.call('CreateLoadBalancer', create);
  expect(issued).toBe(2);
  expect(strict.account.resources()).toHaveLength(1);
  live.set('STS.planted2', { accessKeySecret: 's2', securityToken: 'withdrawn' });
  const stubborn = clientTo(strict.server.url, { ...rolling, renewable: false });
  await stubborn.call('DescribeLoadBalancers', {});
  live.set('STS.planted3', { accessKeySecret: 's3', securityToken: 'withdrawn' });
  expect(await failureOf(stubborn.call('DescribeLoadBalancers', {}))).toMatchObject({
    code: 'InvalidSecurityToken.Expired',
  });
  await strict.close();
});

describe('through the door', () => {
  const never = new AbortController().signal;
  function doorTo(url: string, parallel?: number): Door {
    const fast = { perSecond: 1_000, burst: 1_000 };
    const rates = { ...defaultRates, read: fast, modify: fast };
    const limits = createLimits(rates, systemClock, Math.random, parallel);
    return createDoor({ client: clientTo(url), limits, clock: systemClock, random: Math.random });
  }

  test.each<FaultEffect>([
    { kind: 'lost-answer' },
    { kind: 'lost-request' },
    { kind: 'html', when: 'after' },
  ])('a creation with a token makes one balancer, with %o', async (effect) => {
    served.account.faults.order({ effect });
    const input = { ...create, ClientToken: 'uid-1' };
    const made = await doorTo(served.server.url).call('CreateLoadBalancer', input, never);
    expect(served.account.resources()).toMatchObject([{ id: made.LoadBalancerId }]);
  });

  test('as many connections as calls may be under way, whoever calls', async () => {
    let now = 0;
    let most = 0;
    const busy = await standIn((_request, _body, response) => {
      now += 1;
      most = Math.max(most, now);
      setTimeout(() => {
        now -= 1;
        response.end('{"RequestId":"R"}');
      }, 5);
    });
    const door = doorTo(busy.url, 8);
    await Promise.all(Array.from({ length: 100 }, () => door.call('DescribeLoadBalancers', {}, never)));
    expect(most).toBe(8);
    expect(busy.seen).toHaveLength(100);
    await busy.close();
  });
});

test('another process orders faults, changes the world and reads what happened', async () => {
  const control = controlClient(served.server.url);
  const client = clientTo(served.server.url);
  await control.configure({ delays: { startingMs: 5 }, acceptUnknownServers: false });
  await control.setServer('i-1', { state: 'Running' });
  const id = await control.orderFault({
    match: { operation: 'CreateLoadBalancer' },
    effect: { kind: 'html', status: 503 },
  });
  expect(await control.faults()).toMatchObject([{ id, hits: 0 }]);
  expect(await failureOf(client.call('CreateLoadBalancer', create))).toMatchObject({ kind: 'unreadable' });
  const made = (await control.call('CreateLoadBalancer', create)) as { readonly LoadBalancerId: string };
  await control.setLoadBalancerStatus(made.LoadBalancerId, 'locked');
  await control.setHealth({ serverId: 'i-1' }, 'abnormal');
  expect(await control.dump()).toMatchObject({ loadBalancers: [{ LoadBalancerStatus: 'locked' }] });
  expect((await control.calls()).counts).toEqual({ CreateLoadBalancer: 2 });
  await expect(control.configure({ colour: 'red' } as never)).rejects.toThrow(/there is no setting 'colour'/);
  await expect(
    control.orderFault({ match: { operation: 'Nothing' }, effect: { kind: 'html' } }),
  ).rejects.toThrow(/there is no operation "Nothing"/);
  await expect(control.call('DescribeLoadBalancerAttribute', { LoadBalancerId: 'x' })).rejects.toThrow(
    /InvalidLoadBalancerId\.NotFound/,
  );
  await control.clearFaults();
  await control.forgetCalls();
  await control.reset();
  expect(await control.settings()).toMatchObject({ acceptUnknownServers: true });
  expect(served.account.resources()).toEqual([]);
});
