/**
 * The RAM role of the ECS instance that we run on, from its metadata service in the hardened mode (IMDSv2)
 * only: without a session token nothing is asked, so a pod that may not have one gets nothing by the old way.
 */
import type { Clock } from '../../../src/core/clock.ts';
import { SluiceError } from '../../../src/core/errors.ts';
import { credentialAdvice } from '../credential-advice.ts';
import { ask, readJson, unreadable } from './fetch.ts';
import { readIssued } from './issued.ts';
import type { CredentialSource, Issued } from './source.ts';

export interface NodeRole {
  readonly kind: 'node-role';
  /** Absent: asked from the metadata service. */
  readonly roleName?: string | undefined;
  /** URL of the metadata service. Default http://100.100.100.200. */
  readonly metadataEndpoint?: string | undefined;
}

const action = 'NodeRole';
const answerMs = 3_000;
/** Seconds that a metadata token lives: one is asked for each renewal. */
const tokenSeconds = '60';
const metadata = 'http://100.100.100.200';
const roles = '/latest/meta-data/ram/security-credentials/';

export function nodeRoleSource(settings: NodeRole, clock: Clock): CredentialSource {
  const base = settings.metadataEndpoint ?? metadata;
  return {
    name: 'ecs_ram_role',
    renewable: true,
    async issue(signal): Promise<Issued> {
      const token = await get('/latest/api/token', signal, undefined);
      const role = settings.roleName ?? (await get(roles, signal, token)).split('\n')[0] ?? '';
      const text = await get(`${roles}${encodeURIComponent(role)}`, signal, token);
      const body = readJson(action, { status: 200, text });
      const issued = body['Code'] === 'Success' ? readIssued(body) : undefined;
      if (issued === undefined) throw unreadable(action, 200);
      return issued;
    },
  };

  async function get(path: string, signal: AbortSignal, token: string | undefined): Promise<string> {
    const answer = await ask(
      {
        action,
        url: new URL(path, base).href,
        method: token === undefined ? 'PUT' : 'GET',
        headers:
          token === undefined
            ? { 'x-aliyun-ecs-metadata-token-ttl-seconds': tokenSeconds }
            : { 'x-aliyun-ecs-metadata-token': token },
        answerMs,
      },
      clock,
      signal,
    );
    const text = answer.text.trim();
    if (answer.status === 404 && token !== undefined) {
      const code = 'NodeRoleMissing';
      throw new SluiceError('denied', `${action}: ${code}: ${credentialAdvice(code)}`, { code });
    }
    if (answer.status === 403 || answer.status === 401) {
      const code = 'MetadataDenied';
      throw new SluiceError('denied', `${action}: ${code}: ${credentialAdvice(code)}`, { code });
    }
    if (answer.status !== 200 || text === '') throw unreadable(action, answer.status);
    return text;
  }
}
