/** What is wrong with a Service is one event on it, however many nodes see it: two agents, a real API server. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../src/sandbox/objects.ts';
import { cleanUp, startAgent } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { until } from './check.ts';
import { PacketCluster } from './cluster.ts';

let bed: Bed;
let cluster: PacketCluster;

beforeAll(async () => {
  [bed, cluster] = await Promise.all([Bed.make(), PacketCluster.start()]);
  await cluster.join(bed);
});

afterAll(async () => {
  await cluster?.stop();
  await bed?.remove();
});

function service(name: string, clusterIP: string, annotations: Readonly<Record<string, string>>): Manifest {
  const labels = { 'service.kubernetes.io/service-proxy-name': 'sluice' };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name, labels, annotations },
    spec: { clusterIP, externalIPs: ['192.0.2.77'], ports: [{ port: 80 }] },
  };
}

interface Told {
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly kind: string; readonly name: string };
}

async function events(): Promise<readonly Told[]> {
  const list = await cluster.api.request('GET', '/apis/events.k8s.io/v1/namespaces/default/events');
  return (list as { items: readonly Told[] }).items.filter(({ regarding }) => regarding.kind === 'Service');
}

test('an annotation that cannot be read and a contested external IP: one event each, from two nodes', async () => {
  await cluster.become([
    service('old', '10.96.9.21', {}),
    service('young', '10.96.9.22', { 'sluice.dev/balancing': 'hsh' }),
  ]);
  const nodes = ['n1', 'n2'];
  const agents = await Promise.all(
    nodes.map((node) => startAgent(bed, node, { kubeconfig: cluster.kubeconfig })),
  );
  try {
    await until('both are told', async () => (await events()).length >= 2, 20_000, 200);
    // Both nodes have spoken by then.
    await new Promise((resolve) => setTimeout(resolve, 10_500));
    const told = await events();
    expect(told.map(({ reason, regarding }) => `${reason} ${regarding.name}`).toSorted()).toEqual([
      'DestinationTaken young',
      'InvalidAnnotation young',
    ]);
    expect(told.map(({ note }) => note).join()).toContain('"hsh" is not one of random, hash');
  } finally {
    for (const agent of agents) await agent.stop(5_000);
    for (const node of nodes) await cleanUp(bed, node);
  }
});
