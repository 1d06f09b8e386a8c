/**
 * Alibaba Cloud on a real API server, the account over the wire: Services of the cloud's own controller are taken
 * over by the command as a user runs it, and a Service that is given to another controller is let go.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ControlClient } from '../../providers/alibaba/simulator/control-client.ts';
import { merge } from '../../src/sandbox/demo/patch.ts';
import { condition, statusOf, until, untilService } from '../../src/sandbox/demo/stage.ts';
import { alibabaNode, apply, read, remove, type Manifest } from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { objectKey, type Uid } from '../../src/core/objects.ts';
import { asCcm, ccmFinalizer, ccmHashLabel } from '../support/alibaba-ccm.ts';
import { finalizer, finalizersOf, Ground } from './ground.ts';
import { knowNodes } from './metrics.ts';

const program = fileURLToPath(new URL('bin/sluice.js', packageRoot));
const classKey = 'service.beta.kubernetes.io/class';
let ground: Ground;
let cloud: ControlClient;
/** Services of the running test. */
const made: Manifest[] = [];

beforeAll(async () => {
  ground = await Ground.open({ alibaba: {} }, 0);
  const { alibaba } = ground.sandbox;
  if (alibaba === undefined) throw new Error('the sandbox has an Alibaba Cloud account');
  cloud = alibaba.control;
  for (const index of [1, 2]) await apply(ground.api, alibabaNode(index));
  await knowNodes(ground.sandbox, 2);
}, 600_000);

// What a test leaves that failed half-way is neither in the way of the others nor of its own second try: no Service, and
// nothing that the other controller made and nobody else takes away.
afterEach(async () => {
  await cloud.clearFaults();
  for (const one of made.splice(0)) {
    const live = await read(ground.api, one);
    if (live === undefined) continue;
    const finalizers = finalizersOf(live).filter((name) => name === finalizer);
    await merge(ground.api, one, { metadata: { finalizers } });
    await remove(ground.api, one);
    await untilService(ground.api, one, 'goes', (now) => now === undefined);
  }
});

afterAll(async () => {
  await ground?.close();
});

function service(name: string, metadata: object = {}, spec: object = {}): Manifest {
  const one: Manifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name, ...metadata },
    spec: { type: 'LoadBalancer', selector: { app: name }, ports: [{ port: 80 }], ...spec },
  };
  made.push(one);
  return one;
}

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function migrate(...more: readonly string[]): Promise<Answer> {
  const { PATH = '', HOME = '' } = process.env;
  const args = ['migrate', '--from', 'alibaba-cloud-controller-manager', ...more];
  const env = {
    PATH,
    HOME,
    KUBECONFIG: ground.sandbox.kubeconfig,
    SLUICE_CONFIG: ground.sandbox.settings,
    ALIBABA_CLOUD_ACCESS_KEY_ID: 'user',
    ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'user',
  };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env, timeout: 240_000 },
      (error, out, err) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
      },
    );
    child.stdin?.end();
  });
}

/** A Service as the cloud's own controller leaves it: finalizer, label, status, and what is in the account. */
async function servedByOther(
  name: string,
  extra: { readonly servers?: Readonly<Record<string, number>> } = {},
) {
  const manifest = service(name, { finalizers: [ccmFinalizer], labels: { [ccmHashLabel]: 'abc' } });
  await apply(ground.api, manifest);
  const live = await read(ground.api, manifest);
  const spec = live?.['spec'] as { readonly ports: readonly { readonly nodePort: number }[] };
  const nodePort = spec.ports[0]?.nodePort ?? 0;
  const uid = (live?.metadata?.uid ?? '') as Uid;
  const { id, address } = await asCcm((operation, input) => cloud.call(operation, input), {
    service: { key: objectKey('default', name), uid },
    ports: [{ port: 80, nodePort, protocol: 'tcp' }],
    servers: extra.servers ?? { [instance(1)]: 100, [instance(2)]: 100 },
  });
  await ground.api.request('PATCH', `/api/v1/namespaces/default/services/${name}/status`, {
    query: { fieldManager: 'cloud-controller-manager' },
    body: { status: { loadBalancer: { ingress: [{ ip: address }] } } },
    contentType: 'application/merge-patch+json',
  });
  return { manifest, id, address };
}

