import * as sdk from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inMemoryClient } from '../../providers/aws/simulator/client.ts';
import { simulatedOperations } from '../../providers/aws/simulator/operations.ts';
import {
  CERTIFICATE,
  credentials,
  newAccount,
  newClient,
  send,
  serve,
  type Served,
} from './elbv2-support.ts';

let served: Served;

beforeEach(async () => {
  served = await serve();
});

afterEach(() => served.close());

function firstArn(output: Record<string, unknown>): string {
  const [items] = Object.values(output) as readonly (readonly Record<string, unknown>[])[];
  return String(Object.entries(items?.[0] ?? {}).find(([name]) => name.endsWith('Arn'))?.[1]);
}

/** What a caller can tell an error by. */
function seen(error: unknown): object {
  const { name, message, Code, Type, $fault, $metadata } = error as Record<string, unknown>;
  return {
    name,
    message,
    Code,
    Type,
    $fault,
    status: ($metadata as Record<string, unknown>)['httpStatusCode'],
  };
}

describe('the wire and the memory', () => {
  /** A life that uses every operation; members that name what was made before are functions of the outputs so far. */
  type Outputs = Readonly<Record<string, unknown>>;
  const arnOf = (outputs: Outputs, name: string): string => String(outputs[name]);
  const life: readonly (readonly [operation: string, input: (made: Outputs) => object, keep?: string])[] = [
    [
      'CreateLoadBalancer',
      () => ({
        Name: 'Web',
        Type: 'network',
        SubnetMappings: [{ SubnetId: 'subnet-a', AllocationId: 'eipalloc-1' }, { SubnetId: 'subnet-b' }],
        SecurityGroups: ['sg-1'],
        Tags: [
          { Key: 'empty', Value: '' },
          { Key: 'odd', Value: ' <&>"\' é\u{1f600}\r\n\t' },
        ],
      }),
      'balancer',
    ],
    [
      'CreateLoadBalancer',
      () => ({ Name: 'Other', Type: 'network', Subnets: ['subnet-a'], Scheme: 'internal' }),
    ],
    ['DescribeLoadBalancers', () => ({})],
    ['DescribeLoadBalancers', () => ({ Names: ['Web'] })],
    ['SetSubnets', (made) => ({ LoadBalancerArn: arnOf(made, 'balancer'), Subnets: ['subnet-b'] })],
    [
      'SetSecurityGroups',
      (made) => ({ LoadBalancerArn: arnOf(made, 'balancer'), SecurityGroups: ['sg-2', 'sg-3'] }),
    ],
    ['SetIpAddressType', (made) => ({ LoadBalancerArn: arnOf(made, 'balancer'), IpAddressType: 'ipv4' })],
    [
      'ModifyLoadBalancerAttributes',
      (made) => ({
        LoadBalancerArn: arnOf(made, 'balancer'),
        Attributes: [{ Key: 'load_balancing.cross_zone.enabled', Value: 'true' }],
      }),
    ],
    ['DescribeLoadBalancerAttributes', (made) => ({ LoadBalancerArn: arnOf(made, 'balancer') })],
    [
      'CreateTargetGroup',
      () => ({
        Name: 'web',
        Protocol: 'TCP',
        Port: 30_080,
        VpcId: 'vpc-1',
        HealthCheckProtocol: 'HTTP',
        HealthCheckEnabled: true,
        Matcher: { HttpCode: '200' },
        Tags: [{ Key: 'a', Value: 'b' }],
      }),
      'group',
    ],
    ['DescribeTargetGroups', () => ({ Names: ['web'] })],
    ['ModifyTargetGroup', (made) => ({ TargetGroupArn: arnOf(made, 'group'), HealthCheckPort: '32000' })],
    [
      'ModifyTargetGroupAttributes',
      (made) => ({
        TargetGroupArn: arnOf(made, 'group'),
        Attributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: '0' }],
      }),
    ],
    ['DescribeTargetGroupAttributes', (made) => ({ TargetGroupArn: arnOf(made, 'group') })],
    [
      'RegisterTargets',
      (made) => ({
        TargetGroupArn: arnOf(made, 'group'),
        Targets: [{ Id: 'i-1' }, { Id: 'i-1', Port: 31_000 }],
      }),
    ],
    ['DescribeTargetHealth', (made) => ({ TargetGroupArn: arnOf(made, 'group') })],
    [
      'CreateListener',
      (made) => ({
        LoadBalancerArn: arnOf(made, 'balancer'),
        Protocol: 'TLS',
        Port: 443,
        Certificates: [{ CertificateArn: CERTIFICATE }],
        AlpnPolicy: ['HTTP2Preferred'],
        DefaultActions: [{ Type: 'forward', TargetGroupArn: arnOf(made, 'group') }],
      }),
      'listener',
    ],
    ['DescribeListeners', (made) => ({ LoadBalancerArn: arnOf(made, 'balancer') })],
    [
      'AddListenerCertificates',
      (made) => ({
        ListenerArn: arnOf(made, 'listener'),
        Certificates: [{ CertificateArn: `${CERTIFICATE}2` }],
      }),
    ],
    ['DescribeListenerCertificates', (made) => ({ ListenerArn: arnOf(made, 'listener') })],
    [
      'RemoveListenerCertificates',
      (made) => ({
        ListenerArn: arnOf(made, 'listener'),
        Certificates: [{ CertificateArn: `${CERTIFICATE}2` }],
      }),
    ],
    ['ModifyListener', (made) => ({ ListenerArn: arnOf(made, 'listener'), Protocol: 'TCP', Port: 80 })],
    [
      'ModifyListenerAttributes',
      (made) => ({
        ListenerArn: arnOf(made, 'listener'),
        Attributes: [{ Key: 'tcp.idle_timeout.seconds', Value: '400' }],
      }),
    ],
    ['DescribeListenerAttributes', (made) => ({ ListenerArn: arnOf(made, 'listener') })],
    ['DescribeTargetHealth', (made) => ({ TargetGroupArn: arnOf(made, 'group'), Targets: [{ Id: 'i-9' }] })],
    ['AddTags', (made) => ({ ResourceArns: [arnOf(made, 'listener')], Tags: [{ Key: 'k', Value: 'v' }] })],
    [
      'DescribeTags',
      (made) => ({ ResourceArns: [arnOf(made, 'balancer'), arnOf(made, 'group'), arnOf(made, 'listener')] }),
    ],
    ['RemoveTags', (made) => ({ ResourceArns: [arnOf(made, 'listener')], TagKeys: ['k'] })],
    ['DescribeAccountLimits', () => ({})],
    ['DescribeSSLPolicies', () => ({ Names: ['ELBSecurityPolicy-2016-08'] })],
    ['DeregisterTargets', (made) => ({ TargetGroupArn: arnOf(made, 'group'), Targets: [{ Id: 'i-1' }] })],
    ['DescribeTargetHealth', (made) => ({ TargetGroupArn: arnOf(made, 'group') })],
    ['DeleteListener', (made) => ({ ListenerArn: arnOf(made, 'listener') })],
    ['DeleteTargetGroup', (made) => ({ TargetGroupArn: arnOf(made, 'group') })],
    ['DeleteLoadBalancer', (made) => ({ LoadBalancerArn: arnOf(made, 'balancer') })],
    ['DescribeTargetGroups', () => ({})],
  ];

  test('give equal answers to a life that uses every operation', async () => {
    const { account, client } = served;
    const twin = newAccount();
    const memory = inMemoryClient(twin, credentials.accessKeyId);
    const made: Record<string, unknown> = {};
    for (const [operation, input, keep] of life) {
      const given = input(made);
      const overWire = await send(client, operation, given);
      expect(overWire, operation).toEqual(await memory.call(operation, given));
      if (keep !== undefined) made[keep] = firstArn(overWire);
    }
    expect(account.dump()).toEqual(twin.dump());
    expect(account.calls()).toEqual(twin.calls());
    expect(new Set(life.map(([operation]) => operation))).toEqual(new Set(simulatedOperations.keys()));
  });

  test.each([
    ['LoadBalancerNotFound', sdk.LoadBalancerNotFoundException, 400],
    ['ALPNPolicyNotFound', sdk.ALPNPolicyNotSupportedException, 400],
    ['PriorRequestNotComplete', sdk.PriorRequestNotCompleteException, 429],
    ['HealthUnavailable', sdk.HealthUnavailableException, 500],
    ['AccessDenied', sdk.ElasticLoadBalancingV2ServiceException, 403],
    ['ExpiredToken', sdk.ElasticLoadBalancingV2ServiceException, 403],
    ['ThrottlingException', sdk.ElasticLoadBalancingV2ServiceException, 400],
    ['ServiceUnavailable', sdk.ElasticLoadBalancingV2ServiceException, 503],
  ])('refuse alike with %s', async (code, type, httpStatusCode) => {
    const { account, client } = served;
    const twin = newAccount();
    for (const one of [account, twin]) {
      one.faults.order({ effect: { kind: 'error', code, message: 'no <way> & "why"' } });
    }
    const overWire: unknown = await send(client, 'DescribeLoadBalancers', {}).catch(
      (error: unknown) => error,
    );
    const inMemory: unknown = await inMemoryClient(twin)
      .call('DescribeLoadBalancers', {})
      .catch((error: unknown) => error);
    expect(overWire).toBeInstanceOf(type);
    expect(seen(overWire)).toEqual(seen(inMemory));
    expect(overWire).toMatchObject({ $metadata: { httpStatusCode } });
  });

  test('cut connections look alike, and the effect of a lost answer stands', async () => {
    const { account, client } = served;
    const twin = newAccount();
    for (const one of [account, twin]) one.faults.order({ effect: { kind: 'lost-answer' } });
    const create = { Name: 'web', Type: 'network', Subnets: ['subnet-a'] };
    await expect(send(client, 'CreateLoadBalancer', create)).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(inMemoryClient(twin).call('CreateLoadBalancer', create)).rejects.toMatchObject({
      code: 'ECONNRESET',
    });
    expect(account.resources()).toEqual(twin.resources());
    expect(account.resources()).toHaveLength(1);
  });
});

