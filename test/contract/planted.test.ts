/** Broken providers, each of which the contract must find: a suite that nothing can fail proves nothing. */
import { expect, test } from 'vitest';
import type { AnyProvider } from '../../src/core/provider.ts';
import { awsSubject } from './aws-subject.ts';
import type { Behaviour } from './behaviour.ts';
import { crashes } from './behaviours/crashes.ts';
import { drift } from './behaviours/drift.ts';
import { failures } from './behaviours/failures.ts';
import { life } from './behaviours/life.ts';
import { ownership } from './behaviours/ownership.ts';
import { pure } from './behaviours/pure.ts';
import { targets } from './behaviours/targets.ts';
import { localSubject } from './local-subject.ts';
import { Driver } from './pass.ts';
import type { Stage, Subject } from './stage.ts';
import { prove } from './suite.ts';

const behaviours = [pure, life, ownership, crashes, targets, failures, drift].flat();

/** The provider with some methods replaced. */
function broken(right: AnyProvider, wrong: Partial<AnyProvider>): AnyProvider {
  return { ...right, ...wrong };
}

interface Plant {
  readonly name: string;
  /** The behaviour that must notice. */
  readonly found: string;
  readonly wrong: (right: AnyProvider) => Partial<AnyProvider>;
}

let counter = 0;

const plants: readonly Plant[] = [
  {
    name: 'a read that fails counts as nothing there',
    found: 'a read that fails, whichever it is, makes the look fail: never an empty answer',
    wrong: (right) => ({
      observe: async (request) => await right.observe(request).catch(() => right.nothing),
    }),
  },
  {
    name: 'what was done is not folded in',
    found: 'what is folded forward is what a fresh look finds',
    wrong: () => ({ advance: (observed) => observed }),
  },
  {
    name: 'ownership goes by name alone',
    found: 'a resource of the wanted name with the mark of another cluster costs no write and is reported',
    wrong: (right) => ({
      plan: (goal, observed, context) =>
        right.plan(goal, { ...(observed as object), strangers: [] }, context),
    }),
  },
  {
    name: 'removal stops at what it made last',
    found: 'a removed Service leaves nothing',
    wrong: (right) => ({
      plan: (goal, observed, context) => {
        const plan = right.plan(goal, observed, context);
        return goal.kind === 'absent' ? { ...plan, steps: plan.steps.slice(0, 1) } : plan;
      },
    }),
  },
  {
    name: 'old targets go before the new are there',
    found:
      'when all nodes are replaced the new are registered before the old go, and some are healthy at all times',
    wrong: (right) => ({
      // As if every unwanted target had been unwanted for long, and every new one were healthy.
      plan: (goal, observed, context) => {
        const healthy = JSON.parse(
          JSON.stringify(observed).replaceAll('"initial"', '"healthy"'),
        ) as typeof observed;
        return right.plan(goal, healthy, context);
      },
    }),
  },
  {
    name: 'a batch with one bad target is given up as a whole',
    found: 'one bad target does not keep the good ones out, and is reported',
    wrong: () => ({ split: () => undefined }),
  },
  {
    name: 'the survey sees nothing',
    found: 'a survey names whose resources are disturbed, and nobody else',
    wrong: () => ({ survey: () => Promise.resolve({ disturbed: [], strays: [] }) }),
  },
  {
    name: 'the survey looks at every Service',
    found: 'a survey of many Services in a steady account costs few calls',
    wrong: (right) => ({
      survey: async (cluster, known, signal) => {
        for (const _ of known) await right.survey(cluster, known, signal);
        return { disturbed: [], strays: [] };
      },
    }),
  },
  {
    name: 'a missing step’s need is forgotten',
    found: 'a plan from nothing names only what earlier steps answer with, and says why',
    wrong: (right) => ({
      plan: (goal, observed, context) => {
        const plan = right.plan(goal, observed, context);
        return { ...plan, steps: plan.steps.toReversed() };
      },
    }),
  },
  {
    name: 'an address is shown before it works',
    found: 'an address that is not ready yet says so, and when to look again',
    wrong: (right) => ({
      addresses: (wanted, observed) => {
        const address = right.addresses(wanted, observed);
        return address.kind === 'pending' ? { kind: 'ready', ingress: address.ingress } : address;
      },
    }),
  },
  {
    name: 'a refusal is told as a failure of the network',
    found: 'any call that is refused as denied is reported as such, and made good when it passes again',
    wrong: (right) => ({
      apply: async (step, parameters, signal) => {
        try {
          return await right.apply(step, parameters, signal);
        } catch {
          throw new Error(`${step.operation} failed`);
        }
      },
    }),
  },
  {
    name: 'a crash is followed by a second creation under another name',
    found: 'a crash at any call of a creation is adopted: no double, nothing left out',
    wrong: (right) => ({
      apply: async (step, parameters, signal) => {
        if (step.operation !== 'CreateTargetGroup') return await right.apply(step, parameters, signal);
        counter += 1;
        return await right.apply(step, { ...parameters, Name: `made-${counter}` }, signal);
      },
    }),
  },
];

