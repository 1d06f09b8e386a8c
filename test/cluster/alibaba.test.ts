/**
 * The controller as it is shipped, on a real API server and a simulated Alibaba Cloud account over the wire: the
 * life of Services, what a node more costs, and that every call is in the RAM policy that we ship.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isSlbOperation, ramAction } from '../../providers/alibaba/operations.ts';
import { merge } from '../../src/sandbox/demo/patch.ts';
import { condition, statusOf, until, untilService } from '../../src/sandbox/demo/stage.ts';
import { alibabaNode, apply, remove, type Manifest } from '../../src/sandbox/objects.ts';
import { packageRoot, startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts';
import { knowNodes } from './metrics.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';

let sandbox: Sandbox;
/** Services of the running test. */
const made: Manifest[] = [];

beforeAll(async () => {
  sandbox = await startSandbox({ alibaba: {} });
  for (const index of [1, 2, 3]) await apply(sandbox.api, alibabaNode(index));
  await knowNodes(sandbox, 3);
}, 600_000);

// What a test leaves that failed half-way is neither in the way of the others nor of its own second try.
afterEach(async () => {
  for (const one of made.splice(0)) {
    await remove(sandbox.api, one);
    await untilService(sandbox.api, one, 'goes', (live) => live === undefined);
  }
  await remove(sandbox.api, alibabaNode(4));
});

afterAll(async () => {
  await sandbox?.stop();
});

function control() {
  if (sandbox.alibaba === undefined) throw new Error('the sandbox has no Alibaba Cloud account');
  return sandbox.alibaba.control;
}

function service(name: string, annotations: Readonly<Record<string, string>> = {}): Manifest {
  const one: Manifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name, annotations },
    spec: { type: 'LoadBalancer', loadBalancerClass: 'sluice.dev/alibaba', ports: [{ port: 80 }] },
  };
  made.push(one);
  return one;
}

async function membersOf(name: string): Promise<readonly string[]> {
  const { loadBalancers } = await control().dump();
  const balancer = loadBalancers.find(({ LoadBalancerName }) => LoadBalancerName?.includes(`-${name}-`));
  return (balancer?.VServerGroups ?? []).flatMap(({ BackendServers }) =>
    BackendServers.map(({ ServerId }) => ServerId),
  );
}

describe('on Alibaba Cloud', () => {
  test('a Service gets an address, follows its nodes with one call each, and leaves nothing', async () => {
    const web = service('web');
    await apply(sandbox.api, web);
    const { value } = await untilService(
      sandbox.api,
      web,
      'has an address',
      (live) => statusOf(live).address !== '',
    );
    expect(statusOf(value).address).toMatch(/^203\.0\.113\.\d+$/u);
    await untilService(
      sandbox.api,
      web,
      'has healthy targets',
      (live) => condition(live, 'TargetsReady')?.status === 'True',
    );

    const before = (await control().calls()).calls.at(-1)?.seq ?? 0;
    await apply(sandbox.api, alibabaNode(4));
    await until('node 4 to be a member', async () => (await membersOf('web')).length === 4 || undefined);
    await untilService(
      sandbox.api,
      web,
      'is in sync',
      (live) => condition(live, 'InSync')?.status === 'True',
    );
    const { calls } = await control().calls(before);
    expect(calls.filter(({ mutating }) => mutating).map(({ operation }) => operation)).toEqual([
      'AddVServerGroupBackendServers',
    ]);

    await remove(sandbox.api, web);
    await untilService(sandbox.api, web, 'is gone', (live) => live === undefined);
    expect((await control().dump()).loadBalancers).toEqual([]);
  });

  test('a mistake is told and mended, and a setting is changed in place', async () => {
    const paid = service('paid', { [`${prefix}scheduler`]: 'wlcc' });
    await apply(sandbox.api, paid);
    const { value } = await untilService(
      sandbox.api,
      paid,
      'is told of its mistake',
      (live) => condition(live, 'Accepted')?.status === 'False',
    );
    expect(condition(value, 'Accepted')?.message).toContain(`${prefix}scheduler`);
    await merge(sandbox.api, paid, { metadata: { annotations: { [`${prefix}scheduler`]: 'wlc' } } });
    await untilService(sandbox.api, paid, 'has an address', (live) => statusOf(live).address !== '');
    const scheduler = async (): Promise<string | undefined> =>
      (await control().dump()).loadBalancers[0]?.Listeners[0]?.Scheduler;
    await until('scheduler wlc', async () => (await scheduler()) === 'wlc' || undefined);
    await merge(sandbox.api, paid, { metadata: { annotations: { [`${prefix}scheduler`]: 'wrr' } } });
    await until('scheduler wrr', async () => (await scheduler()) === 'wrr' || undefined);
    await remove(sandbox.api, paid);
    await untilService(sandbox.api, paid, 'is gone', (live) => live === undefined);
  });

  test('every call that was made is in the RAM policy', async () => {
    const policy = JSON.parse(
      await readFile(new URL('manifests/alibaba/ram-policy.json', packageRoot), 'utf8'),
    ) as { readonly Statement: readonly { readonly Action: readonly string[] }[] };
    const allowed = new Set(policy.Statement.flatMap(({ Action }) => Action));
    const calls = Object.keys((await control().calls()).counts);
    expect(calls.length).toBeGreaterThan(8);
    expect(calls.filter((name) => !isSlbOperation(name) || !allowed.has(ramAction(name)))).toEqual([]);
  });
});
