/**
 * Brings the Alibaba provider up on a real (or simulated) account over the wire, and tells of every call.
 *
 * The entry of this provider's chunk: whoever imports it gets the cloud's packages along.
 */
import type { Clock, Random } from '../../src/core/clock.ts';
import type { SluiceError } from '../../src/core/errors.ts';
import { SluiceError as Failure } from '../../src/core/errors.ts';
import { createWireClient } from './client.ts';
import type { AlibabaConfig } from './config.ts';
import { createSource } from './credentials/choose.ts';
import type { SourceSettings } from './credentials/choose.ts';
import { CredentialSession } from './credentials/session.ts';
import type { CredentialSource } from './credentials/source.ts';
import { endpointOf } from './endpoints.ts';
import { classify } from './errors.ts';
import type { SlbClient } from './operations.ts';
import { placed } from './place.ts';
import { createAlibaba } from './provider.ts';
import type { Alibaba } from './provider.ts';

export interface StartOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Told of each call, reads included. */
  readonly onCall: (call: {
    readonly operation: string;
    readonly ms: number;
    readonly waitedMs: number;
    readonly error: SluiceError | undefined;
  }) => void;
}

export interface RunningAlibaba extends Alibaba {
  close(): void;
}

/**
 * `settings` is what `parseAlibabaConfig` made of the section. The account is not called yet; where the settings name no
 * region, the instance's metadata service is.
 */
export async function startAlibaba(
  settings: unknown,
  { clock, random, onCall }: StartOptions,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<RunningAlibaba> {
  const never = new AbortController().signal;
  const config = await placed(settings as AlibabaConfig, clock, never);
  const { region, network, endpoint, vpcEndpoint } = config;
  const session = new CredentialSession(sourceOf(config, environment, clock), clock);
  const wire = createWireClient({ region, session, network, endpoint, vpcEndpoint });
  const told: SlbClient = {
    async call(operation, input, signal) {
      const started = clock.now();
      const tell = (error: SluiceError | undefined): void =>
        onCall({ operation, ms: clock.now() - started, waitedMs: 0, error });
      try {
        const output = await wire.call(operation, input, signal);
        tell(undefined);
        return output;
      } catch (thrown) {
        tell(classify(thrown, operation));
        throw thrown;
      }
    },
  };
  return {
    ...createAlibaba({ client: told, config, clock, random }),
    close: () => wire.close(),
  };
}

/** The one source that the settings name. What it lacks is told at the first call, so that offline plans need nothing. */
function sourceOf(
  { credentials, region, network }: AlibabaConfig,
  environment: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): CredentialSource {
  const missing: string[] = [];
  const need = (name: string, given?: string): string => {
    const value = given ?? environment[name];
    if (value === undefined || value === '') missing.push(name);
    return value ?? '';
  };
  const chosen = ((): SourceSettings => {
    switch (credentials.source) {
      case 'oidc':
        return {
          kind: 'oidc',
          roleArn: need('ALIBABA_CLOUD_ROLE_ARN', credentials.roleArn),
          oidcProviderArn: need('ALIBABA_CLOUD_OIDC_PROVIDER_ARN', credentials.oidcProviderArn),
          oidcTokenFile: need('ALIBABA_CLOUD_OIDC_TOKEN_FILE', credentials.oidcTokenFile),
          roleSessionName: environment['ALIBABA_CLOUD_ROLE_SESSION_NAME'] ?? 'sluice',
          stsEndpoint: credentials.stsEndpoint ?? `https://${endpointOf('sts', region, network)}`,
        };
      case 'node-role':
        return {
          kind: 'node-role',
          roleName: credentials.nodeRole,
          metadataEndpoint: credentials.metadataEndpoint,
        };
      case 'access-key':
        return {
          kind: 'access-key',
          accessKeyId: need('ALIBABA_CLOUD_ACCESS_KEY_ID'),
          accessKeySecret: need('ALIBABA_CLOUD_ACCESS_KEY_SECRET'),
          securityToken: environment['ALIBABA_CLOUD_SECURITY_TOKEN'],
        };
    }
  })();
  if (missing.length === 0) return createSource(chosen, clock);
  const words = `credentials of kind "${credentials.source}" need ${missing.join(', ')}; set them, or choose another source in providers.alibaba.credentials`;
  return {
    name: credentials.source,
    renewable: false,
    issue: () => Promise.reject(new Failure('denied', words, { code: 'CredentialsIncomplete' })),
  };
}
