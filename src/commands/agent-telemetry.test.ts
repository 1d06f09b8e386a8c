/** What is wrong with a Service is told where its owner looks: in the log and as one event for all nodes. */
import { beforeEach, expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { seededRandom } from '../core/clock.ts';
import { objectKey, type NodeName, type ObjectKey, type ServiceObject } from '../core/objects.ts';
import type { Problem } from '../core/problems.ts';
import type { Note } from '../kube/events.ts';
import { createMetrics } from '../observe/metrics.ts';
import { agentTelemetry } from './agent-telemetry.ts';

const web = objectKey('shop', 'web');
let clock: VirtualClock;
let services: Map<ObjectKey, Pick<ServiceObject, 'key' | 'type'>>;
let told: [ObjectKey, Note][];
let logged: string[];
let telemetry: ReturnType<typeof agentTelemetry>;

beforeEach(() => {
  [clock, told, logged] = [new VirtualClock(), [], []];
  services = new Map([[web, { key: web, type: 'ClusterIP' }]]);
  const line = (message: string): void => {
    logged.push(message);
  };
  telemetry = agentTelemetry({
    log: { debug: line, info: line, warn: line, error: line } as never,
    metrics: createMetrics({ of: 'agent', version: '0', processMetrics: false }),
    events: { event: ({ key }, note) => told.push([key, note]), record: () => undefined },
    clock,
    random: seededRandom(1),
    backend: 'nftables',
    node: { name: 'n1' as NodeName, uid: () => 'u' },
    service: (key) => services.get(key) as ServiceObject | undefined,
  });
});

const unread: Problem = {
  severity: 'error',
  reason: 'InvalidAnnotation',
  field: 'metadata.annotations["sluice.dev/balancing"]',
  message: '"hsh" is not one of random, hash',
  cure: 'correct the value',
};

const unknown: Problem = {
  severity: 'warning',
  reason: 'UnknownAnnotation',
  field: 'metadata.annotations["sluice.dev/wieghts"]',
  message: 'this annotation is not known and has no effect',
  cure: 'did you mean "sluice.dev/weights"?',
};

test('all problems of a Service are one event, a contested destination another, spread over a while', async () => {
  telemetry.problems(web, [unknown, unread]);
  telemetry.conflict({
    reason: 'DestinationTaken',
    family: 'IPv4',
    protocol: 'TCP',
    port: 80,
    address: '192.0.2.1',
    winner: 'shop/old:/tcp/ipv4' as never,
    loser: 'shop/web:/tcp/ipv4' as never,
    message: '192.0.2.1 port 80/TCP is served for shop/old',
  });
  // A Service that is gone meanwhile has no event.
  telemetry.problems(objectKey('shop', 'gone'), [unread]);
  expect(logged).toHaveLength(4);
  expect(told).toEqual([]);
  await clock.advance(10_000 + 2 * 4_000);
  expect(told.map(([key, { reason, shared }]) => `${key} ${reason} ${shared}`).toSorted()).toEqual([
    'shop/web DestinationTaken true',
    'shop/web InvalidAnnotation true',
  ]);
  const note = told.find(([, { reason }]) => reason === 'InvalidAnnotation')?.[1].note;
  expect(note).toContain('correct the value');
  expect(note).toContain('did you mean "sluice.dev/weights"?');
});

test('what was mended before it was told is not told, and what changed is told as it is now', async () => {
  const other = objectKey('shop', 'other');
  services.set(other, { key: other, type: 'ClusterIP' });
  telemetry.problems(web, [unread]);
  telemetry.problems(other, [unread, unknown]);
  telemetry.problems(web, []);
  telemetry.problems(other, [unknown]);
  await clock.advance(60_000);
  expect(told.map(([key, { reason }]) => [key, reason])).toEqual([[other, 'UnknownAnnotation']]);
});

test('a balancer’s Service is left to a controller for a moment before it is told', async () => {
  services.set(web, { key: web, type: 'LoadBalancer' });
  telemetry.problems(web, [unknown]);
  await clock.advance(9_999);
  expect(told).toEqual([]);
  await clock.advance(20_001);
  expect(told).toHaveLength(1);
});

test('many Services that are wrong at once are told one in two seconds on average, all in the end', async () => {
  const keys = Array.from({ length: 100 }, (_, i) => objectKey('shop', `web-${i}`));
  for (const key of keys) {
    services.set(key, { key, type: 'ClusterIP' });
    telemetry.problems(key, [unknown]);
  }
  await clock.advance(30_000);
  expect(told.length).toBeGreaterThan(3);
  expect(told.length).toBeLessThan(30);
  await clock.advance(400_000);
  expect(new Set(told.map(([key]) => key))).toEqual(new Set(keys));
  expect(told).toHaveLength(100);
});
