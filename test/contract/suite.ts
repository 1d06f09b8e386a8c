/**
 * The contract of the provider port: one suite that every provider, on its simulated account, must pass.
 *
 * It knows the port and nothing of any cloud. Nothing is skipped: where a provider cannot have a behaviour, the fact that
 * makes it impossible is shown in its place, under the behaviour's name. A fact that names no behaviour is a failure, so
 * that none outlives what it was for.
 */
import { describe, expect, test } from 'vitest';
import type { Behaviour } from './behaviour.ts';
import { crashes } from './behaviours/crashes.ts';
import { drift } from './behaviours/drift.ts';
import { failures } from './behaviours/failures.ts';
import { life } from './behaviours/life.ts';
import { ownership } from './behaviours/ownership.ts';
import { pure } from './behaviours/pure.ts';
import { targets } from './behaviours/targets.ts';
import { Driver } from './pass.ts';
import type { Case, Inapplicable, Subject } from './stage.ts';

const chapters: Readonly<Record<string, readonly Behaviour[]>> = {
  pure,
  life,
  ownership,
  crashes,
  targets,
  failures,
  drift,
};

/** Declares the suite's tests for one provider. */
export function providerContract(subject: Subject): void {
  describe(subject.name, () => {
    test('every fact names behaviours of the contract, each behaviour one fact at most', () => {
      const names = Object.values(chapters).flatMap((chapter) => chapter.map(({ name }) => name));
      const ruledOut = subject.inapplicable.flatMap(({ behaviours }) => behaviours);
      expect(names).toEqual(expect.arrayContaining(ruledOut));
      expect(new Set(ruledOut).size).toBe(ruledOut.length);
      expect(new Set(names).size).toBe(names.length);
    });
    for (const [chapter, behaviours] of Object.entries(chapters)) {
      describe(chapter, () => {
        for (const behaviour of behaviours) declare(subject, behaviour);
      });
    }
  });
}

function declare(subject: Subject, behaviour: Behaviour): void {
  const fact = subject.inapplicable.find(({ behaviours }) => behaviours.includes(behaviour.name));
  if (fact !== undefined) {
    test(`${behaviour.name} (cannot be: ${fact.reason})`, async () => await prove(subject, fact));
    return;
  }
  const cases = behaviour.everyCase ? subject.cases : subject.cases.slice(0, 1);
  for (const one of cases) {
    const title = behaviour.everyCase ? `${behaviour.name}: ${one.name}` : behaviour.name;
    test(title, async () => await attempt(subject, behaviour, one));
  }
}

async function attempt(subject: Subject, behaviour: Behaviour, { given }: Case): Promise<void> {
  const stage = await subject.open();
  try {
    await behaviour.run({ subject, stage, driver: new Driver(stage), given });
  } finally {
    await stage.close();
  }
}

/** Runs a proof on a stage of its own; one that asserts nothing fails. */
export async function prove(subject: Subject, { proof }: Inapplicable): Promise<void> {
  expect.hasAssertions();
  const [plainest] = subject.cases;
  if (plainest === undefined) throw new Error('the subject has no case');
  const stage = await subject.open();
  try {
    await proof(stage, plainest.given);
  } finally {
    await stage.close();
  }
}
