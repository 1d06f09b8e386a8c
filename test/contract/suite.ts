/**
 * The contract of the provider port: one suite that every provider, on its simulated account, must pass.
 *
 * It knows the port and nothing of any cloud. What a provider cannot have is skipped by the behaviour's name
 * with a reason; a skip that names no behaviour is a failure, so that none outlives what it was for.
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
import type { Case, Subject } from './stage.ts';

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
    test('every skip names a behaviour of the contract', () => {
      const names = Object.values(chapters).flatMap((chapter) => chapter.map(({ name }) => name));
      expect(names).toEqual(expect.arrayContaining(Object.keys(subject.skips)));
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
  const reason = subject.skips[behaviour.name];
  if (reason !== undefined) {
    test.skip(`${behaviour.name} (skipped: ${reason})`);
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
