/**
 * The providers of this build: how each checks its section of the settings and how it is brought up.
 *
 * The only place that names them all. Each is imported when it is configured, so that in a bundle it is a
 * chunk of its own and an unused one costs nothing.
 */
import type { LocalCluster } from '../../providers/local/cluster.ts';
import type { RunningLocal } from '../../providers/local/start.ts';
import { controllerOptions } from '../controller/options.ts';
import { claimOf } from '../core/claim.ts';
import { systemClock, type Clock, type Random } from '../core/clock.ts';
import type { AnyProvider, ProviderName } from '../core/provider.ts';
import { readSettings, type ProviderChecks, type Settings } from '../settings/read.ts';
import type { CloudCall } from '../observe/telemetry.ts';

export interface ProviderParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Told of each call to a cloud, reads included. */
  readonly onCall: (provider: ProviderName, call: CloudCall) => void;
  /** The cluster as local mode needs it; without, its pure parts only are of use. */
  readonly cluster?: LocalCluster;
  /** What is known of other controllers in the cluster. */
  readonly neighbour?: () => string | undefined;
}

export interface RunningProviders {
  readonly providers: ReadonlyMap<ProviderName, AnyProvider>;
  /** Where it is configured: what it does beside the Services. */
  readonly local: RunningLocal | undefined;
  /** Closes connections, so that the process can end. */
  close(): void;
}

/** How the settings of each provider are checked. */
export async function providerChecks(): Promise<ProviderChecks> {
  const { parseAlibabaConfig } = await import('../../providers/alibaba/config.ts');
  const { parseAwsConfig } = await import('../../providers/aws/config.ts');
  const { parseLocalConfig } = await import('../../providers/local/config.ts');
  return {
    aws: (section, field) => {
      const { config, problems } = parseAwsConfig(section, field);
      return { settings: config, problems };
    },
    alibaba: (section, field) => {
      const { config, problems } = parseAlibabaConfig(section, field);
      return { settings: config, problems };
    },
    local: (section, field) => {
      const { config, problems } = parseLocalConfig(section, field);
      return { settings: config, problems };
    },
  };
}

/** Settings as they are where nobody said otherwise: enough to check annotations where the real ones are not at hand. */
export async function usualSettings(): Promise<Settings> {
  return readSettings(standIn, 'stand-in', await providerChecks()).settings;
}

/** Every provider of this build, on `usualSettings`: their pure parts only are of use. */
export async function allProviders(): Promise<RunningProviders> {
  const parts = { clock: systemClock, random: Math.random, onCall: () => undefined };
  return await startProviders(await usualSettings(), parts);
}

const standIn = `
apiVersion: sluice.dev/v1alpha1
kind: Config
providers:
  aws:
    region: us-east-1
    subnets: {internal: [subnet-0], internet-facing: [subnet-0]}
  alibaba:
    region: cn-hangzhou
    vpcId: vpc-0
    vSwitches: [vsw-0]
  local: {}
controller:
  defaultProvider: aws
`;

/** Brings up every provider that the settings configure. No call is made yet. */
export async function startProviders(settings: Settings, parts: ProviderParts): Promise<RunningProviders> {
  const providers = new Map<ProviderName, AnyProvider>();
  const closers: (() => void)[] = [];
  let local: RunningLocal | undefined;
  for (const [name, section] of settings.providers) {
    switch (name) {
      case 'aws': {
        const { startAws } = await import('../../providers/aws/start.ts');
        const running = startAws(section, { ...parts, onCall: (call) => parts.onCall('aws', call) });
        providers.set(name, running.provider);
        closers.push(() => running.close());
        break;
      }
      case 'alibaba': {
        const { startAlibaba } = await import('../../providers/alibaba/start.ts');
        const running = await startAlibaba(section, {
          ...parts,
          onCall: (call) => parts.onCall('alibaba', call),
        });
        providers.set(name, running.provider);
        closers.push(() => running.close());
        break;
      }
      case 'local': {
        const { startLocal } = await import('../../providers/local/start.ts');
        const { noCluster } = await import('../../providers/local/no-cluster.ts');
        const { claim } = controllerOptions(
          settings.controller,
          [...settings.providers.keys()],
          parts.neighbour,
        );
        const running = startLocal(section, {
          clock: parts.clock,
          cluster: parts.cluster ?? noCluster,
          serves: (service) => {
            const whose = claimOf(service, claim);
            return whose.kind === 'ours' && whose.provider === 'local';
          },
        });
        providers.set(name, running.provider);
        closers.push(() => running.close());
        local = running;
        break;
      }
    }
  }
  return {
    providers,
    local,
    close: () => {
      for (const close of closers) close();
    },
  };
}
