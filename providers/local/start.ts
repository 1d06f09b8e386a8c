/** Brings local mode up on a cluster. Nothing is read or written before the first Service is looked at. */
import type { Clock } from '../../src/core/clock.ts';
import type { SluiceError } from '../../src/core/errors.ts';
import type { ObjectKey, ServiceObject } from '../../src/core/objects.ts';
import type { LocalCluster } from './cluster.ts';
import type { LocalConfig } from './config.ts';
import { fullness, Keeper, type PoolFullness } from './keeper.ts';
import { Ledger } from './ledger.ts';
import { createLocalProvider, type LocalProvider } from './provider.ts';

export interface StartLocalOptions {
  readonly clock: Clock;
  readonly cluster: LocalCluster;
  /** Whether the controller serves this Service by this provider. */
  readonly serves: (service: ServiceObject) => boolean;
}

export interface RunningLocal {
  readonly provider: LocalProvider;
  readonly ledger: Ledger;
  /** While this replica leads: Services are woken, pools and memory kept. The returned function ends that. */
  lead(parts: {
    readonly wake: (key: ObjectKey) => void;
    readonly permit: () => void;
    readonly report: (error: SluiceError) => void;
  }): () => Promise<void>;
  /** How full the pools are; none while another replica leads, whose figures they would be. */
  pools(): readonly PoolFullness[];
  close(): void;
}

/** `settings` is what `parseLocalConfig` made of the section. */
export function startLocal(settings: unknown, { clock, cluster, serves }: StartLocalOptions): RunningLocal {
  const config = settings as LocalConfig;
  let wake: ((key: ObjectKey) => void) | undefined;
  const ledger = new Ledger({ cluster, config, clock, serves, wake: (key) => wake?.(key) });
  return {
    provider: createLocalProvider({ cluster, ledger, config, clock }),
    ledger,
    lead: (parts) => {
      wake = parts.wake;
      const keeper = new Keeper({ cluster, ledger, clock, permit: parts.permit, report: parts.report });
      keeper.start();
      return async () => {
        wake = undefined;
        await keeper.stop();
      };
    },
    pools: () => (wake === undefined ? [] : fullness(ledger)),
    close: () => ledger.stop(),
  };
}
