/**
 * The cloud story: Services get their addresses from a simulated AWS account, nodes come and go, a typo and
 * a quota are explained, and in the end nothing is left. Each chapter checks what it shows.
 */
import type { Connections } from './connections.ts';
import { merge } from './patch.ts';
import { condition, statusOf, until, untilService, type Narrator } from './stage.ts';
import { apply, manifestsOf, nodeManifest, read, remove, sliceManifest, type Manifest } from '../objects.ts';
import type { Api } from '../../kube/api.ts';
import type { ControlClient } from '../../../providers/aws/simulator/control-client.ts';

export interface AwsStage {
  readonly api: Api;
  readonly cloud: ControlClient;
  readonly narrator: Narrator;
  /** Folder with the example manifests. */
  readonly examples: URL;
  readonly connections: Connections;
  readonly signal: AbortSignal;
}

const files = ['web', 'dns', 'tls', 'local-policy', 'tuned'];
const zones = ['eu-west-1a', 'eu-west-1b'] as const;
const prefix = 'service.beta.kubernetes.io/aws-load-balancer-';

export async function tellAwsStory(stage: AwsStage): Promise<void> {
  const { narrator } = stage;
  const services = await scene(stage);
  await addresses(stage, services);
  narrator.chapter('Connections through a balancer');
  const url = await stage.connections.show(named(services, 'web'), 3);
  narrator.chapter('Nodes come and go');
  await stage.connections.throughout(url, { joined: 'node-4', left: 'node-2' }, () => nodesComeAndGo(stage));
  await annotationChanges(stage, services);
  await typoIsExplained(stage, services);
  await quotaIsExplained(stage);
  await nothingIsLeft(stage, services);
}

async function scene({ api, cloud, narrator, examples }: AwsStage): Promise<readonly Manifest[]> {
  narrator.chapter('A cluster with three nodes');
  for (const index of [1, 2, 3]) await addNode({ api, cloud }, index);
  narrator.line('node-1, node-2 and node-3 have joined; each is an EC2 instance by its providerID.');
  const services: Manifest[] = [];
  for (const file of files) services.push(...(await manifestsOf(new URL(`${file}.yaml`, examples))));
  return services;
}

async function addNode({ api, cloud }: Pick<AwsStage, 'api' | 'cloud'>, index: number): Promise<void> {
  const zone = zones[index % 2] ?? zones[0];
  const instance = instanceOf(index);
  await cloud.setInstance(instance, { state: 'running', zone });
  await apply(api, nodeManifest({ name: `node-${index}`, instance, zone }));
}

function instanceOf(index: number): string {
  return `i-0aaaaaaaaaaaaaaa${index}`;
}

async function addresses(
  { api, cloud, narrator, signal }: AwsStage,
  services: readonly Manifest[],
): Promise<void> {
  narrator.chapter(`${services.length} Services of type LoadBalancer`);
  // The pods of Service chat run on node-1 and node-2 only: under policy Local only these are targets.
  await apply(api, sliceManifest('default', 'chat', { name: 'chat', port: 5222 }, ['node-1', 'node-2']));
  const rows = [['SERVICE', 'EXTERNAL-IP', 'SECONDS', 'CLOUD CALLS']];
  for (const service of services) {
    const before = (await cloud.calls()).calls.length;
    await apply(api, service);
    const { value, ms } = await untilService(
      api,
      service,
      'gets an address',
      (live) => statusOf(live).address !== '',
      { signal },
    );
    const made = (await cloud.calls()).calls.slice(before);
    const writes = made.filter(({ mutating }) => mutating).length;
    rows.push([
      service.metadata?.name ?? '',
      statusOf(value).address,
      (ms / 1000).toFixed(2),
      `${made.length} (${writes} writes)`,
    ]);
  }
  narrator.table(rows);
  const targets = await targetsOf(cloud, 'chat');
  expect(targets.length === 2, `policy Local: chat has 2 targets, not ${targets.length}`);
  narrator.good(
    'chat has externalTrafficPolicy Local: only the 2 nodes that run its pods are targets, the others have 3.',
  );
}

