/**
 * The RAM role of the ECS instance that we run on, from its metadata service in the hardened mode (IMDSv2)
 * only (`metadata.ts`).
 */
import type { Clock } from '../../../src/core/clock.ts';
import { readJson, unreadable } from './fetch.ts';
import { readIssued } from './issued.ts';
import { openMetadata } from './metadata.ts';
import type { CredentialSource, Issued } from './source.ts';

export interface NodeRole {
  readonly kind: 'node-role';
  /** Absent: asked from the metadata service. */
  readonly roleName?: string | undefined;
  /** URL of the metadata service. Default http://100.100.100.200. */
  readonly metadataEndpoint?: string | undefined;
}

const action = 'NodeRole';
const roles = '/latest/meta-data/ram/security-credentials/';

export function nodeRoleSource(settings: NodeRole, clock: Clock): CredentialSource {
  return {
    name: 'ecs_ram_role',
    renewable: true,
    async issue(signal): Promise<Issued> {
      const get = await openMetadata(action, settings.metadataEndpoint, clock, signal);
      const role = settings.roleName ?? (await get(roles)).split('\n')[0] ?? '';
      const text = await get(`${roles}${encodeURIComponent(role)}`);
      const body = readJson(action, { status: 200, text });
      const issued = body['Code'] === 'Success' ? readIssued(body) : undefined;
      if (issued === undefined) throw unreadable(action, 200);
      return issued;
    },
  };
}
