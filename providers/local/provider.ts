/**
 * Local mode as a provider: addresses out of pools, for agents to announce on their links. Its account is the cluster
 * itself, and each of its steps writes one ServiceAddress.
 */
import type { Clock } from '../../src/core/clock.ts';
import type { Provider } from '../../src/core/provider.ts';
import { annotations } from './annotations.ts';
import { advance, apply } from './apply.ts';
import type { LocalCluster } from './cluster.ts';
import type { LocalConfig } from './config.ts';
import type { Ledger } from './ledger.ts';
import { observe } from './observe.ts';
import { nothing, type LocalObserved } from './observed.ts';
import { plan } from './plan.ts';
import { addresses, isGone, targets } from './report.ts';
import { parseService, type LocalSettings } from './settings.ts';
import { survey } from './survey.ts';
import { want, type LocalWanted } from './wanted.ts';

export type LocalProvider = Provider<LocalSettings, LocalWanted, LocalObserved>;

export interface LocalOptions {
  readonly cluster: LocalCluster;
  readonly ledger: Ledger;
  readonly config: LocalConfig;
  readonly clock: Clock;
}

export function createLocalProvider({ cluster, ledger, config, clock }: LocalOptions): LocalProvider {
  return {
    name: 'local',
    loadBalancerClass: 'sluice.dev/local',
    parallel: 4,
    // What a node is of importance for wakes those concerned: see Ledger.nodes.
    followsNodes: false,
    annotations,
    nothing,
    parse: parseService,
    want,
    // The pools reserve, so no two Services are given one address; only those that share write the same object.
    lane: ({ sharingKey }) => (sharingKey === undefined ? undefined : `local/${sharingKey}`),
    observe: (request) => observe({ cluster, ledger, clock }, request),
    plan: (goal, observed, context) => plan(config, goal, observed, context),
    apply: (step, parameters, signal) => apply({ cluster, clock }, step, parameters, signal),
    advance,
    split: () => undefined,
    addresses: (wanted, observed) => addresses(config, wanted, observed),
    targets: (wanted, observed) => targets(config, wanted, observed),
    isGone,
    survey: (_cluster, known, signal) => survey(cluster, known, signal),
  };
}
