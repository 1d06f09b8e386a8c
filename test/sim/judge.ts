/**
 * The end of a run: faults cease, users mend what is broken, and then everything must become as it should.
 *
 * Compares the account and the status of Services with the naive truth (I3, I6), demands silence once all is
 * well, a restart included (I4), and nothing left when every Service is gone (I1).
 */
import { clusterId, clusterTag, uidTag } from './monitor.ts';
import { nameOf } from './people.ts';
import { attribute } from './perform.ts';
import { fullEveryMs } from './process.ts';
import { brokenAnnotations, prefix, takenName, type ServiceTruth } from './truth.ts';
import { blowId, calmAccount, type World } from './world.ts';

/** Standing orders of the simulation itself, and blows that a sweep has still to deal. */
const lasting: ReadonlySet<string> = new Set(['monitor', 'trace', blowId]);

/** 60 s, the longest retry, and a full drift pass with its jitter. */
const boundMs = 60_000 + 600_000 + fullEveryMs * 1.2;
/** The reader lists anew about once an hour. */
const relistMs = 3_600_000 * 1.1;
/** A survey and a full comparison happen in it. */
const longQuietMs = fullEveryMs * 1.2 + 60_000;

/**
 * How a history ends. `short`: things are as they should be, then a quiet minute. `long`: a full drift pass
 * and a restart of everything in silence as well, which takes much of the time.
 */
export type Ending = 'short' | 'long';

export async function judge(world: World, ending: Ending): Promise<void> {
  const { clock, monitor } = world;
  const differences = await untilEmpty(world, heal, workMs, () => differencesOf(world));
  for (const difference of differences) monitor.report('I3', difference);
  if (differences.length > 0) return;
  if (ending === 'long') {
    // A difference that the comparison forgives (old targets where none is wanted) may wait for the next list.
    if (world.missed) await clock.advance(relistMs);
    // What was changed behind the controller's back shows at the next pass over everything.
    await clock.advance(longQuietMs);
    await silence(world, longQuietMs, 'between drift passes');
    world.coldRestart();
    await silence(world, longQuietMs, 'after a restart');
  }
  for (const difference of differencesOf(world)) monitor.report('I3', `after a quiet time: ${difference}`);
  const left = await untilEmpty(world, deleteAll, 0, () => [
    ...[...world.server.all('services')].map((service) => `Service ${nameOf(service)}`),
    ...monitor.marked().map(({ kind, name, uid }) => `${kind} ${name} of ${uid}`),
  ]);
  for (const one of left) monitor.report('I1', `left after every Service was deleted: ${one}`);
}

/** I1 speaks of a cluster in which every Service is gone: whatever is there by now has to go. */
async function deleteAll(world: World, again: boolean): Promise<void> {
  if (again) await heal(world);
  world.trace('── every Service is deleted');
  world.monitor.eventHappened();
  for (const service of world.server.all('services')) world.people.deleteService(nameOf(service));
}

