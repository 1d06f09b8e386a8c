/** What local mode cannot have of the contract, and what shows it. */
import { expect } from 'vitest';
import { aNode } from '../../src/core/fixtures.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { Driver, never } from './pass.ts';
import { cluster, otherCluster, type Given, type Inapplicable, type Stage } from './stage.ts';

/** Makes the object of an address by hand. `services` undefined: for a Service that is none of the test's. */
export type ByHand = (stage: Stage, address: string, services?: readonly never[]) => void;

export function localFacts(how: 'unasked' | 'asked', byHand: ByHand): readonly Inapplicable[] {
  return [
    {
      reason: 'an address has no targets: no node that comes or goes is part of what is wanted or planned',
      behaviours: [
        'targets are reported by the Service’s own ports, with their health',
        'a node that joins and one that leaves cost a call each and touch nothing else',
        'when all nodes are replaced the new are registered before the old go, and some are healthy at all times',
        'no nodes at all: what is registered stays, and a wait says why',
        'one bad target does not keep the good ones out, and is reported',
        'a node that cannot be a target is left out and named, and the others are targets',
      ],
      proof: noTargets,
    },
    {
      reason: 'the account is the cluster itself: nothing in it can say of which cluster it is',
      behaviours: [
        'two clusters with a Service of the same name in one account do not meet',
        'a survey names the strays of this cluster, with whose they were, and no others',
        'a resource of the wanted name with the mark of another cluster costs no write and is reported',
      ],
      proof: oneCluster,
    },
    {
      reason: 'no name is wanted: an address that another Service has is passed over and stays as it is',
      behaviours: [
        'a resource of the wanted name with the mark of another Service costs no write and is reported',
      ],
      proof: async (stage, given) => await passedOver(stage, given, byHand),
    },
    {
      reason: 'the object of an address without a Service is a free address of ours, and is taken up',
      behaviours: ['a resource of the wanted name with the mark of nobody costs no write and is reported'],
      proof: async (stage, given) => await takenUp(stage, given, byHand),
    },
    {
      reason:
        'a plan from nothing names no address; where one is named, the API server refuses a second object of its name',
      behaviours: ['a stranger that comes between the look and the creation is not taken over'],
      proof: async (stage, given) => await refusedBeside(stage, given, byHand),
    },
    {
      reason:
        'an address has no deletion protection: no annotation asks for it and nothing in the account holds it',
      behaviours: [
        'deletion protection that the Service asks for is respected, and lifted when it no longer asks',
        'deletion protection that somebody else switched on stays, and nothing is removed',
      ],
      proof: noProtection,
    },
    how === 'unasked'
      ? {
          reason:
            'where no agent is asked an address is ready in the pass that takes it, however slow the link is',
          behaviours: ['an address that is not ready yet says so, and when to look again'],
          proof: readyAtOnce,
        }
      : {
          reason:
            'where an agent is asked the first pass cannot end with an address: it comes with the answer',
          behaviours: ['a Service gets its address, and a second plan is empty'],
          proof: readyWithTheAnswer,
        },
  ];
}

async function noTargets(stage: Stage, given: Given): Promise<void> {
  const driver = new Driver(stage);
  const effects = new Set<string>();
  await driver.settle(given, ({ plan }) => {
    for (const { effect } of plan.steps) effects.add(effect.kind);
  });
  const before = stage.resources();
  const wanted = driver.wanted(given);
  const odd = { ...aNode('odd'), labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } };
  for (const nodes of [[], [aNode('new-1')], [...given.nodes, aNode('joins')], [...given.nodes, odd]]) {
    const other = { ...given, nodes };
    expect(driver.wanted(other)).toEqual(wanted);
    const { plan, execution } = await driver.ensure(other);
    expect(plan.steps).toEqual([]);
    const { groups } = stage.provider.targets(wanted, execution.observed);
    expect(groups.map(({ listener, total }) => ({ listener, total }))).toEqual([
      { listener: '192.0.2.10', total: 1 },
    ]);
  }
  expect(stage.resources()).toEqual(before);
  expect([...effects]).toEqual(['other']);
  const { settings } = stage.provider.parse(given.service);
  const world = { cluster, services: [given.service], ...given, nodes: [odd] };
  expect(stage.provider.want(settings, world).excluded).toMatchObject([
    { node: 'odd', reason: 'NodeExcluded' },
  ]);
}

async function oneCluster(stage: Stage, given: Given): Promise<void> {
  const driver = new Driver(stage);
  let written = '';
  await driver.settle(given, ({ plan }) => {
    written += JSON.stringify(plan.steps);
  });
  expect(written).toContain(given.service.uid);
  expect(written).not.toContain(cluster.id);
  // Under the name of another cluster the very same object is found, and nothing is to be done.
  const renamed = new Driver(stage, otherCluster);
  expect((await renamed.ensure(given)).plan.steps).toEqual([]);
  const { strays, disturbed } = await stage.drive(stage.provider.survey(otherCluster, new Map(), never));
  expect(disturbed).toEqual([]);
  expect(strays).toEqual([
    {
      uid: given.service.uid,
      service: given.service.key,
      resources: [expect.stringContaining('192-0-2-10')],
    },
  ]);
}

