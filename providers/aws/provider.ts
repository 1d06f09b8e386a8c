/**
 * The AWS provider: a Network Load Balancer for each Service, with instances as targets.
 */
import type { Clock, Random } from '../../src/core/clock.ts';
import type { Provider } from '../../src/core/provider.ts';
import { advance } from './advance.ts';
import { annotations } from './annotations.ts';
import { apply, split } from './apply.ts';
import type { AwsConfig } from './config.ts';
import { createDoor } from './door.ts';
import { createLimits } from './limits.ts';
import { Loader } from './loader.ts';
import { observe } from './observe.ts';
import { nothing } from './observed.ts';
import type { AwsObserved } from './observed.ts';
import type { ElbClient } from './operations.ts';
import { plan } from './plan.ts';
import { Recent } from './recent.ts';
import { addresses, isGone, targets } from './report.ts';
import { parseService } from './settings.ts';
import type { AwsSettings } from './settings.ts';
import { Surveyor } from './survey.ts';
import { want } from './wanted.ts';
import type { AwsWanted } from './wanted.ts';

export interface AwsOptions {
  /** Over the wire `createSdkClient`, in simulations the simulated account. */
  readonly client: ElbClient;
  readonly config: AwsConfig;
  readonly clock: Clock;
  readonly random: Random;
}

export type AwsProvider = Provider<AwsSettings, AwsWanted, AwsObserved>;

export function createAwsProvider({ client, config, clock, random }: AwsOptions): AwsProvider {
  const door = createDoor({ client, limits: createLimits(config.rates, clock, random), clock, random });
  const loader = new Loader(door);
  const recent = new Recent(clock);
  const surveyor = new Surveyor(loader, recent);
  return {
    name: 'aws',
    loadBalancerClass: 'sluice.dev/aws',
    parallel: 4,
    annotations,
    nothing,
    parse: (service) => parseService(service, config),
    want,
    lane: () => undefined,
    observe: (request) => observe({ clock, door, loader, recent }, request),
    plan,
    apply: (step, parameters, signal) => apply({ door, recent, clock }, step, parameters, signal),
    advance,
    split,
    addresses,
    targets,
    isGone,
    survey: (cluster, known, signal) => surveyor.survey(cluster, known, signal),
  };
}
