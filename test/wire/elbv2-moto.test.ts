/**
 * A second opinion: moto, another simulation of AWS, is asked the same questions as ours, through the same SDK.
 *
 * Where both agree, a mistake would have to be made twice. Where they do not, the difference is listed with
 * both answers, so that a new one is noticed; in each of them ours is what AWS documents. A green run is no
 * proof about AWS itself.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send } from './elbv2-support.ts';
import { startMoto, type Ask, type Moto, type Side } from './moto.ts';

/** Set by `npm test`, which installs requirements.txt. */
const program = process.env['SLUICE_MOTO'];
const lacks = 'SLUICE_MOTO does not name a moto_server; `npm test` installs one and sets it';
if (program === undefined && process.env['CI'] === 'true') throw new Error(lacks);

let moto: Moto | undefined;

beforeAll(async () => {
  if (program !== undefined) moto = await startMoto(program);
});

afterAll(() => moto?.stop());

/** The answer, or the name of the refusal. */
async function tryOut(
  side: Side,
  operation: string,
  input: object,
): Promise<Record<string, unknown> | string> {
  return send(side.client, operation, input).catch((error: Error) => error.name);
}

async function nameOf(side: Side, operation: string, input: object): Promise<string> {
  const answer = await tryOut(side, operation, input);
  return typeof answer === 'string' ? answer : 'accepted';
}

function one(output: Record<string, unknown>, list: string): Record<string, unknown> {
  return (output[list] as readonly Record<string, unknown>[])[0] ?? {};
}

function pick(from: Record<string, unknown>, ...names: readonly string[]): object {
  return Object.fromEntries(names.map((name) => [name, from[name]]));
}

async function balancer(side: Side, more: object = {}): Promise<Record<string, unknown>> {
  const input = { Name: 'web', Type: 'network', Subnets: side.subnets.slice(0, 2), ...more };
  return one(await send(side.client, 'CreateLoadBalancer', input), 'LoadBalancers');
}

async function group(side: Side, more: object = {}): Promise<string> {
  const input = { Name: 'web', Protocol: 'TCP', Port: 30_080, VpcId: side.vpc, ...more };
  return String(one(await send(side.client, 'CreateTargetGroup', input), 'TargetGroups')['TargetGroupArn']);
}

async function listening(side: Side): Promise<{ lb: string; tg: string; listener: string }> {
  const lb = String((await balancer(side))['LoadBalancerArn']);
  const tg = await group(side);
  const output = await send(side.client, 'CreateListener', {
    LoadBalancerArn: lb,
    Protocol: 'TCP',
    Port: 80,
    DefaultActions: [{ Type: 'forward', TargetGroupArn: tg }],
  });
  return { lb, tg, listener: String(one(output, 'Listeners')['ListenerArn']) };
}

const GONE = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012';

