/** What is not as it should be (I3): the account and the status of Services beside the naive truth. */
import { targetKey, type Settings, type SimBalancer, type SimGroup } from './cloud.ts';
import { clusterId, clusterTag, uidTag } from './marks.ts';
import type { ServiceTruth } from './truth.ts';
import type { World } from './world.ts';

/** Empty when all is well. */
export function differencesOf(world: World): readonly string[] {
  const isOurs = ({ tags }: SimBalancer | SimGroup): boolean => tags[clusterTag] === clusterId;
  const ours = world.account.balancers().filter(isOurs);
  const groups = world.account.groups().filter(isOurs);
  const differences: string[] = [];
  const known = new Set<string>();
  for (const truth of world.monitor.truths.values()) {
    known.add(truth.uid);
    const balancers = ours.filter(({ tags }) => tags[uidTag] === truth.uid);
    const own = groups.filter(({ tags }) => tags[uidTag] === truth.uid);
    const say = (what: string): void =>
      void differences.push(`${truth.key} (${truth.uid.slice(-4)}): ${what}`);
    if (truth.ours) comparePresent(world, truth, balancers, own, say);
    else compareAbsent(truth, balancers, own, say);
    compareConditions(world, truth, say);
  }
  for (const { tags } of [...ours, ...groups])
    if (!known.has(tags[uidTag] ?? ''))
      differences.push(`left of ${tags['sluice.dev/service']} (${tags[uidTag]})`);
  return differences;
}

type Say = (what: string) => void;

function comparePresent(
  world: World,
  truth: ServiceTruth,
  balancers: readonly SimBalancer[],
  groups: readonly SimGroup[],
  say: Say,
): void {
  const { words, rules } = world.cloud;
  const [balancer] = balancers;
  if (balancer === undefined || balancers.length > 1) return say(`${balancers.length} balancers`);
  if (!truth.finalized) say('no finalizer');
  if (balancer.state !== 'active') say(`its balancer is ${balancer.state}`);
  if (truth.addresses.length !== 1 || truth.addresses[0] !== balancer.address)
    say(`its status shows ${truth.addresses.join() || 'nothing'}, its balancer is ${balancer.address}`);
  const side = truth.annotations[words.side[0]];
  if (side !== undefined && balancer.side !== side) say(`it is ${balancer.side}, asked is ${side}`);
  for (const { port, protocol } of balancer.listeners)
    if (!truth.listeners.some((one) => one.port === port && one.protocol === protocol))
      say(`a listener ${port}/${protocol} that no port asks for`);
  const nodePorts = new Set(truth.listeners.map(({ nodePort, protocol }) => `${nodePort}/${protocol}`));
  if (groups.length !== nodePorts.size)
    say(`${groups.length} groups for ${truth.listeners.length} listeners`);
  for (const wanted of truth.listeners) {
    const what = `listener ${wanted.port}/${wanted.protocol}`;
    const asked = rules.asked(truth.annotations, wanted);
    compareSettings('its balancer', balancer.settings, asked.balancer, say);
    const listener = balancer.listeners.find(
      ({ port, protocol }) => port === wanted.port && protocol === wanted.protocol,
    );
    if (listener === undefined) {
      say(`${what} is missing`);
      continue;
    }
    if (!listener.running) say(`${what} does not run`);
    compareSettings(what, listener.settings, asked.listener, say);
    const group = groups.find(({ id }) => id === listener.group);
    if (group === undefined) {
      say(`${what} leads to no group of ours`);
      continue;
    }
    compareSettings(what, group.settings, asked.group, say);
    compareTargets(world, truth, group, wanted.nodePort, what, say);
  }
}

function compareSettings(what: string, has: Settings, asked: Settings, say: Say): void {
  for (const [name, value] of Object.entries(asked))
    if (value !== undefined && has[name] !== value)
      say(`${what}: ${name} is ${has[name]}, asked is ${value}`);
}

function compareTargets(
  { cloud }: World,
  { annotations, local, targets }: ServiceTruth,
  group: SimGroup,
  port: number,
  what: string,
  say: Say,
): void {
  const weights = cloud.rules.weightsOf(annotations, local, targets);
  const named = (target: { instance: string; port: number }, weight: number | undefined): string =>
    `${targetKey(target)}${weights === undefined ? '' : ` ×${weight}`}`;
  const registered = group.targets.map((one) => named(one, one.weight)).toSorted();
  const wanted = [...targets.keys()]
    .map((instance) => named({ instance, port }, weights?.get(instance)))
    .toSorted();
  // With nothing wanted the old targets stay: there is nobody to take their place.
  if (wanted.length > 0 && registered.join() !== wanted.join())
    say(`${what} has targets ${short(registered)}, wanted are ${short(wanted)}`);
}

function compareAbsent(
  truth: ServiceTruth,
  balancers: readonly SimBalancer[],
  groups: readonly SimGroup[],
  say: Say,
): void {
  if (balancers.length + groups.length > 0)
    say(`is not ours to serve, and ${balancers.length} balancers and ${groups.length} groups exist`);
  if (truth.finalized) say('is not ours to serve, and our finalizer is on it');
}

function compareConditions(world: World, truth: ServiceTruth, say: Say): void {
  const service = world.server.get('services', truth.key);
  const conditions = new Map((service?.status?.conditions ?? []).map((one) => [one.type, one]));
  if (!truth.ours) {
    if (conditions.size > 0) say(`is not ours to serve, and has conditions ${[...conditions.keys()].join()}`);
    return;
  }
  const expect = (type: string, status: string): void => {
    const found = conditions.get(type);
    if (found?.status !== status)
      say(`condition ${type} is ${found?.status} (${found?.reason}: ${found?.message})`);
  };
  expect('Accepted', 'True');
  expect('Provisioned', 'True');
  expect('InSync', 'True');
  if (truth.targets.size > 0) expect('TargetsReady', 'True');
}

function short(list: readonly string[]): string {
  return `[${list.map((one) => one.replace(/^i-0+/, 'i-')).join(', ')}]`;
}
