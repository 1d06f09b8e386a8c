/** What passes report, as a port: whoever runs the controller decides who is told. */
import type { SluiceError } from './errors.ts';
import type { ObjectKey } from './objects.ts';
import type { Parameters, Step } from './plan.ts';
import type { ProviderName, Stray } from './provider.ts';
import type { ReasonCode } from './reasons.ts';

/** Where passes report to: metrics and logs in a process, nothing in most tests. All calls are cheap and never throw. */
export interface Telemetry {
  step(
    service: ObjectKey,
    provider: ProviderName,
    step: Step,
    parameters: Parameters,
    ms: number,
    error: SluiceError | undefined,
  ): void;
  pass(
    service: ObjectKey,
    provider: ProviderName | undefined,
    result: 'unchanged' | 'changed' | 'failed' | 'waiting',
    ms: number,
  ): void;
  held(service: ObjectKey, messages: readonly string[]): void;
  drift(service: ObjectKey, provider: ProviderName, steps: readonly Step[]): void;
  published(service: ObjectKey, provider: ProviderName, ms: number): void;
  /** The first target became healthy, this long after the Service was first seen without an address. */
  healthy(service: ObjectKey, provider: ProviderName, ms: number): void;
  stage(provider: ProviderName, stage: 'parse' | 'observe' | 'plan' | 'apply' | 'tell', ms: number): void;
  /** Every Service has followed a change of nodes; `failed` of them could not. */
  nodeSync(ms: number, failed: number): void;
  strays(provider: ProviderName, strays: readonly Stray[]): void;
  skipped(service: ObjectKey, reason: ReasonCode): void;
}

export const silent: Telemetry = {
  step: () => {},
  pass: () => {},
  held: () => {},
  drift: () => {},
  published: () => {},
  healthy: () => {},
  stage: () => {},
  nodeSync: () => {},
  strays: () => {},
  skipped: () => {},
};
