/**
 * Local mode on a real API server, with the controller as its own process under its own Role: pools, addresses and
 * what people are told. The agent is played by the test.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { serviceAddressName } from '../../src/core/address-objects.ts';
import { isSluiceError } from '../../src/core/errors.ts';
import { until } from '../../src/sandbox/demo/stage.ts';
import { apply, remove } from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { LocalGround, type Link } from './local-ground.ts';

let ground: LocalGround;
const taken = new Map<string, string>();
let haunted = 0;

function link(address: string): ReturnType<Link> {
  const mac = taken.get(address);
  return mac === undefined ? 'free' : { mac };
}

beforeAll(async () => {
  ground = await LocalGround.open({ local: { noAgentAfter: '1s', rest: '1m' } });
}, 600_000);

beforeEach(() => ground.playAgent(link));

afterEach(async () => {
  await ground.tidy({ forget: true });
  await ground.stopAgent();
});

afterAll(async () => {
  await ground?.close();
});

test('a pool and a Service applied: once an agent found the address free it stands in the status', async () => {
  const pool = await ground.pool('first', { addresses: ['192.0.2.10-192.0.2.11'] });
  const service = await ground.applied();
  await ground.shows(service, '192.0.2.10');
  const [object] = await ground.addresses();
  expect(object).toMatchObject({
    name: serviceAddressName('192.0.2.10'),
    pool: 'first',
    services: [{ key: `default/${service.metadata?.name ?? ''}` }],
  });
  await ground.tells(service, 'Provisioned', 'Active');
  await ground.tells(service, 'TargetsReady', 'TargetsRegistering');
  await ground.hold('192.0.2.10');
  await ground.tells(service, 'TargetsReady', 'TargetsHealthy');
  await ground.poolShows(pool, 'counts it', ({ ipv4 }) => ipv4?.inUse === 1 && ipv4.free === 1);
  await counts('sluice_pool_addresses{pool="first",ip_family="IPv4",state="in-use"} 1');
  await counts('sluice_pool_addresses{pool="first",ip_family="IPv4",state="free"} 1');
  // Who does not hear of pools any more is not well.
  await counts('sluice_reader_synced{kind="addresspools"} 1');
  await ground.gone(service);
  await ground.poolShows(pool, 'has it back', ({ ipv4 }) => ipv4?.inUse === 0);
  const kept = await ground.object('192.0.2.10', 'is remembered', (one) => one.rememberedFor !== undefined);
  expect(kept).toMatchObject({
    services: [],
    rememberedFor: { key: `default/${service.metadata?.name ?? ''}` },
  });
  await remove(ground.api, pool);
});

test.each<[string, object, RegExp]>([
  ['no range', { addresses: ['ten addresses'] }, /spec\.addresses.*write a CIDR such as/u],
  ['a backward family', { addresses: ['192.0.2.1-2001:db8::1'] }, /spec\.addresses.*of one family/u],
  ['a range of three', { addresses: ['192.0.2.1-192.0.2.2-192.0.2.3'] }, /spec\.addresses.*write a CIDR/u],
  ['a bare address', { addresses: ['192.0.2.1'] }, /spec\.addresses.*write a CIDR/u],
  ['half an end', { addresses: ['192.0.2.10-20'] }, /spec\.addresses.*write a CIDR/u],
  ['a prefix that is too long', { addresses: ['192.0.2.0/33'] }, /spec\.addresses.*write a CIDR/u],
  ['IPv4 written as IPv6', { addresses: ['::ffff:192.0.2.0/120'] }, /spec\.addresses.*write a CIDR/u],
  ['nothing', { addresses: [] }, /spec\.addresses.*at least 1/u],
  ['no addresses', {}, /spec\.addresses: Required/u],
  ['a priority below 0', { priority: -1 }, /spec\.priority.*greater than or equal to 0/u],
  ['no name of a namespace', { namespaces: ['Team A'] }, /spec\.namespaces\[0\]/u],
  ['an interface that cannot be', { interfaces: ['eth/0'] }, /spec\.interfaces\[0\]/u],
  [
    'a selector without values',
    { nodeSelectors: [{ matchExpressions: [{ key: 'rack', operator: 'In' }] }] },
    /spec\.nodeSelectors.*In and NotIn need values/u,
  ],
  [
    'a selector of nothing',
    { serviceSelectors: [{ matchExpressions: [{ key: '', operator: 'Exists' }] }] },
    /spec\.serviceSelectors.*key/u,
  ],
])('the API server refuses a pool with %s, and names the field', async (what, spec, message) => {
  const whole = what === 'no addresses' ? spec : { addresses: ['192.0.2.0/28'], ...spec };
  const error: unknown = await ground.pool('wrong', whole).catch((thrown: unknown) => thrown);
  expect(isSluiceError(error) && error.kind).toBe('invalid');
  expect(String(error)).toMatch(message);
});

test('something on the link has the address: another is given, and the condition names the MAC', async () => {
  // Each try has addresses of its own: one that was found taken rests for a while.
  haunted += 2;
  const [bad, good] = [`198.51.100.${haunted}`, `198.51.100.${haunted + 1}`];
  const pool = await ground.pool('haunted', { addresses: [`${bad}-${good}`] });
  taken.set(bad, '02:aa:bb:cc:dd:ee');
  const service = await ground.applied();
  await ground.shows(service, good);
  expect(await ground.tells(service, 'Accepted', 'AddressTaken')).toContain('02:aa:bb:cc:dd:ee');
  const object = await ground.object(bad, 'is nobody’s', ({ services }) => services.length === 0);
  expect(object).toMatchObject({ services: [], probe: { outcome: 'taken', mac: '02:aa:bb:cc:dd:ee' } });
  const asks = await ground.applied({ spec: { loadBalancerIP: bad } });
  expect(await ground.tells(asks, 'Provisioned', 'AddressTaken')).toContain('02:aa:bb:cc:dd:ee');
  await ground.gone(asks);
  await ground.gone(service);
  await remove(ground.api, pool);
});

test('no agent answers: a condition says so and nothing is shown; once one does the address comes', async () => {
  await ground.stopAgent();
  const pool = await ground.pool('quiet', { addresses: ['192.0.2.30-192.0.2.31'] });
  const service = await ground.applied();
  expect(await ground.tells(service, 'Provisioned', 'NoAgent')).toContain('192.0.2.30');
  await ground.shows(service);
  ground.playAgent(() => 'free');
  await ground.shows(service, '192.0.2.30');
  await ground.gone(service);
  await remove(ground.api, pool);
});

test('a pool of one: who waits is named, keeps the place over a restart of the controller, and is served first', async () => {
  const pool = await ground.pool('tiny', { addresses: ['192.0.2.40/32'] });
  const holder = await ground.applied();
  await ground.shows(holder, '192.0.2.40');
  const first = await ground.applied();
  await ground.tells(first, 'Provisioned', 'PoolExhausted');
  await new Promise((resolve) => {
    setTimeout(resolve, 1_100);
  });
  const second = await ground.applied();
  await ground.tells(second, 'Provisioned', 'PoolExhausted');
  const names = [first, second].map(({ metadata }) => `default/${metadata?.name ?? ''}`);
  await ground.poolShows(pool, 'names them', ({ firstWaiting }) => firstWaiting?.join() === names.join());
  await counts('sluice_pool_waiting{pool="tiny"} 2');
  await ground.sandbox.controllers.at(-1)?.process.stop(60_000);
  await ground.sandbox.startController();
  await ground.poolShows(
    pool,
    'names them still',
    ({ firstWaiting }) => firstWaiting?.join() === names.join(),
  );
  await ground.shows(holder, '192.0.2.40');
  await ground.gone(holder);
  await ground.shows(first, '192.0.2.40');
  await ground.shows(second);
  await ground.gone(second);
  await ground.gone(first);
  await remove(ground.api, pool);
});

test('a Service made anew under its name gets its address again, although a lower one is free', async () => {
  const pool = await ground.pool('memory', { addresses: ['192.0.2.50-192.0.2.59'] });
  const other = await ground.applied();
  await ground.shows(other, '192.0.2.50');
  const service = await ground.applied({ name: 'comes-back' });
  await ground.shows(service, '192.0.2.51');
  await ground.gone(service);
  await ground.gone(other);
  const stranger = await ground.applied();
  await ground.shows(stranger, '192.0.2.52');
  const again = await ground.applied({ name: 'comes-back' });
  await ground.shows(again, '192.0.2.51');
  await ground.gone(again);
  await ground.gone(stranger);
  await remove(ground.api, pool);
});

test('a pool that shrinks keeps what it gave out, says so, and moves it only with consent', async () => {
  const pool = await ground.pool('shrinks', { addresses: ['192.0.2.60-192.0.2.61'] });
  const service = await ground.applied();
  await ground.shows(service, '192.0.2.60');
  await ground.pool('shrinks', { addresses: ['192.0.2.61/32'] });
  expect(await ground.tells(service, 'Accepted', 'AddressDraining')).toContain('192.0.2.60');
  await ground.poolShows(pool, 'drains', ({ draining }) => draining?.join() === '192.0.2.60');
  await ground.shows(service, '192.0.2.60');
  await ground.pool('shrinks', { addresses: ['192.0.2.61/32'], moveOnShrink: true });
  await ground.shows(service, '192.0.2.61');
  await ground.gone(service);
  await remove(ground.api, pool);
});

test('a pool that is deleted takes nothing from its Services, gives out no more, and lets them move with consent', async () => {
  const pool = await ground.pool('leaves', { addresses: ['203.0.113.60-203.0.113.61'] });
  const service = await ground.applied();
  await ground.shows(service, '203.0.113.60');
  await remove(ground.api, pool);
  expect(await ground.tells(service, 'Accepted', 'AddressDraining')).toContain('203.0.113.60 is in no pool');
  const later = await ground.applied();
  await ground.tells(later, 'Provisioned', 'NoPool');
  await ground.shows(service, '203.0.113.60');
  const other = await ground.pool('comes', { addresses: ['203.0.113.90-203.0.113.91'] });
  await ground.shows(later, '203.0.113.90');
  await ground.shows(service, '203.0.113.60');
  await ground.api.request('PATCH', `/api/v1/namespaces/default/services/${service.metadata?.name ?? ''}`, {
    contentType: 'application/merge-patch+json',
    body: { metadata: { annotations: { 'sluice.dev/allow-move': 'true' } } },
  });
  await ground.shows(service, '203.0.113.91');
  for (const one of [service, later]) await ground.gone(one);
  await remove(ground.api, other);
});

test('two share an address and one gets policy Local: no node could serve both, so that one gets another, the other stays', async () => {
  const pool = await ground.pool('parts', { addresses: ['203.0.113.80-203.0.113.81'] });
  const shared = (app: string, port: number) => ({
    annotations: { 'sluice.dev/sharing-key': 'k' },
    spec: { selector: { app }, ports: [{ port }] },
  });
  const stays = await ground.applied(shared('a', 80));
  await ground.shows(stays, '203.0.113.80');
  const leaves = await ground.applied(shared('b', 81));
  await ground.shows(leaves, '203.0.113.80');
  await ground.api.request('PATCH', `/api/v1/namespaces/default/services/${leaves.metadata?.name ?? ''}`, {
    contentType: 'application/merge-patch+json',
    body: { spec: { externalTrafficPolicy: 'Local' } },
  });
  await ground.shows(leaves, '203.0.113.81');
  await ground.shows(stays, '203.0.113.80');
  const object = await ground.object('203.0.113.80', 'has one Service', (one) => one.services.length === 1);
  expect(object.services.map(({ key }) => key)).toEqual([`default/${stays.metadata?.name ?? ''}`]);
  for (const one of [stays, leaves]) await ground.gone(one);
  await remove(ground.api, pool);
});

test('of two pools that overlap the later is refused, both are told, and the earlier gives on', async () => {
  const early = await ground.pool('early', { addresses: ['192.0.2.70-192.0.2.79'] });
  await new Promise((resolve) => {
    setTimeout(resolve, 1_100);
  });
  const late = await ground.pool('late', { addresses: ['192.0.2.79-192.0.2.89'] });
  const refused = await ground.poolShows(
    late,
    'is refused',
    ({ conditions }) => conditions?.[0]?.status === 'False',
  );
  expect(refused.conditions?.[0]).toMatchObject({ reason: 'PoolOverlap' });
  expect(refused.conditions?.[0]?.message).toContain('early');
  await ground.poolShows(
    early,
    'is told',
    ({ conditions }) => conditions?.[0]?.message.includes('late') === true,
  );
  const service = await ground.applied();
  await ground.shows(service, '192.0.2.70');
  await ground.gone(service);
  await remove(ground.api, late);
  await remove(ground.api, early);
});

test('another controller writes the status: it is told with the command that ends it, and nothing is fought over', async () => {
  const pool = await ground.pool('disputed', { addresses: ['192.0.2.90/31'] });
  const service = await ground.applied({ spec: { loadBalancerClass: undefined } });
  await ground.shows(service, '192.0.2.90');
  const path = `/api/v1/namespaces/default/services/${service.metadata?.name ?? ''}/status`;
  await ground.api.request('PATCH', path, {
    query: { fieldManager: 'metallb-controller' },
    contentType: 'application/merge-patch+json',
    body: { status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } } },
  });
  const said = await ground.tells(service, 'Accepted', 'ForeignWriter');
  expect(said).toContain('MetalLB');
  expect(said).toContain('kubectl -n default patch service');
  await new Promise((resolve) => {
    setTimeout(resolve, 2_000);
  });
  await ground.shows(service, '203.0.113.1');
  await ground.gone(service);
  await remove(ground.api, pool);
});

test('plan and explain answer for local mode, and the key of the heartbeats is there', async () => {
  const pool = await ground.pool('asked', { addresses: ['192.0.2.100/30'] });
  const service = await ground.applied();
  await ground.shows(service, '192.0.2.100');
  const name = `default/${service.metadata?.name ?? ''}`;
  const { settings, kubeconfig } = ground.sandbox;
  const access = ['--config', settings, '--kubeconfig', kubeconfig];
  const planned = await sluice('plan', ...access, name);
  expect(planned).toMatchObject({ code: 0 });
  expect(planned.out).toContain('no changes');
  await ground.hold('192.0.2.100');
  await ground.tells(service, 'TargetsReady', 'TargetsHealthy');
  const explained = await sluice(
    'explain',
    ...access,
    `svc/${service.metadata?.name ?? ''}`,
    '-n',
    'default',
  );
  // The address is announced; what is missing is a Pod, and the command that shows it is named.
  expect(explained.out).toContain('Node node-1 answers for 192.0.2.100, and no endpoint is ready to serve');
  expect(explained.out).toContain(`kubectl -n default get pods -o wide -l app=web`);
  const greedy = await ground.applied({ annotations: { 'sluice.dev/address-pool': 'nowhere' } });
  await ground.tells(greedy, 'Provisioned', 'PoolUnknown');
  const why = await sluice('explain', ...access, `svc/${greedy.metadata?.name ?? ''}`, '-n', 'default');
  expect(why).toMatchObject({ code: 1 });
  expect(why.out).toContain('there is no pool nowhere');
  const secret = (await ground.api.request(
    'GET',
    '/api/v1/namespaces/sluice-system/secrets/sluice-heartbeat',
  )) as {
    readonly data: { readonly key: string };
  };
  expect(Buffer.from(secret.data.key, 'base64')).toHaveLength(32);
  await ground.gone(greedy);
  await ground.gone(service);
  await remove(ground.api, pool);
});

test('explain blames no address before somebody who may not list nodes', async () => {
  const pool = await ground.pool('narrow', { addresses: ['192.0.2.110/31'] });
  const service = await ground.applied();
  await ground.shows(service, '192.0.2.110');
  await ground.hold('192.0.2.110');
  const rule = (group: string, ...resources: readonly string[]): object => ({
    apiGroups: [group],
    resources,
    verbs: ['get', 'list'],
  });
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'audience' },
    rules: [
      rule('', 'services'),
      rule('discovery.k8s.io', 'endpointslices'),
      rule('events.k8s.io', 'events'),
      rule('sluice.dev', 'addresspools', 'serviceaddresses'),
    ],
  };
  await apply(ground.api, role);
  const { apiVersion, kind, metadata } = role;
  await apply(ground.api, {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: metadata.name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'jill' }],
  });
  const jill = await ground.sandbox.controlPlane.addUser({ user: 'jill' });
  const access = ['--kubeconfig', jill.path, '-n', 'default'];
  // Rights reach the API server's authorizer a moment after they are written.
  const { value: out } = await until('jill to be let in', async () => {
    const answer = await sluice('explain', ...access, `svc/${service.metadata?.name ?? ''}`);
    return answer.out.includes('(no right to list nodes); ') ? answer.out : undefined;
  });
  expect(out).toContain('Not read: nodes (no right to list nodes); the way of each address');
  expect(out).not.toContain('the cluster has no nodes');
  await ground.gone(service);
  await remove(ground.api, pool);
});

/** Waits for a line in the metrics of the controller, which are counted beside the status. */
async function counts(line: string): Promise<void> {
  const figures = async (): Promise<string> =>
    await (await fetch(`${ground.sandbox.controllers.at(-1)?.url ?? ''}/metrics`)).text();
  await expect.poll(figures, { timeout: 60_000 }).toContain(line);
}

async function sluice(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  const entry = fileURLToPath(new URL('bin/sluice.js', packageRoot));
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [entry, ...args]);
    return { code: 0, out: stdout + stderr };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as {
      readonly code: number;
      readonly stdout: string;
      readonly stderr: string;
    };
    return { code, out: stdout + stderr };
  }
}
