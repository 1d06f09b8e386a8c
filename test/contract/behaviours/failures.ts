/** Refusals are told apart, a failed read is never an empty answer, and nothing is lost by a failure. */
import { expect } from 'vitest';
import { isSluiceError } from '../../../src/core/errors.ts';
import { labels } from '../behaviour.ts';
import type { Behaviour, Trial } from '../behaviour.ts';
import { Driver } from '../pass.ts';
import type { Given, RefusedAs, Stage } from '../stage.ts';

const kinds: readonly RefusedAs[] = ['throttled', 'denied', 'quota', 'busy'];
const depths = ['quick', 'full', 'removal'] as const;

/** Operations of all plans that lead to the Service. */
async function operationsOf({ subject, given }: Trial): Promise<readonly string[]> {
  const stage = await subject.open();
  const { plan } = await new Driver(stage).ensure(given);
  await stage.close();
  return [...new Set(plan.steps.map(({ operation }) => operation))];
}

async function readsOfALook(
  stage: Stage,
  driver: Driver,
  given: Given,
  depth: (typeof depths)[number],
): Promise<number> {
  const before = stage.counts().reads;
  await driver.look(given, depth);
  return stage.counts().reads - before;
}

export const failures: readonly Behaviour[] = [
  ...kinds.map((kind): Behaviour => ({
    name: `any call that is refused as ${kind} is reported as such, and made good when it passes again`,
    everyCase: true,
    async run(trial: Trial) {
      const { subject, given } = trial;
      for (const operation of await operationsOf(trial)) {
        const stage = await subject.open();
        const driver = new Driver(stage);
        stage.order({ on: { operation }, effect: { kind: 'refused', as: kind } });
        const { execution } = await driver.ensure(given);
        const [failure] = execution.failed;
        expect(failure?.step.operation).toBe(operation);
        expect(failure?.error, operation).toMatchObject({
          kind,
          code: expect.stringMatching(/^\w+(\.\w+)*$/),
        });
        expect(failure?.error.message).toContain(operation);
        if (kind === 'denied') expect(failure?.error.action, 'the action to allow').toContain(operation);
        stage.calm();
        await stage.advance(60_000);
        const observed = await driver.settle(given);
        driver.restart();
        expect(subject.comparable(observed)).toEqual(subject.comparable(await driver.look(given)));
        await stage.close();
      }
    },
  })),
  {
    name: 'a read that fails, whichever it is, makes the look fail: never an empty answer',
    async run({ subject, given }) {
      for (const depth of depths) {
        const stage = await subject.open();
        const driver = new Driver(stage);
        await driver.ensure(given);
        const reads = await readsOfALook(stage, driver, given, depth);
        expect(reads).toBeGreaterThan(0);
        for (let from = 1; from <= reads; from++) {
          for (const effect of [{ kind: 'refused', as: 'denied' }, { kind: 'answer lost' }] as const) {
            driver.restart();
            stage.order({ on: { calls: 'reads' }, from, effect });
            const error = await driver.look(given, depth).catch((thrown: unknown) => thrown);
            expect(isSluiceError(error), `read ${from} of a ${depth} look: ${JSON.stringify(error)}`).toBe(
              true,
            );
            stage.calm();
          }
        }
        await stage.close();
      }
    },
  },
  {
    name: 'what is refused keeps what was made before it',
    async run(trial) {
      const { subject, given } = trial;
      for (const operation of await operationsOf(trial)) {
        const stage = await subject.open();
        const driver = new Driver(stage);
        stage.order({ on: { operation }, effect: { kind: 'refused', as: 'quota' } });
        await driver.ensure(given);
        const kept = labels(stage.resources());
        await driver.ensure(given);
        expect(labels(stage.resources())).toEqual(kept);
        await stage.close();
      }
    },
  },
  {
    name: 'each step is one writing call, and no more are under way than the provider allows',
    everyCase: true,
    async run({ stage, driver, given }) {
      const before = stage.counts().writes;
      const { execution, attempts, atOnce } = await driver.ensure(given);
      expect(stage.counts().writes - before).toBe(attempts.length);
      expect(execution.done).toHaveLength(attempts.length);
      expect(atOnce).toBeLessThanOrEqual(stage.provider.parallel);
      const middle = stage.counts().writes;
      const removal = await driver.remove(given);
      expect(stage.counts().writes - middle).toBe(removal.attempts.length);
    },
  },
  {
    name: 'looking and planning change nothing',
    everyCase: true,
    async run({ stage, driver, given }) {
      await driver.ensure(given);
      const before = stage.resources();
      const { writes } = stage.counts();
      for (const depth of depths) await driver.look(given, depth);
      expect(stage.counts().writes).toBe(writes);
      expect(stage.resources()).toEqual(before);
    },
  },
  {
    name: 'what is abandoned before it was sent is not carried out',
    async run({ stage, driver, given }) {
      const wanted = driver.wanted(given);
      const [first] = driver.planFor(given, stage.provider.nothing, { kind: 'present', wanted }).steps;
      if (first === undefined) throw new Error('the plan is empty');
      const { writes } = stage.counts();
      await expect(
        stage.drive(
          stage.provider.apply(first, first.parameters, AbortSignal.abort(new Error('lease lost'))),
        ),
      ).rejects.toThrow();
      expect(stage.counts().writes).toBe(writes);
      expect(stage.resources()).toEqual([]);
    },
  },
];
