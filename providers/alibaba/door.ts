/**
 * The one way to Alibaba Cloud: every call is limited, classified and, where that is harmless, repeated here.
 *
 * A throttled read had no effect, so it waits its turn again, slower; a throttled write is left to the queue. A
 * busy object had no change either, and is mostly free again within seconds, so the same call is made a few
 * times before the whole pass is. A call without an answer is repeated once if that cannot make a second thing
 * (`operations.ts`). What still fails is one of ours and goes up, where it is decided what becomes of the Service.
 *
 * Whoever writes to one balancer from two places at once is refused as busy: that no two do is the lane's part.
 */
import { sleep } from '../../src/core/clock.ts';
import type { Clock, Random } from '../../src/core/clock.ts';
import { SluiceError } from '../../src/core/errors.ts';
import { classify } from './errors.ts';
import type { Limits } from './limits.ts';
import { operations } from './operations.ts';
import type { CallClass, SlbClient, SlbInput, SlbOperation, SlbOutput } from './operations.ts';

export interface Door {
  /** Throws only `SluiceError`. */
  call<Operation extends SlbOperation>(
    operation: Operation,
    input: SlbInput<Operation>,
    signal: AbortSignal,
  ): Promise<SlbOutput<Operation>>;
}

export interface DoorOptions {
  readonly client: SlbClient;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
}

/** A read waits its turn here, since a pass that gives up on one has to read everything again; a write goes back to the queue. */
const throttledTries: Readonly<Record<CallClass, number>> = { read: 4, members: 1, modify: 1 };
const unansweredTries = 2;
const unansweredPauseMs = 200;
const busyTries = 4;
/** Doubled each time: about seven seconds in all. */
const busyPauseMs = 1_000;

export function createDoor({ client, limits, clock, random }: DoorOptions): Door {
  return {
    async call<Operation extends SlbOperation>(
      operation: Operation,
      input: SlbInput<Operation>,
      signal: AbortSignal,
    ): Promise<SlbOutput<Operation>> {
      const facts = operations[operation];
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(operation, input, signal);
        } catch (thrown) {
          const error = classify(thrown, operation);
          if (error.kind === 'throttled') slowDown(error, facts.callClass);
          if (signal.aborted || attempt >= tries(error, operation, input)) throw error;
          if (error.kind !== 'throttled') await pause(error, attempt, signal);
        }
      }
    },
  };

  async function once(operation: SlbOperation, input: object, signal: AbortSignal): Promise<object> {
    let leave: (() => void) | undefined;
    try {
      await limits.buckets[operations[operation].callClass].take(signal);
      leave = await limits.places.take(signal);
    } catch (cause) {
      throw givenUp(operation, cause);
    }
    try {
      return await client.call(operation, input, signal);
    } finally {
      leave();
    }
  }

  /** `Throttling.User` is about the account: all classes slow down; otherwise only the call's own does. */
  function slowDown(error: SluiceError, callClass: CallClass): void {
    const { buckets } = limits;
    const slowed = error.code === 'Throttling.User' ? Object.values(buckets) : [buckets[callClass]];
    for (const bucket of slowed) bucket.throttled(error.retryAfterMs);
  }

  /** Spread out, so that the callers of one broken connection do not come back in step. */
  async function pause(error: SluiceError, attempt: number, signal: AbortSignal): Promise<void> {
    const ms = error.kind === 'busy' ? busyPauseMs * 2 ** (attempt - 1) : unansweredPauseMs;
    try {
      await sleep(clock, ms * (0.5 + random()), signal);
    } catch {
      throw error;
    }
  }
}

/** Given up before it was sent: it had no effect, whatever it is. */
function givenUp(operation: SlbOperation, cause: unknown): SluiceError {
  return new SluiceError('transient', `${operation} was given up before it was sent`, {
    code: 'Aborted',
    action: operation,
    cause,
  });
}

/** How often a call that fails like this is made in all. */
function tries(error: SluiceError, operation: SlbOperation, input: object): number {
  const { callClass, repeat } = operations[operation];
  if (error.kind === 'throttled') return throttledTries[callClass];
  if (error.kind === 'busy') return busyTries;
  if (error.kind === 'transient') return unansweredTries;
  if (error.kind !== 'ambiguous') return 1;
  return repeat === 'harmless' || (repeat === 'with-token' && hasToken(input)) ? unansweredTries : 1;
}

function hasToken(input: object): boolean {
  const { ClientToken } = input as { readonly ClientToken?: unknown };
  return typeof ClientToken === 'string' && ClientToken !== '';
}
