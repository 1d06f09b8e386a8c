/**
 * Each source of credentials against a stand-in of its end point on loopback: what is asked, what is made of
 * the answer, and that nothing else is asked when it fails.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createSource } from '../../providers/alibaba/credentials/choose.ts';
import type { SourceSettings } from '../../providers/alibaba/credentials/choose.ts';
import { CredentialSession } from '../../providers/alibaba/credentials/session.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { SluiceError } from '../../src/core/errors.ts';
import { clientTo, keys, serve, standIn } from './slb-support.ts';
import type { StandIn } from './slb-support.ts';

interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

const issued = {
  AccessKeyId: keys.accessKeyId,
  AccessKeySecret: keys.accessKeySecret,
  SecurityToken: keys.securityToken,
  Expiration: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z'),
};
const expected = { accessKeyId: keys.accessKeyId, securityToken: keys.securityToken };

let folder: string;
const open: StandIn[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-slb-'));
  writeFileSync(join(folder, 'token'), 'planted-oidc-token\n');
  // Whatever stands in the environment, only the settings count.
  vi.stubEnv('ALIBABA_CLOUD_ACCESS_KEY_ID', 'LTAI-of-the-environment');
  vi.stubEnv('ALIBABA_CLOUD_ACCESS_KEY_SECRET', 'secret-of-the-environment');
});

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  rmSync(folder, { recursive: true });
  vi.unstubAllEnvs();
});

async function answering(
  answer: (asked: Asked) => Answer,
): Promise<{ readonly url: string; readonly seen: readonly string[]; readonly asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = await standIn((request, body, response) => {
    const url = new URL(request.url ?? '/', 'http://stand-in');
    const one = {
      path: url.pathname,
      query: url.searchParams,
      form: new URLSearchParams(body),
      headers: request.headers,
    };
    asked.push(one);
    const { status, text } = answer(one);
    response.writeHead(status);
    response.end(text);
  });
  open.push(server);
  return { url: server.url, seen: server.seen, asked };
}

const oidc = (stsEndpoint: string): SourceSettings => ({
  kind: 'oidc',
  roleArn: 'acs:ram::1:role/sluice',
  oidcProviderArn: 'acs:ram::1:oidc-provider/ack',
  oidcTokenFile: join(folder, 'token'),
  roleSessionName: 'sluice',
  stsEndpoint,
});
const sessionOf = (settings: SourceSettings, clock: Clock = systemClock): CredentialSession =>
  new CredentialSession(createSource(settings, clock), clock);

async function errorOf(session: CredentialSession): Promise<SluiceError> {
  const error: unknown = await session.get().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'SluiceError' });
  expect(inspect(error, { depth: 9, showHidden: true }), 'nothing secret, no URL').not.toMatch(
    /planted|http:/,
  );
  return error as SluiceError;
}

describe('a role of the service account (RRSA)', () => {
  const granted = (): Answer => ({
    status: 200,
    text: JSON.stringify({ RequestId: 'R', Credentials: issued }),
  });

  test('the mounted token is exchanged at STS, once for all who wait, and read anew each time', async () => {
    const sts = await answering(granted);
    const session = sessionOf(oidc(sts.url));
    const all = await Promise.all(Array.from({ length: 10 }, () => session.get()));
    expect(all[9]).toMatchObject(expected);
    expect(sts.seen).toEqual(['POST /']);
    expect(sts.asked[0]?.query.get('Action')).toBe('AssumeRoleWithOIDC');
    expect(sts.asked[0]?.query.get('Version')).toBe('2015-04-01');
    expect(Object.fromEntries(sts.asked[0]?.form ?? [])).toEqual({
      RoleArn: 'acs:ram::1:role/sluice',
      OIDCProviderArn: 'acs:ram::1:oidc-provider/ack',
      OIDCToken: 'planted-oidc-token',
      RoleSessionName: 'sluice',
      DurationSeconds: '3600',
    });
    writeFileSync(join(folder, 'token'), 'planted-oidc-token-2');
    session.drop(await session.get());
    await session.get();
    expect(sts.asked[1]?.form.get('OIDCToken')).toBe('planted-oidc-token-2');
  });

  const refusal = (Code: string): string =>
    JSON.stringify({ Code, Message: `bad token planted-oidc-token`, RequestId: 'R-7' });

  test.each<[string, Answer, object, RegExp]>([
    ['STS is down', { status: 503, text: refusal('ServiceUnavailable') }, { kind: 'transient' }, /R-7/],
    [
      'something in between answers',
      { status: 502, text: '<html>planted</html>' },
      { kind: 'transient' },
      /status 502/,
    ],
    [
      'STS throttles',
      { status: 400, text: refusal('Throttling.User') },
      { kind: 'throttled' },
      /fewer calls/,
    ],
    [
      'the token has expired',
      { status: 400, text: refusal('AuthenticationFail.OIDCToken.Expired') },
      { kind: 'denied', action: undefined },
      /issuer, audience and expiry/,
    ],
    [
      'the role is not there',
      { status: 404, text: refusal('EntityNotExist.Role') },
      { kind: 'denied' },
      /check roleArn/,
    ],
    [
      'the role may not be taken',
      { status: 403, text: refusal('NoPermission') },
      { kind: 'denied' },
      /trust policy/,
    ],
    [
      'half of the credentials',
      { status: 200, text: JSON.stringify({ Credentials: { ...issued, SecurityToken: '' } }) },
      { kind: 'transient' },
      /gives no credentials/,
    ],
  ])('%s', async (_what, answer, error, words) => {
    const sts = await answering(() => answer);
    const found = await errorOf(sessionOf(oidc(sts.url)));
    expect(found).toMatchObject(error);
    expect(found.message).toMatch(words);
    expect(sts.seen, 'asked once, and nobody else').toHaveLength(1);
  });

  test('no file with a token: STS is not asked', async () => {
    const sts = await answering(granted);
    rmSync(join(folder, 'token'));
    expect(await errorOf(sessionOf(oidc(sts.url)))).toMatchObject({
      kind: 'denied',
      code: 'OidcTokenUnreadable',
    });
    expect(sts.seen).toEqual([]);
  });

  test('a redirect is not followed: the token would go along', async () => {
    const elsewhere = await answering(granted);
    const sts = await standIn((_request, _body, response) => {
      response.writeHead(307, { location: elsewhere.url });
      response.end();
    });
    open.push(sts);
    expect(await errorOf(sessionOf(oidc(sts.url)))).toMatchObject({ kind: 'transient' });
    expect(elsewhere.seen).toEqual([]);
  });

  test('nobody there, or nobody who answers', async () => {
    const gone = await standIn(() => {});
    await gone.close();
    expect(await errorOf(sessionOf(oidc(gone.url)))).toMatchObject({
      kind: 'transient',
      code: 'ECONNREFUSED',
    });
    const silent = await standIn(() => {});
    open.push(silent);
    const hasty: Clock = { ...systemClock, schedule: (ms, run) => systemClock.schedule(ms / 100, run) };
    expect(await errorOf(sessionOf(oidc(silent.url), hasty))).toMatchObject({
      kind: 'transient',
      code: 'Timeout',
    });
  });

  test('STS is down and a call is to be made: it fails, and no other source is tried', async () => {
    const sts = await answering(() => ({ status: 503, text: '' }));
    const slb = await serve();
    const client = clientTo(slb.server.url, createSource(oidc(sts.url), systemClock));
    await expect(client.call('DescribeLoadBalancers', {})).rejects.toMatchObject({
      kind: 'transient',
      action: 'AssumeRoleWithOIDC',
    });
    await expect(client.call('DescribeLoadBalancers', {})).rejects.toMatchObject({ kind: 'transient' });
    expect(slb.account.calls()).toEqual([]);
    expect(sts.seen, 'the second call did not ask again').toHaveLength(1);
    await slb.close();
  });

  test('what was issued signs calls that the cloud accepts', async () => {
    const sts = await answering(granted);
    const slb = await serve({ secrets: new Map([[keys.accessKeyId, keys]]) });
    const client = clientTo(slb.server.url, createSource(oidc(sts.url), systemClock));
    expect(await client.call('DescribeLoadBalancers', {})).toMatchObject({ TotalCount: 0 });
    await slb.close();
  });
});

describe('the role of the node', () => {
  const roles = '/latest/meta-data/ram/security-credentials/';

  /** A metadata service that gives nothing without its token. */
  function metadata(change: Readonly<Record<string, Answer>> = {}) {
    return answering(({ path, headers }) => {
      const changed = change[path];
      if (changed !== undefined) return changed;
      if (path === '/latest/api/token') return { status: 200, text: 'planted-metadata-token' };
      if (headers['x-aliyun-ecs-metadata-token'] !== 'planted-metadata-token')
        return { status: 403, text: '' };
      if (path === roles) return { status: 200, text: 'node-role' };
      if (path === `${roles}node-role`)
        return { status: 200, text: JSON.stringify({ Code: 'Success', ...issued }) };
      return { status: 404, text: '' };
    });
  }

  test('is asked with a metadata token, by the name that the service gives', async () => {
    const service = await metadata();
    const session = sessionOf({ kind: 'node-role', metadataEndpoint: service.url });
    expect(await session.get()).toMatchObject(expected);
    expect(service.seen).toEqual(['PUT /latest/api/token', `GET ${roles}`, `GET ${roles}node-role`]);
    expect(service.asked[0]?.headers['x-aliyun-ecs-metadata-token-ttl-seconds']).toBe('60');
  });

  test('or by the name in the settings', async () => {
    const service = await metadata();
    const session = sessionOf({ kind: 'node-role', roleName: 'node-role', metadataEndpoint: service.url });
    expect(await session.get()).toMatchObject(expected);
    expect(service.seen).toHaveLength(2);
  });

  test.each<[string, Readonly<Record<string, Answer>>, object, number]>([
    [
      'the node has no role',
      { [roles]: { status: 404, text: '' } },
      { kind: 'denied', code: 'NodeRoleMissing' },
      2,
    ],
    [
      'no metadata token is given: the old way is not tried',
      { '/latest/api/token': { status: 403, text: '' } },
      { kind: 'denied', code: 'MetadataDenied' },
      1,
    ],
    [
      'the service knows no tokens: the old way is not tried',
      { '/latest/api/token': { status: 404, text: '' } },
      { kind: 'transient' },
      1,
    ],
    [
      'the service fails',
      { [`${roles}node-role`]: { status: 500, text: 'planted' } },
      { kind: 'transient' },
      3,
    ],
    [
      'an answer that is no success',
      { [`${roles}node-role`]: { status: 200, text: JSON.stringify({ Code: 'Failed', ...issued }) } },
      { kind: 'transient', code: 'UnreadableAnswer' },
      3,
    ],
    [
      'an answer that is no JSON',
      { [`${roles}node-role`]: { status: 200, text: 'planted' } },
      { kind: 'transient' },
      3,
    ],
  ])('%s', async (_what, change, error, requests) => {
    const service = await metadata(change);
    const session = sessionOf({ kind: 'node-role', metadataEndpoint: service.url });
    expect(await errorOf(session)).toMatchObject(error);
    expect(service.seen).toHaveLength(requests);
  });
});

test.each([
  ['a key', { kind: 'access-key', accessKeyId: 'id', accessKeySecret: 'secret' }],
  ['a key with a token', keys],
] as const)('%s that was written down signs, and not the one of the environment', async (_what, settings) => {
  const slb = await serve({ secrets: new Map([[settings.accessKeyId, settings]]) });
  const client = clientTo(slb.server.url, createSource(settings, systemClock));
  await client.call('DescribeLoadBalancers', {});
  expect(slb.account.calls()).toMatchObject([{ by: settings.accessKeyId }]);
  await slb.close();
});
