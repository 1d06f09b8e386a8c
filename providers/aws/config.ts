/**
 * `providers.aws` of the settings file, checked in full: every mistake is reported at once.
 */
import type { Problem } from '../../src/core/problems.ts';
import { fieldOf } from '../../src/core/schema.ts';
import { configTable } from './config-table.ts';
import type { Rates } from './limits.ts';
import type { Scheme, Tags } from './observed.ts';

export interface AwsConfig {
  readonly region: string;
  /** Subnet ids by scheme, in order. */
  readonly subnets: Readonly<Record<Scheme, readonly string[]>>;
  /** For balancers whose Service names none. A balancer made without can never be given any. */
  readonly securityGroups: readonly string[];
  /** Spares nothing but lets target groups be made beside the balancer instead of after it. */
  readonly vpcId: string | undefined;
  /** URL instead of the region's end point. */
  readonly endpoint: string | undefined;
  /** For Services that do not say. */
  readonly scheme: Scheme;
  readonly rates: Rates;
  /** On everything that is made, beside ours. */
  readonly tags: Tags;
}

/**
 * @param value what stands under `providers.aws`, as parsed from YAML.
 * @param at the path to it, for messages.
 */
export function parseAwsConfig(
  value: unknown,
  at = 'providers.aws',
): { readonly config: AwsConfig; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const config = configTable.read(value, at.split('.'), (path, message, cure) => {
    problems.push({ severity: 'error', reason: 'InvalidConfig', field: fieldOf(path), message, cure });
  });
  return { config, problems };
}
