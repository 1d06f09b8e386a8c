/**
 * Real outages of a real API server: it restarts, forgets its history, is away for a while, refuses what is too
 * much. No healthy target is ever deregistered for it, nothing is made twice, and afterwards everything is in
 * force.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { condition, statusOf, until } from '../../src/sandbox/demo/stage.ts';
import { apply, remove, type Manifest } from '../../src/sandbox/objects.ts';
import type { RunningController } from '../../src/sandbox/sandbox.ts';
import type { RecordedCall } from '../../providers/aws/simulator/record.ts';
import { Ground, nodeOf, pause } from './ground.ts';
import { metric } from './metrics.ts';

/** What a controller logs that could not renew its Lease in time. */
const lost = 'lease lost: all work is ended';

const surveyOperations = ['DescribeLoadBalancers', 'DescribeTags', 'DescribeTargetGroups'];

function operations(calls: readonly RecordedCall[]): readonly string[] {
  return calls.map(({ operation }) => operation);
}

/** Writes that take something away. */
function takings(calls: readonly RecordedCall[]): readonly string[] {
  return operations(calls).filter((operation) => /^(?:Delete|Deregister)/u.test(operation));
}

async function settled(ground: Ground, services: readonly Manifest[], limitMs = 60_000): Promise<void> {
  for (const service of services)
    await ground.sees(
      service,
      'is in sync',
      (live) => statusOf(live).address !== '' && condition(live, 'InSync')?.status === 'True',
      limitMs,
    );
}

describe('the API server', () => {
  let ground: Ground;
  let services: readonly Manifest[];

  beforeAll(async () => {
    ground = await Ground.open();
    services = await Promise.all([1, 2, 3].map(() => ground.served()));
    // Until then they are looked at now and again.
    for (const service of services) await ground.tells(service, 'TargetsReady', 'True', 'TargetsHealthy');
    ground.keep();
  }, 600_000);

  afterEach(() => ground.tidy());

  afterAll(async () => {
    await ground?.close();
  });

  /** A controller whose readers have not yet learnt patience from an outage before. */
  async function fresh(): Promise<RunningController> {
    await ground.stopController();
    const controller = await ground.sandbox.startController();
    await settled(ground, services);
    await ground.quiet();
    return controller;
  }

  test('is killed and comes back while a Service is being provisioned: one balancer comes of it', async () => {
    const service = ground.service();
    const mark = await ground.mark();
    await ground.cloud.orderFault({
      match: { operation: 'CreateLoadBalancer' },
      effect: { kind: 'latency', ms: 1_000, when: 'after' },
    });
    await apply(ground.api, service);
    await until('the balancer to be there', async () =>
      (await ground.held(service)).balancers.length === 1 ? true : undefined,
    );
    await ground.sandbox.controlPlane.restartApiServer('kill');
    await settled(ground, [service]);
    const writes = operations(await ground.writesSince(mark));
    expect(writes.filter((operation) => operation === 'CreateLoadBalancer').length).toBe(1);
    expect(takings(await ground.writesSince(mark))).toEqual([]);
    await ground.gone(service);
  });

  test('is restarted: watches resume, and the account is not read anew', async () => {
    let controller: RunningController;
    let mark: number;
    let tries = 0;
    do {
      tries += 1;
      controller = await fresh();
      mark = await ground.mark();
      // Killed, as a server that crashed: one that ends in order takes longer than the lease to let its watches go.
      await ground.sandbox.controlPlane.restartApiServer('kill');
      await pause(4_000);
      // Away for longer than the lease, as on a busy machine it may be, is another story: see below.
    } while (tries < 3 && (await controller.process.tail(500)).includes(lost));
    // Whatever the reader had to do, unchanged Services cost no call.
    const calls = (await ground.callsSince(mark)).filter(
      ({ operation }) => !surveyOperations.includes(operation),
    );
    expect(operations(calls)).toEqual([]);
    // And the watches live: changes of Services and nodes arrive.
    await apply(ground.api, nodeOf(4));
    for (const service of services)
      await ground.holds(service, 'four targets', ({ targets }) => targets.length === 4);
    await remove(ground.api, nodeOf(4));
    for (const service of services)
      await ground.holds(service, 'three targets', ({ targets }) => targets.length === 3);
    await expect.poll(() => metric(controller, 'sluice_lease_held'), { timeout: 60_000 }).toBe(1);
  });

  test('has forgotten the past (compaction): one new list of a kind at most, and nothing is taken away', async () => {
    const controller = await fresh();
    const kinds = ['Service', 'Node', 'EndpointSlice'];
    const lists = (): Promise<readonly number[]> =>
      Promise.all(kinds.map((kind) => metric(controller, 'sluice_reader_lists', kind.toLowerCase())));
    const before = await lists();
    const mark = await ground.mark();
    // History moves on without the readers: to resume where they stand is answered with 410.
    for (let index = 0; index < 20; index += 1) {
      await apply(ground.api, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace: 'default', name: `noise-${index}` },
      });
    }
    await ground.sandbox.controlPlane.compact();
    await ground.sandbox.controlPlane.restartApiServer('kill');
    await apply(ground.api, nodeOf(5));
    for (const service of services)
      await ground.holds(service, 'four targets', ({ targets }) => targets.length === 4);
    expect(takings(await ground.writesSince(mark))).toEqual([]);
    await pause(1_000);
    const after = await lists();
    const more = after.map((count, index) => count - (before[index] ?? 0));
    // A bookmark at the last moment may have spared one of them.
    expect(Math.max(...more)).toBe(1);
    expect(Math.min(...more)).toBeGreaterThanOrEqual(0);
    await remove(ground.api, nodeOf(5));
    for (const service of services)
      await ground.holds(service, 'three targets', ({ targets }) => targets.length === 3);
  });

  test('is away for longer than the lease: the controller stops, and goes on when it is back', async () => {
    const controller = await fresh();
    const mark = await ground.mark();
    await ground.sandbox.controlPlane.apiServer.stop('kill');
    try {
      await pause(12_000);
    } finally {
      // What comes after needs it, a second try too.
      await ground.sandbox.controlPlane.apiServer.start();
    }
    const late = await ground.served({}, 60_000);
    expect(takings(await ground.writesSince(mark))).toEqual([]);
    expect(await controller.process.tail(500)).toContain(lost);
    await ground.gone(late);
  });

  test('and with all of them deleted nothing is left', async () => {
    for (const service of services) await ground.gone(service);
    expect(await ground.names()).toEqual([]);
  });
});

