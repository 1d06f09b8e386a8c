/**
 * The one way to AWS: every call is limited, classified and, where that is harmless, repeated here.
 *
 * A throttled read had no effect, so it waits its turn again, slower; a throttled write is left to the queue. A call without an answer is repeated
 * once: every call that we make may be made twice (creations carry a name, the rest states an end). What
 * still fails is one of ours and goes up, where it is decided what becomes of the Service.
 */
import { sleep } from '../../src/core/clock.ts';
import type { Clock, Random } from '../../src/core/clock.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { classify } from './errors.ts';
import type { Limits } from './limits.ts';
import { operations } from './operations.ts';
import type { CallClass, ElbClient, ElbInput, ElbOperation, ElbOutput } from './operations.ts';

export interface Door {
  /** Throws only `SluiceError`. */
  call<Operation extends ElbOperation>(
    operation: Operation,
    input: ElbInput<Operation>,
    signal: AbortSignal,
  ): Promise<ElbOutput<Operation>>;
}

export interface DoorOptions {
  readonly client: ElbClient;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Reads wait their turn here, since a pass that gives up on one has to read everything again. A write goes back to
 * the queue: its growing gaps are the only ones, or two kinds of repeating would multiply.
 */
const throttledTries = { read: 4, register: 1, modify: 1 } as const;
const unansweredTries = 2;
const unansweredPauseMs = 200;

export function createDoor({ client, limits, clock, random }: DoorOptions): Door {
  return {
    async call<Operation extends ElbOperation>(
      operation: Operation,
      input: ElbInput<Operation>,
      signal: AbortSignal,
    ): Promise<ElbOutput<Operation>> {
      const bucket = limits[operations[operation]];
      for (let attempt = 1; ; attempt++) {
        let sent = false;
        try {
          await bucket.take(signal);
          sent = true;
          return await client.call(operation, input, signal);
        } catch (thrown) {
          if (!sent && signal.aborted) throw givenUp(operation, thrown);
          const error = classify(thrown, operation, signal);
          if (error.kind === 'throttled') bucket.throttled(error.retryAfterMs);
          if (signal.aborted || attempt >= tries(error, operations[operation])) throw error;
          if (error.kind !== 'throttled') await pause(error, signal);
        }
      }
    },
  };

  /** Spread out, so that the callers of one broken connection do not come back in step. */
  async function pause(error: SluiceError, signal: AbortSignal): Promise<void> {
    try {
      await sleep(clock, unansweredPauseMs * (0.5 + random()), signal);
    } catch {
      throw error;
    }
  }
}

/** Given up before it was sent: it had no effect, whatever it is. */
function givenUp(operation: ElbOperation, cause: unknown): SluiceError {
  return new SluiceError('transient', `${operation} was given up before it was sent`, {
    code: 'Aborted',
    action: operation,
    cause,
  });
}

function tries(error: SluiceError, callClass: CallClass): number {
  if (error.kind === 'throttled') return throttledTries[callClass];
  return error.kind === 'transient' || error.kind === 'ambiguous' ? unansweredTries : 1;
}
