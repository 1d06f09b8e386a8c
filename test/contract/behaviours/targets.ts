/** Targets follow the nodes, and never at the price of those that serve. */
import { expect } from 'vitest';
import { sum } from '../behaviour.ts';
import type { Behaviour, Trial } from '../behaviour.ts';

function counts({ stage, driver, given }: Trial, observed: unknown): { healthy: number; total: number } {
  const { groups } = stage.provider.targets(driver.wanted(given), observed);
  return { healthy: sum(groups.map(({ healthy }) => healthy)), total: sum(groups.map(({ total }) => total)) };
}

export const targets: readonly Behaviour[] = [
  {
    name: 'targets are reported by the Service’s own ports, with their health',
    async run(trial) {
      const { stage, driver, given } = trial;
      const { execution } = await driver.ensure(given);
      const observed = await driver.look(given, 'quick', execution.observed);
      const { groups } = stage.provider.targets(driver.wanted(given), observed);
      expect(groups).toEqual([{ listener: '80/TCP', healthy: 2, total: 2, reason: '', settling: false }]);
      expect(stage.provider.targets(driver.wanted(given), stage.provider.nothing).groups).toEqual([]);
    },
  },
  {
    name: 'a node that joins and one that leaves cost a call each and touch nothing else',
    async run(trial) {
      const { subject, stage, driver, given } = trial;
      await driver.settle(given);
      const [first, ...rest] = given.nodes;
      expect(first).toBeDefined();
      const more = { ...given, nodes: [...given.nodes, subject.node('joins')] };
      const joined = await driver.ensure(more, { depth: 'quick' });
      expect(joined.plan.steps.map(({ effect }) => effect.kind)).toEqual(['addTargets']);
      expect(counts({ ...trial, given: more }, joined.execution.observed).total).toBe(3);
      const fewer = { ...given, nodes: [...rest, subject.node('joins')] };
      await stage.advance(60_000);
      await driver.settle(fewer, ({ plan }) => {
        for (const { effect } of plan.steps) expect(effect.kind).toBe('removeTargets');
      });
      expect(counts({ ...trial, given: fewer }, await driver.look(fewer)).total).toBe(2);
    },
  },
  {
    name: 'when all nodes are replaced the new are registered before the old go, and some are healthy at all times',
    async run(trial) {
      const { subject, stage, driver, given } = trial;
      stage.takeTime({ healthyMs: 90_000 });
      await driver.ensure(given);
      await stage.advance(100_000);
      const replaced = { ...given, nodes: [subject.node('new-1'), subject.node('new-2')] };
      let removed = 0;
      await driver.settle(replaced, ({ plan }) => {
        const kinds = plan.steps.map(({ effect }) => effect.kind);
        const add = kinds.lastIndexOf('addTargets');
        const remove = kinds.indexOf('removeTargets');
        if (add !== -1 && remove !== -1) expect(add).toBeLessThan(remove);
        for (const { effect } of plan.steps) {
          if (effect.kind !== 'removeTargets') continue;
          removed += 1;
          expect(effect.healthyRemoved).toBeLessThan(effect.healthyBefore);
        }
      });
      expect(removed).toBeGreaterThan(0);
      expect(counts({ ...trial, given: replaced }, await driver.look(replaced))).toEqual({
        healthy: 2,
        total: 2,
      });
    },
  },
  {
    name: 'no nodes at all: what is registered stays, and a wait says why',
    async run(trial) {
      const { stage, driver, given } = trial;
      await driver.settle(given);
      const before = stage.resources();
      const { plan, execution } = await driver.ensure({ ...given, nodes: [] });
      expect(execution.done).toEqual([]);
      expect(plan.waits).toContainEqual(expect.objectContaining({ reason: 'UnAvailableLoadBalancer' }));
      expect(stage.resources()).toEqual(before);
    },
  },
  {
    name: 'one bad target does not keep the good ones out, and is reported',
    async run(trial) {
      const { subject, stage, driver, given } = trial;
      const nodes = ['g1', 'g2', 'bad', 'g3', 'g4'].map((name) => subject.node(name));
      const bad = nodes[2];
      if (bad === undefined) throw new Error('no bad node');
      stage.breakNode(bad);
      const many = { ...given, nodes };
      const { execution } = await driver.ensure(many);
      expect(counts({ ...trial, given: many }, execution.observed).total).toBe(4);
      expect(execution.failed).toHaveLength(1);
      expect(execution.failed[0]?.error.kind).toMatch(/^(invalid|quota)$/);
      expect(execution.failed[0]?.step.effect).toMatchObject({ kind: 'addTargets' });
      expect(execution.skipped).toEqual([]);
    },
  },
  {
    name: 'a node that cannot be a target is left out and named, and the others are targets',
    async run(trial) {
      const { subject, stage, driver, given } = trial;
      const odd = {
        ...subject.node('odd'),
        labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' },
      };
      const mixed = { ...given, nodes: [...given.nodes, odd] };
      const { settings } = stage.provider.parse(mixed.service);
      const { excluded } = stage.provider.want(settings, {
        cluster: driver.cluster,
        services: [mixed.service],
        ...mixed,
      });
      expect(excluded).toEqual([expect.objectContaining({ node: 'odd', reason: 'NodeExcluded' })]);
      const { execution } = await driver.ensure(mixed);
      expect(counts({ ...trial, given: mixed }, execution.observed).total).toBe(2);
    },
  },
];