/** Faults cease and users mend: from here on nothing excuses a difference. */
async function heal(world: World): Promise<void> {
  const { account, server, people, monitor } = world;
  world.trace('── faults cease, users mend');
  monitor.eventHappened();
  world.endAll();
  for (const { id } of account.faults.list()) if (!lasting.has(id)) account.faults.clear(id);
  account.configure(calmAccount(world.surroundings));
  account.setHealth({}, { kind: 'healthy' });
  for (const node of server.all('nodes')) {
    const id = /(i-[0-9a-f]+)$/.exec(node.spec?.providerID ?? '')?.[1];
    if (id === undefined) continue;
    account.setInstance(id, undefined);
    account.setHealth({ id }, { kind: 'healthy' });
    monitor.healthChanged(id, true);
  }
  world.apiFaults = world.apiFaults.filter(({ due }) => due);
  world.cloudDeath = undefined;
  world.lag = undefined;
  world.revive();
  // What a fault hid is seen again by then.
  await world.clock.advance(10_000);
  // What users mend now is an event like any other change of theirs.
  monitor.eventHappened();
  for (const { kind, arn } of account.resources())
    if (kind === 'load-balancer') attribute(world, arn, 'deletion_protection.enabled', 'false');
  for (const { kind, name, arn, tags } of account.resources())
    if (kind === 'load-balancer' && name === takenName && tags[clusterTag] === undefined)
      account.byHand('DeleteLoadBalancer', { LoadBalancerArn: arn });
  const schemes = schemesByUid(world);
  const named = new Set(
    account
      .resources()
      .filter(({ name }) => name === takenName)
      .map(({ tags }) => tags[uidTag]),
  );
  for (const service of server.all('services')) {
    const key = nameOf(service);
    const annotations = service.metadata?.annotations ?? {};
    for (const held of ['sluice.dev/paused', 'sluice.dev/plan-only', 'sluice.dev/drift-policy'])
      if (annotations[held] !== undefined) people.annotate(key, held, undefined);
    for (const [name, value] of Object.entries(brokenAnnotations))
      if (annotations[name] === value) people.annotate(key, name, undefined);
    // Only who has the name may go on asking for it.
    if (annotations[`${prefix}name`] !== undefined && !named.has(service.metadata?.uid ?? ''))
      people.annotate(key, `${prefix}name`, undefined);
    const scheme = schemes.get(service.metadata?.uid ?? '');
    if (scheme !== undefined && annotations[`${prefix}scheme`] !== undefined)
      people.annotate(key, `${prefix}scheme`, scheme);
    people.changeService(key, (spec) => {
      const nodePorts = new Map<number, number | undefined>();
      const ports = (spec.ports ?? [])
        .filter(({ protocol }) => protocol !== 'SCTP')
        .map((one) => {
          const port = one.port ?? 0;
          if (!nodePorts.has(port)) nodePorts.set(port, one.nodePort);
          const { nodePort: _old, ...rest } = one;
          const nodePort = nodePorts.get(port);
          return nodePort === undefined ? rest : { ...rest, nodePort };
        });
      const fallback = [{ name: 'http', port: 80, protocol: 'TCP' }];
      const { allocateLoadBalancerNodePorts: _off, ...others } = spec;
      return { ...others, ports: ports.length === 0 ? fallback : ports };
    });
  }
}

function schemesByUid(world: World): ReadonlyMap<string, string> {
  const schemes = new Map<string, string>();
  for (const balancer of world.account.dump().loadBalancers)
    if (balancer.Tags[clusterTag] === clusterId)
      schemes.set(balancer.Tags[uidTag] ?? '', String(balancer['Scheme']));
  return schemes;
}

/** Nobody at work for so long: targets that settle are looked at again within a minute, and then a quiet one. */
const workMs = 130_000;

/** The longest of the faults that a sweep lets fall while a run is judged, and a little more. */
const lateFaultMs = 80_000;

/**
 * Runs until `look` finds nothing and nobody has been at work for `stillMs`, or the bound is passed: what it
 * finds then. `mend` comes first. A fault that falls meanwhile (the sweep's, for calls of this phase) has its
 * time, what it left is mended again, and the bound counts from there: I3 speaks of the last fault.
 */
async function untilEmpty(
  world: World,
  mend: (world: World, again: boolean) => Promise<void>,
  stillMs: number,
  look: () => readonly string[],
): Promise<readonly string[]> {
  const { clock, monitor } = world;
  let { blows } = world;
  await mend(world, false);
  const deadlineNow = (): number => clock.now() + boundMs + (world.missed ? relistMs : 0);
  let deadline = deadlineNow();
  let stepMs = 2_000;
  let calmSince = clock.now();
  for (;;) {
    if (world.blows !== blows) {
      await clock.advance(lateFaultMs);
      ({ blows } = world);
      await mend(world, true);
      deadline = deadlineNow();
      stepMs = 2_000;
      calmSince = clock.now();
    }
    const writes = monitor.writes;
    await clock.advance(stepMs);
    if (monitor.writes !== writes) calmSince = clock.now();
    const found = look();
    if (found.length === 0 && clock.now() - calmSince >= stillMs) return [];
    if (clock.now() >= deadline) return found;
    stepMs = Math.min(stepMs * 1.5, 60_000, Math.max(1_000, deadline - clock.now()));
  }
}