function instance(index: number): string {
  const providerID = (alibabaNode(index)['spec'] as { readonly providerID: string }).providerID;
  return providerID.slice(providerID.lastIndexOf('.') + 1);
}

async function balancer(id: string) {
  return (await cloud.dump()).loadBalancers.find(({ LoadBalancerId }) => LoadBalancerId === id);
}

/** All that traffic goes by. */
async function traffic(id: string): Promise<string> {
  const found = await balancer(id);
  return JSON.stringify([found?.Address, found?.Listeners, found?.VServerGroups]);
}

describe('balancers of the cloud’s own controller', () => {
  test('are planned, taken over, served and removed; what traffic goes by is not written to once', async () => {
    const begun = (await cloud.calls()).calls.at(-1)?.seq ?? 0;
    const { manifest, id, address } = await servedByOther('shop');
    const { manifest: odd, id: oddId } = await servedByOther('odd', { servers: { 'i-elsewhere': 100 } });
    const before = await traffic(id);
    const oddBefore = JSON.stringify(await balancer(oddId));

    const planned = await migrate('--plan-only');
    expect(planned).toMatchObject({ code: 2, err: '' });
    // Nothing can be done for this one, and nothing failed.
    expect(await migrate('odd', '--yes')).toMatchObject({ code: 3, err: '' });
    for (const words of [
      `balancer ${id} at ${address}`,
      'TagResources',
      'SetLoadBalancerName',
      'UntagResources',
      'then: nothing is left to do',
      'default/odd',
      'TakeOverDisturbs',
    ])
      expect(planned.out).toContain(words);
    const document = JSON.parse((await migrate('shop', '--output', 'json')).out) as object;
    expect(document).toMatchObject({
      apiVersion: 'sluice.dev/v1alpha1',
      kind: 'Migration',
      services: [{ name: 'shop', outcome: 'planned', steps: { length: 5 }, firstPass: [] }],
    });
    // Nobody is at the terminal, and nobody said yes.
    expect(await migrate('shop')).toMatchObject({ code: 1 });
    expect(finalizersOf(await read(ground.api, manifest))).toEqual([ccmFinalizer]);
    const byUs = (await cloud.calls(begun)).calls.filter(({ mutating, by }) => mutating && by !== 'hand');
    expect(byUs).toEqual([]);

    const { calls } = await cloud.calls();
    const mark = calls.at(-1)?.seq ?? 0;
    const done = await migrate('shop', '--yes', '-o', 'json');
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(done.out)).toMatchObject({ services: [{ name: 'shop', outcome: 'done' }] });
    const { value } = await untilService(
      ground.api,
      manifest,
      'is served by us',
      (live) => condition(live, 'InSync')?.status === 'True',
    );
    expect(finalizersOf(value)).toEqual([finalizer]);
    expect(value?.metadata?.annotations).toMatchObject({ [classKey]: 'sluice.dev/alibaba' });
    expect(value?.metadata?.annotations).not.toHaveProperty(['sluice.dev/paused']);
    expect(value?.metadata?.labels ?? {}).not.toHaveProperty([ccmHashLabel]);
    expect(statusOf(value).address).toBe(address);
    const writes = (await cloud.calls(mark)).calls.filter(({ mutating }) => mutating);
    expect(writes.map(({ operation }) => operation)).toEqual([
      'TagResources',
      'SetLoadBalancerName',
      'UntagResources',
    ]);
    expect(await traffic(id)).toBe(before);
    expect(JSON.stringify(await balancer(oddId))).toBe(oddBefore);
    expect(finalizersOf(await read(ground.api, odd))).toEqual([ccmFinalizer]);

    expect(await migrate('shop', '--yes')).toMatchObject({ code: 0 });
    await remove(ground.api, manifest);
    await untilService(ground.api, manifest, 'goes', (live) => live === undefined);
    expect(await balancer(id)).toBeUndefined();
    await merge(ground.api, odd, { metadata: { finalizers: [] } });
    await remove(ground.api, odd);
  });

  test('broken off by the cloud it can be run again, and nothing was lost meanwhile', async () => {
    const { manifest, id } = await servedByOther('again');
    const before = await traffic(id);
    const fault = await cloud.orderFault({
      match: { operation: 'SetLoadBalancerName' },
      nth: 1,
      times: 'until-cleared',
      effect: { kind: 'error', code: 'Forbidden.RAM' },
    });
    const failed = await migrate('again', '--yes');
    expect(failed.code).toBe(1);
    expect(failed.out).toContain('run the command again');
    expect(finalizersOf(await read(ground.api, manifest)).toSorted()).toEqual(
      [ccmFinalizer, finalizer].toSorted(),
    );
    await cloud.clearFaults(fault);
    expect(await migrate('again', '--yes')).toMatchObject({ code: 0, err: '' });
    await untilService(
      ground.api,
      manifest,
      'is in sync',
      (live) => condition(live, 'InSync')?.status === 'True',
    );
    expect(await traffic(id)).toBe(before);
    await remove(ground.api, manifest);
    await untilService(ground.api, manifest, 'goes', (live) => live === undefined);
  });

  test('both controllers go on side by side: what the other one serves is left alone', async () => {
    const { manifest, id } = await servedByOther('theirs');
    const before = JSON.stringify(await balancer(id));
    await merge(ground.api, manifest, { metadata: { annotations: { note: 'changed' } } });
    const ours = service('ours', {}, { loadBalancerClass: 'sluice.dev/alibaba' });
    await apply(ground.api, ours);
    await untilService(ground.api, ours, 'is served', (live) => condition(live, 'InSync')?.status === 'True');
    expect(JSON.stringify(await balancer(id))).toBe(before);
    expect(finalizersOf(await read(ground.api, manifest))).toEqual([ccmFinalizer]);
    await remove(ground.api, ours);
    await untilService(ground.api, ours, 'goes', (live) => live === undefined);
    await merge(ground.api, manifest, { metadata: { finalizers: [] } });
    await remove(ground.api, manifest);
  });
});

