import * as sdk from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { controlClient } from '../../providers/aws/simulator/control-client.ts';
import { startServer } from '../../providers/aws/simulator/server.ts';
import { systemClock, type Clock } from '../../src/core/clock.ts';
import { credentials, newClient, send, serve, type Served } from './elbv2-support.ts';

const hourAhead: Clock = { ...systemClock, wall: () => systemClock.wall() + 3_600_000 };

let served: Served;

beforeEach(async () => {
  served = await serve();
});

afterEach(() => served.close());

describe('signatures', () => {
  const secrets = new Map([[credentials.accessKeyId, credentials.secretAccessKey]]);

  test.each([
    ['the right secret', credentials, 'eu-west-1', 'accepted'],
    ['the wrong secret', { ...credentials, secretAccessKey: 'other' }, 'eu-west-1', 'SignatureDoesNotMatch'],
    ['an unknown key', { ...credentials, accessKeyId: 'NOBODY' }, 'eu-west-1', 'InvalidClientTokenId'],
    ['a session token', { ...credentials, sessionToken: 'token' }, 'eu-west-1', 'accepted'],
    ['another region', credentials, 'us-east-1', 'SignatureDoesNotMatch'],
  ])('%s: %s', async (_what, given, region, expected) => {
    const { account } = served;
    const strict = await startServer({ account, secrets });
    const signed = newClient(strict.url, { credentials: given, region });
    const outcome = await send(signed, 'DescribeTags', { ResourceArns: [] }).then(
      () => 'accepted',
      (error: Error) => error.name,
    );
    expect(outcome).toBe(expected);
    signed.destroy();
    await strict.close();
  });

  test('a clock that is off by an hour is noticed', async () => {
    const { account } = served;
    const strict = await startServer({ account, secrets, clock: hourAhead });
    const signed = newClient(strict.url);
    await expect(send(signed, 'DescribeLoadBalancers', {})).rejects.toMatchObject({ name: 'RequestExpired' });
    signed.destroy();
    await strict.close();
  });

  test.each([
    ['no signature', {}, 403, 'MissingAuthenticationToken'],
    [
      'half a signature',
      { authorization: 'AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/x' },
      400,
      'IncompleteSignature',
    ],
    [
      'a signature for another service',
      {
        authorization: `AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=${'0'.repeat(64)}`,
        'x-amz-date': '20260101T000000Z',
      },
      403,
      'SignatureDoesNotMatch',
    ],
  ])('%s is refused', async (_what, headers, status, code) => {
    const { server } = served;
    const response = await fetch(server.url, {
      method: 'POST',
      headers,
      body: 'Action=DescribeLoadBalancers&Version=2015-12-01',
    });
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(`<Code>${code}</Code>`);
  });
});

describe('malformed requests', () => {
  const headers = {
    authorization: `AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=${'0'.repeat(64)}`,
    'x-amz-date': '20260101T000000Z',
    'content-type': 'application/x-www-form-urlencoded',
  };

  test.each([
    ['nothing', '', 400, 'InvalidAction'],
    ['another version', 'Action=DescribeLoadBalancers&Version=2012-06-01', 400, 'InvalidAction'],
    [
      'an unknown parameter',
      'Action=DescribeLoadBalancers&Version=2015-12-01&Colour=red',
      400,
      'ValidationError',
    ],
    [
      'a parameter twice',
      'Action=DescribeLoadBalancers&Version=2015-12-01&PageSize=1&PageSize=2',
      400,
      'ValidationError',
    ],
    ['more than a megabyte', 'x'.repeat(1024 * 1024 + 1), 413, 'RequestEntityTooLarge'],
  ])('%s', async (_what, body, status, code) => {
    const { server } = served;
    const response = await fetch(server.url, { method: 'POST', headers, body });
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(`<Code>${code}</Code>`);
  });

  test('are answered for other methods than POST too', async () => {
    const { server } = served;
    expect((await fetch(server.url)).status).toBe(400);
  });
});