async function silence(world: World, ms: number, when: string): Promise<void> {
  const { clock, monitor, account } = world;
  const before = monitor.writes;
  const seq = account.calls().at(-1)?.seq ?? 0;
  const apiBefore = world.apiWrites.length;
  await clock.advance(ms);
  if (monitor.writes === before) return;
  const calls = account.writes(seq).map(({ operation }) => operation);
  monitor.report(
    'I4',
    `writes ${when}: ${[...calls, ...world.apiWrites.slice(apiBefore)].slice(0, 12).join(', ')}`,
  );
}

/** What is not as it should be; empty when all is. */
export function differencesOf(world: World): readonly string[] {
  const { loadBalancers, targetGroups } = world.account.dump();
  const ours = loadBalancers.filter(({ Tags }) => Tags[clusterTag] === clusterId);
  const groups = targetGroups.filter(({ Tags }) => Tags[clusterTag] === clusterId);
  const differences: string[] = [];
  const known = new Set<string>();
  for (const truth of world.monitor.truths.values()) {
    known.add(truth.uid);
    const balancers = ours.filter(({ Tags }) => Tags[uidTag] === truth.uid) as readonly Balancer[];
    const own = groups.filter(({ Tags }) => Tags[uidTag] === truth.uid) as readonly Group[];
    const say = (what: string): void =>
      void differences.push(`${truth.key} (${truth.uid.slice(-4)}): ${what}`);
    if (truth.ours) comparePresent(truth, balancers, own, say);
    else compareAbsent(truth, balancers, own, say);
    compareConditions(world, truth, say);
  }
  for (const { Tags } of [...ours, ...groups])
    if (!known.has(Tags[uidTag] ?? ''))
      differences.push(`left of ${Tags['sluice.dev/service']} (${Tags[uidTag]})`);
  return differences;
}

interface Balancer {
  readonly DNSName?: string;
  readonly State?: { readonly Code?: string };
  readonly Scheme?: string;
  readonly Attributes: Readonly<Record<string, string>>;
  readonly Tags: Readonly<Record<string, string>>;
  readonly Listeners: readonly Listener[];
}

interface Listener {
  readonly Port?: number;
  readonly Protocol?: string;
  readonly DefaultActions?: readonly { readonly TargetGroupArn?: string }[];
}

interface Group {
  readonly TargetGroupArn?: string;
  readonly Protocol?: string;
  readonly HealthCheckProtocol?: string;
  readonly HealthCheckIntervalSeconds?: number;
  readonly HealthyThresholdCount?: number;
  readonly Attributes: Readonly<Record<string, string>>;
  readonly Tags: Readonly<Record<string, string>>;
  readonly Targets?: readonly { readonly Id?: string; readonly Port?: number; readonly State?: string }[];
}

type Say = (what: string) => void;

