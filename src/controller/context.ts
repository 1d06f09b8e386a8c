/** What every part of the controller is given: the doors, the providers, the memory and the settings. */
import type { Clock, Random } from '../core/clock.ts';
import { execute, type Execution } from '../core/execute.ts';
import type { ObjectKey, ServiceObject } from '../core/objects.ts';
import type { Step } from '../core/plan.ts';
import type { AnyProvider, ClusterIdentity, ProviderName, World } from '../core/provider.ts';
import type { ClaimRules } from '../core/claim.ts';
import type { GuardRules } from '../core/guard.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { ClusterView, ClusterWriter } from './cluster.ts';
import type { Memories } from './memory.ts';

export interface ControllerOptions {
  readonly claim: ClaimRules;
  readonly guard: GuardRules;
  /** Publish an address before the balancer is active. */
  readonly publishEarly: boolean;
  /** Put right what was changed behind our back, or only say so. A Service may say otherwise. */
  readonly driftPolicy: 'correct' | 'report';
  /** Remove what bears our mark and has no Service, or only say so. */
  readonly strays: 'remove' | 'report';
  /** Milliseconds between two full comparisons of one Service; 0 switches them off. Jittered by ± 20 %. */
  readonly fullEveryMs: number;
  /** Milliseconds between two surveys of the account; 0 switches them off. */
  readonly surveyEveryMs: number;
}

export interface Context {
  readonly clock: Clock;
  readonly random: Random;
  readonly cluster: ClusterIdentity;
  readonly view: ClusterView;
  readonly writer: ClusterWriter;
  readonly providers: ReadonlyMap<ProviderName, AnyProvider>;
  readonly options: ControllerOptions;
  readonly memories: Memories;
  readonly telemetry: Telemetry;
  /** Throws when the lease is not held at this moment: called right before each write to a cloud. */
  readonly permit: () => void;
}

/** The snapshot that a provider computes from. The list of all Services is made only when it is asked for. */
export function worldOf(
  context: Pick<Context, 'cluster' | 'view'>,
  service: ServiceObject,
  served: () => readonly ServiceObject[],
): World {
  return {
    cluster: context.cluster,
    service,
    get services() {
      return served();
    },
    nodes: context.view.nodes(),
    slices: context.view.slices(service.key),
  };
}

/** Carries out what the guard let pass, under the lease, and tells of every call. */
export async function carryOut(
  { clock, permit, telemetry }: Context,
  provider: AnyProvider,
  service: ObjectKey,
  work: { readonly observed: unknown; readonly steps: readonly Step[]; readonly signal: AbortSignal },
): Promise<Execution> {
  return await execute({
    ...work,
    provider,
    clock,
    permit,
    onStep: ({ step, parameters, ms, error }) =>
      telemetry.step(service, provider.name, step, parameters, ms, error),
  });
}
