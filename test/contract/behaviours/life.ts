/** A Service's life: made, found as it is, changed, removed. */
import { expect } from 'vitest';
import { ownedBy } from '../behaviour.ts';
import type { Behaviour } from '../behaviour.ts';
import { Driver } from '../pass.ts';
import { cluster, otherCluster } from '../stage.ts';

export const life: readonly Behaviour[] = [
  {
    name: 'a Service gets its address, and a second plan is empty',
    everyCase: true,
    async run({ stage, driver, given }) {
      const { execution } = await driver.ensure(given);
      expect(execution.failed).toEqual([]);
      const address = stage.provider.addresses(driver.wanted(given), execution.observed);
      expect(address).toMatchObject({ kind: 'ready' });
      if (address.kind !== 'ready') return;
      expect(address.ingress.length).toBeGreaterThan(0);
      for (const { hostname, ip, ipMode } of address.ingress) {
        expect([hostname, ip].filter((one) => one !== undefined)).toHaveLength(1);
        expect(hostname ?? '').toBe((hostname ?? '').toLowerCase());
        expect(hostname !== undefined && ipMode !== undefined).toBe(false);
      }
      expect((await driver.ensure(given)).plan).toMatchObject({ steps: [], problems: [] });
      driver.restart();
      expect((await driver.ensure(given)).plan).toMatchObject({ steps: [], problems: [] });
    },
  },
  {
    name: 'what is folded forward is what a fresh look finds',
    everyCase: true,
    async run({ subject, driver, given }) {
      const { execution } = await driver.ensure(given);
      driver.restart();
      expect(subject.comparable(execution.observed)).toEqual(subject.comparable(await driver.look(given)));
    },
  },
  {
    name: 'a change from any Service to any other is found exact, and a second plan is empty',
    async run({ subject, stage, driver, given }) {
      const cases = subject.cases.filter(({ atCreationOnly }) => atCreationOnly !== true);
      for (const { given: next } of [...cases, ...cases.toReversed()]) {
        // One Service that becomes each of the cases in turn.
        const changed = {
          ...next,
          service: { ...next.service, uid: given.service.uid, key: given.service.key },
        };
        const observed = await driver.settle(changed, ({ plan }) => {
          for (const problem of plan.problems) expect(problem.severity).not.toBe('error');
        });
        driver.restart();
        expect(subject.comparable(observed)).toEqual(subject.comparable(await driver.look(changed)));
      }
      expect(stage.resources().length).toBeGreaterThan(0);
    },
  },
  {
    name: 'a removed Service leaves nothing',
    everyCase: true,
    async run({ stage, driver, given }) {
      const { execution } = await driver.ensure(given);
      expect(stage.provider.isGone(execution.observed)).toBe(false);
      const removal = await driver.remove(given);
      expect(removal.execution.failed).toEqual([]);
      expect(stage.provider.isGone(removal.execution.observed)).toBe(true);
      expect(stage.provider.isGone(await driver.look(given, 'removal'))).toBe(true);
      expect(stage.resources()).toEqual([]);
    },
  },
  {
    name: 'a Service deleted and made anew under its name gets its own, and the old one’s removal spares it',
    async run({ stage, driver, given }) {
      await driver.ensure(given);
      const again = { ...given, service: { ...given.service, uid: `${given.service.uid}-again` as never } };
      const { execution } = await driver.ensure(again);
      // The old one may stand in the way until it is gone; it is never taken over.
      expect(execution.done.map(({ step }) => step.risk)).not.toContain('destructive');
      await driver.removeAll(given);
      expect(ownedBy(stage, given, cluster.id)).toEqual([]);
      await driver.settle(again);
      expect(stage.resources()).toEqual(ownedBy(stage, again, cluster.id));
    },
  },
  {
    name: 'two clusters with a Service of the same name in one account do not meet',
    async run({ stage, driver, given }) {
      const theirs = new Driver(stage, otherCluster);
      await theirs.ensure(given);
      const before = ownedBy(stage, given, otherCluster.id);
      expect(before.length).toBeGreaterThan(0);
      await driver.settle(given);
      await driver.removeAll(given);
      expect(ownedBy(stage, given, otherCluster.id)).toEqual(before);
      expect(stage.resources()).toEqual(before);
    },
  },
  {
    name: 'an address that is not ready yet says so, and when to look again',
    async run({ stage, driver, given }) {
      stage.takeTime({ provisioningMs: 120_000 });
      const wanted = driver.wanted(given);
      const { execution } = await driver.ensure(given);
      const early = stage.provider.addresses(wanted, execution.observed);
      expect(early).toMatchObject({ kind: 'pending', recheckMs: expect.any(Number) });
      expect(early.kind === 'pending' && early.recheckMs > 0 && early.recheckMs <= 60_000).toBe(true);
      await stage.advance(121_000);
      const later = stage.provider.addresses(wanted, await driver.look(given, 'quick', execution.observed));
      expect(later).toMatchObject({ kind: 'ready' });
    },
  },
  {
    name: 'deletion protection that the Service asks for is respected, and lifted when it no longer asks',
    async run({ subject, stage, driver, given }) {
      const annotated = (annotations: Readonly<Record<string, string>>) => ({
        ...given,
        service: { ...given.service, annotations },
      });
      const protectedOne = annotated(subject.words.protection.on);
      await driver.settle(protectedOne);
      const { settings } = stage.provider.parse(protectedOne.service);
      const held = await driver.remove(protectedOne, settings);
      expect(held.execution.done).toEqual([]);
      expect(held.plan.problems).toEqual([expect.objectContaining({ reason: 'DeletionProtected' })]);
      const freed = annotated(subject.words.protection.off);
      await driver.remove(freed, stage.provider.parse(freed.service).settings);
      await driver.removeAll(freed);
      expect(stage.resources()).toEqual([]);
    },
  },
  {
    name: 'deletion protection that somebody else switched on stays, and nothing is removed',
    async run({ subject, stage, driver, given }) {
      await driver.ensure(given);
      subject.protect(stage, given.service);
      const before = stage.resources();
      const { settings } = stage.provider.parse(given.service);
      const held = await driver.remove(given, settings);
      expect(held.execution.done).toEqual([]);
      expect(held.plan.problems).toEqual([expect.objectContaining({ reason: 'DeletionProtected' })]);
      expect(stage.resources()).toEqual(before);
    },
  },
];
