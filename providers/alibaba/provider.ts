/**
 * The Alibaba Cloud provider: a Classic Load Balancer for each Service, with ECS instances as members.
 */
import type { Clock, Random } from '../../src/core/clock.ts';
import type { Provider } from '../../src/core/provider.ts';
import { advance } from './advance.ts';
import { annotations } from './annotations.ts';
import { apply } from './apply.ts';
import type { AlibabaConfig } from './config.ts';
import { createDoor } from './door.ts';
import { createLimits } from './limits.ts';
import { Loader } from './loader.ts';
import { observe } from './observe.ts';
import { nothing } from './observed.ts';
import type { AlibabaObserved } from './observed.ts';
import type { SlbClient } from './operations.ts';
import { plan } from './plan.ts';
import { Recent } from './recent.ts';
import { Seen } from './seen.ts';
import { addresses, isGone, targets } from './report.ts';
import { parseService } from './settings.ts';
import type { AlibabaSettings } from './settings.ts';
import { split } from './split.ts';
import { survey } from './survey.ts';
import { planTakeOver } from './take-over.ts';
import type { TakeOver, TakeOverRequest } from './take-over.ts';
import { want } from './wanted.ts';
import type { AlibabaWanted } from './wanted.ts';

export interface AlibabaOptions {
  /** Over the wire `createWireClient`, in simulations the simulated account. */
  readonly client: SlbClient;
  readonly config: AlibabaConfig;
  readonly clock: Clock;
  readonly random: Random;
}

export type AlibabaProvider = Provider<AlibabaSettings, AlibabaWanted, AlibabaObserved>;

export interface Alibaba {
  readonly provider: AlibabaProvider;
  /** What it takes to hand a balancer of the cloud's own controller to us. Reads, and changes nothing. */
  takeOver(request: TakeOverRequest): Promise<TakeOver>;
}

export function createAlibabaProvider(options: AlibabaOptions): AlibabaProvider {
  return createAlibaba(options).provider;
}

export function createAlibaba({ client, config, clock, random }: AlibabaOptions): Alibaba {
  const door = createDoor({ client, limits: createLimits(config.rates, clock, random), clock, random });
  const loader = new Loader(door);
  const recent = new Recent(clock);
  const seen = new Seen(clock);
  const provider: AlibabaProvider = {
    name: 'alibaba',
    loadBalancerClass: 'sluice.dev/alibaba',
    // SLB refuses a write to a balancer that is still taking in another one.
    parallel: 1,
    annotations,
    nothing,
    parse: (service) => parseService(service, config),
    want,
    lane: ({ reuse }) => (reuse === undefined ? undefined : `alibaba/${reuse.id}`),
    observe: (request) => observe({ loader, recent, seen }, request),
    plan,
    apply: (step, parameters, signal) =>
      apply({ door, loader, recent, seen, clock, config }, step, parameters, signal),
    advance,
    split,
    addresses,
    targets,
    isGone,
    survey: (cluster, known, signal) => survey({ loader, recent, seen, clock }, cluster, known, signal),
  };
  return { provider, takeOver: (request) => planTakeOver({ loader, recent }, request, clock.now()) };
}
