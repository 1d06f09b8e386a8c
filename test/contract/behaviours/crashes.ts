/** A process that dies at any call: the next one adopts what is there, and neither doubles nor forgets. */
import { expect } from 'vitest';
import { labels, ownedBy } from '../behaviour.ts';
import type { Behaviour, Trial } from '../behaviour.ts';
import { Driver, untilCrash } from '../pass.ts';
import { cluster } from '../stage.ts';
import type { Given, Stage } from '../stage.ts';

const moments = ['before', 'after'] as const;

/** Every call of a pass, until one pass ends without having reached it. */
async function atEveryCall(
  { subject, given }: Trial,
  one: (stage: Stage, driver: Driver, crash: { at: number; when: 'before' | 'after' }) => Promise<boolean>,
): Promise<void> {
  let crashes = 0;
  for (const when of moments) {
    for (let at = 1; ; at++) {
      const stage = await subject.open();
      try {
        if (!(await one(stage, new Driver(stage), { at, when }))) break;
        crashes += 1;
      } finally {
        await stage.close();
      }
    }
  }
  expect(crashes, `crashes tried for ${given.service.name}`).toBeGreaterThan(1);
}

async function whatACalmLifeMakes({ subject, given }: Trial): Promise<readonly string[]> {
  const stage = await subject.open();
  await new Driver(stage).settle(given);
  const made = labels(stage.resources());
  await stage.close();
  return made;
}

async function expectGone(stage: Stage, driver: Driver, given: Given): Promise<void> {
  await driver.removeAll(given);
  expect(ownedBy(stage, given, cluster.id)).toEqual([]);
  expect(stage.resources()).toEqual([]);
}

export const crashes: readonly Behaviour[] = [
  {
    name: 'a crash at any call of a creation is adopted: no double, nothing left out',
    everyCase: true,
    async run(trial) {
      const { subject, given } = trial;
      const calm = await whatACalmLifeMakes(trial);
      await atEveryCall(trial, async (stage, driver, crash) => {
        const crashed = await untilCrash(driver.ensure(given, { crash }));
        // Every resource bears the mark from its first moment: else nobody could tell whose it is now.
        expect(stage.resources()).toEqual(ownedBy(stage, given, cluster.id));
        driver.restart();
        const observed = await driver.settle(given);
        expect(labels(stage.resources())).toEqual(calm);
        driver.restart();
        expect(subject.comparable(observed)).toEqual(subject.comparable(await driver.look(given)));
        return crashed;
      });
    },
  },
  {
    name: 'a Service removed after a crash at any call of its creation leaves nothing',
    everyCase: true,
    async run(trial) {
      const { given } = trial;
      await atEveryCall(trial, async (stage, driver, crash) => {
        const crashed = await untilCrash(driver.ensure(given, { crash }));
        driver.restart();
        await expectGone(stage, driver, given);
        return crashed;
      });
    },
  },
  {
    name: 'a crash at any call of a removal is taken up where it ended',
    everyCase: true,
    async run(trial) {
      const { given } = trial;
      await atEveryCall(trial, async (stage, driver, crash) => {
        await driver.ensure(given);
        driver.restart();
        const crashed = await untilCrash(driver.remove(given, undefined, { crash }));
        driver.restart();
        await expectGone(stage, driver, given);
        return crashed;
      });
    },
  },
  {
    name: 'a Service wanted again after a crash at any call of its removal is made whole',
    async run(trial) {
      const { given } = trial;
      const calm = await whatACalmLifeMakes(trial);
      await atEveryCall(trial, async (stage, driver, crash) => {
        await driver.ensure(given);
        const crashed = await untilCrash(driver.remove(given, undefined, { crash }));
        driver.restart();
        await driver.settle(given);
        expect(labels(stage.resources())).toEqual(calm);
        return crashed;
      });
    },
  },
  {
    name: 'an answer that is lost after its effect, at any call, is found and not repeated as a double',
    async run(trial) {
      const { subject, given } = trial;
      const calm = await whatACalmLifeMakes(trial);
      for (let from = 1; from <= 50; from++) {
        const stage = await subject.open();
        const driver = new Driver(stage);
        stage.order({ on: { calls: 'writes' }, from, effect: { kind: 'answer lost' } });
        const { execution } = await driver.ensure(given);
        stage.calm();
        for (const { error } of execution.failed) expect(error.kind).toBe('ambiguous');
        driver.restart();
        await driver.settle(given);
        expect(labels(stage.resources())).toEqual(calm);
        await stage.close();
        if (execution.failed.length === 0) return;
      }
    },
  },
];
