/** What the edge cases share: a Service that is served, and questions to the account. */
import { expect } from 'vitest';
import { aService } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { ControllerBench } from '../support/controller-bench.ts';
import type { BenchProcess } from '../support/controller-bench.ts';

export const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';
export const minute = 60_000;

/** A bench on which `default/web` has been served for a minute. */
export async function served(
  service: ServiceObject = aService(),
  bench: ControllerBench = new ControllerBench(),
): Promise<{ readonly bench: ControllerBench; readonly process: BenchProcess; readonly seq: number }> {
  bench.cluster.apply(service);
  const process = bench.start();
  await bench.run(minute);
  expect(bench.get(service.key).ingress, 'the Service is served').toHaveLength(1);
  return { bench, process, seq: bench.seq };
}

/** ARN of the only resource of that kind. */
export function arnOf(bench: ControllerBench, kind: string): string {
  const found = bench.account.resources().filter((one) => one.kind === kind);
  expect(found).toHaveLength(1);
  return found[0]?.arn ?? '';
}

export function healthy(bench: ControllerBench): readonly string[] {
  return Object.entries(bench.targets()).flatMap(([key, state]) => (state === 'healthy' ? [key] : []));
}
