/**
 * The agent under the ClusterRole of its manifests: the API server writes down every request, and the two must agree.
 * Nothing is refused, and nothing is granted that is never used.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, type Connection } from '../../src/kube/connection.ts';
import type { AuditEntry } from '../../src/sandbox/api-server.ts';
import { startControlPlane, type ControlPlane } from '../../src/sandbox/control-plane.ts';
import { apply, create, manifestsOf } from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { logOf, startAgent } from './agent-process.ts';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { until } from './check.ts';
import { bedNode } from '../../src/sandbox/bed/node-object.ts';

let bed: Bed;
let plane: ControlPlane;
let api: Connection;

beforeAll(async () => {
  [bed, plane] = await Promise.all([Bed.make(), startControlPlane({ apiServer: { audit: true } })]);
  api = await connect({ path: plane.kubeconfig });
  await bed.reach(plane.url, ['n1']);
  await create(api, bedNode(bed.node('n1')));
  for (const file of ['namespace', 'service-account', 'cluster-role']) {
    for (const object of await manifestsOf(new URL(`manifests/overlays/agent/${file}.yaml`, packageRoot))) {
      const namespaced = object.kind === 'ServiceAccount';
      await apply(api, namespaced ? { ...object, metadata: { ...object.metadata, namespace } } : object);
    }
  }
});
afterAll(async () => {
  await api?.close();
  await plane?.stop();
  await bed?.remove();
});

const namespace = 'sluice-agent';
const account = `system:serviceaccount:${namespace}:sluice-agent`;

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

async function granted(): Promise<readonly string[]> {
  const objects = await manifestsOf(new URL('manifests/overlays/agent/cluster-role.yaml', packageRoot));
  const rules = objects.flatMap((object) => (object['rules'] ?? []) as readonly Rule[]);
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    verbs.map((verb) => `${verb} ${apiGroups.join()} ${resources.join()}`),
  );
}

const used = ({ verb, apiGroup, resource }: AuditEntry): string => `${verb} ${apiGroup} ${resource}`;

test('it is refused nothing, and uses every right', async () => {
  const access = await plane.addServiceAccount({ namespace, name: 'sluice-agent' });
  const agent = await startAgent(bed, 'n1', { kubeconfig: access.path, args: ['--backend=nftables'] });
  const wrote = async (times: number): Promise<void> =>
    until(`${times} whole writes`, async () => {
      const lines = await logOf(agent);
      return lines.filter(({ msg }) => msg === 'wrote everything').length >= times;
    });
  // The same event twice becomes a series, written at the end. Who flushed is not known each time, and an event that says
  // so is another.
  for (let writes = 2; writes < 6; writes += 1) {
    await wrote(writes);
    await bed.succeed('n1', 'nft', ['delete', 'table', 'ip', 'sluice']);
  }
  await wrote(6);
  await agent.stop(60_000);
  const requests = (await plane.apiServer.audit()).filter(
    ({ user, resource }) => user === account && resource !== '',
  );
  expect(requests.filter(({ status }) => status === 401 || status === 403)).toEqual([]);
  const seen = new Set(requests.map(used));
  const rights = await granted();
  expect([...seen].filter((one) => !rights.includes(one))).toEqual([]);
  expect(rights.filter((one) => !seen.has(one))).toEqual([]);
});