function comparePresent(
  truth: ServiceTruth,
  balancers: readonly Balancer[],
  groups: readonly Group[],
  say: Say,
): void {
  const [balancer] = balancers;
  if (balancer === undefined || balancers.length > 1) return say(`${balancers.length} balancers`);
  if (!truth.finalized) say('no finalizer');
  if (balancer.State?.Code !== 'active') say(`its balancer is ${balancer.State?.Code}`);
  const host = balancer.DNSName?.toLowerCase();
  if (truth.addresses.length !== 1 || truth.addresses[0] !== host)
    say(`its status shows ${truth.addresses.join() || 'nothing'}, its balancer is ${host}`);
  const scheme = truth.annotations[`${prefix}scheme`];
  if (scheme !== undefined && balancer.Scheme !== scheme)
    say(`scheme is ${balancer.Scheme}, asked is ${scheme}`);
  const crossZone = /cross_zone.enabled=(\w+)/.exec(truth.annotations[`${prefix}attributes`] ?? '')?.[1];
  const hasCrossZone = balancer.Attributes['load_balancing.cross_zone.enabled'];
  if (crossZone !== undefined && hasCrossZone !== crossZone)
    say(`cross-zone is ${hasCrossZone}, asked is ${crossZone}`);
  const listeners = new Map(balancer.Listeners.map((one) => [one.Port, one]));
  for (const { Port } of balancer.Listeners)
    if (!truth.listeners.some(({ port }) => port === Port))
      say(`a listener on ${Port} that no port asks for`);
  if (groups.length !== truth.listeners.length)
    say(`${groups.length} target groups for ${truth.listeners.length} listeners`);
  for (const wanted of truth.listeners) {
    const listener = listeners.get(wanted.port);
    const what = `listener ${wanted.port}/${wanted.protocol}`;
    if (listener === undefined) {
      say(`${what} is missing`);
      continue;
    }
    if (listener.Protocol !== wanted.protocol) say(`${what} speaks ${listener.Protocol}`);
    const arn = listener.DefaultActions?.[0]?.TargetGroupArn;
    const group = groups.find(({ TargetGroupArn }) => TargetGroupArn === arn);
    if (group === undefined) say(`${what} leads to no target group of ours`);
    else compareGroup(truth, group, wanted.nodePort, what, say);
  }
}

function compareGroup(truth: ServiceTruth, group: Group, nodePort: number, what: string, say: Say): void {
  const { annotations } = truth;
  const registered = (group.Targets ?? [])
    .filter(({ State }) => State !== 'draining')
    .map(({ Id, Port }) => `${Id}:${Port}`)
    .toSorted();
  const wanted = [...truth.targets].map((id) => `${id}:${nodePort}`).toSorted();
  // With nothing wanted the old targets stay: there is nobody to take their place.
  if (wanted.length > 0 && registered.join() !== wanted.join())
    say(`${what} has targets ${short(registered)}, wanted are ${short(wanted)}`);
  const interval = annotations[`${prefix}healthcheck-interval`];
  if (interval !== undefined && String(group.HealthCheckIntervalSeconds) !== interval)
    say(`${what} is checked every ${group.HealthCheckIntervalSeconds} s, asked is ${interval}`);
  const threshold = annotations[`${prefix}healthcheck-healthy-threshold`];
  if (threshold !== undefined && String(group.HealthyThresholdCount) !== threshold)
    say(`${what} has threshold ${group.HealthyThresholdCount}, asked is ${threshold}`);
  for (const pair of (annotations[`${prefix}target-group-attributes`] ?? '').split(',')) {
    const [key = '', value = ''] = pair.split('=');
    if (key !== '' && group.Attributes[key] !== value)
      say(`${what}: ${key} is ${group.Attributes[key]}, asked is ${value}`);
  }
  const proxy = annotations[`${prefix}proxy-protocol`] === '*';
  if (
    group.Protocol !== 'UDP' &&
    group.Protocol !== 'TCP_UDP' &&
    (group.Attributes['proxy_protocol_v2.enabled'] === 'true') !== proxy
  )
    say(`${what}: proxy protocol is ${group.Attributes['proxy_protocol_v2.enabled']}`);
  for (const pair of (annotations[`${prefix}additional-resource-tags`] ?? '').split(',')) {
    const [key = '', value = ''] = pair.split('=');
    if (key !== '' && group.Tags[key] !== value)
      say(`${what}: tag ${key} is ${group.Tags[key]}, asked is ${value}`);
  }
}

function compareAbsent(
  truth: ServiceTruth,
  balancers: readonly Balancer[],
  groups: readonly Group[],
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
  return `[${list.map((one) => one.replace(/^i-0+/, 'i-')).join(' ')}]`;
}