async function nodesComeAndGo(stage: AwsStage): Promise<void> {
  const { api, cloud, narrator, signal } = stage;
  await until('every target to be healthy', () => allTargets(cloud, ({ State }) => State === 'healthy'), {
    signal,
  });
  const before = (await cloud.calls()).calls.length;
  await addNode(stage, 4);
  const following = ['web', 'dns', 'shop', 'api'];
  const joined = await until(
    'node-4 to be a target of every Service that takes all nodes',
    async () => {
      const targets = await Promise.all(following.map((name) => targetsOf(cloud, name)));
      return targets.every((ids) => ids.includes(instanceOf(4))) ? true : undefined;
    },
    { signal },
  );
  const made = (await cloud.calls()).calls.slice(before).filter(({ mutating }) => mutating);
  narrator.good(
    `node-4 joined and is a target everywhere after ${(joined.ms / 1000).toFixed(2)} s: ${tally(made.map(({ operation }) => operation))}, one for each target group.`,
  );
  await until('node-4 to be healthy', () => allTargets(cloud, ({ State }) => State === 'healthy'), {
    signal,
  });
  await remove(api, nodeManifest({ name: 'node-2', instance: instanceOf(2), zone: zones[0] }));
  const left = await until(
    'node-2 to drain everywhere',
    () => allTargets(cloud, ({ Id, State }) => Id !== instanceOf(2) || State === 'draining', following),
    { signal },
  );
  narrator.good(
    `node-2 left and drains after ${(left.ms / 1000).toFixed(2)} s; its connections have time to end.`,
  );
}

async function annotationChanges(
  { api, cloud, narrator, signal }: AwsStage,
  services: readonly Manifest[],
): Promise<void> {
  narrator.chapter('An annotation changes');
  const web = named(services, 'web');
  const before = (await cloud.calls()).calls.length;
  await merge(api, web, {
    metadata: { annotations: { [`${prefix}attributes`]: 'load_balancing.cross_zone.enabled=true' } },
  });
  const changed = await until(
    'the attribute to be set',
    async () =>
      (await attributesOf(cloud, 'web'))['load_balancing.cross_zone.enabled'] === 'true' || undefined,
    { signal },
  );
  const writes = (await cloud.calls()).calls.slice(before).filter(({ mutating }) => mutating);
  narrator.good(
    `cross-zone balancing is on after ${(changed.ms / 1000).toFixed(2)} s: ${tally(writes.map(({ operation }) => operation))}.`,
  );
}

async function typoIsExplained(
  { api, narrator, signal }: AwsStage,
  services: readonly Manifest[],
): Promise<void> {
  narrator.chapter('A typo, and a value that cannot be');
  const web = named(services, 'web');
  await merge(api, web, {
    metadata: {
      annotations: { [`${prefix}healthcheck-intervall`]: '10', [`${prefix}healthcheck-timeout`]: 'soon' },
    },
  });
  const { value } = await untilService(
    api,
    web,
    'says what is wrong',
    (live) => condition(live, 'Accepted')?.status === 'False',
    { signal },
  );
  for (const problem of (condition(value, 'Accepted')?.message ?? '').split(' | '))
    narrator.line(`  ${problem}`);
  expect(statusOf(value).address !== '', 'the address stays while the user mends the annotation');
  narrator.good('Both are reported at once, and the balancer goes on as it was.');
  await merge(api, web, {
    metadata: {
      annotations: { [`${prefix}healthcheck-intervall`]: null, [`${prefix}healthcheck-timeout`]: null },
    },
  });
  await untilService(api, web, 'is accepted again', (live) => condition(live, 'InSync')?.status === 'True', {
    signal,
  });
}

