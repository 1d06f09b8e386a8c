/**
 * Brings the AWS provider up on a real (or simulated) account over the wire, and tells of every call.
 *
 * The entry of this provider's chunk: whoever imports it gets the SDK along.
 */
import type { Clock, Random } from '../../src/core/clock.ts';
import type { SluiceError } from '../../src/core/errors.ts';
import { asSluiceError } from '../../src/core/errors.ts';
import { createSdkClient } from './client.ts';
import type { AwsConfig } from './config.ts';
import { classify } from './errors.ts';
import type { ElbClient } from './operations.ts';
import { createAwsProvider, type AwsProvider } from './provider.ts';

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

export interface RunningAws {
  readonly provider: AwsProvider;
  close(): void;
}

/** `settings` is what `parseAwsConfig` made of the section. No call is made yet. */
export function startAws(settings: unknown, { clock, random, onCall }: StartOptions): RunningAws {
  const config = settings as AwsConfig;
  const sdk = createSdkClient({ region: config.region, endpoint: config.endpoint });
  const told: ElbClient = {
    async call(operation, input, signal) {
      const started = clock.now();
      const tell = (error: SluiceError | undefined): void =>
        onCall({ operation, ms: clock.now() - started, waitedMs: 0, error });
      try {
        const output = await sdk.call(operation, input, signal);
        tell(undefined);
        return output;
      } catch (thrown) {
        tell(asSluiceError(classify(thrown, operation, signal)));
        throw thrown;
      }
    },
  };
  return { provider: createAwsProvider({ client: told, config, clock, random }), close: () => sdk.close() };
}
