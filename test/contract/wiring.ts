/** What the clouds' subjects share: time in memory and over the wire, faults as both accounts take them. */
import type { Clock } from '../../src/core/clock.ts';
import type { FaultMatch } from '../../src/core/simulated/faults.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import type { Fault, FaultEffect, RefusedAs, Stage } from './stage.ts';

/** A provider's client on a simulated account, and the time that both go by. */
export interface Wiring<Account, Client> extends Time {
  readonly account: Account;
  readonly client: Client;
  readonly close: () => Promise<void>;
}

export interface Time extends Pick<Stage, 'drive' | 'advance'> {
  readonly clock: Clock;
}

/** Virtual milliseconds that one thing may take. */
const mostMs = 3_600_000;
/** A minute takes 0.3 s. */
const factor = 200;

/** Time stands still but for what waits. */
export function virtualTime(): Time {
  const clock = new VirtualClock();
  return {
    clock,
    drive: async (promise) => {
      let settled = false;
      const settle = (): void => {
        settled = true;
      };
      promise.then(settle, settle);
      await clock.runUntil(() => settled, clock.now() + mostMs);
      return await promise;
    },
    advance: (ms) => clock.advance(ms),
  };
}

/** Real time, told faster. */
export function fastTime(): Time {
  const clock = scaledClock(factor);
  return {
    clock,
    drive: (promise) => promise,
    advance: async (ms) => {
      clock.skip(ms);
      await Promise.resolve();
    },
  };
}

/** The fault as an account takes it, with the cloud's own codes. */
export function toOrder({ on, from = 1, effect }: Fault, codes: Readonly<Record<RefusedAs, string>>) {
  const match: FaultMatch = 'calls' in on ? { mutating: on.calls === 'writes' } : { operation: on.operation };
  return { match, nth: from, times: 'until-cleared' as const, effect: toEffect(effect, codes) };
}

function toEffect(effect: FaultEffect, codes: Readonly<Record<RefusedAs, string>>) {
  switch (effect.kind) {
    case 'refused':
      return { kind: 'error' as const, code: codes[effect.as] };
    case 'answer lost':
      return { kind: 'lost-answer' as const };
  }
}

/** Calls of the provider; those by hand do not count. */
export function countsOf(
  calls: readonly { readonly by: string; readonly mutating: boolean }[],
): ReturnType<Stage['counts']> {
  const own = calls.filter(({ by }) => by !== 'hand');
  const writes = own.filter(({ mutating }) => mutating).length;
  return { writes, reads: own.length - writes };
}
