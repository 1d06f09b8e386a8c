/**
 * Local mode from the manifests as they are shipped: the controller and two agents that announce, each under its own
 * account, with pools and Services on a real API server and addresses on a LAN of namespaces.
 *
 * The API server writes down every request, and the roles and the requests must agree: nothing is refused, and nothing is
 * granted that is never used.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { patchContentType } from '../../src/kube/api.ts';
import { connect } from '../../src/kube/connection.ts';
import type { AuditEntry } from '../../src/sandbox/api-server.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { bedNode } from '../../src/sandbox/bed/node-object.ts';
import { apply, create, manifestsOf } from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { LocalGround } from '../cluster/local-ground.ts';
import { startAgent } from './agent-process.ts';
import { believed, has, macOf, until } from './announce/lan.ts';

const agentsIn = 'sluice-agent';
const accounts = {
  agent: `system:serviceaccount:${agentsIn}:sluice-agent`,
  controller: 'system:serviceaccount:sluice-system:sluice-controller',
} as const;
const nodes = ['n1', 'n2'] as const;

let bed: Bed;
let ground: LocalGround;

beforeAll(async () => {
  [bed, ground] = await Promise.all([
    Bed.make({ nodes: nodes.length, podsPerNode: 1, clients: 2 }),
    LocalGround.open({ local: { remember: '0' }, controlPlane: { apiServer: { audit: true } } }, 0),
  ]);
  const { controlPlane } = ground.sandbox;
  await bed.reach(controlPlane.url, [...nodes]);
  for (const name of nodes) await create(ground.api, bedNode(bed.node(name)));
  for (const file of ['agent/namespace', 'agent/service-account', 'agent/cluster-role', 'local/agent-role']) {
    for (const object of await manifestsOf(new URL(`manifests/overlays/${file}.yaml`, packageRoot))) {
      const placed = object.kind === 'ServiceAccount' ? { namespace: agentsIn } : {};
      await apply(ground.api, { ...object, metadata: { ...object.metadata, ...placed } });
    }
  }
}, 600_000);

afterAll(async () => {
  await bed?.remove();
  await ground?.close();
});

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** One right as text; of the names only those that the role names. */
async function granted(...paths: readonly string[]): Promise<readonly string[]> {
  const objects = await Promise.all(
    paths.map((path) => manifestsOf(new URL(`manifests/${path}.yaml`, packageRoot))),
  );
  const rules = objects.flat().flatMap((object) => (object['rules'] ?? []) as readonly Rule[]);
  return rules.flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) =>
          (resourceNames ?? ['']).map((name) => [verb, group, resource, name].join(' ').trimEnd()),
        ),
      ),
    ),
  );
}

function used(
  { verb, apiGroup, resource, subresource, name }: AuditEntry,
  rights: readonly string[],
): string {
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const plain = [verb, apiGroup, what].join(' ');
  return rights.find((one) => one === plain || one === `${plain} ${name}`) ?? `not granted: ${plain} ${name}`;
}

async function requestsOf(account: string): Promise<readonly AuditEntry[]> {
  const entries = await ground.sandbox.controlPlane.apiServer.audit();
  return entries.filter(({ user, resource }) => user === account && resource !== '');
}

