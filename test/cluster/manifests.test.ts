/**
 * The manifests as they are shipped, against a real API server: every object is accepted in full, without a
 * field that the server does not know, and a Pod of the Deployment passes the admission of its namespace.
 *
 * kubectl comes from where the API server comes from. Built from source it shares nearly all of its packages
 * with the API server, so it adds little to the first run; for that the tests hold what a user types.
 */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { findBinaries } from '../../src/sandbox/binaries.ts';
import { apply, manifestsOf, pathOf, type Manifest } from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { Ground } from './ground.ts';

let ground: Ground;
let kubectl: string;

beforeAll(async () => {
  ({ kubectl } = await findBinaries(['kubectl']));
  ground = await Ground.open({ controllers: 0 }, 0);
}, 600_000);

afterAll(async () => {
  await ground?.close();
});

const overlayOf = (name: string): string => fileURLToPath(new URL(`manifests/overlays/${name}`, packageRoot));
const overlay = overlayOf('aws');
/** Overlays of the controller, one for each cloud. */
const clouds = ['aws', 'alibaba'];

async function run(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(kubectl, args, {
    env: {
      KUBECONFIG: ground.sandbox.kubeconfig,
      // Its cache goes with the sandbox; without a HOME it would be kept where we stand.
      KUBECACHEDIR: join(ground.sandbox.controlPlane.folder, 'kubectl'),
      HOME: ground.sandbox.controlPlane.folder,
      PATH: process.env['PATH'] ?? '',
    },
    maxBuffer: 10_000_000,
  });
  return stdout;
}

/** As `kubectl apply --server-side --dry-run=server --validate=strict`. */
function tryOut(object: Manifest): Promise<unknown> {
  return ground.api.request('PATCH', pathOf(object), {
    body: object,
    contentType: 'application/apply-patch+yaml',
    query: { fieldManager: 'test', force: true, dryRun: 'All', fieldValidation: 'Strict' },
  });
}

/** Objects of Kubernetes's own kinds under `manifests/base`, one entry a file. */
async function shipped(): Promise<readonly (readonly [string, readonly Manifest[]])[]> {
  const folder = new URL('manifests/base/', packageRoot);
  const files = (await readdir(folder)).filter((name) => name !== 'kustomization.yaml');
  return Promise.all(
    files.toSorted().map(async (name) => [name, await manifestsOf(new URL(name, folder))] as const),
  );
}

async function rendered(of = overlay): Promise<readonly Manifest[]> {
  return parseAllDocuments(await run('kustomize', of)).map((one) => one.toJS() as Manifest);
}

describe('the manifests', () => {
  test('every object of every file of the base is accepted as it is', async () => {
    const namespace = 'sluice-system';
    const seen: string[] = [];
    for (const [file, objects] of await shipped()) {
      for (const object of objects) {
        const placed = { ...object, metadata: { namespace, ...object.metadata } };
        await expect(tryOut(placed), `${file} ${object.kind}`).resolves.toMatchObject({ kind: object.kind });
        seen.push(object.kind);
      }
    }
    expect(seen.toSorted()).toEqual([
      'ClusterRole',
      'ClusterRoleBinding',
      'Deployment',
      'Namespace',
      'PodDisruptionBudget',
      'Role',
      'RoleBinding',
      'ServiceAccount',
    ]);
  });

  test('a misspelt field would have been refused', async () => {
    const [, objects] = (await shipped()).find(([file]) => file === 'deployment.yaml') ?? ['', []];
    const [deployment] = objects;
    if (!deployment) throw new Error('no Deployment');
    const misspelt = {
      ...deployment,
      metadata: { namespace: 'sluice-system', ...deployment.metadata },
      spec: { ...(deployment['spec'] as object), replica: 2 },
    };
    await expect(tryOut(misspelt)).rejects.toThrow(/replica/u);
  });

  test.each(clouds)('what kustomize makes of the overlay %s is accepted as a whole', async (cloud) => {
    const objects = await rendered(overlayOf(cloud));
    for (const object of objects)
      await expect(tryOut(object), object.kind).resolves.toMatchObject({ kind: object.kind });
    const answer = await run('apply', '--dry-run=server', '--validate=strict', '-k', overlayOf(cloud));
    const lines = answer.trimEnd().split('\n');
    expect(lines.length).toBe(objects.length);
    for (const line of lines) expect(line).toMatch(/\(server dry run\)$/u);
  });

  test('a Pod of the Deployment passes the restricted profile of its namespace', async () => {
    const objects = await rendered();
    const namespace = objects.find(({ kind }) => kind === 'Namespace');
    const deployment = objects.find(({ kind }) => kind === 'Deployment');
    if (!namespace || !deployment) throw new Error('the overlay lacks its Namespace or Deployment');
    await apply(ground.api, namespace);
    const { template } = deployment['spec'] as { readonly template: { readonly spec: object } };
    const create = (spec: object): Promise<unknown> =>
      ground.api.request('POST', '/api/v1/namespaces/sluice-system/pods', {
        query: { dryRun: 'All' },
        body: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'probe' }, spec },
      });
    await expect(create(template.spec)).resolves.toMatchObject({
      spec: { priorityClassName: 'system-cluster-critical', serviceAccountName: 'sluice-controller' },
    });
    // The profile has teeth: the same Pod on the host's network is refused.
    await expect(create({ ...template.spec, hostNetwork: true })).rejects.toThrow(/restricted|PodSecurity/u);
  });

  test.each(clouds)('the Deployment of %s reads the ConfigMap that the overlay makes', async (cloud) => {
    const objects = await rendered(overlayOf(cloud));
    const made = objects.find(({ kind }) => kind === 'ConfigMap')?.metadata?.name ?? '';
    expect(made).toMatch(/^sluice-config-/u);
    expect(JSON.stringify(objects.find(({ kind }) => kind === 'Deployment'))).toContain(`"name":"${made}"`);
    const config = objects.find(({ kind }) => kind === 'ConfigMap') as { readonly data?: object } | undefined;
    expect(Object.values(config?.data ?? {}).join('\n')).toContain(`  ${cloud}:`);
  });
});

