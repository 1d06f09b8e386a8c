/**
 * The account as a client of ELBv2 sees it, without a network: what the SDK would return, and errors as the
 * SDK would throw them (`name`, `message`, `Code`, `$fault`, `$metadata`), so that an adapter cannot tell.
 *
 * Delays pass on the account's clock. An abort while a call is on its way leaves it open whether it happened,
 * as in reality.
 */

import { sleep } from '../../../src/core/clock.ts';
import { unreachable } from '../../../src/core/errors.ts';
import type { Account } from './account.ts';
import { sdkErrorName } from './errors.ts';
import type { CloudError } from './errors.ts';
import type { Outcome } from './outcome.ts';

export interface SimulatedClient {
  /** `operation` is the name of the API, `input` and the result have the shapes of the SDK's command. */
  call(operation: string, input: object, signal?: AbortSignal): Promise<object>;
}

/** `by` is recorded as the caller; faults can be ordered for one caller. */
export function inMemoryClient(account: Account, by?: string): SimulatedClient {
  return {
    async call(operation, input, signal) {
      if (signal?.aborted) throw aborted(signal);
      const pending = account.open(operation, input, by);
      await pause(account, pending.delayBeforeMs, signal);
      const outcome = pending.run();
      await pause(account, pending.delayAfterMs, signal);
      return settle(outcome, signal);
    },
  };
}

function settle(outcome: Outcome, signal: AbortSignal | undefined): object | Promise<never> {
  switch (outcome.kind) {
    case 'answer':
      return outcome.output;
    case 'refusal':
      throw sdkError(outcome.error);
    case 'lost':
      throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
    case 'hang':
      return new Promise((_resolve, reject) => {
        if (signal?.aborted) reject(aborted(signal));
        signal?.addEventListener('abort', () => reject(aborted(signal)), { once: true });
      });
    default:
      return unreachable(outcome);
  }
}

async function pause(account: Account, ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms <= 0) return;
  try {
    await sleep(account.clock, ms, signal);
  } catch (error) {
    throw signal === undefined ? error : aborted(signal);
  }
}

/** An error in the SDK's form. */
export function sdkError(error: CloudError): Error {
  const fault = error.httpStatus >= 500 ? 'server' : 'client';
  return Object.assign(new Error(error.message, { cause: error }), {
    name: sdkErrorName(error.code),
    Code: error.code,
    Type: fault === 'server' ? 'Receiver' : 'Sender',
    $fault: fault,
    $metadata: { httpStatusCode: error.httpStatus, attempts: 1, totalRetryDelay: 0 },
  });
}

function aborted(signal: AbortSignal): Error {
  return Object.assign(new Error('Request aborted', { cause: signal.reason }), { name: 'AbortError' });
}