async function quotaIsExplained({ api, cloud, narrator, signal }: AwsStage): Promise<void> {
  narrator.chapter('A quota is reached');
  const { loadBalancers } = await cloud.dump();
  const settings = await cloud.settings();
  await cloud.configure({ quotas: { networkLoadBalancers: loadBalancers.length } });
  const extra: Manifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name: 'one-too-many' },
    spec: { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/aws', ports: [{ port: 80 }] },
  };
  await apply(api, extra);
  const { value } = await untilService(
    api,
    extra,
    'says that the quota is reached',
    (live) => condition(live, 'Provisioned')?.reason === 'QuotaExceeded',
    { signal },
  );
  narrator.line(`  ${condition(value, 'Provisioned')?.message ?? ''}`);
  await cloud.configure({ quotas: { networkLoadBalancers: settings.quotas.networkLoadBalancers } });
  await remove(api, extra);
  await untilService(api, extra, 'goes', (live) => live === undefined, { signal });
  narrator.good('The other Services did not notice.');
}

async function nothingIsLeft(
  { api, cloud, narrator, signal }: AwsStage,
  services: readonly Manifest[],
): Promise<void> {
  narrator.chapter('Everything is deleted');
  for (const service of services) await remove(api, service);
  const { ms } = await until(
    'every Service to be gone',
    async () => {
      for (const service of services) if ((await read(api, service)) !== undefined) return undefined;
      return true;
    },
    { signal },
  );
  const { loadBalancers, targetGroups } = await cloud.dump();
  expect(
    loadBalancers.length + targetGroups.length === 0,
    `nothing is left in the account, not ${loadBalancers.length} balancers and ${targetGroups.length} target groups`,
  );
  const { counts } = await cloud.calls();
  const total = Object.values(counts).reduce<number>((sum, count) => sum + count, 0);
  narrator.good(
    `After ${(ms / 1000).toFixed(2)} s nothing is left in the account: 0 balancers, 0 target groups. ${total} calls were made in all.`,
  );
}

function named(services: readonly Manifest[], name: string): Manifest {
  const found = services.find((service) => service.metadata?.name === name);
  if (!found) throw new Error(`there is no example called ${name}`);
  return found;
}

type Dumped = Awaited<ReturnType<ControlClient['dump']>>['targetGroups'][number];

async function groupsOf(cloud: ControlClient, service: string): Promise<readonly Dumped[]> {
  const { targetGroups } = await cloud.dump();
  return targetGroups.filter(({ Tags }) => JSON.stringify(Tags).includes(`default/${service}"`));
}

interface DumpedTarget {
  readonly Id: string;
  readonly Port: number;
  readonly State: string;
}

async function dumpedTargets(cloud: ControlClient, service: string): Promise<readonly DumpedTarget[]> {
  return (await groupsOf(cloud, service)).flatMap((group) => group['Targets'] as readonly DumpedTarget[]);
}

/** True when every target of the named examples passes, undefined until then. */
async function allTargets(
  cloud: ControlClient,
  passes: (target: DumpedTarget) => boolean,
  names: readonly string[] = ['web', 'dns', 'shop', 'chat', 'api'],
): Promise<true | undefined> {
  const targets = await Promise.all(names.map((name) => dumpedTargets(cloud, name)));
  return targets.every((group) => group.length > 0 && group.every(passes)) ? true : undefined;
}

/** Instances that are targets of a Service and do not drain. */
async function targetsOf(cloud: ControlClient, service: string): Promise<readonly string[]> {
  const targets = await dumpedTargets(cloud, service);
  return targets.filter(({ State }) => State !== 'draining').map(({ Id }) => Id);
}

async function attributesOf(
  cloud: ControlClient,
  service: string,
): Promise<Readonly<Record<string, string>>> {
  const { loadBalancers } = await cloud.dump();
  return (
    loadBalancers.find(({ Tags }) => JSON.stringify(Tags).includes(`default/${service}"`))?.Attributes ?? {}
  );
}

/** `5 × RegisterTargets, 1 × DescribeTags`. */
function tally(operations: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const operation of operations) counts.set(operation, (counts.get(operation) ?? 0) + 1);
  return counts.size === 0
    ? 'no cloud call'
    : [...counts].map(([operation, count]) => `${count} × ${operation}`).join(', ');
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`the story expected otherwise: ${what}`);
}
