/**
 * The account as the provider's client seam sees it, without a network: the same inputs, outputs and failures
 * as over the wire.
 *
 * Delays pass on the account's clock. An abort while a call is on its way leaves it open whether it happened,
 * as in reality.
 */
import { sleep } from '../../../src/core/clock.ts';
import { unreachable } from '../../../src/core/errors.ts';
import { CallFailure } from '../failure.ts';
import { ramAction } from '../operations.ts';
import type { SlbClient, SlbOperation } from '../operations.ts';
import type { Account } from './account.ts';
import type { Outcome } from './outcome.ts';

/** `by` is recorded as the caller; faults can be ordered for one caller. */
export function inMemoryClient(account: Account, by?: string): SlbClient {
  return {
    async call(operation, input, signal) {
      if (signal?.aborted) throw aborted();
      const pending = account.open(operation, sent(input), by);
      await pause(account, pending.delayBeforeMs, signal);
      const outcome = pending.run();
      await pause(account, pending.delayAfterMs, signal);
      return settle(outcome, operation, signal);
    },
  };
}

/** What would arrive: nothing that is undefined, and nothing that the caller may change later. */
function sent(input: object): object {
  return JSON.parse(JSON.stringify(input)) as object;
}

function settle(
  outcome: Outcome,
  operation: SlbOperation,
  signal: AbortSignal | undefined,
): object | Promise<never> {
  switch (outcome.kind) {
    case 'answer':
      return outcome.output;
    case 'refusal': {
      const { error, requestId, retryAfterMs } = outcome;
      throw new CallFailure('refused', error.message, {
        code: error.code,
        status: error.httpStatus,
        requestId,
        retryAfterMs,
        missingAction: error.code === 'Forbidden.RAM' ? ramAction(operation) : undefined,
      });
    }
    case 'html':
      throw new CallFailure('unreadable', 'the answer is no JSON', { code: 'UnreadableAnswer' });
    case 'lost':
      throw new CallFailure('unanswered', 'the connection failed', { code: 'ECONNRESET' });
    case 'hang':
      return new Promise((_resolve, reject) => {
        if (signal?.aborted) reject(aborted());
        signal?.addEventListener('abort', () => reject(aborted()), { once: true });
      });
    default:
      return unreachable(outcome);
  }
}

async function pause(account: Account, ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms <= 0) return;
  try {
    await sleep(account.clock, ms, signal);
  } catch {
    throw aborted();
  }
}

function aborted(): CallFailure {
  return new CallFailure('aborted', 'given up', { code: 'Aborted' });
}
