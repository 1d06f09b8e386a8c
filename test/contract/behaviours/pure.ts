/** The middle of the port: values from values. */
import { expect } from 'vitest';
import { prerequisites } from '../../../src/core/plan.ts';
import { annotationField, hasErrors } from '../../../src/core/problems.ts';
import { asJson, frozen } from '../behaviour.ts';
import type { Behaviour } from '../behaviour.ts';
import { ownerOf, worldOf } from '../pass.ts';

export const pure: readonly Behaviour[] = [
  {
    name: 'parse, want and plan leave their input alone and give the same for the same',
    everyCase: true,
    async run({ stage, driver, given }) {
      const { provider } = stage;
      const world = frozen(worldOf(given));
      const twice = <Value>(make: () => Value): Value => {
        const first = make();
        expect(make()).toEqual(first);
        return frozen(first);
      };
      const { settings } = twice(() => provider.parse(world.service));
      const { wanted } = twice(() => provider.want(settings, world));
      await driver.ensure(given);
      const observed = [provider.nothing, await driver.look(given), await driver.look(given, 'quick')];
      const removal = await driver.look(given, 'removal');
      const context = frozen({ owner: ownerOf(given), now: 0, memory: {} });
      for (const one of observed) {
        twice(() => provider.plan({ kind: 'present', wanted }, frozen(one), context));
        twice(() => provider.addresses(wanted, frozen(one)));
        twice(() => provider.targets(wanted, frozen(one)));
      }
      twice(() => provider.plan({ kind: 'absent', settings }, frozen(removal), context));
    },
  },
  {
    name: 'what is wanted and planned is plain data that survives being written as JSON',
    everyCase: true,
    async run({ stage, driver, given }) {
      const wanted = driver.wanted(given);
      expect(asJson(wanted)).toEqual(wanted);
      const { plan } = await driver.ensure(given);
      expect(asJson(plan)).toEqual(plan);
      expect(asJson(stage.provider.nothing)).toEqual(stage.provider.nothing);
    },
  },
  {
    name: 'the same cluster listed in another order wants the same',
    everyCase: true,
    async run({ driver, given }) {
      const turned = { ...given, nodes: given.nodes.toReversed(), slices: given.slices.toReversed() };
      expect(JSON.stringify(driver.wanted(turned))).toBe(JSON.stringify(driver.wanted(given)));
    },
  },
  {
    name: 'a plan from nothing names only what earlier steps answer with, and says why',
    everyCase: true,
    async run({ stage, driver, given }) {
      const plan = driver.planFor(given, stage.provider.nothing, {
        kind: 'present',
        wanted: driver.wanted(given),
      });
      expect(plan.steps.length).toBeGreaterThan(0);
      const earlier = new Set<string>();
      for (const step of plan.steps) {
        expect(earlier.has(step.id), `${step.id} is unique`).toBe(false);
        expect([...earlier]).toEqual(expect.arrayContaining([...prerequisites(step)]));
        expect(step.risk, `${step.id}: nothing exists that could be at risk`).toBe('none');
        expect(step.reason, step.id).not.toBe('');
        expect(step.subject, step.id).not.toBe('');
        earlier.add(step.id);
      }
    },
  },
  {
    name: 'nothing is nothing: gone, without address, and nothing to remove',
    async run({ stage, driver, given }) {
      const { provider } = stage;
      expect(provider.isGone(provider.nothing)).toBe(true);
      expect(provider.addresses(driver.wanted(given), provider.nothing)).toEqual({ kind: 'none' });
      expect(driver.planFor(given, provider.nothing, { kind: 'absent', settings: undefined }).steps).toEqual(
        [],
      );
    },
  },
  {
    name: 'a misspelt annotation is reported with the one that was meant',
    async run({ subject, stage, given }) {
      const { key, value, meant } = subject.words.misspelt;
      const { problems } = stage.provider.parse({ ...given.service, annotations: { [key]: value } });
      expect(problems).toEqual([
        expect.objectContaining({
          severity: 'warning',
          reason: 'UnknownAnnotation',
          field: annotationField(key),
        }),
      ]);
      expect(`${problems[0]?.message} ${problems[0]?.cure}`).toContain(meant);
    },
  },
  {
    name: 'all mistakes are reported at once, each with its field and its cure',
    async run({ subject, stage, given }) {
      const { mistakes } = subject.words;
      const { problems } = stage.provider.parse({ ...given.service, annotations: mistakes });
      expect(hasErrors(problems)).toBe(true);
      expect(new Set(problems.map(({ field }) => field))).toEqual(
        new Set(Object.keys(mistakes).map((key) => annotationField(key))),
      );
      for (const { message, cure } of problems) {
        expect(message).not.toMatch(/\.$/);
        expect(cure).toMatch(/\w/);
      }
    },
  },
  {
    name: 'an annotation of somebody else is none of its business',
    async run({ stage, given }) {
      const annotated = { ...given.service, annotations: { 'example.com/deployed-at': 'now' } };
      expect(stage.provider.parse(annotated)).toEqual(stage.provider.parse(given.service));
    },
  },
];