describe('the control endpoints', () => {
  const create = { Name: 'web', Type: 'network', Subnets: ['subnet-a'] };

  test('show and forget the account and its calls', async () => {
    const { account, server, client } = served;
    const control = controlClient(server.url);
    await send(client, 'CreateLoadBalancer', create);
    expect(await control.dump()).toEqual(account.dump());
    const { calls, counts } = await control.calls();
    expect(calls).toMatchObject([
      { seq: 1, operation: 'CreateLoadBalancer', touched: [{ change: 'created' }] },
    ]);
    expect(counts).toEqual({ CreateLoadBalancer: 1 });
    await control.forgetCalls();
    expect((await control.calls()).calls).toEqual([]);
    await control.reset();
    expect((await control.dump()).loadBalancers).toEqual([]);
  });

  test('order, list and take back faults', async () => {
    const { server, client } = served;
    const control = controlClient(server.url);
    const id = await control.orderFault({
      match: { operation: 'CreateLoadBalancer' },
      times: 'until-cleared',
      effect: { kind: 'error', code: 'TooManyLoadBalancers' },
    });
    await expect(send(client, 'CreateLoadBalancer', create)).rejects.toThrow(
      sdk.TooManyLoadBalancersException,
    );
    expect(await control.faults()).toMatchObject([{ id, hits: 1 }]);
    await control.clearFaults(id);
    await expect(send(client, 'CreateLoadBalancer', create)).resolves.toBeDefined();
    await control.orderFault({ effect: { kind: 'throttle' } });
    await control.clearFaults();
    expect(await control.faults()).toEqual([]);
  });

  test('change settings and the world', async () => {
    const { account, server } = served;
    const control = controlClient(server.url);
    expect(await control.configure({ quotas: { networkLoadBalancers: 1 } })).toMatchObject({
      quotas: { networkLoadBalancers: 1, targetGroups: 3000 },
    });
    expect(await control.settings()).toEqual(account.settings);
    const output = (await control.call('CreateLoadBalancer', create)) as sdk.CreateLoadBalancerOutput;
    const arn = output.LoadBalancers?.[0]?.LoadBalancerArn ?? '';
    await control.setLoadBalancerState(arn, { code: 'active_impaired' });
    await control.setEndpointService(arn, true);
    await control.setInstance('i-1', { state: 'stopped' });
    await control.setHealth({ id: 'i-2' }, { kind: 'unhealthy', reason: 'Target.Timeout' });
    expect(await control.dump()).toMatchObject({ loadBalancers: [{ State: { Code: 'active_impaired' } }] });
    await expect(control.call('DeleteLoadBalancer', { LoadBalancerArn: arn })).rejects.toMatchObject({
      code: 'ResourceInUse',
    });
    const group = (await control.call('CreateTargetGroup', {
      Name: 'web',
      Protocol: 'TCP',
      Port: 80,
      VpcId: 'vpc-1',
    })) as sdk.CreateTargetGroupOutput;
    const TargetGroupArn = group.TargetGroups?.[0]?.TargetGroupArn;
    await expect(
      control.call('RegisterTargets', { TargetGroupArn, Targets: [{ Id: 'i-1' }] }),
    ).rejects.toMatchObject({
      code: 'InvalidTarget',
    });
    await control.setInstance('i-1', undefined);
    await expect(
      control.call('RegisterTargets', { TargetGroupArn, Targets: [{ Id: 'i-1' }] }),
    ).resolves.toEqual({});
    expect(account.calls().every((call) => call.by === 'hand')).toBe(true);
  });

  test('name what is wrong with a request', async () => {
    const { server } = served;
    const control = controlClient(server.url);
    await expect(control.configure({ quotas: { balancers: 1 } } as object)).rejects.toThrow(
      "no setting 'quotas.balancers'",
    );
    await expect(control.setLoadBalancerState('x', undefined)).rejects.toThrow('is not a valid');
    const post = (path: string, type: string, body: string): Promise<Response> =>
      fetch(`${server.url}/_sluice/${path}`, { method: 'POST', headers: { 'content-type': type }, body });
    expect((await post('nowhere', 'application/json', '{}')).status).toBe(404);
    expect((await post('faults', 'application/json', '{')).status).toBe(400);
    expect((await post('faults', 'text/plain', '{}')).status).toBe(415);
  });
});

test('a port that is taken is reported, not waited for', async () => {
  const { account, server } = served;
  await expect(startServer({ account, port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
