/**
 * The sweep: one Service's life, run once clean and then once for every pair of a fault and a point of it.
 *
 * A point is a call: the nth request of the controller to the API server or to the cloud. So a fault falls
 * between any two effects that the controller has, which random histories hit only by luck.
 */
import type { ApiFault } from './api-client.ts';
import type { Cloud, CloudEffect } from './cloud.ts';
import type { HistoryStep, Surroundings } from './events.ts';
import { judge } from './judge.ts';
import type { Violation } from './monitor.ts';
import { perform } from './perform.ts';
import { annotate, type Point, type SweptFault } from './sweep-faults.ts';
import { blowId, describeError, World } from './world.ts';

const surroundings: Surroundings = {
  replicas: 1,
  nodes: 3,
  apiLatencyMs: 2,
  watchDelayMs: 10,
  cloudLatencyMs: 20,
  provisioningMs: 3_000,
  registrationMs: 8_000,
  pageSize: 400,
};

/** Everything that happens to an ordinary Service, from birth to death. */
const lifeOn = ({ words }: Cloud): readonly HistoryStep[] => [
  {
    gapMs: 1_000,
    event: {
      kind: 'create',
      slot: 0,
      shape: {
        ports: [
          { name: 'http', port: 80, protocol: 'TCP' },
          { name: 'dns', port: 53, protocol: 'UDP' },
        ],
        policy: 'Cluster',
        annotations: {},
      },
    },
  },
  { gapMs: 40_000, event: { kind: 'node-join' } },
  { gapMs: 25_000, event: annotate(...words.tune) },
  { gapMs: 10_000, event: { kind: 'port-add', pick: 0, port: 443, protocol: 'TCP' } },
  { gapMs: 30_000, event: { kind: 'node-leave', pick: 0 } },
  {
    gapMs: 20_000,
    event: {
      kind: 'endpoints',
      pick: 0,
      on: [
        { node: 0, state: 'ready' },
        { node: 1, state: 'ready' },
      ],
    },
  },
  { gapMs: 5_000, event: { kind: 'policy', pick: 0 } },
  { gapMs: 90_000, event: { kind: 'port-remove', pick: 1 } },
  { gapMs: 20_000, event: { kind: 'node-port', pick: 0 } },
  { gapMs: 90_000, event: { kind: 'delete', pick: 0 } },
  {
    gapMs: 60_000,
    event: {
      kind: 'create',
      slot: 0,
      shape: { ports: [{ name: 'http', port: 80, protocol: 'TCP' }], policy: 'Local', annotations: {} },
    },
  },
  { gapMs: 30_000, event: { kind: 'type', pick: 0, type: 'ClusterIP' } },
  { gapMs: 30_000, event: { kind: 'type', pick: 0, type: 'LoadBalancer' } },
  { gapMs: 30_000, event: { kind: 'wait' } },
];

const seed = 7;

/** The calls of the clean run, in order. Throws when the clean run is not clean. */
export async function cleanPoints(cloud: Cloud): Promise<readonly Point[]> {
  const lifeMs = lifeOn(cloud).reduce((sum, { gapMs }) => sum + gapMs, 0);
  const points: Point[] = [];
  const counts = { api: 0, cloud: 0 };
  let now = (): number => 0;
  const note = (side: 'api' | 'cloud', call: string, write: boolean): void => {
    counts[side] += 1;
    points.push({ side, nth: counts[side], call, write, late: now() > lifeMs });
  };
  const violations = await live(
    cloud,
    surroundings,
    (world) => {
      now = () => world.clock.now();
      world.account.faults.order({
        id: 'trace',
        match: { where: ({ by }) => by !== 'hand' },
        times: 'until-cleared',
        effect: { kind: 'hook', before: ({ operation, mutating }) => note('cloud', operation, mutating) },
      });
    },
    (call) => {
      if (isPoint(call)) note('api', `${call.method} ${call.resource}`, call.write);
    },
  );
  if (violations.length > 0) throw new Error(`the clean run is not clean: ${violations[0]?.message}`);
  return points;
}

/** One life with one blow. Throws when the life has no such point: nothing would be shown by it. */
export async function strike(cloud: Cloud, fault: SweptFault, point: Point): Promise<readonly Violation[]> {
  let fell = false;
  const violations = await live(cloud, { ...surroundings, ...fault.surroundings }, (world) => {
    const blow = fault.blow(point);
    const run = (): void => {
      if (blow.kind === 'events') for (const event of blow.events) perform(world, event);
    };
    const falls = (): void => {
      fell = true;
      world.blows += 1;
    };
    if (point.side === 'api') {
      const hit: ApiFault = blow.kind === 'api' ? blow.fault : { kind: 'meanwhile', run };
      world.apiFaults.push({
        hits: isPoint,
        fault: hit,
        left: 1,
        skip: point.nth - 1,
        due: true,
        onHit: () => {
          falls();
          world.slow(60_000);
        },
      });
      return;
    }
    if (blow.kind !== 'cloud') {
      let sent = 0;
      world.beforeCloudCall = () => {
        sent += 1;
        if (sent !== point.nth) return;
        falls();
        run();
      };
      return;
    }
    const { effect, forMs } = blow;
    const ofProcesses = { where: ({ by }: { by: string }) => by !== 'hand' };
    world.account.faults.order({
      id: blowId,
      match: ofProcesses,
      nth: point.nth,
      effect: {
        kind: 'hook',
        before: () => {
          falls();
          world.monitor.eventHappened();
          lieOf(world, effect);
          if (forMs === undefined) return;
          const id = world.account.faults.order({
            match: { ...ofProcesses, operation: point.call },
            effect,
            times: 'until-cleared',
          });
          world.during(forMs, () => world.account.faults.clear(id));
        },
      },
    });
    world.account.faults.order({ id: blowId, match: ofProcesses, nth: point.nth, effect });
  });
  if (!fell && violations.length === 0)
    throw new Error(`${fault.name}: a life has no ${point.side} call ${point.nth}`);
  return violations;
}

function lieOf(world: World, effect: CloudEffect): void {
  const lies =
    effect.kind === 'empty-list' || effect.kind === 'truncated-list' || effect.kind === 'hide-created';
  if (lies) world.lie(60_000);
  else world.slow(60_000);
}

function isPoint({ resource }: { readonly resource: string }): boolean {
  return resource.startsWith('services') || resource.startsWith('events');
}

async function live(
  cloud: Cloud,
  around: Surroundings,
  prepare: (world: World) => void,
  onApiCall?: (call: { method: string; resource: string; write: boolean }) => void,
): Promise<readonly Violation[]> {
  const world = new World({
    cloud,
    seed,
    surroundings: around,
    ...(onApiCall === undefined ? {} : { onApiCall }),
  });
  try {
    prepare(world);
    for (const { gapMs, event } of lifeOn(cloud)) {
      await world.clock.advance(gapMs);
      perform(world, event);
    }
    await judge(world, 'short');
  } catch (error) {
    world.monitor.report('crash', describeError(error));
  } finally {
    world.end();
  }
  return world.monitor.violations;
}
