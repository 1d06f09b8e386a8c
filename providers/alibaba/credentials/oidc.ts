/**
 * A role for the controller's service account (RRSA): the token that Kubernetes mounts is exchanged for
 * credentials at STS (AssumeRoleWithOIDC, API 2015-04-01), which needs no signature.
 *
 * The token is read anew for each exchange, since Kubernetes replaces it.
 */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../../src/core/clock.ts';
import { SluiceError } from '../../../src/core/errors.ts';
import { credentialAdvice } from '../credential-advice.ts';
import { ask, readJson, unreadable } from './fetch.ts';
import type { IssuerAnswer } from './fetch.ts';
import { readIssued } from './issued.ts';
import type { CredentialSource, Issued } from './source.ts';

export interface Oidc {
  readonly kind: 'oidc';
  readonly roleArn: string;
  readonly oidcProviderArn: string;
  readonly oidcTokenFile: string;
  /** Shown in the cloud's audit log. 2 to 64 of letters, digits and `.@-_`. */
  readonly roleSessionName: string;
  /** URL of STS. */
  readonly stsEndpoint: string;
  /** Seconds that the credentials shall live, 900 at least. Default 3600. */
  readonly sessionSeconds?: number | undefined;
}

const action = 'AssumeRoleWithOIDC';
const answerMs = 10_000;
const sessionSeconds = 3_600;

export function oidcSource(settings: Oidc, clock: Clock): CredentialSource {
  return {
    name: 'oidc_role_arn',
    renewable: true,
    async issue(signal): Promise<Issued> {
      const token = await readToken(settings.oidcTokenFile);
      const url = new URL(settings.stsEndpoint);
      url.search = new URLSearchParams({
        Action: action,
        Format: 'JSON',
        Version: '2015-04-01',
        Timestamp: new Date(clock.wall()).toISOString().replace(/\.\d+Z$/, 'Z'),
      }).toString();
      const answer = await ask(
        {
          action,
          url: url.href,
          method: 'POST',
          answerMs,
          form: {
            RoleArn: settings.roleArn,
            OIDCProviderArn: settings.oidcProviderArn,
            OIDCToken: token,
            RoleSessionName: settings.roleSessionName,
            DurationSeconds: String(settings.sessionSeconds ?? sessionSeconds),
          },
        },
        clock,
        signal,
      );
      if (answer.status !== 200) throw refusal(answer);
      const issued = readIssued(readJson(action, answer)['Credentials']);
      if (issued === undefined) throw unreadable(action, answer.status);
      return issued;
    },
  };
}

async function readToken(file: string): Promise<string> {
  let token = '';
  try {
    token = (await readFile(file, 'utf8')).trim();
  } catch {
    // Treated as an empty one: either way there is nothing to show to STS.
  }
  if (token !== '') return token;
  const code = 'OidcTokenUnreadable';
  throw new SluiceError('denied', `${action}: ${code}: ${credentialAdvice(code)}`, { code });
}

function refusal(answer: IssuerAnswer): SluiceError {
  const { Code, RequestId } = readJson(action, answer);
  if (typeof Code !== 'string' || Code === '') return unreadable(action, answer.status);
  const requestId = typeof RequestId === 'string' ? RequestId : undefined;
  const asked = requestId === undefined ? '' : ` (request ${requestId})`;
  if (Code.startsWith('Throttling') || answer.status === 429) {
    return new SluiceError('throttled', `${action}: ${Code}: STS asks for fewer calls${asked}`, {
      code: Code,
      action,
      requestId,
    });
  }
  if (answer.status >= 500) {
    return new SluiceError('transient', `${action}: ${Code}: STS failed${asked}`, {
      code: Code,
      action,
      requestId,
    });
  }
  return new SluiceError('denied', `${action}: ${Code}: ${credentialAdvice(Code)}${asked}`, {
    code: Code,
    requestId,
  });
}
