/** Faults of the API server and of the way to it, and what befalls processes. */
import { unreachable } from '../../src/core/errors.ts';
import type { ApiFault } from './api-client.ts';
import type { ApiEvent, ProcessEvent } from './events.ts';
import type { World } from './world.ts';

type Hits = (call: { readonly write: boolean; readonly resource: string }) => boolean;

const anyCall: Hits = () => true;
const serviceWrites: Hits = ({ write, resource }) => write && resource.startsWith('services');
const objectWrites: Hits = ({ write, resource }) => write && !resource.startsWith('leases');

export function performApi(world: World, event: ApiEvent): void {
  const order = (hits: Hits, fault: ApiFault, times: number): void => {
    world.slow(60_000);
    world.apiFaults.push({ hits, fault, left: times, skip: 0 });
  };
  const stand = (hits: Hits, fault: ApiFault, ms: number): void => {
    const standing = { hits, fault, left: Number.POSITIVE_INFINITY, skip: 0 };
    world.apiFaults.push(standing);
    world.during(ms, () => {
      const index = world.apiFaults.indexOf(standing);
      if (index >= 0) world.apiFaults.splice(index, 1);
    });
  };
  switch (event.kind) {
    case 'api-rival':
      return order(serviceWrites, { kind: 'rival' }, event.times);
    case 'api-lost-answer':
      return order(objectWrites, { kind: 'lost-answer' }, event.times);
    case 'api-lost-request':
      return order(anyCall, { kind: 'lost-request' }, event.times);
    case 'api-500':
      return order(anyCall, { kind: 'refuse', code: 500 }, event.times);
    case 'api-429':
      return order(anyCall, { kind: 'refuse', code: 429, retryAfterSeconds: event.seconds }, event.times);
    case 'api-slow':
      return stand(anyCall, { kind: 'slow', ms: 5_000 }, event.ms);
    case 'api-403':
      return stand(objectWrites, { kind: 'refuse', code: 403 }, event.ms);
    case 'api-down':
      for (const { api } of world.processes()) api.cutStreams();
      return stand(anyCall, { kind: 'lost-request' }, event.ms);
    case 'watch-cut':
      for (const { api } of world.processes()) api.cutStreams();
      return;
    case 'watch-expire':
      for (const { api } of world.processes()) api.expireStreams();
      return;
    case 'watch-stall':
      world.disturb(event.ms);
      for (const { api } of world.processes()) api.stallStreams(event.ms);
      return;
    case 'watch-miss':
      // Found at the next list, about an hour later.
      world.disturb(4_000_000);
      world.missed = true;
      world.leader()?.api.missNext(event.of);
      return;
    default:
      unreachable(event);
  }
}

export function performProcess(world: World, event: ProcessEvent): void {
  const { clock, monitor } = world;
  world.slow(60_000);
  switch (event.kind) {
    case 'crash':
      world.disturb(event.downMs + (event.lagMs ?? 0));
      if (event.lagMs !== undefined) {
        const version = Math.max(100, world.server.version - 1 - Math.floor(world.random() * 8));
        world.lag = { version, untilMs: clock.now() + event.downMs + event.lagMs };
      }
      world.crash(world.leader(), event.downMs);
      clock.schedule(event.downMs, () => monitor.eventHappened());
      return;
    case 'crash-at-cloud-write':
      world.cloudDeath = { nth: event.nth, when: event.when, downMs: event.downMs };
      return;
    case 'crash-at-api-write':
      world.apiFaults.push({
        hits: ({ write, resource }) => write && !resource.startsWith('leases'),
        fault: { kind: 'crash', when: event.when },
        left: 1,
        skip: event.nth - 1,
      });
      return;
    case 'freeze': {
      const process = world.leader();
      process?.life.freeze();
      return world.during(event.ms, () => process?.life.thaw(clock));
    }
    case 'restart':
      world.disturb(event.downMs);
      return world.restart(world.leader(), event.downMs);
    case 'wall-jump':
      return clock.jumpWall(event.ms);
    default:
      unreachable(event);
  }
}
