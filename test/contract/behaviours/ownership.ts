/** What does not bear the owner's mark is never changed. */
import { expect } from 'vitest';
import { labels, ownedBy } from '../behaviour.ts';
import type { Behaviour, Trial } from '../behaviour.ts';
import { cluster } from '../stage.ts';
import type { Mark } from '../stage.ts';

const marks: readonly Mark[] = ['nobody', 'another cluster', 'another Service'];

export const ownership: readonly Behaviour[] = [
  ...marks.map((mark): Behaviour => ({
    name: `a resource of the wanted name with the mark of ${mark} costs no write and is reported`,
    async run({ stage, driver, given }: Trial) {
      stage.squat(driver.wanted(given), mark);
      const theirs = stage.resources();
      const { writes } = stage.counts();
      for (const depth of ['full', 'quick'] as const) {
        const { plan, execution } = await driver.ensure(given, { depth });
        expect(plan.problems).toContainEqual(
          expect.objectContaining({
            severity: 'error',
            reason: 'NameConflict',
            cure: expect.stringMatching(/\w/),
          }),
        );
        expect(execution.done).toEqual([]);
        driver.restart();
      }
      await driver.removeAll(given);
      expect(stage.counts().writes).toBe(writes);
      expect(stage.resources()).toEqual(theirs);
    },
  })),
  {
    name: 'a stranger that comes between the look and the creation is not taken over',
    async run({ stage, driver, given }) {
      const wanted = driver.wanted(given);
      // The plan is made on an empty account, the stranger is there when it is carried out.
      const { provider } = stage;
      const plan = driver.planFor(given, provider.nothing, { kind: 'present', wanted });
      stage.squat(wanted, 'nobody');
      await stage.advance(600_000);
      const theirs = stage.resources();
      const [first] = plan.steps;
      if (first === undefined) throw new Error('the plan is empty');
      await expect(
        stage.drive(provider.apply(first, first.parameters, new AbortController().signal)),
      ).rejects.toMatchObject({ kind: 'conflict' });
      await driver.ensure(given);
      await driver.removeAll(given);
      expect(stage.resources()).toEqual(theirs);
    },
  },
  {
    name: 'what people added by hand beside ours is kept while the Service lives',
    async run({ stage, driver, given }) {
      await driver.ensure(given);
      stage.addByHand(given.service);
      const extras = stage.resources();
      driver.restart();
      const { plan } = await driver.ensure(given);
      expect(plan.steps).toEqual([]);
      const [, ...rest] = given.nodes;
      await driver.settle({ ...given, nodes: rest });
      expect(labels(stage.resources())).toEqual(labels(extras));
    },
  },
  {
    name: 'of two Services, the removal of one leaves the other as it is',
    async run({ subject, stage, driver, given }) {
      const other = subject.another('other');
      await driver.ensure(given);
      await driver.ensure(other);
      const before = ownedBy(stage, other, cluster.id);
      await driver.removeAll(given);
      expect(stage.resources()).toEqual(before);
    },
  },
];
