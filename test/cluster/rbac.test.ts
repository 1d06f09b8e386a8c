/**
 * Rights: the controller runs under the Role of the manifests, the API server writes down every request, and
 * the two must agree: nothing is refused, and nothing is granted that is never used.
 *
 * And a user of one namespace can ask why a Service of it is not served.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { statusOf, until } from '../../src/sandbox/demo/stage.ts';
import {
  apply,
  manifestsOf,
  nodeManifest,
  remove,
  sliceManifest,
  type Manifest,
} from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import type { AuditEntry } from '../../src/sandbox/api-server.ts';
import { finalizersOf, Ground } from './ground.ts';

let ground: Ground;
/** Who asked so far: each try by users of its own, whose requests are told apart. */
let users = 0;

const account = 'system:serviceaccount:sluice-system:sluice-controller';

beforeAll(async () => {
  ground = await Ground.open({
    controllers: 0,
    controlPlane: { apiServer: { audit: true } },
    controllerSettings: { drift: { surveyEvery: '10s' } },
  });
}, 600_000);

afterAll(async () => {
  await ground?.close();
});

afterEach(() => ground.tidy());

/** No controller of a test before, or of a try before, is left. */
async function alone(): Promise<void> {
  for (const { process } of ground.sandbox.controllers) await process.stop(60_000);
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** One right: `patch services/status`, `get leases sluice-controller in sluice-system`. */
function right(
  verb: string,
  group: string,
  resource: string,
  name: string | undefined,
  namespace: string | undefined,
): string {
  const what = group === '' ? resource : `${resource}.${group}`;
  return [
    verb,
    what,
    ...(name === undefined ? [] : [name]),
    ...(namespace === undefined ? [] : ['in', namespace]),
  ].join(' ');
}

/** Every right of the Roles as they are installed. */
async function granted(): Promise<readonly string[]> {
  const rights: string[] = [];
  for (const file of ['cluster-role', 'lease-role']) {
    for (const role of await manifestsOf(new URL(`manifests/base/${file}.yaml`, packageRoot))) {
      const namespace = role.kind === 'Role' ? 'sluice-system' : undefined;
      for (const { apiGroups, resources, resourceNames, verbs } of (role['rules'] ?? []) as readonly Rule[]) {
        for (const group of apiGroups)
          for (const resource of resources)
            for (const verb of verbs)
              for (const name of resourceNames ?? [undefined])
                rights.push(right(verb, group, resource, name, namespace));
      }
    }
  }
  return rights;
}

/** The right among `rights` that a request used. */
function used(entry: AuditEntry, rights: readonly string[]): string | undefined {
  const resource = entry.subresource === '' ? entry.resource : `${entry.resource}/${entry.subresource}`;
  return [undefined, entry.name]
    .flatMap((name) =>
      [undefined, entry.namespace].map((namespace) =>
        right(entry.verb, entry.apiGroup, resource, name, namespace),
      ),
    )
    .find((one) => rights.includes(one));
}

/** Requests of the controller about resources; what every authenticated user may ask for is left out. */
async function requests(): Promise<readonly AuditEntry[]> {
  const entries = await ground.sandbox.controlPlane.apiServer.audit();
  return entries.filter(({ user, resource }) => user === account && resource !== '');
}

describe('the Role of the controller', () => {
  test('a whole life of Services is refused nothing', async () => {
    await alone();
    const controller = await ground.sandbox.startController();
    const local = ground.service({ spec: { externalTrafficPolicy: 'Local' } });
    const slice = sliceManifest('default', local.metadata?.name ?? '', { name: 'http', port: 80 }, [
      'node-1',
    ]);
    await apply(ground.api, slice);
    const service = await ground.served(local);
    const typo = ground.service({ annotations: { 'sluice.dev/pausd': 'true' } });
    await apply(ground.api, typo);
    await ground.warned(typo, 'UnknownAnnotation');
    // Twice the same words about the same Service: the event becomes a series, once it has been written by itself.
    for (const seconds of ['15', '20', '25']) {
      await ground.annotate(service, { 'healthcheck-interval': seconds });
      await ground.holds(
        service,
        `an interval of ${seconds} s`,
        ({ groups }) => groups[0]?.['HealthCheckIntervalSeconds'] === Number(seconds),
      );
      await ground.tells(service, 'InSync', 'True', 'InSync');
      await until('the event of the change', async () =>
        (await ground.events(service)).some(({ note }) => note.includes('ModifyTargetGroup'))
          ? true
          : undefined,
      );
    }
    await apply(
      ground.api,
      nodeManifest({ name: 'node-9', instance: 'i-00000000000000009', zone: 'eu-west-1a' }),
    );
    await ground.change(service, { spec: { type: 'ClusterIP', loadBalancerClass: null } });
    await ground.sees(service, 'is released', (live) => finalizersOf(live).length === 0);
    await remove(ground.api, service);
    // What is left of a Service whose finalizer was taken off is found by the survey and removed.
    const stray = await ground.served();
    await controller.process.stop(60_000);
    await ground.change(stray, { metadata: { finalizers: null } });
    await remove(ground.api, stray);
    const next = await ground.sandbox.startController();
    await ground.holds(stray, 'the stray to go', ({ balancers }) => balancers.length === 0, 60_000);
    await ground.gone(typo);
    const before = (await requests()).filter(({ resource }) => resource === 'leases').length;
    await next.process.stop(60_000);
    // The Lease is given back with the last one; what was asked is written down a moment after it was answered.
    await until('the last request', async () =>
      (await requests()).filter(({ resource }) => resource === 'leases').length > before ? true : undefined,
    );
    const refused = (await requests()).filter(({ status }) => status === 403 || status === 401);
    expect(refused).toEqual([]);
  });

  test('it holds no right that is never used, beside list, which servers without streaming lists need', async () => {
    const rights = await granted();
    const seen = new Set((await requests()).map((entry) => used(entry, rights)));
    // Every request found its rule: what is not in the Role would have been refused.
    expect([...seen]).not.toContain(undefined);
    const unused = async (): Promise<readonly string[]> => {
      const found = new Set((await requests()).map((entry) => used(entry, rights)));
      return rights.filter((one) => !found.has(one));
    };
    await expect
      .poll(unused, { timeout: 30_000 })
      .toEqual(['list services', 'list nodes', 'list endpointslices.discovery.k8s.io']);
  });

  test('against a server without streaming lists it is refused nothing either, and the rest is used', async () => {
    const { controlPlane } = ground.sandbox;
    const old = await controlPlane.addApiServer({
      audit: true,
      flags: { 'feature-gates': 'WatchList=false' },
    });
    const access = await controlPlane.addServiceAccount(
      { namespace: 'sluice-system', name: 'sluice-controller' },
      old,
    );
    await alone();
    await ground.sandbox.startController({ args: ['--kubeconfig', access.path] });
    const service = await ground.served();
    await ground.gone(service);
    const entries = async (): Promise<readonly AuditEntry[]> =>
      (await old.audit()).filter(({ user, resource }) => user === account && resource !== '');
    const rights = await granted();
    const seen = async (): Promise<readonly unknown[]> => [
      ...new Set((await entries()).map((entry) => used(entry, rights))),
    ];
    for (const one of ['list services', 'list nodes', 'list endpointslices.discovery.k8s.io'])
      await expect.poll(seen, { timeout: 30_000 }).toContain(one);
    expect((await entries()).filter(({ status }) => status === 403 || status === 401)).toEqual([]);
  });
});

describe('a user of one namespace', () => {
  const namespace = 'shop';

  async function explain(
    name: string,
    kubeconfig: string,
  ): Promise<{ readonly code: number; readonly text: string }> {
    try {
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        [
          fileURLToPath(new URL('bin/sluice.js', packageRoot)),
          'explain',
          `svc/${name}`,
          `--namespace=${namespace}`,
          `--kubeconfig=${kubeconfig}`,
        ],
        { env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' } },
      );
      return { code: 0, text: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as {
        readonly code: number;
        readonly stdout: string;
        readonly stderr: string;
      };
      return { code, text: stdout + stderr };
    }
  }

  test('with the right to view can ask sluice explain, and is told of a right that is missing', async () => {
    const user = `jane-${(users += 1)}`;
    const view: Manifest = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { namespace, name: 'viewers' },
      // What kube-controller-manager puts into ClusterRole `view`; there is none here to do so.
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: 'system:aggregate-to-view',
      },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    };
    await apply(ground.api, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    await apply(ground.api, view);
    const service = ground.service({ namespace, name: 'till' });
    await apply(ground.api, service);
    await ground.sees(service, 'is served', (live) => statusOf(live).address !== '');
    await ground.warned(service, 'EnsuredLoadBalancer');
    const jane = await ground.sandbox.controlPlane.addUser({ user });
    // Rights reach the authorizer a moment later. Asked as somebody else: what she asks herself is counted below.
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, resourceAttributes: { namespace, verb: 'get', resource: 'services' } },
    };
    await until(`${user} to be let in`, async () => {
      const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
      const answer = (await ground.api.request('POST', path, { body: review })) as {
        readonly status?: { readonly allowed?: boolean };
      };
      return answer.status?.allowed === true ? true : undefined;
    });
    const answer = await explain('till', jane.path);
    expect(answer.text).toContain('shop/till');
    expect(answer.text).toContain(statusOf(await ground.live(service)).address);
    // The events of her namespace and the endpoints are hers to read with `view`.
    expect(answer.text).toContain('EnsuredLoadBalancer');
    // Nodes are not, and that is said in passing.
    expect(answer.text).toMatch(/^Not read: nodes \(no right to list nodes\)$/mu);
    const refused = async (): Promise<readonly string[]> =>
      (await ground.sandbox.controlPlane.apiServer.audit())
        .filter((entry) => entry.user === user && entry.status === 403)
        .map(({ verb, resource }) => `${verb} ${resource}`);
    await expect.poll(refused, { timeout: 30_000 }).toEqual(['list nodes']);

    const joe = await ground.sandbox.controlPlane.addUser({ user: 'joe' });
    const denied = await explain('till', joe.path);
    expect(denied.code).toBe(1);
    expect(denied.text).toContain('joe');
    expect(denied.text).toContain('services');
    expect(denied.text).not.toContain('at ');
    await ground.gone(service);
  });
});
