/**
 * The policy for AWS, checked against what the controller really calls: a life that uses every kind of call,
 * each evaluated as AWS would, with the tags that stood at that moment. The other cluster tests check their
 * records in the same way when they end (`Ground.close`).
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../src/sandbox/demo/stage.ts';
import { apply, remove, type Manifest } from '../../src/sandbox/objects.ts';
import { Ground, nodeOf } from './ground.ts';
import { actionsOf, allows, refusals, shippedPolicy, type Policy } from './policy.ts';

let ground: Ground;
let policy: Policy;

beforeAll(async () => {
  policy = await shippedPolicy();
  ground = await Ground.open({ controllerSettings: { drift: { surveyEvery: '10s' } } });
}, 600_000);

afterAll(async () => {
  await ground?.close();
});

const certificate = (id: number): string =>
  `arn:aws:acm:eu-west-1:123456789012:certificate/00000000-0000-0000-0000-00000000000${id}`;

const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';

describe('the policy for AWS', () => {
  afterEach(() => ground.tidy());

  test('a life with every kind of change is allowed in full', async () => {
    const service = await ground.served({
      spec: {
        ports: [
          { name: 'https', port: 443 },
          { name: 'http', port: 80 },
        ],
      },
      annotations: {
        [`${prefix}ssl-cert`]: `${certificate(1)},${certificate(2)}`,
        [`${prefix}ssl-ports`]: 'https',
        [`${prefix}security-groups`]: 'sg-1',
        [`${prefix}attributes`]: 'load_balancing.cross_zone.enabled=true',
        [`${prefix}target-group-attributes`]: 'deregistration_delay.timeout_seconds=30',
        [`${prefix}additional-resource-tags`]: 'team=shop,stage=prod',
      },
    });
    const settled = async (change: Readonly<Record<string, string | null>>): Promise<void> => {
      const before = await ground.mark();
      await ground.annotate(service, change);
      await until(`a write for ${JSON.stringify(change)}`, async () =>
        (await ground.writesSince(before)).length > 0 ? true : undefined,
      );
      await ground.quiet(600);
      await ground.tells(service, 'Accepted', 'True', 'Accepted');
    };
    await settled({ 'ssl-cert': `${certificate(1)},${certificate(3)}` });
    await settled({ 'ssl-cert': certificate(3) });
    await settled({ 'security-groups': 'sg-1,sg-2' });
    await settled({ subnets: 'subnet-c' });
    await settled({ attributes: null, 'target-group-attributes': null });
    await settled({ 'additional-resource-tags': 'team=till' });
    await settled({ 'healthcheck-interval': '15' });
    await ground.change(service, { spec: { ports: [{ name: 'https', port: 443 }] } });
    await ground.holds(service, 'one listener', ({ balancers }) => balancers[0]?.Listeners.length === 1);
    const four: Manifest = nodeOf(4);
    await apply(ground.api, four);
    await ground.holds(service, 'four targets', ({ targets }) => targets.length === 4);
    await remove(ground.api, four);
    await ground.holds(service, 'three targets', ({ targets }) => targets.length === 3);
    // What nobody remembers is read in full.
    await ground.stopController();
    await ground.sandbox.startController();
    await settled({ 'healthcheck-interval': null });
    await ground.gone(service);

    const { calls } = await ground.cloud.calls();
    expect(refusals(policy, calls)).toEqual([]);
    // Each statement is needed for that.
    for (const { Sid } of policy.Statement) {
      const without = { Statement: policy.Statement.filter((one) => one.Sid !== Sid) };
      expect(refusals(without, calls).length, Sid).toBeGreaterThan(0);
    }
  });

  test('it allows nothing that is never called', async () => {
    const { counts } = await ground.cloud.calls();
    const called = new Set(Object.keys(counts).map((operation) => `elasticloadbalancing:${operation}`));
    expect([...actionsOf(policy)].filter((action) => !called.has(action))).toEqual([]);
    expect([...called].filter((action) => !actionsOf(policy).has(action))).toEqual([]);
  });

  test('it refuses what does not bear our mark, and every change of the mark itself', () => {
    const arn = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/theirs/0';
    const ask = (operation: string, keys: Readonly<Record<string, readonly string[]>> = {}): boolean =>
      allows(policy, { action: `elasticloadbalancing:${operation}`, arn, keys });
    const ours = { 'aws:ResourceTag/sluice.dev/cluster': ['1'] };
    expect(ask('DeleteLoadBalancer')).toBe(false);
    expect(ask('DeleteLoadBalancer', ours)).toBe(true);
    expect(ask('CreateLoadBalancer')).toBe(false);
    expect(ask('CreateLoadBalancer', { 'aws:RequestTag/sluice.dev/cluster': ['1'] })).toBe(true);
    expect(ask('AddTags', { 'aws:TagKeys': ['team'] })).toBe(false);
    expect(ask('AddTags', { ...ours, 'aws:TagKeys': ['team'] })).toBe(true);
    expect(ask('AddTags', { ...ours, 'aws:TagKeys': ['sluice.dev/uid'] })).toBe(false);
    expect(ask('RemoveTags', { ...ours, 'aws:TagKeys': ['team', 'sluice.dev/cluster'] })).toBe(false);
    // An Application Load Balancer is never ours.
    const application = arn.replace('/net/', '/app/');
    expect(
      allows(policy, { action: 'elasticloadbalancing:DeleteLoadBalancer', arn: application, keys: ours }),
    ).toBe(false);
  });
});
