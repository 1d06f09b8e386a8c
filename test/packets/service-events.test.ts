/**
 * What is wrong with a Service is one event on it, however many nodes see it: two agents with the rights of their
 * manifests, no controller, a real API server that writes down who asked for what.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fileURLToPath } from 'node:url';
import { apply, manifestsOf, type Manifest } from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { cleanUp, startAgent } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { until } from './check.ts';
import { PacketCluster } from './cluster.ts';

const main = fileURLToPath(new URL('src/main.ts', packageRoot));
const namespace = 'sluice-agent';
let bed: Bed;
let cluster: PacketCluster;

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start({ audit: true })]);
  await cluster.join(bed);
  for (const file of ['namespace', 'service-account', 'cluster-role']) {
    for (const object of await manifestsOf(new URL(`manifests/overlays/agent/${file}.yaml`, packageRoot))) {
      const namespaced = object.kind === 'ServiceAccount';
      await apply(
        cluster.api,
        namespaced ? { ...object, metadata: { ...object.metadata, namespace } } : object,
      );
    }
  }
});

afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

const ours = { 'service.kubernetes.io/service-proxy-name': 'sluice' };

function service(name: string, clusterIP: string, over: Partial<Manifest['metadata']>, spec = {}): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name, labels: ours, ...over },
    spec: { clusterIP, ports: [{ port: 80 }], ...spec },
  };
}

interface Told {
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly kind: string; readonly name: string };
  readonly series?: object;
  readonly reportingController?: string;
}

/** Those of agents: the API server's own allocators write events on Services too. */
async function events(): Promise<readonly Told[]> {
  const list = await cluster.api.request('GET', '/apis/events.k8s.io/v1/namespaces/default/events');
  return (list as { items: readonly Told[] }).items.filter(
    ({ regarding, reportingController }) =>
      regarding.kind === 'Service' && reportingController === 'sluice.dev/agent',
  );
}

/** How often an agent wanted to write an event that was there already. */
async function repeats(): Promise<number> {
  const entries = await cluster.controlPlane.apiServer.audit();
  const own = entries.filter(({ user }) => user === `system:serviceaccount:${namespace}:sluice-agent`);
  return own.filter(
    ({ resource, verb, status }) => resource === 'events' && verb === 'create' && status === 409,
  ).length;
}

const misspelt = { 'sluice.dev/wieghts': 'default=2' };

test('what each Service says wrongly is one event with all of it and its cures, from two nodes', async () => {
  const contested = { externalIPs: ['192.0.2.77'] };
  await cluster.become([
    service('old', '10.96.9.21', {}, contested),
    service(
      'young',
      '10.96.9.22',
      { annotations: { 'sluice.dev/balancing': 'hsh', ...misspelt } },
      contested,
    ),
    service('typo', '10.96.9.23', { annotations: misspelt }),
    // A controller tells of this one.
    service(
      'held',
      '10.96.9.24',
      { annotations: misspelt, finalizers: ['sluice.dev/balancer'] },
      { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/aws' },
    ),
    service('others', '10.96.9.25', { annotations: misspelt, labels: {} }),
  ]);
  const access = await cluster.controlPlane.addServiceAccount({ namespace, name: 'sluice-agent' });
  const nodes = ['n1', 'n2'];
  const agents = await Promise.all(nodes.map((node) => startAgent(bed, node, { kubeconfig: access.path })));
  try {
    await until('both nodes have said all three', async () => (await repeats()) >= 3, 90_000, 500);
    const told = await events();
    expect(told.map(({ reason, regarding }) => `${reason} ${regarding.name}`).toSorted()).toEqual([
      'DestinationTaken young',
      'InvalidAnnotation young',
      'UnknownAnnotation typo',
    ]);
    expect(told.filter(({ series }) => series !== undefined)).toEqual([]);
    const note = (reason: string): string | undefined => told.find((one) => one.reason === reason)?.note;
    const meant = 'did you mean "sluice.dev/weights"?';
    expect(note('UnknownAnnotation')).toBe(
      `metadata.annotations["sluice.dev/wieghts"]: this annotation is not known and has no effect; ${meant}`,
    );
    expect(note('InvalidAnnotation')).toContain('"hsh" is not one of random, hash');
    expect(note('InvalidAnnotation')).toContain(meant);
  } finally {
    for (const agent of agents) await agent.stop(5_000);
    for (const node of nodes) await cleanUp(bed, node);
  }
});

test.each([
  ['of the Service', ['svc/typo']],
  ['of one that no agent serves', ['svc/others']],
  ['of a packet to it', ['--from=node', '--to=svc/typo:80', '--node=n1']],
])('explain names a misspelt annotation: %s', async (_what, args) => {
  const { stdout, stderr } = await bed.run('n1', process.execPath, [
    main,
    'explain',
    ...args,
    `--kubeconfig=${cluster.kubeconfig}`,
  ]);
  expect(stderr).toBe('');
  expect(stdout).toContain('did you mean "sluice.dev/weights"?');
});

test('agent --dry-run names it', async () => {
  const { code, stderr } = await bed.run('n1', process.execPath, [
    main,
    'agent',
    '--dry-run',
    '--node-name=n1',
    `--kubeconfig=${cluster.kubeconfig}`,
  ]);
  expect([code, stderr]).toEqual([0, expect.stringContaining('did you mean "sluice.dev/weights"?')]);
});
