/** What the model counts of its rules is what it writes of them, whatever changes led there. */
import { fc } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { aDecision, aNodeDecision } from '../../../test/packets/iptables-bench.ts';
import { agentWorld, changed, decided, worldChange } from '../../../test/support/agent-worlds.ts';
import { emptyDelta } from './delta.ts';
import { jumps } from './layout.ts';
import { Model } from './model.ts';
import { noRules, sumOf, tableOf, type RulesByTable } from './text.ts';

const abilities = { bpf: true, randomFully: true };

/** Counted one by one, as they would be written. */
function written(model: Model): RulesByTable {
  let sum = noRules;
  const own = [...model.serviceChains()].flatMap(([, chains]) => chains);
  for (const [id, rules] of [...own, ...model.sharedChains()])
    sum = sumOf(sum, { ...noRules, [tableOf(id)]: rules.length });
  for (const { table } of jumps) sum = sumOf(sum, { ...noRules, [table]: 1 });
  return sum;
}

test('after each change of random worlds there are as many rules as are counted', () => {
  const histories = fc.sample(fc.tuple(agentWorld, fc.array(worldChange, { minLength: 12, maxLength: 12 })), {
    numRuns: 40,
    seed: 3,
  });
  let most = 0;
  for (const [start, changes] of histories) {
    const [family = 'IPv4'] = start.settings.families;
    const at = decided(start, family);
    if (at === undefined) continue;
    const model = new Model({ family, node: at.node, abilities });
    expect(model.rules).toEqual(written(model));
    let world = start;
    for (const step of [undefined, ...changes]) {
      if (step !== undefined) world = changed(world, step);
      const wanted = new Map((decided(world, family)?.decisions ?? []).map((one) => [one.key, one]));
      for (const key of new Set([...model.decisions.keys(), ...wanted.keys()]))
        model.put(key, wanted.get(key), emptyDelta());
      expect(model.rules).toEqual(written(model));
      most = Math.max(most, model.rules.nat);
    }
  }
  expect(most).toBeGreaterThan(20);
});

test('a destination that two claim has one rule, and goes with the last of them', () => {
  const model = new Model({ family: 'IPv4', node: aNodeDecision(), abilities });
  const empty = { ...model.rules };
  const some = { clusterIP: undefined, externalIPs: ['198.51.100.7'] };
  const both = [1, 2].map((index) => aDecision(index, { endpoints: 2, some }));
  for (const one of both) model.put(one.key, one, undefined);
  // Each has the two chains of its own, 3 and 2 rules; they share leaf, branch and the branch's place at the root.
  expect(model.rules.nat).toBe(empty.nat + 2 * 5 + 3);
  for (const { key } of both) model.put(key, undefined, undefined);
  expect(model.rules).toEqual(empty);
});

test('a decision that cannot be written is not counted', () => {
  const model = new Model({ family: 'IPv4', node: aNodeDecision(), abilities });
  const one = aDecision(1, { endpoints: 2 });
  model.put(one.key, one, undefined);
  const before = { ...model.rules };
  expect(() => model.put(one.key, { ...one, port: 0 }, undefined)).toThrow();
  expect(model.rules).toEqual(before);
});