describe('the API server serves three requests at a time', () => {
  let ground: Ground;

  beforeAll(async () => {
    ground = await Ground.open({
      controlPlane: {
        apiServer: {
          maxRequestsInFlight: 2,
          maxMutatingRequestsInFlight: 1,
          // Our client speaks HTTP/1.1, where a GOAWAY is a closed connection at most.
          goawayChance: 0.02,
          audit: true,
          // Without fair queues the server refuses at once, as an overloaded one does in the end.
          flags: { 'enable-priority-and-fairness': 'false' },
        },
      },
    });
  }, 600_000);

  afterEach(() => ground.tidy());

  afterAll(async () => {
    await ground?.close();
  });

  test('it answers 429, everyone waits as told, and a dozen Services are served and released', async () => {
    const services = Array.from({ length: 12 }, () => ground.service());
    for (const service of services) await apply(ground.api, service);
    await settled(ground, services, 120_000);
    const refused = (await ground.sandbox.controlPlane.apiServer.audit()).filter(
      ({ user, status }) => status === 429 && user.includes('sluice-controller'),
    );
    expect(refused.length).toBeGreaterThan(0);
    // Nobody is told of what was waited out.
    for (const service of services)
      expect((await ground.events(service)).filter(({ type }) => type === 'Warning')).toEqual([]);
    for (const service of services) await remove(ground.api, service);
    for (const service of services) await ground.sees(service, 'goes', (live) => live === undefined, 120_000);
    expect(await ground.names()).toEqual([]);
  });
});