describe.skipIf(program === undefined)(program === undefined ? `moto (not run: ${lacks})` : 'moto', () => {
  test.each<[string, Ask, unknown]>([
    [
      'a new balancer',
      async (side) =>
        pick(await balancer(side, { Scheme: 'internal' }), 'LoadBalancerName', 'Scheme', 'Type'),
      { LoadBalancerName: 'web', Scheme: 'internal', Type: 'network' },
    ],
    [
      'a balancer that is described',
      async (side) => {
        await balancer(side);
        const found = one(
          await send(side.client, 'DescribeLoadBalancers', { Names: ['web'] }),
          'LoadBalancers',
        );
        return { state: found['State'], zones: (found['AvailabilityZones'] as unknown[]).length };
      },
      { state: { Code: 'active' }, zones: 2 },
    ],
    [
      'a new target group',
      async (side) => {
        await group(side);
        const found = one(
          await send(side.client, 'DescribeTargetGroups', { Names: ['web'] }),
          'TargetGroups',
        );
        return pick(
          found,
          'Protocol',
          'Port',
          'HealthCheckProtocol',
          'HealthCheckPort',
          'HealthCheckIntervalSeconds',
          'HealthyThresholdCount',
          'TargetType',
        );
      },
      {
        Protocol: 'TCP',
        Port: 30_080,
        HealthCheckProtocol: 'TCP',
        HealthCheckPort: 'traffic-port',
        HealthCheckIntervalSeconds: 30,
        HealthyThresholdCount: 5,
        TargetType: 'instance',
      },
    ],
    [
      'a listener',
      async (side) => {
        const { lb, tg } = await listening(side);
        const found = one(await send(side.client, 'DescribeListeners', { LoadBalancerArn: lb }), 'Listeners');
        const action = (found['DefaultActions'] as readonly Record<string, unknown>[])[0];
        return {
          ...pick(found, 'Port', 'Protocol'),
          type: action?.['Type'],
          same: action?.['TargetGroupArn'] === tg,
        };
      },
      { Port: 80, Protocol: 'TCP', type: 'forward', same: true },
    ],
    [
      'the group of a balancer',
      async (side) => {
        const { lb } = await listening(side);
        const output = await send(side.client, 'DescribeTargetGroups', { LoadBalancerArn: lb });
        return (one(output, 'TargetGroups')['LoadBalancerArns'] as readonly string[])[0] === lb;
      },
      true,
    ],
    [
      'tags',
      async (side) => {
        const arn = String((await balancer(side, { Tags: [{ Key: 'a', Value: '1' }] }))['LoadBalancerArn']);
        await send(side.client, 'AddTags', { ResourceArns: [arn], Tags: [{ Key: 'b', Value: '' }] });
        await send(side.client, 'RemoveTags', { ResourceArns: [arn], TagKeys: ['a'] });
        return one(await send(side.client, 'DescribeTags', { ResourceArns: [arn] }), 'TagDescriptions')[
          'Tags'
        ];
      },
      [{ Key: 'b', Value: '' }],
    ],
    [
      'cross-zone balancing',
      async (side) => {
        const LoadBalancerArn = (await balancer(side))['LoadBalancerArn'];
        const Attributes = [{ Key: 'load_balancing.cross_zone.enabled', Value: 'true' }];
        await send(side.client, 'ModifyLoadBalancerAttributes', { LoadBalancerArn, Attributes });
        const output = await send(side.client, 'DescribeLoadBalancerAttributes', { LoadBalancerArn });
        return (output['Attributes'] as readonly { Key: string; Value: string }[]).find(
          (attribute) => attribute.Key === 'load_balancing.cross_zone.enabled',
        )?.Value;
      },
      'true',
    ],
    [
      'an unknown attribute of a balancer',
      async (side) =>
        nameOf(side, 'ModifyLoadBalancerAttributes', {
          LoadBalancerArn: (await balancer(side))['LoadBalancerArn'],
          Attributes: [{ Key: 'no.such.key', Value: 'x' }],
        }),
      'InvalidConfigurationRequestException',
    ],
    [
      'a balancer that is not there, by name',
      (side) => nameOf(side, 'DescribeLoadBalancers', { Names: ['none'] }),
      'LoadBalancerNotFoundException',
    ],
    [
      'a target group that is not there',
      (side) => nameOf(side, 'DescribeTargetGroups', { Names: ['none'] }),
      'TargetGroupNotFoundException',
    ],
    [
      'a listener that is not there',
      (side) =>
        nameOf(side, 'DeleteListener', {
          ListenerArn: `${GONE}:listener/net/x/0123456789abcdef/0123456789abcdef`,
        }),
      'ListenerNotFoundException',
    ],
    [
      'the deletion of a group in use',
      async (side) => nameOf(side, 'DeleteTargetGroup', { TargetGroupArn: (await listening(side)).tg }),
      'ResourceInUseException',
    ],
    [
      'the deletion of everything, balancer first',
      async (side) => {
        const { lb, tg } = await listening(side);
        await send(side.client, 'DeleteLoadBalancer', { LoadBalancerArn: lb });
        await send(side.client, 'DeleteTargetGroup', { TargetGroupArn: tg });
        const balancers = await send(side.client, 'DescribeLoadBalancers', {});
        const groups = await send(side.client, 'DescribeTargetGroups', {});
        return [balancers['LoadBalancers'], groups['TargetGroups']];
      },
      [[], []],
    ],
    [
      'the same name with another scheme',
      async (side) => {
        await balancer(side);
        return nameOf(side, 'CreateLoadBalancer', {
          Name: 'web',
          Type: 'network',
          Subnets: side.subnets.slice(0, 2),
          Scheme: 'internal',
        });
      },
      'DuplicateLoadBalancerNameException',
    ],
  ])('agrees on %s', async (_what, ask, expected) => {
    expect(await moto?.askBoth(ask)).toEqual({ ours: expected, motos: expected });
  });

  test.each<[string, Ask, ours: unknown, motos: unknown]>([
    [
      'the ARN of a balancer',
      async (side) => String((await balancer(side))['LoadBalancerArn']).split('/')[1],
      'net',
      'app',
    ],
    ['the default scheme', async (side) => (await balancer(side))['Scheme'], 'internet-facing', 'None'],
    [
      'an unknown subnet',
      (side) => nameOf(side, 'CreateLoadBalancer', { Name: 'web', Type: 'network', Subnets: ['subnet-0'] }),
      'SubnetNotFoundException',
      'InvalidSubnetID.NotFound',
    ],
    [
      'the same balancer again',
      async (side) => {
        await balancer(side);
        return nameOf(side, 'CreateLoadBalancer', {
          Name: 'web',
          Type: 'network',
          Subnets: side.subnets.slice(0, 2),
        });
      },
      'accepted',
      'DuplicateLoadBalancerNameException',
    ],
    [
      'the same target group again',
      async (side) => {
        await group(side);
        return nameOf(side, 'CreateTargetGroup', {
          Name: 'web',
          Protocol: 'TCP',
          Port: 30_080,
          VpcId: side.vpc,
        });
      },
      'accepted',
      'DuplicateTargetGroupNameException',
    ],
    [
      'two listeners on one port',
      async (side) => {
        const { lb } = await listening(side);
        const TargetGroupArn = await group(side, { Name: 'other' });
        return nameOf(side, 'CreateListener', {
          LoadBalancerArn: lb,
          Protocol: 'TCP',
          Port: 80,
          DefaultActions: [{ Type: 'forward', TargetGroupArn }],
        });
      },
      'DuplicateListenerException',
      'accepted',
    ],
    [
      'one instance on two ports',
      async (side) => {
        const { tg } = await listening(side);
        await send(side.client, 'RegisterTargets', {
          TargetGroupArn: tg,
          Targets: [
            { Id: 'i-0123456789abcdef0', Port: 1 },
            { Id: 'i-0123456789abcdef0', Port: 2 },
          ],
        });
        const output = await send(side.client, 'DescribeTargetHealth', { TargetGroupArn: tg });
        return (output['TargetHealthDescriptions'] as readonly unknown[]).length;
      },
      2,
      1,
    ],
    [
      'an unknown attribute of a target group',
      async (side) =>
        nameOf(side, 'ModifyTargetGroupAttributes', {
          TargetGroupArn: await group(side),
          Attributes: [{ Key: 'no.such.key', Value: 'x' }],
        }),
      'InvalidConfigurationRequestException',
      'accepted',
    ],
    [
      'fifteen tags one by one',
      async (side) => {
        const arn = await group(side);
        const names: string[] = [];
        for (let index = 0; index < 15; index += 1) {
          names.push(
            await nameOf(side, 'AddTags', { ResourceArns: [arn], Tags: [{ Key: `k${index}`, Value: 'v' }] }),
          );
        }
        return [...new Set(names)];
      },
      ['accepted'],
      ['accepted', 'TooManyTagsError'],
    ],
    [
      'tags of what is not there',
      (side) => nameOf(side, 'DescribeTags', { ResourceArns: [`${GONE}:targetgroup/x/0123456789abcdef`] }),
      'TargetGroupNotFoundException',
      'accepted',
    ],
    [
      'the deletion of a protected balancer',
      async (side) => {
        const LoadBalancerArn = (await balancer(side))['LoadBalancerArn'];
        const Attributes = [{ Key: 'deletion_protection.enabled', Value: 'true' }];
        await send(side.client, 'ModifyLoadBalancerAttributes', { LoadBalancerArn, Attributes });
        return nameOf(side, 'DeleteLoadBalancer', { LoadBalancerArn });
      },
      'OperationNotPermittedException',
      'accepted',
    ],
    [
      'a target that was deregistered',
      async (side) => {
        const { tg } = await listening(side);
        const input = { TargetGroupArn: tg, Targets: [{ Id: 'i-0123456789abcdef0', Port: 1 }] };
        await send(side.client, 'RegisterTargets', input);
        await send(side.client, 'DeregisterTargets', input);
        const output = await send(side.client, 'DescribeTargetHealth', { TargetGroupArn: tg });
        return (output['TargetHealthDescriptions'] as readonly { TargetHealth: { State: string } }[]).map(
          ({ TargetHealth }) => TargetHealth.State,
        );
      },
      ['draining'],
      [],
    ],
    [
      'one subnet only, set later',
      async (side) =>
        nameOf(side, 'SetSubnets', {
          LoadBalancerArn: (await balancer(side))['LoadBalancerArn'],
          Subnets: side.subnets.slice(0, 1),
        }),
      'accepted',
      'InvalidConfigurationRequestException',
    ],
    [
      'groups of a balancer without any',
      async (side) =>
        nameOf(side, 'DescribeTargetGroups', { LoadBalancerArn: (await balancer(side))['LoadBalancerArn'] }),
      'accepted',
      'TargetGroupNotFoundException',
    ],
  ])('differs, as is known, on %s', async (_what, ask, ours, motos) => {
    expect(await moto?.askBoth(ask)).toEqual({ ours, motos });
  });
});
