/** What laptop mode cannot have of the contract, and what shows it. */
import { expect } from 'vitest';
import type { ServiceObject } from '../../src/core/objects.ts';
import type { Step } from '../../src/core/plan.ts';
import { Driver, never } from './pass.ts';
import { cluster, otherCluster, type Given, type Inapplicable, type Stage } from './stage.ts';

/** Lets another program hold a port of this machine; the answer lets it go. */
export type HoldPort = (stage: Stage, address: string, port: number) => Promise<() => Promise<void>>;

export function laptopFacts(hold: HoldPort): readonly Inapplicable[] {
  return [
    {
      reason: 'a stranger holds ports, and bears no mark: that one is held is found out by opening it',
      behaviours: [
        'a resource of the wanted name with the mark of nobody costs no write and is reported',
        'a stranger that comes between the look and the creation is not taken over',
      ],
      proof: async (stage, given) => await portHeld(stage, given, hold),
    },
    {
      reason: 'no name is wanted: an address that another Service or cluster has is passed over',
      behaviours: [
        'a resource of the wanted name with the mark of another cluster costs no write and is reported',
        'a resource of the wanted name with the mark of another Service costs no write and is reported',
      ],
      proof: passedOver,
    },
    {
      reason: 'nobody can add to what lives in this process: all there is was made by steps',
      behaviours: ['what people added by hand beside ours is kept while the Service lives'],
      proof: madeBySteps,
    },
    {
      reason: 'a port is open at once, or refused: the first pass ends with an address',
      behaviours: ['an address that is not ready yet says so, and when to look again'],
      proof: readyAtOnce,
    },
    {
      reason: 'it has no annotations: whatever stands there, the settings are the same',
      behaviours: [
        'a misspelt annotation is reported with the one that was meant',
        'all mistakes are reported at once, each with its field and its cure',
        'deletion protection that the Service asks for is respected, and lifted when it no longer asks',
        'deletion protection that somebody else switched on stays, and nothing is removed',
      ],
      proof: noAnnotations,
    },
    {
      reason: 'no target is refused: one that does not answer is registered, and unhealthy',
      behaviours: ['one bad target does not keep the good ones out, and is reported'],
      proof: unhealthyBeside,
    },
  ];
}

/** The address that the first plan takes. */
function addressOf(steps: readonly Step[]): string {
  const addresses = steps.find(({ operation }) => operation === 'Reserve')?.parameters['Addresses'];
  const [address] = addresses as readonly string[];
  if (address === undefined) throw new Error('the plan takes no address');
  return address;
}

async function portHeld(stage: Stage, given: Given, hold: HoldPort): Promise<void> {
  const driver = new Driver(stage);
  const wanted = driver.wanted(given);
  const { steps } = driver.planFor(given, await driver.look(given), { kind: 'present', wanted });
  const address = addressOf(steps);
  const letGo = await hold(stage, address, 80);
  const { execution } = await driver.ensure(given);
  expect(execution.failed.map(({ error: { kind, code } }) => [kind, code])).toEqual([
    ['conflict', 'PortInUse'],
  ]);
  expect(stage.resources().map(({ label }) => label.split(' ')[0])).toEqual(['address']);
  expect(stage.provider.addresses(wanted, execution.observed)).toMatchObject({ kind: 'failed' });
  await letGo();
  await driver.settle(given);
  expect(stage.resources()).toHaveLength(2);
}

async function passedOver(stage: Stage, given: Given): Promise<void> {
  const driver = new Driver(stage);
  const wanted = driver.wanted(given);
  const { steps } = driver.planFor(given, await driver.look(given), { kind: 'present', wanted });
  const [reserve] = steps;
  const address = addressOf(steps);
  if (reserve === undefined) throw new Error('the plan is empty');
  const theirs = { ...reserve.parameters, Cluster: otherCluster.id, Service: 'other/one', Uid: 'uid-other' };
  await stage.drive(stage.provider.apply(reserve, theirs, never));
  const before = stage.resources();
  expect(before).toMatchObject([{ cluster: otherCluster.id, uid: 'uid-other' }]);
  const observed = await driver.settle(given);
  const got = stage.provider.addresses(wanted, observed);
  expect(got).toMatchObject({ kind: 'ready' });
  expect(JSON.stringify(got)).not.toContain(`"${address}"`);
  await driver.removeAll(given);
  expect(stage.resources()).toEqual(before);
}

async function madeBySteps(stage: Stage, given: Given): Promise<void> {
  const driver = new Driver(stage);
  const { execution } = await driver.ensure(given);
  const making = execution.done.filter(({ step }) => ['Reserve', 'Listen'].includes(step.operation));
  expect(stage.resources()).toHaveLength(making.length);
  expect(stage.resources().every(({ uid }) => uid === given.service.uid)).toBe(true);
}

async function readyAtOnce(stage: Stage, given: Given): Promise<void> {
  stage.takeTime({ provisioningMs: 120_000 });
  const driver = new Driver(stage);
  const { execution } = await driver.ensure(given);
  expect(stage.provider.addresses(driver.wanted(given), execution.observed)).toMatchObject({ kind: 'ready' });
}

async function noAnnotations(stage: Stage, given: Given): Promise<void> {
  expect(stage.provider.annotations).toEqual([]);
  const annotations = { 'sluice.dev/deletion-protection': 'true', 'metallb.io/address-pool': '?' };
  const service: ServiceObject = { ...given.service, annotations };
  expect(stage.provider.parse(service)).toEqual(stage.provider.parse(given.service));
  const driver = new Driver(stage);
  await driver.settle({ ...given, service });
  const { plan } = await driver.remove({ ...given, service }, stage.provider.parse(service).settings);
  expect(plan.problems).toEqual([]);
  expect(stage.resources()).toEqual([]);
}

async function unhealthyBeside(stage: Stage, given: Given): Promise<void> {
  const [good] = given.nodes;
  if (good === undefined) throw new Error('no node');
  const mute = { ...good, name: 'mute' as typeof good.name, internalIPs: ['127.76.0.99'] };
  const many = { ...given, nodes: [good, mute] };
  const driver = new Driver(stage);
  const { execution } = await driver.ensure(many);
  expect(execution.failed).toEqual([]);
  const observed = await driver.look(many, 'quick', execution.observed);
  expect(stage.provider.targets(driver.wanted(many), observed).groups).toEqual([
    { listener: '80/TCP', healthy: 1, total: 2, reason: expect.stringContaining('mute'), settling: false },
  ]);
  const survey = await stage.drive(
    stage.provider.survey(cluster, new Map([[given.service.uid, observed]]), never),
  );
  expect(survey.disturbed).toEqual([]);
}
