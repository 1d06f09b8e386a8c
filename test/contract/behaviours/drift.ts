/** What changes behind our back is seen: by a full look exactly, by a survey cheaply. */
import { expect } from 'vitest';
import type { Uid } from '../../../src/core/objects.ts';
import type { Behaviour } from '../behaviour.ts';
import { Driver, never } from '../pass.ts';
import { cluster, otherCluster } from '../stage.ts';

export const drift: readonly Behaviour[] = [
  {
    name: 'whatever somebody breaks is seen by a full look and put right',
    async run({ subject, given }) {
      for (const { name, run } of subject.damage) {
        const stage = await subject.open();
        const driver = new Driver(stage);
        await driver.settle(given);
        await stage.advance(600_000);
        await run(stage, given.service);
        const { plan } = await driver.ensure(given);
        expect(plan.steps.length, name).toBeGreaterThan(0);
        const mended = await driver.settle(given);
        driver.restart();
        const fresh = await driver.look(given);
        expect(subject.comparable(mended), name).toEqual(subject.comparable(fresh));
        await stage.close();
      }
    },
  },
  {
    name: 'a survey names whose resources are disturbed, and nobody else',
    async run({ subject, given }) {
      for (const { name, run } of subject.damage.filter((act) => subject.surveyFinds.includes(act.name))) {
        const stage = await subject.open();
        const driver = new Driver(stage);
        const other = subject.another('other');
        const known = new Map<Uid, unknown>([
          [given.service.uid, await driver.settle(given)],
          [other.service.uid, await driver.settle(other)],
        ]);
        const survey = async () => await stage.drive(stage.provider.survey(cluster, known, never));
        expect(await survey(), name).toEqual({ disturbed: [], strays: [] });
        await stage.advance(600_000);
        await run(stage, given.service);
        expect(await survey(), name).toEqual({ disturbed: [given.service.uid], strays: [] });
        await stage.close();
      }
    },
  },
  {
    name: 'a survey names the strays of this cluster, with whose they were, and no others',
    async run({ stage, driver, given }) {
      await driver.ensure(given);
      await new Driver(stage, otherCluster).ensure(given);
      driver.restart();
      const { strays, disturbed } = await stage.drive(driver.provider.survey(cluster, new Map(), never));
      expect(disturbed).toEqual([]);
      expect(strays).toEqual([
        {
          uid: given.service.uid,
          service: given.service.key,
          resources: expect.arrayContaining([expect.any(String)]),
        },
      ]);
    },
  },
  {
    name: 'a survey of many Services in a steady account costs few calls',
    async run({ subject, stage, driver }) {
      const known = new Map<Uid, unknown>();
      for (let i = 0; i < 20; i++) {
        const one = subject.another(`s${i}`);
        known.set(one.service.uid, (await driver.ensure(one)).execution.observed);
      }
      const { reads, writes } = stage.counts();
      const survey = await stage.drive(stage.provider.survey(cluster, known, never));
      expect(survey).toEqual({ disturbed: [], strays: [] });
      expect(stage.counts().reads - reads).toBeLessThanOrEqual(subject.surveyCalls);
      expect(stage.counts().writes).toBe(writes);
    },
  },
  {
    name: 'a survey that cannot read fails, and names nobody',
    async run({ stage, driver, given }) {
      const known = new Map([[given.service.uid, await driver.settle(given)]]);
      stage.order({ on: { calls: 'reads' }, effect: { kind: 'refused', as: 'denied' } });
      await expect(stage.drive(stage.provider.survey(cluster, known, never))).rejects.toMatchObject({
        kind: 'denied',
      });
    },
  },
];
