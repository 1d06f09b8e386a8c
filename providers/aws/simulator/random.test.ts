import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/core/clock.ts';
import { CloudError } from './errors.ts';
import { simulatedOperations } from './operations.ts';
import { operationSchemas } from './schema/model.ts';
import { bench } from './testing.ts';

/**
 * Calls made at random, sensible and not: whatever comes, the account answers in the shape of the published
 * schema or refuses with an error that the operation documents. It checks both itself and throws a defect.
 */
function randomCalls(seed: number, count: number): ReturnType<typeof bench> {
  const made = bench({ quotas: { targetGroups: 4, networkLoadBalancers: 3 }, acceptUnknownInstances: true });
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const arns = (kind: string): string => {
    const known = made.account.resources().filter((one) => one.kind === kind);
    return known.length > 0 && random() < 0.9 ? pick(known).arn : pick(['x', `${kind}/gone`]);
  };
  const values: Readonly<Record<string, () => unknown>> = {
    Name: () => pick(['a', 'b', 'c', 'd', 'e', 'internal-x']),
    Type: () => pick(['network', 'network', 'network', 'network', 'application']),
    Subnets: () => pick([['subnet-a'], ['subnet-a', 'subnet-b'], ['subnet-b'], ['subnet-z']]),
    SecurityGroups: () => pick([[], ['sg-1']]),
    LoadBalancerArn: () => arns('load-balancer'),
    TargetGroupArn: () => arns('target-group'),
    ListenerArn: () => arns('listener'),
    ResourceArns: () => [arns('load-balancer'), arns('target-group')],
    Protocol: () => pick(['TCP', 'TCP', 'TCP', 'UDP', 'TCP_UDP', 'TLS', 'HTTP']),
    Port: () => pick([80, 81, 443, 444, 0]),
    VpcId: () => pick(['vpc-1', 'vpc-1', 'vpc-1', 'vpc-2']),
    IpAddressType: () => pick(['ipv4', 'ipv4', 'ipv4', 'dualstack']),
    DefaultActions: () => [{ Type: 'forward', TargetGroupArn: arns('target-group') }],
    Targets: () => [{ Id: pick(['i-1', 'i-2', 'x']), Port: pick([80, 81]) }],
    Attributes: () => [
      {
        Key: pick([
          'deletion_protection.enabled',
          'deregistration_delay.timeout_seconds',
          'tcp.idle_timeout.seconds',
          'x',
        ]),
        Value: pick(['true', '300', '']),
      },
    ],
    Tags: () => [{ Key: pick(['k', 'l']), Value: 'v' }],
    TagKeys: () => [pick(['k', 'l'])],
    Certificates: () => [{ CertificateArn: 'arn:aws:acm:eu-west-1:123456789012:certificate/one' }],
    PageSize: () => pick([1, 2, 400, 0]),
  };
  const members: Readonly<Record<string, readonly string[]>> = {
    CreateLoadBalancer: ['Name', 'Type', 'Subnets', 'SecurityGroups', 'IpAddressType', 'Tags'],
    CreateTargetGroup: ['Name', 'Protocol', 'Port', 'VpcId', 'Tags'],
    CreateListener: ['LoadBalancerArn', 'Protocol', 'Port', 'DefaultActions', 'Tags', 'Certificates'],
    ModifyListener: ['ListenerArn', 'Protocol', 'Port', 'DefaultActions', 'Certificates'],
    DescribeSSLPolicies: ['PageSize'],
    DescribeAccountLimits: ['PageSize'],
  };
  const creations = ['CreateLoadBalancer', 'CreateTargetGroup', 'CreateListener', 'CreateListener'];
  for (let index = 0; index < count; index += 1) {
    // Otherwise the account would be empty most of the time.
    const operation = pick(random() < 0.4 ? creations : [...simulatedOperations.keys()]);
    const known = operationSchemas.get(operation)?.input.members ?? new Map<string, unknown>();
    const input: Record<string, unknown> = {};
    for (const name of members[operation] ?? Object.keys(values)) {
      const rare = name === 'Certificates' && !operation.endsWith('Certificates');
      if (known.has(name) && random() < (rare ? 0.2 : 0.95)) input[name] = values[name]?.();
    }
    made.clock.advance(pick([0, 1_000, 60_000]));
    try {
      made.account.handle(operation, input);
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
    }
  }
  return made;
}

test('no call at random is answered outside the published schema, and all operations are reached', () => {
  const succeeded = new Set<string>();
  for (let seed = 1; seed <= 40; seed += 1) {
    const { account } = randomCalls(seed, 250);
    for (const call of account.calls()) if (call.output !== undefined) succeeded.add(call.operation);
    expect(JSON.parse(JSON.stringify(account.dump()))).toEqual(account.dump());
  }
  const never = [...simulatedOperations.keys()].filter((operation) => !succeeded.has(operation));
  expect(never).toEqual([]);
});

test('the same seed gives the same history, call by call', () => {
  expect(randomCalls(7, 300).account.calls()).toEqual(randomCalls(7, 300).account.calls());
  expect(randomCalls(7, 300).account.calls()).not.toEqual(randomCalls(8, 300).account.calls());
});