describe('the overlays of the node agent', () => {
  test.each(['agent', 'instead-of-kube-proxy'])('every object of %s is accepted as a whole', async (name) => {
    const objects = await rendered(fileURLToPath(new URL(`manifests/overlays/${name}`, packageRoot)));
    // What is tried out lives in it.
    for (const object of objects) if (object.kind === 'Namespace') await apply(ground.api, object);
    for (const object of objects)
      await expect(tryOut(object), object.kind).resolves.toMatchObject({ kind: object.kind });
    expect(objects.map(({ kind }) => kind).toSorted()).toEqual([
      'ClusterRole',
      'ClusterRoleBinding',
      'DaemonSet',
      'Namespace',
      'ServiceAccount',
    ]);
  });

  test('a Pod of the DaemonSet passes the admission of its namespace', async () => {
    const objects = await rendered(fileURLToPath(new URL('manifests/overlays/agent', packageRoot)));
    const namespace = objects.find(({ kind }) => kind === 'Namespace');
    const daemonSet = objects.find(({ kind }) => kind === 'DaemonSet');
    if (!namespace || !daemonSet) throw new Error('the overlay lacks its Namespace or DaemonSet');
    await apply(ground.api, namespace);
    const { template } = daemonSet['spec'] as { readonly template: { readonly spec: object } };
    const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'probe' }, spec: template.spec };
    await expect(
      ground.api.request('POST', '/api/v1/namespaces/sluice-agent/pods', { query: { dryRun: 'All' }, body }),
    ).resolves.toMatchObject({ spec: { hostNetwork: true, priorityClassName: 'system-node-critical' } });
  });
});

/** The labels by which a NetworkPolicy finds its Pods. */
function labelsOf(policy: Manifest | undefined): object {
  if (!policy) throw new Error('the overlay lacks its NetworkPolicy');
  const { podSelector } = policy['spec'] as { readonly podSelector: { readonly matchLabels: object } };
  return podSelector.matchLabels;
}

describe('the overlay of local mode', () => {
  const local = fileURLToPath(new URL('manifests/overlays/local', packageRoot));

  test('every object is accepted as a whole, controller, agents, kinds and policy', async () => {
    const objects = await rendered(local);
    for (const object of objects) if (object.kind === 'Namespace') await apply(ground.api, object);
    for (const object of objects)
      await expect(tryOut(object), object.kind).resolves.toMatchObject({ kind: object.kind });
    const kinds = new Set(objects.map(({ kind }) => kind));
    for (const kind of ['DaemonSet', 'Deployment', 'CustomResourceDefinition', 'NetworkPolicy', 'ConfigMap'])
      expect(kinds).toContain(kind);
    const answer = await run('apply', '--dry-run=server', '--validate=strict', '-k', local);
    expect(answer.trimEnd().split('\n')).toHaveLength(objects.length);
  });

  test('its agent announces, with the capabilities of the agent and no more, and passes admission', async () => {
    const objects = await rendered(local);
    const daemonSet = objects.find(({ kind }) => kind === 'DaemonSet');
    if (!daemonSet) throw new Error('the overlay lacks its DaemonSet');
    const { template } = daemonSet['spec'] as { readonly template: { readonly spec: object } };
    expect(template.spec).toMatchObject({
      containers: [
        {
          args: [
            'agent',
            '--scope=labelled',
            '--announce',
            '--namespace=sluice-system',
            '--lease-namespace=sluice-agent',
          ],
          securityContext: { capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] } },
        },
      ],
    });
    const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'probe' }, spec: template.spec };
    await expect(
      ground.api.request('POST', '/api/v1/namespaces/sluice-agent/pods', { query: { dryRun: 'All' }, body }),
    ).resolves.toMatchObject({ spec: { hostNetwork: true } });
  });

  test('its policy finds the Pods of the controller, and its ConfigMap is the one that they mount', async () => {
    const objects = await rendered(local);
    const [deployment, policy] = ['Deployment', 'NetworkPolicy'].map((of) =>
      objects.find(({ kind }) => kind === of),
    );
    expect(deployment).toMatchObject({
      spec: { template: { metadata: { labels: labelsOf(policy) } } },
    });
    const made = objects.find(({ kind }) => kind === 'ConfigMap')?.metadata?.name ?? '';
    expect(JSON.stringify(objects.find(({ kind }) => kind === 'Deployment'))).toContain(`"name":"${made}"`);
  });
});

describe('the examples', () => {
  test('every object of the examples is accepted, as a user applies them', async () => {
    const folder = new URL('examples/', packageRoot);
    const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml') && name !== 'config.yaml');
    for (const file of files.toSorted()) {
      for (const object of await manifestsOf(new URL(file, folder)))
        await expect(tryOut(object), `${file} ${object.kind}`).resolves.toMatchObject({ kind: object.kind });
    }
    expect(files.length).toBeGreaterThan(4);
  });
});
