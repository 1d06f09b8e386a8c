/**
 * Where credentials come from: exactly one source, named in the settings.
 *
 * There is no chain and no fallback. A chain that falls from a role of the controller to the role of the node
 * because a token service was away for a minute goes on with other rights than were given to it.
 */
import type { Clock } from '../../../src/core/clock.ts';
import { nodeRoleSource } from './node-role.ts';
import type { NodeRole } from './node-role.ts';
import { oidcSource } from './oidc.ts';
import type { Oidc } from './oidc.ts';
import type { CredentialSource } from './source.ts';
import { accessKeySource } from './static.ts';
import type { AccessKeys } from './static.ts';

/** The source as the settings name it. */
export type SourceSettings = Oidc | NodeRole | AccessKeys;

/** The one source that the settings name. Asks nobody yet. */
export function createSource(settings: SourceSettings, clock: Clock): CredentialSource {
  switch (settings.kind) {
    case 'oidc':
      return oidcSource(settings, clock);
    case 'node-role':
      return nodeRoleSource(settings, clock);
    case 'access-key':
      return accessKeySource(settings);
  }
}
