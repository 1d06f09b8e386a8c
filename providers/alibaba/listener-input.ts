/** What a call that makes or changes a listener sets, in the form of an observation. */
import type { Parameters } from '../../src/core/plan.ts';
import type { ListenerProtocol } from './client-types-listeners.ts';
import { withoutDefaults } from './listener-settings.ts';
import type { ListenerSettings } from './observed.ts';

export function settingsOfInput(
  protocol: ListenerProtocol,
  parameters: Parameters,
): { readonly port: number; readonly group: string | undefined; readonly settings: ListenerSettings } {
  const { healthCheckInterval: small, VServerGroupId: group, ...rest } = parameters;
  return {
    port: Number(parameters['ListenerPort'] ?? 0),
    group: typeof group === 'string' ? group : undefined,
    settings: withoutDefaults(protocol, {
      ...rest,
      ...(small === undefined ? {} : { HealthCheckInterval: small }),
    }),
  };
}
