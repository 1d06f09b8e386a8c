/** What planted bugs share: how a part is replaced by a broken one, and the search that has to find it. */
import { expect } from 'vitest';
import type { AnyProvider } from '../../src/core/provider.ts';
import type { Cloud } from './cloud.ts';
import type { Invariant } from './monitor.ts';
import type { Plants } from './process.ts';
import { randomHistory } from './random-history.ts';
import { runHistory } from './run.ts';

/** Histories within which a planted bug has to be found. */
const mostRuns = 400;

export interface Planted {
  readonly bug: string;
  readonly found: readonly Invariant[];
  readonly plants: () => Plants;
}

/** A provider with some functions replaced, given the right ones. */
export function changed(change: (right: AnyProvider) => Partial<AnyProvider>): Plants {
  return { provider: (right) => ({ ...right, ...change(right) }) };
}

/** A client that changes answers of one operation. */
export function answering(operation: string, change: (answer: object, input: object) => object): Plants {
  return {
    client: (right) => ({
      call: async (called, input, signal) => {
        const answer = await right.call(called, input, signal);
        return called === operation ? change(answer, input) : answer;
      },
    }),
  };
}

/** Fails unless a history breaks one of the invariants that the bug is about, and breaks that one first. */
export async function expectFound(cloud: Cloud, { found, plants }: Planted): Promise<void> {
  for (let seed = 1; seed <= mostRuns; seed += 1) {
    const { violations } = await runHistory(randomHistory(seed, cloud), { cloud, plants: plants() });
    const [violation] = violations;
    if (violation === undefined) continue;
    expect(found, `history ${seed}: ${violation.message}`).toContain(violation.invariant);
    return;
  }
  expect.fail(`not found in ${mostRuns} histories`);
}