test('a live Service that is given to another controller: one deletion, status cleared, finalizer off (A-6)', async () => {
  const manifest = service('given');
  await apply(ground.api, manifest);
  await untilService(
    ground.api,
    manifest,
    'is served',
    (live) => condition(live, 'InSync')?.status === 'True',
  );
  const mark = (await cloud.calls()).calls.at(-1)?.seq ?? 0;
  await merge(ground.api, manifest, { metadata: { annotations: { [classKey]: 'example.com/other' } } });
  const { value } = await untilService(
    ground.api,
    manifest,
    'is let go',
    (live) => !finalizersOf(live).includes(finalizer),
  );
  expect(statusOf(value).address).toBe('');
  const deletions = (await cloud.calls(mark)).calls.filter(
    ({ operation }) => operation === 'DeleteLoadBalancer',
  );
  expect(deletions).toHaveLength(1);
  await until('an event says so', async () =>
    (await ground.events(manifest)).find(({ reason }) => reason === 'ClaimedElsewhere'),
  );
  await remove(ground.api, manifest);
});

test('a balancer that is kept on delete: told, and still there', async () => {
  const manifest = service('kept', {
    annotations: {
      'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-preserve-lb-on-delete': 'true',
    },
  });
  await apply(ground.api, manifest);
  const { value } = await untilService(
    ground.api,
    manifest,
    'is served',
    (live) => condition(live, 'InSync')?.status === 'True',
  );
  const { address } = statusOf(value);
  await remove(ground.api, manifest);
  await untilService(ground.api, manifest, 'goes', (live) => live === undefined);
  expect((await cloud.dump()).loadBalancers.map(({ Address }) => Address)).toContain(address);
  const { value: told } = await until('an event says so', async () =>
    (await ground.events(manifest)).find(({ reason }) => reason === 'PreservedOnDelete'),
  );
  expect(told).toMatchObject({ type: 'Normal', note: expect.stringContaining(address) });
  expect((await ground.events(manifest)).map(({ reason }) => reason)).not.toContain('DeletedLoadBalancer');
});
