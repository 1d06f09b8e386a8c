/**
 * The sandbox's control plane with the real programs: what the other cluster tests, the demo and `sluice
 * sandbox` take for granted.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { findBinaries } from '../../src/sandbox/binaries.ts';
import { startControlPlane, type Access, type ControlPlane } from '../../src/sandbox/control-plane.ts';
import { callApiServer, type Answer, type Call } from '../../src/sandbox/requests.ts';
import { frozen } from './freeze.ts';

const run = promisify(execFile);

/** The first run on a machine builds the programs. */
const buildMs = 900_000;

const services = '/api/v1/namespaces/default/services';

/** Names so far: what a first try made is not in the way of the second one. */
let names = 0;
const fresh = (name: string): string => `${name}-${(names += 1)}`;

function service(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
  };
}

interface ServiceReply {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly spec: { readonly clusterIP: string; readonly ports: readonly { readonly nodePort: number }[] };
}

async function createService(plane: ControlPlane, name: string): Promise<ServiceReply> {
  const answer = await plane.apiServer.call({ method: 'POST', path: services, body: service(fresh(name)) });
  expect(answer.status, answer.text).toBe(201);
  return answer.json as ServiceReply;
}

function callAs(plane: ControlPlane, access: Access, call: Call): Promise<Answer> {
  return callApiServer(plane.apiServer.address, access.credentials, call);
}

interface WatchEnd {
  readonly status: number;
  readonly text: string;
  readonly ms: number;
}

/** What a watch sends first; also the milliseconds until its end when `untilEnd` is set. */
function watchLines(plane: ControlPlane, query: string, untilEnd = false): Promise<WatchEnd> {
  const credentials = plane.admin.credentials;
  if (credentials.kind !== 'certificate') throw new Error('the administrator has a certificate');
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const call = request(`${plane.url}${services}?watch=1&${query}`, {
      ca: plane.ca,
      cert: credentials.certificate,
      key: credentials.key,
      agent: false,
    });
    call.on('error', reject);
    call.on('response', (response) => {
      let text = '';
      const done = (): void => {
        resolve({ status: response.statusCode ?? 0, text, ms: performance.now() - begun });
        response.destroy();
      };
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (!untilEnd && text.includes('\n')) done();
      });
      response.on('end', done);
      response.on('error', reject);
    });
    call.end();
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function eventually(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`it never came to be that ${what}`);
    await wait(50);
  }
}

/** What this test leaves in the folder for temporary files is seen there, and nobody else's. */
async function ownTemporaryFolder(): Promise<string> {
  const before = process.env['TMPDIR'];
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  process.env['TMPDIR'] = folder;
  onTestFinished(async () => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    await rm(folder, { recursive: true });
  });
  return folder;
}

beforeAll(async () => {
  await findBinaries(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'], {
    progress: (line) => console.log(line),
  });
}, buildMs);