function subjectWith(wrong: Plant['wrong'], right = awsSubject('in memory')): Subject {
  const breakStage = (stage: Stage): Stage => {
    const sound = { ...stage };
    return Object.assign(stage, {
      provider: broken(sound.provider, wrong(sound.provider)),
      restart: () => {
        const next = sound.restart();
        return broken(next, wrong(next));
      },
    });
  };
  return { ...right, open: async () => breakStage(await right.open()) };
}

async function tryOut(behaviour: Behaviour, subject: Subject): Promise<void> {
  const [first] = subject.cases;
  if (first === undefined) throw new Error('no case');
  const stage = await subject.open();
  await behaviour.run({ subject, stage, driver: new Driver(stage), given: first.given });
}

test.each(plants)('$name', async ({ found, wrong }) => {
  const behaviour = behaviours.find(({ name }) => name === found);
  if (behaviour === undefined) throw new Error(`no behaviour "${found}"`);
  await tryOut(behaviour, awsSubject('in memory'));
  const error = await tryOut(behaviour, subjectWith(wrong)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  // Found out by an assertion, not by a stumble of the suite itself.
  expect(error).toMatchObject({ name: 'AssertionError' });
});

/** Providers for which a fact that rules behaviours out does not hold: its proof must say so. */
const untrue: readonly { readonly fact: RegExp; readonly wrong: Plant['wrong'] }[] = [
  {
    fact: /has no targets/u,
    wrong: (right) => ({
      want: (settings, world) => {
        const desired = right.want(settings, world);
        const nodes = world.nodes.map(({ name }) => name);
        return { ...desired, wanted: { ...(desired.wanted as object), nodes } };
      },
    }),
  },
  {
    fact: /the account is the cluster itself/u,
    wrong: () => ({ survey: () => Promise.resolve({ disturbed: [], strays: [] }) }),
  },
  {
    fact: /no deletion protection/u,
    wrong: (right) => ({
      plan: (goal, observed, context) =>
        goal.kind === 'absent'
          ? { ...right.plan(goal, observed, context), steps: [] }
          : right.plan(goal, observed, context),
    }),
  },
  {
    fact: /an address that another Service has is passed over/u,
    wrong: () => ({ addresses: () => ({ kind: 'ready', ingress: [{ ip: '192.0.2.10' }] }) }),
  },
];

test.each(untrue)('a fact that is not true has no proof: $fact', async ({ fact, wrong }) => {
  const { inapplicable } = localSubject('unasked');
  expect(inapplicable.filter(({ reason }) => fact.test(reason))).toHaveLength(1);
  const subject = subjectWith(wrong, localSubject('unasked'));
  const [one] = subject.inapplicable.filter(({ reason }) => fact.test(reason));
  if (one === undefined) throw new Error('no such fact');
  const error = await prove(subject, one).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'AssertionError' });
});

test.fails('a proof that asserts nothing is none', async () => {
  await prove(localSubject('unasked'), { reason: '', behaviours: [], proof: () => Promise.resolve() });
});
