/**
 * The metadata service of the ECS instance that we run on, in the hardened mode (IMDSv2) only: without a session
 * token nothing is asked, so a pod that may not have one gets nothing by the old way.
 */
import type { Clock } from '../../../src/core/clock.ts';
import { SluiceError } from '../../../src/core/errors.ts';
import { credentialAdvice } from '../credential-advice.ts';
import { ask, unreadable } from './fetch.ts';

const answerMs = 3_000;
/** Seconds that a metadata token lives: one is asked for each time. */
const tokenSeconds = '60';
const metadata = 'http://100.100.100.200';

/**
 * Asks for a session token. @returns what reads a path with it; throws `denied` for what is not there or not allowed,
 * `transient` when no answer came or one that says nothing.
 */
export async function openMetadata(
  action: string,
  endpoint: string | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<(path: string) => Promise<string>> {
  const token = await get('/latest/api/token', undefined);
  return async (path) => await get(path, token);

  async function get(path: string, held: string | undefined): Promise<string> {
    const answer = await ask(
      {
        action,
        url: new URL(path, endpoint ?? metadata).href,
        method: held === undefined ? 'PUT' : 'GET',
        headers:
          held === undefined
            ? { 'x-aliyun-ecs-metadata-token-ttl-seconds': tokenSeconds }
            : { 'x-aliyun-ecs-metadata-token': held },
        answerMs,
      },
      clock,
      signal,
    );
    const text = answer.text.trim();
    if (answer.status === 404 && held !== undefined) throw denied('NodeRoleMissing');
    if (answer.status === 403 || answer.status === 401) throw denied('MetadataDenied');
    if (answer.status !== 200 || text === '') throw unreadable(action, answer.status);
    return text;
  }

  function denied(code: string): SluiceError {
    return new SluiceError('denied', `${action}: ${code}: ${credentialAdvice(code)}`, { code });
  }
}
