/** What SLB cannot have of the contract, and what shows it. */
import { expect } from 'vitest';
import { Driver, never } from './pass.ts';
import { cluster, type Given, type Inapplicable, type Stage } from './stage.ts';

export const alibabaFacts: readonly Inapplicable[] = [
  {
    reason: 'two balancers of SLB may have one name: ours is made beside the stranger, which stays as it is',
    behaviours: ['a stranger that comes between the look and the creation is not taken over'],
    proof: besideTheStranger,
  },
];

async function besideTheStranger(stage: Stage, one: Given): Promise<void> {
  const { provider } = stage;
  const driver = new Driver(stage);
  const wanted = driver.wanted(one);
  const [first] = driver.planFor(one, provider.nothing, { kind: 'present', wanted }).steps;
  if (first === undefined) throw new Error('the plan is empty');
  stage.squat(wanted, 'nobody');
  const theirs = stage.resources();
  expect(theirs.length).toBeGreaterThan(0);
  await stage.drive(provider.apply(first, first.parameters, never));
  const all = stage.resources();
  expect(all).toEqual(expect.arrayContaining([...theirs]));
  expect(all.length).toBeGreaterThan(theirs.length);
  expect(all.filter(({ uid }) => uid === one.service.uid).map((mine) => mine.cluster)).toEqual([cluster.id]);
  // And of all that is made and removed afterwards the stranger's is never part.
  await driver.removeAll(one);
  expect(stage.resources()).toEqual(theirs);
}
