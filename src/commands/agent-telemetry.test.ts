/** What is wrong with a Service is told where its owner looks: in the log and as one event for all nodes. */
import { expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { objectKey, type NodeName, type ServiceObject } from '../core/objects.ts';
import type { Note } from '../kube/events.ts';
import { createMetrics } from '../observe/metrics.ts';
import { agentTelemetry } from './agent-telemetry.ts';

test('a problem and a contested destination become events on the Service, spread over a while', async () => {
  const clock = new VirtualClock();
  const told: [string, Note][] = [];
  const logged: string[] = [];
  const line = (message: string): void => {
    logged.push(message);
  };
  const web = objectKey('shop', 'web');
  const telemetry = agentTelemetry({
    log: { debug: line, info: line, warn: line, error: line } as never,
    metrics: createMetrics({ of: 'agent', version: '0', processMetrics: false }),
    events: { event: ({ key }, note) => told.push([key, note]), record: () => undefined },
    clock,
    random: () => 0.5,
    backend: 'nftables',
    node: { name: 'n1' as NodeName, uid: () => 'u' },
    service: (key) => (key === web ? ({ key, uid: 'u1' } as unknown as ServiceObject) : undefined),
  });
  telemetry.problem(web, {
    severity: 'error',
    reason: 'InvalidAnnotation',
    field: 'metadata.annotations["sluice.dev/balancing"]',
    message: '"hsh" is not one of random, hash',
    cure: 'correct the value',
  });
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
  telemetry.problem(objectKey('shop', 'gone'), {
    severity: 'warning',
    reason: 'IneffectiveSetting',
    field: 'spec',
    message: 'no effect',
    cure: 'none',
  });
  expect(logged).toHaveLength(3);
  expect(told).toEqual([]);
  await clock.advance(10_000);
  expect(told.map(([key, { reason, shared }]) => [key, reason, shared])).toEqual([
    [web, 'InvalidAnnotation', true],
    [web, 'DestinationTaken', true],
  ]);
  expect(told[0]?.[1].note).toContain('correct the value');
});