async function passedOver(stage: Stage, given: Given, byHand: ByHand): Promise<void> {
  byHand(stage, '192.0.2.10');
  const theirs = stage.resources();
  expect(theirs).toHaveLength(1);
  const driver = new Driver(stage);
  const observed = await driver.settle(given);
  expect(stage.resources()).toEqual(expect.arrayContaining([...theirs]));
  expect(stage.provider.addresses(driver.wanted(given), observed)).toMatchObject({
    kind: 'ready',
    ingress: [{ ip: '192.0.2.11' }],
  });
  await driver.removeAll(given);
  expect(stage.resources()).toEqual(theirs);
}

async function takenUp(stage: Stage, given: Given, byHand: ByHand): Promise<void> {
  byHand(stage, '192.0.2.10', []);
  const driver = new Driver(stage);
  await driver.settle(given);
  const [mine, ...others] = stage.resources();
  expect(others).toEqual([]);
  expect(mine).toMatchObject({ label: 'address v4-192-0-2-10', uid: given.service.uid });
}

async function refusedBeside(stage: Stage, given: Given, byHand: ByHand): Promise<void> {
  const driver = new Driver(stage);
  const wanted = driver.wanted(given);
  const [blind] = driver.planFor(given, stage.provider.nothing, { kind: 'present', wanted }).steps;
  expect(blind?.parameters).not.toHaveProperty('name');
  const [named] = driver.planFor(given, await driver.look(given), { kind: 'present', wanted }).steps;
  expect(named?.parameters).toMatchObject({ address: '192.0.2.10' });
  byHand(stage, '192.0.2.10');
  const theirs = stage.resources();
  for (const [step, kind] of [
    [blind, 'invalid'],
    [named, 'conflict'],
  ] as const) {
    if (step === undefined) throw new Error('the plan is empty');
    await expect(stage.drive(stage.provider.apply(step, step.parameters, never))).rejects.toMatchObject({
      kind,
    });
  }
  expect(stage.resources()).toEqual(theirs);
  await driver.settle(given);
  await driver.removeAll(given);
  expect(stage.resources()).toEqual(theirs);
}

async function noProtection(stage: Stage, given: Given): Promise<void> {
  const words = stage.provider.annotations.map(({ key, means }) => `${key} ${means}`).join('\n');
  expect(words).not.toMatch(/protect/iu);
  // Whatever the known annotations say, the removal is held back by nothing.
  const annotations = Object.fromEntries(
    stage.provider.annotations
      .filter(({ key }) => key.endsWith('allow-move'))
      .map(({ key }) => [key, 'false']),
  );
  const service: ServiceObject = { ...given.service, annotations };
  const driver = new Driver(stage);
  await driver.settle({ ...given, service });
  const held = stage.resources().map(({ state }) => Object.keys(JSON.parse(state) as object));
  expect(held).toEqual([['services', 'address', 'pool']]);
  const { settings } = stage.provider.parse(service);
  const { plan, execution } = await driver.remove({ ...given, service }, settings);
  expect(plan.problems).toEqual([]);
  expect(execution.failed).toEqual([]);
  expect(stage.resources()).toEqual([]);
}

async function readyAtOnce(stage: Stage, given: Given): Promise<void> {
  stage.takeTime({ provisioningMs: 120_000 });
  const driver = new Driver(stage);
  const { execution } = await driver.ensure(given);
  expect(stage.provider.addresses(driver.wanted(given), execution.observed)).toMatchObject({ kind: 'ready' });
  expect((await driver.ensure(given)).plan).toMatchObject({ steps: [], waits: [] });
}

async function readyWithTheAnswer(stage: Stage, given: Given): Promise<void> {
  const driver = new Driver(stage);
  const wanted = driver.wanted(given);
  const { execution } = await driver.ensure(given);
  expect(execution.failed).toEqual([]);
  expect(stage.provider.addresses(wanted, execution.observed)).toMatchObject({ kind: 'pending' });
  await stage.advance(1);
  const answered = await driver.look(given, 'quick', execution.observed);
  expect(stage.provider.addresses(wanted, answered)).toMatchObject({
    kind: 'ready',
    ingress: [{ ip: '192.0.2.10', ipMode: 'VIP' }],
  });
  expect((await driver.ensure(given)).plan).toMatchObject({ steps: [], problems: [] });
  driver.restart();
  expect((await driver.ensure(given)).plan).toMatchObject({ steps: [], problems: [] });
}
