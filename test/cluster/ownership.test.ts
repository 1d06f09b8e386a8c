/**
 * Whose a balancer is, on a real API server: Services that change their type or class, things in the account that
 * others made, and Services that are made anew under their name, with the controller up, hung and down.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { statusOf, until } from '../../src/sandbox/demo/stage.ts';
import { apply, remove } from '../../src/sandbox/objects.ts';
import { freeze } from './freeze.ts';
import { finalizersOf, Ground, targetsOf, type Balancer } from './ground.ts';

let ground: Ground;
/** Names that somebody else took: each try one of its own. */
let names = 0;
/** Deletes the groups and balancers that tests made by hand, where they could not. */
const byHand: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  // The shortest survey that the settings allow: strays are seen, and seen again, within the test.
  ground = await Ground.open({ controllerSettings: { drift: { surveyEvery: '10s' } } });
}, 600_000);

afterAll(async () => {
  await ground?.close();
});

const listenersOf = (balancer: Balancer | undefined): readonly string[] =>
  (balancer?.Listeners ?? [])
    .map((listener) => `${String(listener['Port'])}/${String(listener['Protocol'])}`)
    .toSorted();

const withPorts = (...ports: readonly object[]): object => ({ spec: { ports } });

describe.concurrent('type and class', () => {
  test('a type that goes away and comes back gets a new balancer', async () => {
    const service = await ground.served();
    const first = statusOf(await ground.live(service)).address;
    await ground.change(service, { spec: { type: 'NodePort', loadBalancerClass: null } });
    await ground.sees(service, 'is released', (live) => finalizersOf(live).length === 0);
    expect((await ground.held(service)).balancers).toEqual([]);
    expect(statusOf(await ground.live(service))).toEqual({ address: '', conditions: [] });
    await ground.change(service, { spec: { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/aws' } });
    const live = await ground.sees(service, 'is served again', (one) => statusOf(one).address !== '');
    expect(statusOf(live).address).not.toBe(first);
    await ground.gone(service);
  });

  test('a type that goes away and comes back at once, under the class of another, is let go', async () => {
    const service = await ground.served();
    await ground.change(service, { spec: { type: 'ClusterIP', loadBalancerClass: null } });
    await ground.change(service, { spec: { type: 'LoadBalancer', loadBalancerClass: 'example.com/other' } });
    await ground.sees(service, 'is released', (live) => finalizersOf(live).length === 0);
    expect((await ground.held(service)).balancers).toEqual([]);
    await remove(ground.api, service);
  });

  test('a Service without a class is served, and left alone with a word where another controller shows', async () => {
    const plain = await ground.served({ spec: { loadBalancerClass: null } });
    const theirs = ground.service({
      spec: { loadBalancerClass: null },
      annotations: { 'service.beta.kubernetes.io/aws-load-balancer-type': 'external' },
    });
    await apply(ground.api, theirs);
    expect(await ground.warned(theirs, 'ClaimedElsewhere')).toContain('aws-load-balancer-controller');
    expect(finalizersOf(await ground.live(theirs))).toEqual([]);
    await ground.gone(plain);
    await remove(ground.api, theirs);
  });
});

describe.concurrent('what is not ours', () => {
  test('a listener made by hand on our balancer is kept', async () => {
    const service = await ground.served();
    const { balancers } = await ground.held(service);
    const arn = balancers[0]?.['LoadBalancerArn'];
    const { TargetGroups } = (await ground.cloud.call('CreateTargetGroup', {
      Name: `by-hand-${service.metadata?.name ?? ''}`,
      Protocol: 'TCP',
      Port: 9_999,
      VpcId: 'vpc-1',
      TargetType: 'instance',
    })) as { readonly TargetGroups: readonly { readonly TargetGroupArn: string }[] };
    const group = TargetGroups[0]?.TargetGroupArn;
    byHand.push(() => ground.cloud.call('DeleteTargetGroup', { TargetGroupArn: group }));
    await ground.cloud.call('CreateListener', {
      LoadBalancerArn: arn,
      Protocol: 'TCP',
      Port: 9_999,
      DefaultActions: [{ Type: 'forward', TargetGroupArn: group }],
    });
    await ground.change(service, withPorts({ name: 'http', port: 81 }));
    const after = await ground.holds(
      service,
      'our listener to move',
      ({ balancers: [one] }) => listenersOf(one).includes('81/TCP') && !listenersOf(one).includes('80/TCP'),
    );
    expect(listenersOf(after.balancers[0])).toEqual(['81/TCP', '9999/TCP']);
    await ground.gone(service);
    // Its listener went with our balancer; the group is not ours to delete.
    const { targetGroups } = await ground.cloud.dump();
    expect(targetGroups.map((one) => one['TargetGroupArn'])).toContain(group);
    await ground.cloud.call('DeleteTargetGroup', { TargetGroupArn: group });
  });

  test('a balancer of the wanted name that somebody else made is refused and never touched', async () => {
    const name = `taken-${(names += 1)}`;
    await ground.cloud.call('CreateLoadBalancer', {
      Name: name,
      Type: 'network',
      Scheme: 'internal',
      Subnets: ['subnet-c', 'subnet-d'],
    });
    const find = async (): Promise<Balancer | undefined> =>
      (await ground.cloud.dump()).loadBalancers.find((one) => one['LoadBalancerName'] === name);
    const before = await find();
    const LoadBalancerArn = before?.['LoadBalancerArn'];
    byHand.push(() => ground.cloud.call('DeleteLoadBalancer', { LoadBalancerArn }));
    const service = ground.service({
      annotations: { 'service.beta.kubernetes.io/aws-load-balancer-name': name },
    });
    await apply(ground.api, service);
    const message = await ground.tells(service, 'Accepted', 'False', 'NameConflict');
    expect(message).toContain(name);
    await ground.gone(service);
    expect(await find()).toEqual(before);
    await ground.cloud.call('DeleteLoadBalancer', { LoadBalancerArn });
  });
});

describe('a Service made anew under its name', () => {
  // What ran side by side is through: what failed ones left goes.
  beforeAll(async () => {
    await ground.tidy();
    for (const end of byHand) await end().catch(() => undefined);
  });
  afterEach(() => ground.tidy());

  test('while the controller is up: the old balancer goes, a new one comes', async () => {
    const service = await ground.served();
    const { balancers } = await ground.held(service);
    await remove(ground.api, service);
    // The name is free once our finalizer is off.
    await until('the name to be free', async () =>
      (await ground.live(service)) === undefined ? true : undefined,
    );
    await ground.served(service);
    const after = await ground.held(service);
    expect(after.balancers.length).toBe(1);
    expect(after.balancers[0]?.['LoadBalancerArn']).not.toBe(balancers[0]?.['LoadBalancerArn']);
    await ground.gone(service);
  });

  test('by force, while the controller hangs: what it remembers of the old one goes', async () => {
    const service = await ground.served();
    const { balancers } = await ground.held(service);
    const controller = ground.sandbox.controllers.at(-1)?.process;
    if (!controller) throw new Error('no controller');
    await freeze(controller);
    await ground.change(service, { metadata: { finalizers: null } });
    await remove(ground.api, service);
    await apply(ground.api, service);
    controller.signal('SIGCONT');
    await ground.holds(
      service,
      'one balancer, and a new one',
      (held) =>
        held.balancers.length === 1 &&
        held.balancers[0]?.['LoadBalancerArn'] !== balancers[0]?.['LoadBalancerArn'],
    );
    await ground.sees(service, 'is served', (live) => statusOf(live).address !== '');
    await ground.gone(service);
  });

  test('while the controller is down, by force: the old goes by its UID, the new is served', async () => {
    const service = await ground.served();
    const { balancers, groups } = await ground.held(service);
    await ground.stopController();
    await ground.change(service, { metadata: { finalizers: null } });
    await remove(ground.api, service);
    await apply(ground.api, service);
    await ground.sandbox.startController();
    const old = balancers[0]?.['LoadBalancerArn'];
    await ground.sees(service, 'is served', (live) => statusOf(live).address !== '');
    const after = await ground.holds(
      service,
      'the old balancer to be swept',
      (held) =>
        held.balancers.length === 1 &&
        held.balancers[0]?.['LoadBalancerArn'] !== old &&
        held.groups.length === groups.length &&
        held.targets.length === 3,
      60_000,
    );
    expect(after.groups.flatMap(targetsOf).length).toBe(3);
    await ground.gone(service);
  });

  test('a finalizer taken off while the controller is down: what is left is found and swept', async () => {
    const service = await ground.served();
    const kept = await ground.served();
    await ground.stopController();
    await ground.change(service, { metadata: { finalizers: null } });
    await remove(ground.api, service);
    expect(await ground.live(service)).toBeUndefined();
    expect((await ground.held(service)).balancers.length).toBe(1);
    await ground.sandbox.startController();
    await ground.holds(
      service,
      'the stray to be swept',
      ({ balancers, groups }) => balancers.length + groups.length === 0,
      60_000,
    );
    expect((await ground.held(kept)).balancers.length).toBe(1);
    await ground.gone(kept);
  });
});

test('in the end nothing is left in the account', async () => {
  // What a failed test left without its finalizer goes with the survey.
  await expect.poll(() => ground.names(), { timeout: 60_000 }).toEqual([]);
});
