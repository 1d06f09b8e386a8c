/** `providers.local` of the settings file, checked in full: every mistake is reported at once. */
import type { Problem } from '../../src/core/problems.ts';
import { fieldOf } from '../../src/core/schema.ts';
import { configTable } from './config-table.ts';

/** Durations in milliseconds. */
export interface LocalConfig {
  readonly probe: boolean;
  readonly noAgentAfter: number;
  readonly rest: number;
  readonly remember: number;
}

/**
 * @param value what stands under `providers.local`, as parsed from YAML.
 * @param at the path to it, for messages.
 */
export function parseLocalConfig(
  value: unknown,
  at = 'providers.local',
): { readonly config: LocalConfig; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const config = configTable.read(value, at.split('.'), (path, message, cure) => {
    problems.push({ severity: 'error', reason: 'InvalidConfig', field: fieldOf(path), message, cure });
  });
  return { config, problems };
}