describe('a running control plane', () => {
  let plane: ControlPlane;

  beforeAll(async () => {
    const begun = performance.now();
    plane = await startControlPlane({
      nodePortRange: '31000-31099',
      serviceCidr: '10.97.0.0/24',
      apiServer: { audit: true },
    });
    console.log(`the control plane was ready after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  });

  afterAll(async () => {
    await plane?.stop();
  });

  test('gives a Service a cluster IP and a node port from the ranges that were asked for', async () => {
    const made = await createService(plane, 'ranges');
    expect(made.spec.clusterIP).toMatch(/^10\.97\.0\.\d+$/);
    expect(made.spec.ports[0]?.nodePort).toBeGreaterThanOrEqual(31_000);
    expect(made.spec.ports[0]?.nodePort).toBeLessThanOrEqual(31_099);
  });

  test('is at the command of kubectl with the kubeconfig', async () => {
    const { kubectl } = await findBinaries(['kubectl']);
    const env = { KUBECONFIG: plane.kubeconfig, HOME: plane.folder };
    const name = fresh('by-kubectl');
    await run(kubectl, ['create', 'service', 'loadbalancer', name, '--tcp=80:8080'], { env });
    const { stdout } = await run(kubectl, ['get', 'service', name, '--output=name'], { env });
    expect(stdout.trim()).toBe(`service/${name}`);
  });

  test('refuses a user until RBAC lets it in', async () => {
    const [user, readers] = [fresh('jane'), fresh('readers')];
    const jane = await plane.addUser({ user, groups: [readers] });
    const list: Call = { method: 'GET', path: services };
    const refused = await callAs(plane, jane, list);
    expect(refused.status).toBe(403);
    expect(refused.text).toContain(`\\"${user}\\" cannot list`);

    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    const metadata = { name: readers };
    for (const [kind, rest] of [
      ['ClusterRole', { rules: [{ apiGroups: [''], resources: ['services'], verbs: ['list'] }] }],
      [
        'ClusterRoleBinding',
        {
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: readers },
          subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: readers }],
        },
      ],
    ] as const) {
      const body = { apiVersion, kind, metadata, ...rest };
      const made = await plane.apiServer.call({
        method: 'POST',
        path: `${rbac}/${kind.toLowerCase()}s`,
        body,
      });
      expect(made.status, made.text).toBe(201);
    }
    // The authorizer's cache follows a moment later.
    await expect.poll(async () => (await callAs(plane, jane, list)).status, { timeout: 60_000 }).toBe(200);
  });

  test('lets a service account in with a token of its own, under its own name', async () => {
    const accounts = '/api/v1/namespaces/default/serviceaccounts';
    await plane.apiServer.call({
      method: 'POST',
      path: accounts,
      body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'controller' } },
    });
    const controller = await plane.addServiceAccount({ namespace: 'default', name: 'controller' });
    const answer = await callAs(plane, controller, {
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    });
    expect(answer.json).toMatchObject({
      status: { userInfo: { username: 'system:serviceaccount:default:controller' } },
    });
  });

  test('says so when a service account does not exist', async () => {
    const attempt = plane.addServiceAccount({ namespace: 'default', name: 'nobody' });
    await expect(attempt).rejects.toMatchObject({
      kind: 'gone',
      message: expect.stringContaining('default/nobody'),
    });
  });

  test('records who asked for what, and what was answered', async () => {
    const user = fresh('auditor');
    const auditor = await plane.addUser({ user });
    await callAs(plane, auditor, { method: 'GET', path: `${services}/absent` });
    const entries = async (): Promise<readonly unknown[]> =>
      (await plane.apiServer.audit()).filter((entry) => entry.user === user);
    // It is written down a moment after it was answered.
    await expect.poll(entries, { timeout: 60_000 }).toMatchObject([
      {
        verb: 'get',
        apiGroup: '',
        resource: 'services',
        namespace: 'default',
        name: 'absent',
        status: 403,
      },
    ]);
  });

  test('keeps its data and address when the API server is restarted, politely or not', async () => {
    const { name } = (await createService(plane, 'kept')).metadata;
    const before = plane.url;
    for (const manner of ['graceful', 'kill'] as const) {
      await plane.restartApiServer(manner);
      expect((await plane.apiServer.call({ method: 'GET', path: `${services}/${name}` })).status).toBe(200);
    }
    expect(plane.url).toBe(before);
  });

  test('keeps its data when etcd is restarted', async () => {
    const { name } = (await createService(plane, 'kept-by-etcd')).metadata;
    await plane.restartEtcd('kill');
    await expect
      .poll(async () => (await plane.apiServer.call({ method: 'GET', path: `${services}/${name}` })).status, {
        timeout: 60_000,
      })
      .toBe(200);
  });

  test('answers nothing while the API server is frozen, and goes on where it was', async () => {
    plane.apiServer.pause();
    onTestFinished(() => plane.apiServer.resume());
    await frozen(plane.apiServer.pid ?? 0);
    const asked = plane.apiServer.call({ method: 'GET', path: '/version', timeoutMs: 500 });
    await expect(asked).rejects.toMatchObject({ kind: 'ambiguous' });
    plane.apiServer.resume();
    expect((await plane.apiServer.call({ method: 'GET', path: '/version' })).status).toBe(200);
  });

  test('answers 410 to a watch from before a compaction and a restart', async () => {
    const old = (await createService(plane, 'old')).metadata.resourceVersion;
    await createService(plane, 'newer');
    await plane.compact();
    await plane.restartApiServer();
    const answer = await watchLines(plane, `resourceVersion=${old}`);
    expect(answer.text).toContain('"code":410');
    expect(answer.text).toMatch(/too old resource version|compacted/);
  });

  test('serves a second API server on the same data', async () => {
    const second = await plane.addApiServer();
    try {
      const { name } = (await createService(plane, 'seen-by-both')).metadata;
      expect(second.address.url).not.toBe(plane.url);
      expect((await second.call({ method: 'GET', path: `${services}/${name}` })).status).toBe(200);
    } finally {
      await second.stop();
    }
  });
});

test('a watch is ended after the lifetime that was asked for', async () => {
  await using plane = await startControlPlane({ apiServer: { minRequestTimeoutSeconds: 2 } });
  const answer = await watchLines(plane, '', true);
  expect(answer.status).toBe(200);
  // Asked for were two seconds to four; without a word it lasts half an hour or more.
  expect(answer.ms).toBeLessThan(120_000);
});

test('without a watch cache, a compaction alone makes an old watch fail', async () => {
  await using plane = await startControlPlane({ apiServer: { flags: { 'watch-cache': 'false' } } });
  const old = (await createService(plane, 'old')).metadata.resourceVersion;
  await createService(plane, 'newer');
  await plane.compact();
  const answer = await watchLines(plane, `resourceVersion=${old}`);
  expect(answer.text).toContain('"code":410');
});

test('with a controller manager, new namespaces get their service account', async () => {
  await using plane = await startControlPlane({ controllerManager: {} });
  await plane.apiServer.call({
    method: 'POST',
    path: '/api/v1/namespaces',
    body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  });
  const account: Call = { method: 'GET', path: '/api/v1/namespaces/shop/serviceaccounts/default' };
  await expect.poll(async () => (await plane.apiServer.call(account)).status, { timeout: 60_000 }).toBe(200);
});

test('with a limit of requests in flight, an ordinary user gets 429 and is told when to come back', async () => {
  await using plane = await startControlPlane({
    apiServer: { maxRequestsInFlight: 1, maxMutatingRequestsInFlight: 1 },
  });
  const someone = await plane.addUser({ user: 'someone' });
  // A document that takes the server a while.
  const call: Call = { method: 'GET', path: '/openapi/v2' };
  const calls = Array.from({ length: 40 }, () => callAs(plane, someone, call));
  const refused = (await Promise.all(calls)).filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]?.headers['retry-after']).toBe('1');
});

test('a server that dies unasked is told of, with the end of its log; one that is stopped is not', async () => {
  const told: string[] = [];
  const plane = await startControlPlane({ onUnexpectedEnd: (message) => told.push(message) });
  try {
    await plane.restartApiServer('kill');
    expect(told).toEqual([]);
    process.kill(plane.etcd.pid ?? 0, 'SIGKILL');
    await eventually('it is told', () => told.length > 0);
  } finally {
    await plane.stop();
  }
  expect(told).toEqual([expect.stringContaining('etcd ended (signal SIGKILL)')]);
});

test('stop leaves no process and no folder', async () => {
  const temporary = await ownTemporaryFolder();
  const plane = await startControlPlane();
  const pids = [plane.etcd.pid, plane.apiServer.pid].filter((pid) => pid !== undefined);
  expect(pids).toHaveLength(2);
  expect(pids.every(isAlive)).toBe(true);
  await plane.stop();
  await plane.stop();
  await eventually('both are gone', () => !pids.some(isAlive));
  expect(await readdir(temporary)).toEqual([]);
});

test('when its owner is killed with SIGKILL, no process and no folder is left', async () => {
  const url = new URL('../../src/sandbox/control-plane.ts', import.meta.url).href;
  const owner = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { startControlPlane } from ${JSON.stringify(url)};
       const { etcd, apiServer, folder } = await startControlPlane();
       console.log(JSON.stringify({ pids: [etcd.pid, apiServer.pid], folder }));`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = (await once(createInterface(owner.stdout), 'line')) as [string];
  const { pids, folder } = JSON.parse(line) as { readonly pids: readonly number[]; readonly folder: string };
  expect(pids.every(isAlive)).toBe(true);

  owner.kill('SIGKILL');
  await eventually('both are gone', () => !pids.some(isAlive));
  await eventually('the folder is gone', () => !existsSync(folder));
});

test('a control plane that cannot start says why, keeps its logs and leaves nothing else', async () => {
  const attempt = startControlPlane({ apiServer: { flags: { 'no-such-flag': '1' } } });
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown as Error,
  );
  expect(error?.message).toContain('unknown flag: --no-such-flag');
  const logs = /All logs: (.*)$/m.exec(error?.message ?? '')?.[1] ?? '';
  onTestFinished(() => rm(logs, { recursive: true, force: true }));
  expect(await readdir(logs)).toContain('kube-apiserver.log');
});

test('a start can be called off, and leaves nothing', async () => {
  const temporary = await ownTemporaryFolder();
  const controller = new AbortController();
  const attempt = startControlPlane({ signal: controller.signal });
  setTimeout(() => controller.abort(new Error('changed my mind')), 500);
  await expect(attempt).rejects.toThrow('changed my mind');
  expect(await readdir(temporary)).toEqual([]);
});