describe('on the wire', () => {
  test('a retry of the SDK after a lost answer meets what the first try made', async () => {
    const { account, server } = served;
    account.faults.order({ match: { operation: 'CreateLoadBalancer' }, effect: { kind: 'lost-answer' } });
    const retrying = newClient(server.url, { maxAttempts: 2 });
    const output = await send(retrying, 'CreateLoadBalancer', {
      Name: 'web',
      Type: 'network',
      Subnets: ['subnet-a'],
    });
    expect(output['LoadBalancers']).toHaveLength(1);
    expect(account.counts()).toEqual({ CreateLoadBalancer: 2 });
    expect(account.resources()).toHaveLength(1);
    retrying.destroy();
  });

  test('the SDK retries what is throttled', async () => {
    const { account, server } = served;
    account.faults.order({ times: 2, effect: { kind: 'throttle' } });
    const retrying = newClient(server.url, { maxAttempts: 3 });
    await expect(send(retrying, 'DescribeLoadBalancers', {})).resolves.toEqual({ LoadBalancers: [] });
    expect(account.calls().map((call) => call.error?.code)).toEqual([
      'ThrottlingException',
      'ThrottlingException',
      undefined,
    ]);
    retrying.destroy();
  });

  test('the pages of the SDK gather everything', async () => {
    const { account, client } = served;
    account.configure({ pageSize: 2 });
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const Name of names)
      await send(client, 'CreateLoadBalancer', { Name, Type: 'network', Subnets: ['subnet-a'] });
    const found: (string | undefined)[] = [];
    for await (const page of sdk.paginateDescribeLoadBalancers({ client }, {})) {
      found.push(...(page.LoadBalancers ?? []).map((balancer) => balancer.LoadBalancerName));
    }
    expect(found).toEqual(names);
    expect(account.counts()['DescribeLoadBalancers']).toBe(3);
  });

  test('the waiter of the SDK sees a balancer become active', async () => {
    const { account, client } = served;
    const { LoadBalancers } = await client.send(
      new sdk.CreateLoadBalancerCommand({ Name: 'web', Type: 'network', Subnets: ['subnet-a'] }),
    );
    const arn = LoadBalancers?.[0]?.LoadBalancerArn ?? '';
    account.setLoadBalancerState(arn, { code: 'provisioning' });
    const waiting = sdk.waitUntilLoadBalancerAvailable(
      { client, maxWaitTime: 5, minDelay: 1, maxDelay: 1 },
      { LoadBalancerArns: [arn] },
    );
    setTimeout(() => account.setLoadBalancerState(arn, undefined), 200);
    await expect(waiting).resolves.toMatchObject({ state: 'SUCCESS' });
  });

  test('a call takes as long as is set', async () => {
    const { account, client } = served;
    account.configure({ latency: { callMs: 120 } });
    const start = performance.now();
    await send(client, 'DescribeLoadBalancers', {});
    expect(performance.now() - start).toBeGreaterThanOrEqual(115);
  });

  test('a call that never gets an answer ends with the abort of its caller', async () => {
    const { account, client } = served;
    account.faults.order({ effect: { kind: 'hang' } });
    const call = client.send(new sdk.DescribeLoadBalancersCommand({}), {
      abortSignal: AbortSignal.timeout(100),
    });
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('the caller is told apart by its access key', async () => {
    const { account, server } = served;
    const rival = newClient(server.url, { credentials: { accessKeyId: 'RIVAL', secretAccessKey: 'x' } });
    await send(rival, 'DescribeLoadBalancers', {});
    expect(account.calls()).toMatchObject([{ by: 'RIVAL' }]);
    rival.destroy();
  });

  test.each([
    ['an operation that is not simulated', 'DescribeTrustStores', {}, 'InvalidAction'],
    ['what the SDK does not check', 'CreateTargetGroup', { Name: 'a', Port: 'eighty' }, 'ValidationError'],
  ])('%s is refused with its name', async (_what, operation, input, name) => {
    const { client } = served;
    await expect(send(client, operation, input)).rejects.toMatchObject({ name });
  });
});
