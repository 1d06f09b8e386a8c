/**
 * `providers.alibaba` of the settings file, checked in full: every mistake is reported at once.
 */
import type { Problem } from '../../src/core/problems.ts';
import { fieldOf } from '../../src/core/schema.ts';
import type { AddressType } from './client-types.ts';
import { configTable } from './config-table.ts';
import type { Network } from './endpoints.ts';
import type { Rates } from './limits.ts';
import type { Tags } from './tags.ts';

export interface CredentialSettings {
  readonly source: 'oidc' | 'node-role' | 'access-key';
  readonly roleArn: string | undefined;
  readonly oidcProviderArn: string | undefined;
  readonly oidcTokenFile: string | undefined;
  readonly stsEndpoint: string | undefined;
  readonly nodeRole: string | undefined;
  readonly metadataEndpoint: string | undefined;
}

export interface AlibabaConfig {
  /** Empty: to be asked (`place.ts`). */
  readonly region: string;
  readonly addressType: AddressType;
  readonly allowInternet: boolean;
  readonly vpcId: string | undefined;
  /** In order of preference. */
  readonly vSwitches: readonly string[];
  readonly resourceGroupId: string | undefined;
  readonly credentials: CredentialSettings;
  readonly network: Network;
  readonly endpoint: string | undefined;
  readonly vpcEndpoint: string | undefined;
  readonly backendsPerCall: number;
  readonly rates: Rates;
  readonly tags: Tags;
}

/**
 * @param value what stands under `providers.alibaba`, as parsed from YAML.
 * @param at the path to it, for messages.
 */
export function parseAlibabaConfig(
  value: unknown,
  at = 'providers.alibaba',
): { readonly config: AlibabaConfig; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const config = configTable.read(value, at.split('.'), (path, message, cure) => {
    problems.push({ severity: 'error', reason: 'InvalidConfig', field: fieldOf(path), message, cure });
  });
  return { config, problems };
}