test('a Service gets an address, a node answers for it, another takes over, and nobody is refused anything', async () => {
  const access = await ground.sandbox.controlPlane.addServiceAccount({
    namespace: agentsIn,
    name: 'sluice-agent',
  });
  const start = (node: string) =>
    startAgent(bed, node, {
      kubeconfig: access.path,
      args: [
        '--announce',
        '--namespace=sluice-system',
        `--lease-namespace=${agentsIn}`,
        '--backend=nftables',
      ],
    });
  const controllers = (): Promise<unknown> =>
    Promise.all(ground.sandbox.controllers.map(({ process }) => process.stop(60_000)));
  if (ground.sandbox.controllers.every(({ process }) => process.ended() !== undefined))
    await ground.sandbox.startController();
  const agents = { n1: await start('n1'), n2: await start('n2') };
  // A second try finds what the first one found.
  onTestFinished(async () => {
    for (const agent of Object.values(agents)) await agent.stop(5_000);
    await bed.run('x2', 'ip', ['addr', 'del', '172.31.0.50/24', 'dev', 'eth0']);
    await ground.tidy();
    await controllers();
  });
  // A host that nobody told us of.
  await bed.ip('x2', 'addr add 172.31.0.50/24 dev eth0');
  const pool = await ground.pool('lan', { addresses: ['172.31.0.50-172.31.0.52'], interfaces: ['eth0'] });
  const service = await ground.applied();
  await ground.shows(service, '172.31.0.51');
  expect(await ground.tells(service, 'Accepted', 'AddressTaken')).toContain(await macOf(bed, 'x2'));
  const holder = async (): Promise<(typeof nodes)[number] | undefined> => {
    const held = await Promise.all(nodes.map((node) => has(bed, node, '172.31.0.51')));
    return held.filter(Boolean).length === 1 ? nodes[held.indexOf(true)] : undefined;
  };
  await until('one node holds it', async () => (await holder()) !== undefined);
  const first = await holder();
  await ground.tells(service, 'TargetsReady', 'TargetsHealthy');
  await ground.poolShows(pool, 'counts it', ({ inUse }) => inUse === 1);
  const mac = await macOf(bed, first ?? 'n1');
  await until('a client is told where it is', async () => {
    await bed.dial('x1', { address: '172.31.0.51', port: 80 }, { timeoutMs: 300 });
    return (await believed(bed, 'x1', '172.31.0.51')) === mac;
  });
  // Half of the agents is gone at once: the Lease decides.
  const other = first === 'n1' ? 'n2' : 'n1';
  await agents[first ?? 'n1'].stop(0);
  await until('the other took over', async () => await has(bed, other, '172.31.0.51'));
  await ground.gone(service);
  await ground.poolShows(pool, 'has it back', ({ inUse }) => inUse === 0);
  await until('nobody holds it', async () => !(await has(bed, other, '172.31.0.51')));
  await agents[other].stop(60_000);
  await controllers();
  for (const account of Object.values(accounts)) {
    const refused = (await requestsOf(account)).filter(({ status }) => status === 401 || status === 403);
    expect(refused.map(({ verb, resource, name }) => `${verb} ${resource} ${name}`)).toEqual([]);
  }
}, 300_000);

test('the roles grant what was used and nothing more, beside list, which servers without streaming lists need', async () => {
  const unused = async (
    account: string,
    own: string,
    ...beside: readonly string[]
  ): Promise<readonly string[]> => {
    const ofOverlay = await granted(own);
    const rights = [...ofOverlay, ...(await granted(...beside))];
    const seen = new Set((await requestsOf(account)).map((entry) => used(entry, rights)));
    expect([...seen].filter((one) => one.startsWith('not granted'))).toEqual([]);
    return ofOverlay.filter((one) => !seen.has(one) && !one.startsWith('list '));
  };
  // What is granted beside the overlay has tests of its own: test/cluster/rbac.test.ts and agent-rights.test.ts.
  expect(await unused(accounts.agent, 'overlays/local/agent-role', 'overlays/agent/cluster-role')).toEqual(
    [],
  );
  expect(
    await unused(
      accounts.controller,
      'overlays/local/controller-role',
      'base/cluster-role',
      'base/lease-role',
    ),
  ).toEqual([]);
});

test('an agent can do nothing to the Lease by which the controller leads, nor to any beside it', async () => {
  const access = await ground.sandbox.controlPlane.addServiceAccount({
    namespace: agentsIn,
    name: 'sluice-agent',
  });
  const api = await connect({ path: access.path });
  onTestFinished(() => api.close());
  const leases = '/apis/coordination.k8s.io/v1/namespaces/sluice-system/leases';
  const own = `${leases}/sluice-controller`;
  const before = await ground.api.request('GET', own);
  const body = { spec: { holderIdentity: 'an agent' } };
  const contentType = patchContentType.merge;
  const tries = {
    reads: () => api.request('GET', own),
    lists: () => api.request('GET', leases),
    patches: () => api.request('PATCH', own, { body, contentType }),
    deletes: () => api.request('DELETE', own),
    makes: () => api.request('POST', leases, { body: { metadata: { name: 'sluice-other' } } }),
  };
  for (const [what, run] of Object.entries(tries))
    await expect(run(), what).rejects.toMatchObject({ kind: 'denied' });
  expect(await ground.api.request('GET', own)).toEqual(before);
});
