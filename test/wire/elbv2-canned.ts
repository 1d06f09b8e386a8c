/** What the nock tests of the AWS provider share: AWS's end point under our control, and answers in its XML. */
import { inspect } from 'node:util';
import { expect } from 'vitest';
import { createSdkClient } from '../../providers/aws/client.ts';
import { createDoor } from '../../providers/aws/door.ts';
import type { Door } from '../../providers/aws/door.ts';
import { createLimits } from '../../providers/aws/limits.ts';
import type { ElbClient } from '../../providers/aws/operations.ts';
import { seededRandom } from '../../src/core/clock.ts';
import { isSluiceError } from '../../src/core/errors.ts';
import type { SluiceError } from '../../src/core/errors.ts';
import { testConfig } from '../support/aws-bench.ts';
import { cannedHost } from '../support/nock.ts';
import type { CannedAnswer, CannedHost } from '../support/nock.ts';
import { scaledClock } from '../support/scaled-clock.ts';

/** The examples of AWS's documentation. */
export const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: 'FwoGZXIvYXdzEXAMPLETOKEN',
};

export interface Canned {
  readonly host: CannedHost;
  readonly client: ElbClient;
  readonly door: Door;
  /** Also checks that all that was prepared was asked for, and nothing else. */
  readonly close: () => void;
}

export function canned(options: { readonly answerMs?: number } = {}): Canned {
  const host = cannedHost('https://elasticloadbalancing.eu-west-1.amazonaws.com');
  const client = createSdkClient({ region: 'eu-west-1', credentials, ...options });
  const clock = scaledClock(1_000);
  const random = seededRandom(1);
  const limits = createLimits(testConfig().rates, clock, random);
  return {
    host,
    client,
    door: createDoor({ client, limits, clock, random }),
    close: () => {
      client.close();
      host.close();
    },
  };
}

const namespace = 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/';
const headers = { 'content-type': 'text/xml', 'x-amzn-requestid': 'req-1' };

/** A refusal in the form of the Query protocol. */
export function refusal(
  code: string,
  status = 400,
  message = 'because',
  more: CannedAnswer['headers'] = {},
): CannedAnswer {
  const type = status >= 500 ? 'Receiver' : 'Sender';
  return {
    status,
    headers: { ...headers, ...more },
    body: `<ErrorResponse xmlns="${namespace}"><Error><Type>${type}</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>req-1</RequestId></ErrorResponse>`,
  };
}

/** An answer whose result is the given XML. */
export function result(operation: string, inner: string): CannedAnswer {
  return {
    status: 200,
    headers,
    body: `<${operation}Response xmlns="${namespace}"><${operation}Result>${inner}</${operation}Result><ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata></${operation}Response>`,
  };
}

/** The error that a call through the door ends with. */
export async function errorOf(call: Promise<unknown>): Promise<SluiceError> {
  const thrown = await call.then(
    () => new Error('the call went well'),
    (error: unknown) => error,
  );
  if (!isSluiceError(thrown)) throw thrown;
  return thrown;
}

/** Neither the error nor anything behind it may show what a request was signed with. */
export function expectNoSecret(error: SluiceError): void {
  const told = inspect(error, { depth: 12, showHidden: true });
  for (const secret of [credentials.secretAccessKey, credentials.sessionToken, 'Signature=', 'AWS4-HMAC']) {
    expect(told).not.toContain(secret);
  }
  expect(error.message).not.toContain(credentials.accessKeyId);
  expect(error.message).not.toMatch(/\?[\w-]+=/);
}
