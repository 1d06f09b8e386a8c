/**
 * Several controllers on one cluster: at any moment at most one writes, whatever happens to the one that
 * led, and what it left half done is taken up, not made again.
 *
 * Each controller has an access key of its own, so that the record of the simulated account tells them apart.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { statusOf, until } from '../../src/sandbox/demo/stage.ts';
import { apply } from '../../src/sandbox/objects.ts';
import type { RunningController } from '../../src/sandbox/sandbox.ts';
import { freeze } from './freeze.ts';
import { Ground, pause } from './ground.ts';
import { metric } from './metrics.ts';

let ground: Ground;
/** By access key. */
const controllers = new Map<string, RunningController>();

async function start(key: string): Promise<RunningController> {
  const controller = await ground.sandbox.startController({ env: { AWS_ACCESS_KEY_ID: key } });
  controllers.set(key, controller);
  return controller;
}

function named(key: string): RunningController {
  const controller = controllers.get(key);
  if (!controller) throw new Error(`no controller ${key}`);
  return controller;
}

async function leads(key: string, limitMs = 60_000): Promise<number> {
  const { ms } = await until(
    `${key} to lead`,
    async () => ((await metric(named(key), 'sluice_lease_held')) === 1 ? true : undefined),
    { limitMs },
  );
  return ms;
}

/** When a controller logged a message last, by the clock of the machine. */
async function saidAt(key: string, message: string): Promise<number> {
  const { value } = await until(`${key} to say "${message}"`, async () => {
    const lines = (await named(key).process.tail(500)).split('\n').filter((line) => line.includes(message));
    return /\d{4}-\d\d-\d\dT[\d:.]+Z/u.exec(lines.at(-1) ?? '')?.[0];
  });
  return Date.parse(value);
}

/** The lease lasts 15 s; others look at it every two. */
const leaseMs = 15_000;
/** For the look, and for a machine that is busy: well below a second lease. */
const slackMs = 12_000;

beforeAll(async () => {
  ground = await Ground.open({ controllers: 0 });
}, 600_000);

// Each test, and each try of one, has controllers of its own: which of them leads is what it begins with.
beforeEach(async () => {
  await start('first');
  await leads('first');
  await start('second');
});

afterEach(async () => {
  try {
    await ground.tidy();
  } finally {
    for (const { process } of controllers.values()) await process.stop(60_000);
    controllers.clear();
  }
});

afterAll(async () => {
  await ground?.close();
});

describe('several controllers', () => {
  test('of two, only the one that holds the lease calls the cloud', async () => {
    const mark = await ground.mark();
    const service = await ground.served();
    await ground.gone(service);
    const by = new Set((await ground.callsSince(mark)).map((call) => call.by));
    expect([...by]).toEqual(['first']);
    expect(await metric(named('second'), 'sluice_lease_held')).toBe(0);
    // Ready all the same: its picture is complete, it could take over.
    expect((await fetch(`${named('second').url}/readyz`)).status).toBe(200);
  });

  test.for([
    ['first', 'second'],
    ['second', 'first'],
  ] as const)(
    'when %s is frozen in the middle of its work, %s takes over, and the frozen one writes nothing when it wakes',
    async ([frozen, next]) => {
      if (frozen === 'second') {
        await named(next).process.stop(60_000);
        await leads(frozen);
        await start(next);
      }
      expect(await metric(named(frozen), 'sluice_lease_held')).toBe(1);
      await ground.cloud.orderFault({
        match: { operation: 'CreateLoadBalancer' },
        effect: { kind: 'latency', ms: 10_000, when: 'after' },
      });
      const service = ground.service();
      await apply(ground.api, service);
      await until('the half-made balancer', async () =>
        (await ground.held(service)).balancers.length === 1 ? true : undefined,
      );
      await freeze(named(frozen).process);
      const before = await ground.held(service);
      await ground.sees(
        service,
        'is served by the other',
        (live) => statusOf(live).address !== '',
        leaseMs + slackMs,
      );
      const after = await ground.held(service);
      expect(after.balancers.map((one) => one['LoadBalancerArn'])).toEqual(
        before.balancers.map((one) => one['LoadBalancerArn']),
      );
      // Work for whoever believes to lead.
      await ground.annotate(service, { 'healthcheck-interval': '15' });
      const mark = await ground.mark();
      named(frozen).process.signal('SIGCONT');
      await until('the change to be made', async () =>
        (await ground.held(service)).groups[0]?.['HealthCheckIntervalSeconds'] === 15 ? true : undefined,
      );
      await expect.poll(() => metric(named(frozen), 'sluice_lease_held'), { timeout: 60_000 }).toBe(0);
      await pause(3_000);
      expect((await ground.callsSince(mark)).filter(({ by }) => by === frozen)).toEqual([]);
      expect((await ground.writesSince(mark)).every(({ by }) => by === next)).toBe(true);
      expect(await metric(named(frozen), 'sluice_lease_held')).toBe(0);
      await ground.gone(service);
    },
  );

  test('when the leader is killed, the next one adopts its half-made balancer within the time of the lease', async () => {
    await ground.cloud.orderFault({
      match: { operation: 'CreateLoadBalancer' },
      effect: { kind: 'latency', ms: 20_000, when: 'after' },
    });
    const service = ground.service();
    const mark = await ground.mark();
    await apply(ground.api, service);
    const half = await ground.holds(
      service,
      'the half-made balancer',
      ({ balancers }) => balancers.length === 1,
    );
    expect(half.balancers[0]?.Listeners).toEqual([]);
    named('first').process.signal('SIGKILL');
    const tookMs = await leads('second', leaseMs + slackMs);
    expect(tookMs).toBeGreaterThan(leaseMs / 2);
    await ground.sees(service, 'is served', (live) => statusOf(live).address !== '');
    const after = await ground.held(service);
    expect(after.balancers.map((one) => one['LoadBalancerArn'])).toEqual([
      half.balancers[0]?.['LoadBalancerArn'],
    ]);
    const creates = (await ground.writesSince(mark)).filter(
      ({ operation }) => operation === 'CreateLoadBalancer',
    );
    expect(creates.map(({ by }) => by)).toEqual(['first']);
    await ground.gone(service);
    expect(await ground.names()).toEqual([]);
  });

  test('a leader that is asked to end gives the lease back, and the next one does not wait for its end', async () => {
    named('first').process.signal('SIGTERM');
    await leads('second', leaseMs + slackMs);
    expect((await named('first').process.exited).code).toBe(0);
    // How soon that is on a machine of one's own stands beside the lease (src/kube/lease.test.ts): two seconds.
    const waitedMs = (await saidAt('second', 'lease acquired')) - (await saidAt('first', 'lease released'));
    expect(waitedMs).toBeLessThan(leaseMs / 2);
  });
});
