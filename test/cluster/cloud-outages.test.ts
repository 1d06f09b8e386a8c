/**
 * A cloud in trouble, over the wire: it is slow, loses answers, throttles, and shows what was. Nothing is made
 * twice for it, nobody is told of what was only waited out, and afterwards everything is in force.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RecordedCall } from '../../providers/aws/simulator/record.ts';
import { Ground } from './ground.ts';

function operations(calls: readonly RecordedCall[]): readonly string[] {
  return calls.map(({ operation }) => operation);
}

describe('the cloud', () => {
  let ground: Ground;

  beforeAll(async () => {
    ground = await Ground.open();
  }, 600_000);

  afterEach(() => ground.tidy());

  afterAll(async () => {
    await ground?.close();
  });

  test.for(['CreateTargetGroup', 'CreateLoadBalancer', 'RegisterTargets', 'CreateListener'] as const)(
    'loses the answer to %s: it is found, not made again',
    async (operation) => {
      await ground.cloud.orderFault({ match: { operation }, effect: { kind: 'lost-answer' } });
      const service = await ground.served();
      const { balancers, groups, targets } = await ground.held(service);
      expect([balancers.length, balancers[0]?.Listeners.length, groups.length, targets.length]).toEqual([
        1, 1, 1, 3,
      ]);
      expect((await ground.cloud.faults()).at(-1)?.hits).toBe(1);
      await ground.gone(service);
      expect(await ground.names()).toEqual([]);
    },
  );

  test.for(['DeleteLoadBalancer', 'DeleteTargetGroup'] as const)(
    'loses the answer to %s: gone is gone',
    async (operation) => {
      const service = await ground.served();
      await ground.cloud.orderFault({ match: { operation }, effect: { kind: 'lost-answer' } });
      await ground.gone(service);
      expect((await ground.cloud.faults()).at(-1)?.hits).toBe(1);
      expect(await ground.names()).toEqual([]);
    },
  );

  test('is slow: Services do not wait for each other', async () => {
    await ground.cloud.configure({ latency: { callMs: 400 } });
    const services = Array.from({ length: 6 }, () => ground.service());
    const mark = await ground.mark();
    await Promise.all(services.map((service) => ground.served(service)));
    const calls = await ground.callsSince(mark);
    const times = calls.map(({ at }) => at);
    expect(calls.length).toBeGreaterThanOrEqual(6 * 4);
    // One after the other, the calls alone would take longer than this, however fast the machine is.
    expect(Math.max(...times) - Math.min(...times)).toBeLessThan((calls.length - 1) * 400);
    await ground.cloud.configure({ latency: { callMs: 0 } });
    for (const service of services) await ground.gone(service);
  });

  test('throttles: the work waits, and nobody is told of a failure', async () => {
    await ground.cloud.configure({
      throttling: {
        enabled: true,
        read: { burst: 5, perSecond: 10 },
        mutation: { burst: 3, perSecond: 5 },
        registration: { burst: 3, perSecond: 5 },
      },
    });
    const mark = await ground.mark();
    const services = Array.from({ length: 6 }, () => ground.service());
    await Promise.all(services.map((service) => ground.served(service, 60_000)));
    const throttled = (await ground.callsSince(mark)).filter(
      ({ error }) => error?.code === 'ThrottlingException',
    );
    expect(throttled.length).toBeGreaterThan(0);
    for (const service of services)
      expect((await ground.events(service)).filter(({ type }) => type === 'Warning')).toEqual([]);
    await ground.cloud.configure({ throttling: { enabled: false } });
    for (const service of services) await ground.gone(service);
  });

  test('shows what was two seconds ago: nothing is made twice', async () => {
    await ground.cloud.configure({ consistency: { readLagMs: 2_000 } });
    const mark = await ground.mark();
    const service = await ground.served({}, 60_000);
    const writes = operations(await ground.writesSince(mark));
    expect(writes.filter((operation) => operation.startsWith('Create')).toSorted()).toEqual([
      'CreateListener',
      'CreateLoadBalancer',
      'CreateTargetGroup',
    ]);
    await ground.gone(service, 60_000);
    await ground.cloud.configure({ consistency: { readLagMs: 0 } });
    expect(await ground.names()).toEqual([]);
  });
});
